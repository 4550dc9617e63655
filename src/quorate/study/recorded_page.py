"""What the study of recorded data says: Table 5's form, hidden labels, ranks and who is best, all computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from quorate.measure.efficiency import Estimate
from quorate.study import figures
from quorate.study.choices import option_choices, protocol_choices
from quorate.study.order import PAPER_ORDER, difference
from quorate.study.plan import Plan, seeds_said
from quorate.study.runs import Part
from quorate.study.section import Drawing, Section, Table, best, figure, listed, with_error

DEFAULT = "hybrid"
RULES = {"minimum": "minimum", "per_task": "per-task confidence"}
HIDDEN = "Log loss of a hidden label, given all others, nats"
Found = Mapping[str, Mapping[str, Sequence[Part]]]  # by data set and estimator, one part per seed
Figures = dict[str, dict[str, Estimate]]  # by data set and estimator


def section(plan: Plan, found: Found, failed: Mapping[str, str], seeds: Sequence[int], n_all: int) -> Section:
    """The section of the page."""
    judged = {name: of for name, of in found.items() if of}
    aucs = {
        rule: _figures(judged, lambda part, rule=rule: _pair(part["auc"][rule], part["auc_se"][rule])) for rule in RULES
    }
    hidden = _figures(judged, lambda part: _hidden(part, "all_others"))
    alone = _figures(judged, lambda part: _hidden(part, "evidence_only"))
    return Section(
        kind="recorded",
        title="Table 5: recorded labelings",
        asks=f"{len(judged)} of {n_all} data sets, {seeds_said(len(seeds))}: two folds over items, each replayed label "
        "by label by a model fitted on the other.",
        found=sentences(judged, hidden, aucs),
        tables=(
            _glance(judged, hidden),
            _grid(HIDDEN, hidden, judged, most=False, ranked=True),
            *(_grid(f"AUC, {word} policy", aucs[rule], judged, most=True, ranked=True) for rule, word in RULES.items()),
            _grid("Log loss of a hidden label, given the models alone, nats", alone, judged, most=False, ranked=False),
            protocol_choices(),
            option_choices(plan),
        ),
        drawings=tuple(_drawn(hidden, aucs["minimum"], judged)),
        data={"seeds": list(seeds), "sets": {name: _data(of) for name, of in judged.items()}, "best": _winners(hidden)},
        failed=failed,
        remarks=(
            "Bold is best. ± is the standard error: by item for the hidden label, by the bootstrap over items for AUC.",
            "A hidden label is the last of an item and task with two or more; it needs no gold and favours nobody.",
            "A dash: the data cannot tell, or the estimator failed there.",
        ),
    )


# ---- figures out of parts -------------------------------------------------------------------------------------------
def _figures(found: Found, read: Any) -> Figures:
    """One figure per data set and estimator; over seeds the mean of values and of errors, since items are the same."""
    table: Figures = {}
    for name, of in found.items():
        values = {estimator: [read(part) for part in parts] for estimator, parts in of.items()}
        table[name] = {estimator: _mean(each) for estimator, each in values.items() if None not in each}
    return {name: of for name, of in table.items() if of}


def _pair(value: float | None, se: float | None) -> Estimate | None:
    return None if value is None else Estimate(value, se)


def _hidden(part: Part, given: str) -> Estimate | None:
    figure_of = part["hidden_label"][given]
    return None if figure_of is None else Estimate(figure_of["nll"], figure_of["se"])


def _mean(values: Sequence[Estimate]) -> Estimate:
    errors = [each.se for each in values if each.se is not None]
    return Estimate(float(np.mean([each.value for each in values])), float(np.mean(errors)) if errors else None)


def _winners(of: Figures) -> dict[str, str]:
    return {name: min(row, key=lambda estimator: row[estimator].value) for name, row in of.items()}


def paired(of: Mapping[str, Sequence[Part]], first: str, second: str) -> Estimate | None:
    """Mean difference of the hidden-label log loss, first minus second, in nats; standard error clustered by item."""
    gaps: list[Estimate] = []
    for one, other in zip(of[first], of[second], strict=True):
        if one["by_item"] is None or other["by_item"] is None:
            return None
        gaps.append(_clustered(np.array(one["by_item"]["loss"]) - np.array(other["by_item"]["loss"]),
                               np.array(one["by_item"]["n"], float)))  # fmt: skip
    return _mean(gaps)


def _clustered(sums: Any, n: Any) -> Estimate:
    """As `evaluate.protocol.clustered_mean`, from the sums of every item."""
    mean, n_items = float(sums.sum() / n.sum()), len(sums)
    if n_items < 2:
        return Estimate(mean, None)
    return Estimate(mean, float(np.sqrt(n_items / (n_items - 1) * ((sums - n * mean) ** 2).sum()) / n.sum()))


def _data(of: Mapping[str, Sequence[Part]]) -> dict[str, Any]:
    first = next(iter(of.values()))[0]
    keep = ("hidden_label", "auc", "auc_se", "fit_s", "status")
    return {
        **{key: first[key] for key in ("items", "tasks", "people", "models")},
        "estimators": {name: [{key: part[key] for key in keep} for part in parts] for name, parts in of.items()},
    }


# ---- words ----------------------------------------------------------------------------------------------------------
def sentences(found: Found, hidden: Figures, aucs: Mapping[str, Figures]) -> tuple[str, ...]:
    """Who predicts hidden labels best, how often, and what of the paper's order is seen."""
    if not hidden:
        return ("No data set has labels that could be hidden.",)
    both = {name: of for name, of in hidden.items() if _has_both(found[name])}
    said = [_places(found, both)] if both else ["No data set has both people and models."]
    said.append(_mean_ranks(hidden, "the hidden-label log loss", most=False))
    said += [_mean_ranks(aucs[rule], f"AUC under {word}", most=True) for rule, word in RULES.items() if aucs[rule]]
    said += [_paper(aucs["minimum"])]
    return tuple(said)


