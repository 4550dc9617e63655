"""The interactive figures of a report, as the plain data that plotly's JavaScript draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from quorate.consensus.shared_errors import PairFigure
from quorate.measure.calibration import Reliability
from quorate.measure.efficiency import Estimate
from quorate.measure.intervals import Intervals
from quorate.report.gather import Models
from quorate.report.savings import CHOSEN, TODAY, Family, Savings
from quorate.report.trust import Series, Trust
from quorate.report.words import count, money, percent, with_error
from quorate.report.worth import Loss, Worth
from quorate.study.figures import INK, QUIET

Spec = dict[str, Any]
GRID = "#e6eaed"
LOOKS: Mapping[str, tuple[str, str, float]] = {  # colour, dash, width: told apart without colour too
    CHOSEN: ("#c2410c", "solid", 3.0),
    "minimum": ("#0b6fa4", "dash", 2.0),
    "fixed-overlap": ("#0f8a5f", "dot", 2.0),
    TODAY: ("#5b6770", "longdashdot", 2.0),
    "majority-agreement": ("#8b5fbf", "dashdot", 2.0),
}
FOLDED = ("#b8860b", "dot", 1.5)  # families that a click brings in
MARKS = (("circle", "#0b6fa4"), ("square", "#c2410c"), ("diamond", "#0f8a5f"), ("cross", "#8b5fbf"))
LONGEST_NAME = 26
MOST_DRAWN = 30  # models of a heatmap
FEWEST = 10  # answers of a bin that is drawn; the table has all
ROW, AROUND = 26, 96  # pixels
WARM = [[0.0, "#0b6fa4"], [0.5, "#ffffff"], [1.0, "#c2410c"]]  # -1, 0, 1


class Figure(NamedTuple):
    """One figure: what plotly draws, and what it shows in words."""

    name: str
    shows: str
    spec: Spec
    height: int  # pixels
    taller: int  # pixels more on a narrow screen, where the legend takes more lines
    least_width: int  # pixels; narrower screens scroll inside the figure's own box


def curves(of: Savings) -> Figure:
    """Accuracy over what was paid, for every family of policies."""
    traces: list[Spec] = []
    for family in of.families:
        traces += [*([_band(family)] if family.name == CHOSEN else []), _curve(family, of.cost)]
    traces.append(_point(of))
    shown = [family for family in of.families if family.name in LOOKS]
    least = min(min(family.accuracy) for family in shown)
    layout = _layout(
        xaxis={**_axis("labels bought, and what they cost"), "range": [-0.02, 1.02], **_paid(of.cost)},
        yaxis={**_axis("answers that are right"), "tickformat": ".0%", "range": [least - 0.02, 1.01]},
        shapes=[_level(of.goal)],
        annotations=[_named_level(of)],
        legend=_legend(),
    )
    shows = (
        f"Answers that agree with {of.target} against the share of labels bought, for every threshold of every policy."
    )
    return Figure("curves", shows, {"data": traces, "layout": layout}, 470, 150, 0)


def reliability(of: Trust) -> Figure:
    """Share right over confidence."""
    diagonal = {
        "x": [0, 1], "y": [0, 1], "mode": "lines", "line": {"color": QUIET, "width": 1, "dash": "dot"},
        "hoverinfo": "skip", "showlegend": False,
    }  # fmt: skip
    traces = [diagonal, *(_bins(series, place) for place, series in enumerate(of.series))]
    low = min(float(seen(series).confidence.min()) for series in of.series)
    layout = _layout(
        xaxis={**_axis("confidence"), "tickformat": ".0%", "range": [max(low - 0.05, -0.02), 1.02]},
        yaxis={**_axis("answers that are right"), "tickformat": ".0%", "range": [-0.02, 1.04]},
        legend=_legend(),
    )
    shows = (
        "Share of answers that are right against their confidence, with 95 % intervals; on the dotted line both agree."
    )
    return Figure("reliability", shows, {"data": traces, "layout": layout}, 440, 20, 0)


def heatmap(of: Models) -> Figure:
    """Correlation of errors of every two models."""
    names = drawn_names(of)
    n = len(names)
    pair = {frozenset((each.first, each.second)): each for each in of.shared.pairs if _of_models(each)}
    cells = [[pair.get(frozenset((a, b))) for b in names] for a in names]
    place = list(range(n))
    ticks = {"tickvals": place, "ticktext": [short(name) for name in names], "showgrid": False, "zeroline": False}
    trace = {
        "type": "heatmap", "x": place, "y": place,
        "z": [[None if cell is None else cell.correlation for cell in row] for row in cells],
        "text": [[_pair_words(a, b, cell) for b, cell in zip(names, row, strict=True)]
                 for a, row in zip(names, cells, strict=True)],
        "hovertemplate": "%{text}<extra></extra>", "hoverongaps": False,
        "colorscale": WARM, "zmin": -1, "zmax": 1, "xgap": 1, "ygap": 1,
        "colorbar": {"thickness": 10, "outlinewidth": 0, "tickvals": [-1, -0.5, 0, 0.5, 1], "len": 0.8},
    }  # fmt: skip
    figures = [
        {"x": x, "y": y, "text": f"{cell.correlation:.2f}".replace("0.", ".", 1), "showarrow": False,
         "font": {"size": 10, "color": "#fff" if abs(cell.correlation) > 0.6 else INK}}
        for y, row in enumerate(cells) for x, cell in enumerate(row)
        if cell is not None and cell.correlation is not None and n <= 14
    ]  # fmt: skip
    layout = _layout(
        xaxis={**ticks, "tickangle": -45, "automargin": True},
        yaxis={**ticks, "autorange": "reversed", "automargin": True},
        annotations=figures,
    )
    shows = "Correlation of being wrong, of every two models over all tasks: 1, they err on the same items; 0, apart."
    if n < len(of.names):
        shows += f" {n} of {len(of.names)} models are drawn; report.json has all."
    side = max(340, 24 * n + 210)
    return Figure("models", shows, {"data": [trace], "layout": layout}, min(side, 760), 0, side if n > 6 else 0)


def drawn_names(of: Models) -> tuple[str, ...]:
    """The models that a picture has room for: those that err together first."""
    return of.names[:MOST_DRAWN]


def losses(of: Worth) -> Figure:
    """What is lost without each model, two standard errors to both sides."""
    by_labels, rows = compared(of)
    names, values = [_left_out(each, of) for each, _ in rows], [value for _, value in rows]
    trace = {
        "x": [value.value for value in values],
        "y": list(range(len(rows))),
        "error_x": {
            "type": "data", "array": [2 * (value.se or 0.0) for value in values],
            "color": "#0b6fa4", "thickness": 1.2, "width": 0,
        },
        "mode": "markers", "marker": {"color": "#0b6fa4", "size": 8},
        "text": [_loss_words(name, value, by_labels=by_labels) for name, value in zip(names, values, strict=True)],
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
    }  # fmt: skip
    title = "labels more without it, as a share of all" if by_labels else "nats lost on a hidden label without it"
    form = {"tickformat": ".0%"} if by_labels else {}
    layout = _layout(
        xaxis={**_axis(title), "zeroline": True, "zerolinecolor": QUIET, **form},
        yaxis={
            "tickvals": list(range(len(rows))), "ticktext": names, "autorange": "reversed", "automargin": True,
            "showgrid": False, "zeroline": False,
        },
    )  # fmt: skip
    shows = f"What leaving a model out costs, {title}; with two standard errors to both sides. Right of zero it helps."
    return Figure("worth", shows, {"data": [trace], "layout": layout}, AROUND + ROW * len(rows), 0, 0)


# ---- curves ---------------------------------------------------------------------------------------------------------
def _curve(family: Family, cost: float) -> Spec:
    colour, dash, width = LOOKS.get(family.name, FOLDED)
    points = zip(family.threshold, family.share, family.accuracy, family.accuracy_se, strict=True)
    return {
        "x": list(family.share), "y": list(family.accuracy), "mode": "lines", "name": family.title,
        "line": {"color": colour, "dash": dash, "width": width},
        "text": [_point_words(family, level, share, Estimate(right, se), cost) for level, share, right, se in points],
        "hovertemplate": "%{text}<extra></extra>",
        **({} if family.name in LOOKS else {"visible": "legendonly"}),
    }  # fmt: skip


def _point_words(family: Family, level: float | None, share: float, right: Estimate, cost: float) -> str:
    settings = {"fixed-overlap": "labels each", TODAY: "labels each", "majority-agreement": "of people agree"}
    said = "" if level is None else f" ({level:.4g} {settings.get(family.name, 'to close')})"
    paid = f"{percent(share)} of the labels, {money(share * cost)}"
    return f"<b>{family.title}</b>{said}<br>{paid}<br>{with_error(right)} right"


def _band(family: Family) -> Spec:
    """Two standard errors to both sides."""
    errors = [2 * (se or 0.0) for se in family.accuracy_se]
    high = [min(value + error, 1.0) for value, error in zip(family.accuracy, errors, strict=True)]
    low = [value - error for value, error in zip(family.accuracy, errors, strict=True)]
    return {
        "x": [*family.share, *family.share[::-1]], "y": [*high, *low[::-1]], "fill": "toself", "mode": "none",
        "fillcolor": "rgba(194, 65, 12, 0.13)", "hoverinfo": "skip", "showlegend": False,
    }  # fmt: skip


def _point(of: Savings) -> Spec:
    stop = of.stop
    return {
        "x": [stop.share.estimate], "y": [stop.accuracy.value], "mode": "markers", "showlegend": False,
        "marker": {"size": 13, "color": "#fff", "line": {"color": "#c2410c", "width": 3}},
        "hovertemplate": f"close at a confidence of {stop.threshold:.3g}<br>{percent(stop.share.estimate)} of the "
        f"labels, {money(stop.share.estimate * of.cost)}<extra></extra>",
    }  # fmt: skip


def _paid(cost: float) -> Spec:
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    return {"tickvals": shares, "ticktext": [f"{percent(share)}<br>{money(share * cost)}" for share in shares]}


def _level(goal: float) -> Spec:
    return {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": goal, "y1": goal,
        "line": {"color": QUIET, "width": 1, "dash": "dot"},
    }  # fmt: skip


def _named_level(of: Savings) -> Spec:
    word = "floor" if of.reached else "all labels, less one point"
    return {
        "xref": "paper", "x": 1, "xanchor": "right", "y": of.goal, "yanchor": "top", "showarrow": False,
        "text": f"{word}: {percent(of.goal, 0 if of.reached else 1)}", "font": {"size": 12, "color": "#5d6b76"},
    }  # fmt: skip


# ---- the others -----------------------------------------------------------------------------------------------------
def after(labels: int) -> str:
    """How many labels were seen."""
    return "before any label" if labels == 0 else f"after {count(labels, 'label')}"


def _bins(of: Series, place: int) -> Spec:
    bins, (mark, colour) = seen(of), MARKS[place]
    words = [
        f"<b>{after(of.labels)}</b><br>{percent(low)} to {percent(high)} sure: right in "
        f"{percent(right, 1)} ({percent(bottom)} to {percent(top)}) of {count(int(n), 'answer')}"
        for low, high, n, right, bottom, top in zip(
            bins.low, bins.high, bins.n, bins.right.estimate, bins.right.low, bins.right.high, strict=True
        )
    ]
    return {
        "x": bins.confidence.tolist(), "y": bins.right.estimate.tolist(), "mode": "lines+markers",
        "name": f"{after(of.labels)}: {count(of.n, 'answer')}",
        "line": {"color": colour, "width": 1}, "marker": {"symbol": mark, "size": 8, "color": colour},
        "error_y": {
            "type": "data", "symmetric": False, "thickness": 1.2, "width": 0, "color": colour,
            "array": (bins.right.high - bins.right.estimate).tolist(),
            "arrayminus": (bins.right.estimate - bins.right.low).tolist(),
        },
        "text": words, "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


def seen(of: Series) -> Reliability:
    """The bins with enough answers to show; the largest, where none has."""
    bins = of.bins
    shown = bins.n >= min(FEWEST, int(bins.n.max()))
    right = Intervals(*(part[shown] for part in bins.right))
    return Reliability(bins.low[shown], bins.high[shown], bins.n[shown], bins.confidence[shown], right)


def _of_models(pair: PairFigure) -> bool:
    return pair.kind == "model" and pair.task is None


def _pair_words(first: str, second: str, of: PairFigure | None) -> str:
    if of is None or of.correlation is None:
        return "" if first == second else f"{escape(first)} and {escape(second)}: {of.reason if of else 'unknown'}"
    return (
        f"<b>{escape(first)}</b> and <b>{escape(second)}</b><br>errors correlate with {of.correlation:.2f} "
        f"({of.low:.2f} to {of.high:.2f})<br>both wrong on {percent(of.both_wrong)} of {count(of.n, 'answer')}"
    )


def _left_out(of: Loss, whole: Worth) -> str:
    return "<b>all of them</b>" if of is whole.together and len(whole.each) > 1 else short(of.models[0])


def compared(of: Worth) -> tuple[bool, list[tuple[Loss, Estimate]]]:
    """Whether losses count labels, or else nats, and those that are known: the largest first, then all models."""
    by_labels = all(each.labels is not None for each in of.each)
    rows = [(each, each.labels if by_labels else each.nats) for each in of.each]
    known = sorted(((each, value) for each, value in rows if value), key=lambda row: -row[1].value)
    whole = of.together.labels if by_labels else of.together.nats
    return by_labels, [*known, *([(of.together, whole)] if whole and len(of.each) > 1 else [])]


def _loss_words(name: str, value: Estimate, *, by_labels: bool) -> str:
    if by_labels:
        return f"without {name}: {with_error(value)} more labels"
    return f"without {name}: {value.value:.4f} ± {2 * (value.se or 0.0):.4f} nats lost"


def short(name: str) -> str:
    """A name as an axis can bear it, without markup of its own.

    >>> short("a<b>"), len(short("x" * 40))
    ('a&lt;b&gt;', 26)
    """
    return escape(name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…")


def _axis(title: str) -> Spec:
    return {
        "title": {"text": title, "font": {"size": 13}, "standoff": 10}, "gridcolor": GRID, "zeroline": False,
        "automargin": True, "fixedrange": True,
    }  # fmt: skip


def _legend() -> Spec:
    return {
        "orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "font": {"size": 12},
        "itemsizing": "constant",
    }  # fmt: skip


def _layout(**parts: Any) -> Spec:
    return {
        "font": {"family": 'system-ui, -apple-system, "Segoe UI", sans-serif', "size": 12, "color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 52, "r": 22, "t": 12, "b": 52}, "hovermode": "closest",
        "hoverlabel": {"bgcolor": "#fff", "bordercolor": QUIET, "font": {"color": INK, "size": 12}, "align": "left"},
        "dragmode": False,
        **parts,
    }  # fmt: skip


def all_figures(parts: Sequence[Figure | None]) -> dict[str, Figure]:
    """By name, those that are there."""
    return {figure.name: figure for figure in parts if figure is not None}
