"""The budget curve as lines of a drawing: where each point, tick and mark lies, in pixels from the upper left."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.report.words import percent

if TYPE_CHECKING:
    from quorate.report.act import ActReport

Array = np.ndarray
WIDTH, HEIGHT = 640, 340
LEFT, RIGHT, TOP, BOTTOM = 66, 14, 14, 40


class Mark(NamedTuple):
    """A budget that is named: its place from the left, what it is, and on which side the words stand."""

    x: float
    words: str
    anchor: str
    y: float  # of the words


class Picture(NamedTuple):
    """The drawing."""

    width: int
    height: int
    line: str  # points of the expected AQG
    band: str  # of its interval, closed; empty where there is none
    even: str  # what looking at random would mend
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    marks: tuple[Mark, ...]
    dot: tuple[float, float] | None  # what has been mended with what was spent
    frame: tuple[int, int, int, int]  # left, top, right, bottom
    shows: str  # for who does not see it


def picture(report: ActReport) -> Picture | None:
    """The drawing of a report's curve; None where nothing could be foretold."""
    of = report.curve
    if of is None or report.foretold is None:
        return None
    band = "" if of.low is None or of.high is None else _points(of.budget, of.high) + " " + _back(of.budget, of.low)
    spent, ideal = report.reviewed / report.labels, min(report.foretold.ideal / report.labels, 1.0)
    gain = None if report.gain is None else min(report.gain.estimate, 1.0)
    ticks = (0.0, 0.25, 0.5, 0.75, 1.0)
    marks = [_mark(ideal, f"ideal {percent(ideal)}", 0)]
    if report.reviewed:
        marks.insert(0, _mark(spent, f"spent {percent(spent)}", 1))
    shows = f"Expected share of errors mended over the share of labels reviewed; ideal budget {percent(ideal)}" + (
        f", {percent(spent)} spent, {percent(gain)} mended" if report.reviewed and gain is not None else ""
    )
    return Picture(
        WIDTH,
        HEIGHT,
        _points(of.budget, of.gain),
        band,
        _points(np.array([0.0, 1.0]), np.array([0.0, 1.0])),
        tuple((_x(tick), percent(tick)) for tick in ticks),
        tuple((_y(tick), percent(tick) if tick else "") for tick in ticks),  # 0 stands below
        tuple(marks),
        (_x(spent), _y(gain)) if gain is not None and report.reviewed else None,
        (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM),
        shows,
    )


def _x(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(share: float) -> float:
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _points(x: Float64[Array, "points"], y: Float64[Array, "points"]) -> str:
    return " ".join(f"{_x(a)},{_y(b)}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def _back(x: Float64[Array, "points"], y: Float64[Array, "points"]) -> str:
    return _points(x[::-1], y[::-1])


def _mark(share: float, words: str, row: int) -> Mark:
    """Words stand right of their line, and left of it in the right half; each in a row of its own, near the bottom."""
    x = _x(share)
    before = share > 0.5
    return Mark(x, words, "end" if before else "start", HEIGHT - BOTTOM - 12 - 24 * row)
