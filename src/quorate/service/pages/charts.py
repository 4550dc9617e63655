"""Numbers to places in a drawing; the templates draw them as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from quorate.store.over_time import Step

Number = int | float
WIDTH, HEIGHT = 1000, 220  # of the curve, in its own unit


class Curve(NamedTuple):
    """The curve of open questions, ready to be drawn."""

    line: str
    area: str
    labels: str  # the line of labels given, to its own scale's top
    y: Sequence[str]  # marks of the axis, from the top
    x: Sequence[str]
    says: str


def curve_of(steps: Sequence[Step]) -> Curve | None:
    """The curve; None with fewer than two points."""
    if len(steps) < 2 or steps[-1].at <= steps[0].at:
        return None
    begun, ended = steps[0].at, steps[-1].at
    top = nice(1 + max(step.open for step in steps))
    most = max(1, *(step.labels for step in steps))

    def points(shares: Sequence[float]) -> list[tuple[float, float]]:
        across = [WIDTH * (step.at - begun) / (ended - begun) for step in steps]
        return [(round(x, 1), round(HEIGHT * (1 - y), 1)) for x, y in zip(across, shares, strict=True)]

    line = _line(points([step.open / top for step in steps]))
    return Curve(
        line,
        f"{line} L{WIDTH} {HEIGHT} L0 {HEIGHT} Z",
        _line(points([step.labels / most for step in steps])),
        [short(top), short(top / 2), "0"],
        [f"{span(ended - begun)} ago", f"{span((ended - begun) / 2)} ago", "now"],
        f"Open questions over time: from {steps[0].open:,} to {steps[-1].open:,}; {most:,} labels were given.",
    )


def nice(value: int) -> int:
    """The next round number that is not below: 1, 2, 4 or 5 times a power of ten.

    >>> nice(37), nice(1), nice(410)
    (40, 1, 500)
    """
    unit = 1
    while value > 10 * unit:
        unit *= 10
    return next(step * unit for step in (1, 2, 4, 5, 6, 8, 10) if value <= step * unit)


def short(value: Number) -> str:
    """A number in little room.

    >>> short(12_500), short(0.5), short(40)
    ('12.5k', '0.5', '40')
    """
    for size, sign in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:.3g}{sign}"
    return f"{value:.3g}"


def _line(points: Sequence[tuple[float, float]]) -> str:
    return "M" + " L".join(f"{x} {y}" for x, y in points)


def span(seconds: Number) -> str:
    """A stretch of time in its largest unit.

    >>> span(42), span(150), span(7300), span(200_000)
    ('42 s', '2 min', '2 h', '2 d')
    """
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
