"""Numbers to places in a drawing; the templates draw them as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from quorate.store.overview import Step

WIDTH, HEIGHT = 640, 200  # of the curve, in its own unit
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 12, 26


class Tick(NamedTuple):
    """A mark on an axis."""

    at: float
    text: str


class Curve(NamedTuple):
    """The curve of open questions, ready to be drawn."""

    line: str
    area: str
    labels: str  # the line of labels given, to its own scale's top
    y: Sequence[Tick]
    x: Sequence[Tick]
    last: tuple[float, float]
    says: str


def curve_of(steps: Sequence[Step]) -> Curve | None:
    """The curve; None with fewer than two points."""
    if len(steps) < 2 or steps[-1].at <= steps[0].at:
        return None
    begun, ended = steps[0].at, steps[-1].at
    top = nice(max(1, *(step.open for step in steps)))
    most = max(1, *(step.labels for step in steps))

    def x(at: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (at - begun) / (ended - begun), 1)

    def y(share: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share, 1)

    points = [(x(step.at), y(step.open / top)) for step in steps]
    given = [(x(step.at), y(step.labels / most)) for step in steps]
    floor = HEIGHT - BOTTOM
    line = _line(points)
    return Curve(
        line,
        f"{line} L{points[-1][0]} {floor} L{points[0][0]} {floor} Z",
        _line(given),
        [Tick(y(share), short(top * share)) for share in (0, 0.5, 1)],
        [Tick(x(begun), ""), Tick(x((begun + ended) / 2), _ago(ended, (begun + ended) / 2)), Tick(x(ended), "now")],
        points[-1],
        f"Open questions over time: from {steps[0].open:,} to {steps[-1].open:,}; {most:,} labels were given.",
    )


def nice(value: float) -> float:
    """The next round number that is not below: 1, 2, 4 or 5 times a power of ten.

    >>> nice(37), nice(1), nice(410)
    (40, 1, 500)
    """
    unit = 1
    while value > 10 * unit:
        unit *= 10
    return next(step * unit for step in (1, 2, 4, 5, 6, 8, 10) if value <= step * unit)


def short(value: float) -> str:
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


def _ago(now: float, then: float) -> str:
    return span(now - then) + " ago"


def span(seconds: float) -> str:
    """A stretch of time in its largest unit.

    >>> span(42), span(150), span(7300), span(200_000)
    ('42 s', '2 min', '2 h', '2 d')
    """
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
