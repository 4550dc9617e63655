"""The figures of a report as PNG, for slides and mails (matplotlib, extra `report`)."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from quorate.report.figures import LOOKS, MARKS, after, compared, drawn_names, seen
from quorate.report.gather import Models
from quorate.report.savings import CHOSEN, Savings
from quorate.report.trust import Trust
from quorate.report.words import percent
from quorate.report.worth import Worth
from quorate.study.figures import DOTS, HEIGHT, INK, QUIET, STYLE, WIDTH, dots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray
GRID = "#e6eaed"
DASHES: dict[str, Any] = {
    "solid": "-",
    "dash": (0, (5, 1.5)),
    "dot": (0, (1.5, 1.2)),
    "dashdot": (0, (6, 1.5, 1.5, 1.5)),
    "longdashdot": (0, (8, 1.5, 1.5, 1.5)),
}
POINTS = {"circle": "o", "square": "s", "diamond": "D", "cross": "P"}
LONGEST_NAME = 26


def curves(of: Savings) -> bytes:
    """Accuracy over the share of labels bought."""

    def draw(axes: Axes) -> None:
        axes.axhline(of.goal, color=QUIET, linewidth=0.8, linestyle=(0, (2, 2)))
        for family in of.families:
            if family.name in LOOKS:
                colour, dash, width = LOOKS[family.name]
                label = family.title
                axes.plot(
                    family.share, family.accuracy, color=colour, linestyle=DASHES[dash], lw=width * 0.7, label=label
                )
                if family.name == CHOSEN:
                    error = 2 * np.array([se or 0.0 for se in family.accuracy_se])
                    value = np.array(family.accuracy)
                    low, high = value - error, np.minimum(value + error, 1.0)
                    axes.fill_between(family.share, low, high, color=colour, alpha=0.13, linewidth=0)
        stop = of.stop
        axes.plot([stop.share.estimate], [stop.accuracy.value], "o", ms=8, mfc="white", mec="#c2410c", mew=2)
        axes.xaxis.set_major_formatter(_percent)
        axes.yaxis.set_major_formatter(_percent)

    return _drawn(draw, "labels bought", "answers that are right")


def reliability(of: Trust) -> bytes:
    """Share right over confidence, with 95 % intervals."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=(0, (2, 2)))
        for place, series in enumerate(of.series):
            bins, (mark, colour) = seen(series), MARKS[place]
            right = bins.right
            error = np.vstack([right.estimate - right.low, right.high - right.estimate])
            style: Any = {"color": colour, "marker": POINTS[mark], "markersize": 4.5, "linewidth": 0.8}
            axes.errorbar(bins.confidence, right.estimate, yerr=error, label=after(series.labels), **style)
        axes.xaxis.set_major_formatter(_percent)
        axes.yaxis.set_major_formatter(_percent)
        axes.set_xlim(max(min(float(seen(each).confidence.min()) for each in of.series) - 0.05, 0), 1.02)

    return _drawn(draw, "confidence", "answers that are right")


def heatmap(of: Models) -> bytes:
    """Correlation of errors of every two models."""
    from matplotlib.colors import LinearSegmentedColormap

    place = {name: at for at, name in enumerate(drawn_names(of))}
    matrix: Float64[Array, "models models"] = np.full((len(place), len(place)), np.nan)
    for pair in of.shared.pairs:
        if pair.kind == "model" and pair.task is None and pair.correlation is not None:
            a, b = place.get(pair.first), place.get(pair.second)
            if a is not None and b is not None:
                matrix[a, b] = matrix[b, a] = pair.correlation
    names = [name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…" for name in place]

    def draw(axes: Axes) -> None:
        colours = LinearSegmentedColormap.from_list("errors", ["#0b6fa4", "#ffffff", "#c2410c"])
        axes.imshow(matrix, cmap=colours, vmin=-1, vmax=1)
        axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8, parse_math=False)
        axes.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
        if len(names) <= 14:
            for (row, column), value in np.ndenumerate(matrix):
                if np.isfinite(value):
                    colour = "white" if abs(value) > 0.6 else INK
                    axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)

    side = max(WIDTH, 1.8 + 0.27 * len(names))
    return _drawn(draw, "", "", width=side, height=side, grid=False)


def losses(of: Worth) -> bytes:
    """What is lost without each model."""
    by_labels, found = compared(of)
    rows: dict[str, dict[str, tuple[float, float | None]]] = {}
    for each, value in found:
        name = each.models[0] if len(each.models) == 1 else "all of them"
        shown = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
        rows[shown.replace("$", r"\$")] = {"left out": (value.value, value.se)}
    title = "labels more without it, share of all" if by_labels else "nats lost on a hidden label without it"
    return dots(rows, title, ["left out"])


def _percent(value: float, _place: object) -> str:
    return percent(value)


def _drawn(
    draw: Callable[[Axes], None], x_label: str, y_label: str, *, width: float = WIDTH, height: float = HEIGHT,
    grid: bool = True,
) -> bytes:  # fmt: skip
    """A picture with one panel; no window, no global state."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        picture = Figure(figsize=(width, height), layout="constrained")
        axes = picture.add_subplot()
        draw(axes)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.spines[["top", "right"]].set_visible(False)
        if grid:
            axes.grid(color=GRID, linewidth=0.7)
            axes.set_axisbelow(True)
            options: Any = {"loc": "outside lower center", "ncols": 2, "frameon": False, "fontsize": 8}
            picture.legend(**options)
        out = io.BytesIO()
        picture.savefig(out, format="png", dpi=DOTS)
    return out.getvalue()
