"""Pictures of the studies as PNG, in one quiet style (matplotlib, extra `report`)."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float64

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray
WIDTH, HEIGHT, DOTS = 4.7, 3.8, 200  # inches and dots per inch: legible at 390 pixels
INK, QUIET = "#22303c", "#8996a1"
COLOURS = {
    "oracle": "#8996a1",
    "hybrid": "#c2410c",
    "calco": "#0b6fa4",
    "haic": "#0f8a5f",
    "calibrated-dawid-skene": "#8b5fbf",
    "dawid-skene": "#b8860b",
    "majority-all": "#5b6770",
    "majority": "#a3aab0",
}  # distinguishable to colour-blind readers, and by dashes and marks
SPARE = ("#0b6fa4", "#c2410c", "#0f8a5f", "#8b5fbf", "#b8860b", "#5b6770", "#d1477a", "#22303c", "#8996a1")
STYLE: Any = {  # the keys have a type of matplotlib's own
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.7,
    "lines.markersize": 4,
}
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)), (0, (3, 1, 1, 1, 1, 1)))


class Line(NamedTuple):
    """Points with their standard error, 0 where it is unknown."""

    x: Float64[Array, "points"]
    y: Float64[Array, "points"]
    se: Float64[Array, "points"]


def curves(
    lines: Mapping[str, Line],
    x_label: str,
    y_label: str,
    *,
    marks: bool = False,
    log: str = "",
    flat: Sequence[float] = (),
    percent: bool = True,
) -> bytes:
    """Lines with a band of one standard error. log: axes with a logarithmic scale, "x", "y" or "xy"; flat: levels."""

    def draw(axes: Axes) -> None:
        for level in flat:
            axes.axhline(level, color=QUIET, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
        for place, (name, line) in enumerate(lines.items()):
            colour = COLOURS.get(name, SPARE[place % len(SPARE)])
            dash: Any = (0, (2, 2)) if name == "oracle" else DASHES[place % len(DASHES)]
            (drawn,) = axes.plot(line.x, line.y, color=colour, linestyle=dash, label=name, zorder=3)
            drawn.set_marker("o" if marks else "")
            low, high = line.y - line.se, line.y + line.se
            axes.fill_between(line.x, low, high, color=colour, alpha=0.15, linewidth=0, zorder=2)
        for axis in log:
            getattr(axes, f"set_{axis}scale")("log")
        if percent:
            axes.xaxis.set_major_formatter(_percent)

    return _drawn(draw, x_label, y_label)


def dots(rows: Mapping[str, Mapping[str, tuple[float, float | None]]], x_label: str, names: Sequence[str]) -> bytes:
    """One row per data set, one dot per estimator, with two standard errors to both sides."""

    def draw(axes: Axes) -> None:
        for place, name in enumerate(names):
            found = [(row, of[name]) for row, of in enumerate(rows.values()) if name in of]
            shift = (place - (len(names) - 1) / 2) * 0.7 / max(len(names), 1)
            axes.errorbar(
                [value for _, (value, _) in found],
                [row + shift for row, _ in found],
                xerr=[2 * (se or 0.0) for _, (_, se) in found],
                fmt="osD^vP*X"[place % 8],
                color=COLOURS.get(name, SPARE[place % len(SPARE)]),
                markersize=4.2,
                elinewidth=0.8,
                linestyle="none",
                label=name,
            )
        axes.set_yticks(range(len(rows)), list(rows))
        axes.set_ylim(len(rows) - 0.5, -0.5)

    return _drawn(draw, x_label, "", height=_tall(rows))


def _tall(rows: Mapping[str, Any]) -> float:
    return max(2.8, 1.5 + 0.42 * len(rows))


def _percent(value: float, _place: object) -> str:
    return f"{value:.0%}"


def _drawn(draw: Callable[[Axes], None], x_label: str, y_label: str, height: float = HEIGHT) -> bytes:
    """A picture with one panel; no window, no global state."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        picture = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = picture.add_subplot()
        draw(axes)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e6eaed", linewidth=0.7)
        axes.set_axisbelow(True)
        options: Any = {"loc": "outside lower center", "ncols": 3, "frameon": False, "fontsize": 9}
        picture.legend(**options, handlelength=2.6, columnspacing=1.2)
        out = io.BytesIO()
        picture.savefig(out, format="png", dpi=DOTS)
    return out.getvalue()