def _has_both(of: Mapping[str, Sequence[Part]]) -> bool:
    first = next(iter(of.values()))[0]
    return first["people"] > 0 and first["answering"] > 0


def _places(found: Found, both: Figures) -> str:
    """On how many sets the default is best, and where it is not, by how much it is behind."""
    able = {name: row for name, row in both.items() if DEFAULT in row}
    place = {name: 1 + sum(each.value < row[DEFAULT].value for each in row.values()) for name, row in able.items()}
    firsts = sum(each == 1 for each in place.values())
    head = (
        f"On {firsts} of {len(able)} data sets with people and models {DEFAULT} has the best log loss of a hidden label"
    )
    behind = [_behind(found, able, name, at) for name, at in place.items() if at > 1]
    return f"{head}; elsewhere {'; '.join(behind)}." if behind else f"{head}."


def _behind(found: Found, able: Figures, name: str, place: int) -> str:
    first = min(able[name], key=lambda estimator: able[name][estimator].value)
    gap = paired(found[name], DEFAULT, first)
    amount = "" if gap is None else f" ({difference(gap)} to {first})"
    return f"{_ordinal(place)} on {name}{amount}"


def _ordinal(n: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(n, f"{n}th")


def ranks(row: Mapping[str, Estimate], *, most: bool) -> dict[str, float]:
    """Ranks from 1, best first; ties share their mean rank.

    >>> ranks({"a": Estimate(0.5, None), "b": Estimate(0.7, None), "c": Estimate(0.5, None)}, most=True)
    {'a': 2.5, 'b': 1.0, 'c': 2.5}
    """
    sign = -1 if most else 1
    values = {name: sign * each.value for name, each in row.items()}
    return {
        name: 1 + sum(v < own for v in values.values()) + (sum(v == own for v in values.values()) - 1) / 2
        for name, own in values.items()
    }


def mean_ranks(of: Figures, *, most: bool) -> dict[str, float]:
    """Mean ranks over the data sets on which all estimators could be judged, best first."""
    names = list(dict.fromkeys(name for row in of.values() for name in row))
    whole = [ranks(row, most=most) for row in of.values() if len(row) == len(names)]
    found = {name: float(np.mean([each[name] for each in whole])) for name in names} if whole else {}
    return dict(sorted(found.items(), key=lambda entry: entry[1]))


def _mean_ranks(of: Figures, what: str, *, most: bool) -> str:
    found = mean_ranks(of, most=most)
    if not found:
        return f"No data set could be judged with all estimators by {what}, so there are no mean ranks."
    n_sets = sum(len(row) == len(found) for row in of.values())
    order = ", ".join(f"{name} {rank:.2f}" for name, rank in found.items())
    return f"Mean rank by {what} over {n_sets} data set{'s' if n_sets != 1 else ''}: {order}."


def _paper(aucs: Figures) -> str:
    """The paper's order, pair by pair, counted over data sets."""
    present = [name for name in PAPER_ORDER if any(name in row for row in aucs.values())]
    parts: list[str] = []
    for above, below in pairwise(present):
        rows = [row for row in aucs.values() if above in row and below in row]
        won = sum(row[above].value > row[below].value for row in rows)
        parts.append(f"{above} above {below} on {won} of {len(rows)}")
    missing = [name for name in PAPER_ORDER if name not in present]
    tail = f" ({listed(missing)} missing)" if missing else ""
    return f"The paper's order by AUC, minimum policy, pair by pair{tail}: {', '.join(parts)}." if parts else (
        f"The paper's order cannot be checked{tail}.")  # fmt: skip


# ---- tables and pictures --------------------------------------------------------------------------------------------
def _grid(title: str, of: Figures, found: Found, *, most: bool, ranked: bool) -> Table:
    """Data sets down, estimators across."""
    names = list(dict.fromkeys(name for row in found.values() for name in row))
    rows: list[tuple[str, ...]] = []
    bold: list[tuple[int, int]] = []
    for place, (name, row) in enumerate(of.items()):
        size = next(iter(found[name].values()))[0]
        cells = [with_error(row.get(each)) for each in names]
        bold += [
            (place, 2 + column)
            for column in best([row[each].value if each in row else None for each in names], most=most)
        ]
        rows.append((name, str(size["tasks"]), *cells))
    if ranked and (means := mean_ranks(of, most=most)):
        rows.append(("mean rank", "", *(figure(means.get(name), 2) for name in names)))
    return Table(title, ("data set", "tasks", *names), tuple(rows), tuple(bold))


def _glance(found: Found, hidden: Figures) -> Table:
    """Who is best at hidden labels, set by set, and where the default stands."""
    rows: list[tuple[str, ...]] = []
    for name, row in hidden.items():
        first = min(row, key=lambda estimator: row[estimator].value)
        place = _ordinal(1 + sum(each.value < row[DEFAULT].value for each in row.values())) if DEFAULT in row else "–"
        apart = paired(found[name], DEFAULT, first) if DEFAULT in row and first != DEFAULT else None
        size = next(iter(found[name].values()))[0]
        counts = (f"{size[key]:,}" for key in ("tasks", "people", "models"))
        rows.append((name, first, place, "–" if apart is None else difference(apart), *counts))
    heads = ("data set", "best", DEFAULT, f"{DEFAULT} less best, nats", "tasks", "people", "models")
    return Table("Hidden labels, set by set", heads, tuple(rows))


def _drawn(hidden: Figures, aucs: Figures, found: Found) -> list[Drawing]:
    """Hidden-label log loss less that of the people's majority, and AUC."""
    names = list(dict.fromkeys(name for row in found.values() for name in row))
    drawings: list[Drawing] = []
    if hidden:
        apart = {name: _apart(found[name], row) for name, row in hidden.items() if "majority" in row}
        shows = "Log loss of a hidden label less that of people's majority, two standard errors each way."
        others = [name for name in names if name != "majority"]
        drawings.append(
            Drawing("recorded-hidden", shows, figures.dots(apart, "nats, less majority: left is better", others))
        )
    if aucs:
        points = {name: {each: (value.value, value.se) for each, value in row.items()} for name, row in aucs.items()}
        shows = "AUC under the minimum policy, with two standard errors: right is better."
        drawings.append(Drawing("recorded-auc", shows, figures.dots(points, "AUC", names)))
    return drawings


def _apart(of: Mapping[str, Sequence[Part]], row: Mapping[str, Estimate]) -> dict[str, tuple[float, float | None]]:
    gaps = {name: paired(of, name, "majority") for name in row if name != "majority"}
    return {name: (gap.value, gap.se) for name, gap in gaps.items() if gap is not None}
