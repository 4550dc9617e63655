"""Who errs together: pairs of models and of people, families of models, and what models are worth together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.consensus.reliability import Kind
from quorate.consensus.witness import Witness
from quorate.data.encode import Coded
from quorate.measure.dependence import Dependence, dependence, effective_number, expected_dependence, families
from quorate.measure.intervals import Interval, normal_quantile
from quorate.measure.mixture import Rows
from quorate.measure.ratings import label_pairs

Array = np.ndarray

TOGETHER = 0.4  # mean correlation of errors inside a family
MIN_SHARED = 20  # items that a pair must have in common
MAX_SHARED = 20_000  # items read per pair of models: an error of the correlation below .01; more would only cost time

FEW_SHARED = f"fewer than {MIN_SHARED} items in common"
NEVER_WRONG = "one of them is never, or always, wrong"


class PairFigure(NamedTuple):
    """Two agents of a kind on one task, or (task None) on all tasks; without correlation where `reason` says why."""

    first: str
    second: str
    kind: Kind
    task: str | None
    n: int  # item-tasks in common
    correlation: float | None  # of being wrong
    low: float | None
    high: float | None
    se: float | None
    both_wrong: float | None  # share of the item-tasks in common
    same_wrong: float | None  # share of the item-tasks in common on which both gave the same wrong class
    reason: str | None


class Family(NamedTuple):
    """Models that err together."""

    members: tuple[str, ...]
    correlation: float  # mean over the pairs inside
    variants_of: str | None  # the part of their names before "|" if they share it


class SharedErrors(NamedTuple):
    """What pairs of agents have in common."""

    pairs: tuple[PairFigure, ...]
    families: tuple[Family, ...]
    models: int  # models with a known correlation to another
    effective: Interval | None  # independent models that are worth as much


def shared_errors(coded: Coded, of: Sequence[Witness], level: float) -> SharedErrors:
    """Pairs of models over each task and over all tasks, pairs of people over each task, families of models."""
    pairs: list[PairFigure] = []
    matrix = np.full((len(coded.models), len(coded.models)), np.nan)
    mean_by_item = np.zeros(coded.n_items)
    for first in range(len(coded.models)):
        found = [_with_later_models(coded, t, witness, first, level) for t, witness in enumerate(of)]
        for later, second in enumerate(range(first + 1, len(coded.models))):
            names = coded.models[first], coded.models[second]
            each = [
                _figure(names, "model", task.name, kinds, later)
                for task, (_, kinds) in zip(coded.schema.tasks, found, strict=True)
            ]
            shares = _task_weights(each)
            by_item = _added([rows for rows, _ in found], [kinds for _, kinds in found], later, shares, coded.n_items)
            over_all = _over_tasks(each, shares, float(np.sqrt((by_item**2).sum())))
            pairs += [figure for figure in each if figure.n] + [over_all]
            if over_all.correlation is not None:
                matrix[first, second] = matrix[second, first] = over_all.correlation
                mean_by_item += by_item
    for t, witness in enumerate(of):
        pairs += _people_pairs(coded, t, witness, level)
    models, effective = _effective(matrix, mean_by_item, level)
    return SharedErrors(tuple(pairs), _families(coded.models, matrix), models, effective)


# ---- models -------------------------------------------------------------------------------------------------------
def _with_later_models(coded: Coded, task: int, of: Witness, first: int, level: float) -> tuple[Rows, Dependence]:
    """The pairs of one model with every later one, on items where people or gold have spoken."""
    known = np.flatnonzero(of.known)
    items = known[np.linspace(0, len(known) - 1, min(len(known), MAX_SHARED)).astype(np.int64)]
    answer = coded.outputs[task].answer[items].astype(np.int64)
    pair, place = np.nonzero(((answer[:, first + 1 :] >= 0) & (answer[:, first : first + 1] >= 0)).T)
    start = np.searchsorted(pair, np.arange(answer.shape[1] - first)).astype(np.int64)
    rows = Rows(of.of_item, items[place], answer[place, first], answer[place, first + 1 + pair], start)
    return rows, expected_dependence(rows, level)


def _figure(names: tuple[str, str], kind: Kind, task: str, of: Dependence, at: int) -> PairFigure:
    n = int(of.n[at])
    reason = FEW_SHARED if n < MIN_SHARED else None if of.known[at] else NEVER_WRONG
    if reason:
        return PairFigure(*names, kind, task, n, None, None, None, None, None, None, reason)
    wrong = float(of.both_wrong[at]), float(of.same_wrong[at])
    return PairFigure(*names, kind, task, n, *of.correlation.at(at), *wrong, None)


def _task_weights(each: Sequence[PairFigure]) -> Float64[Array, "tasks"]:
    """How much of a pair's items each task gives; 0 where the correlation is unknown."""
    n = np.array([figure.n if figure.correlation is not None else 0 for figure in each], np.float64)
    return n / max(n.sum(), 1.0)


def _added(
    rows: Sequence[Rows], of: Sequence[Dependence], at: int, shares: Float64[Array, "tasks"], n_items: int
) -> Float64[Array, "items"]:
    """What every item did to the correlation over all tasks: an item of several tasks is one piece of luck."""
    moved = np.zeros(n_items)
    for task, share in enumerate(shares):
        part = slice(int(rows[task].start[at]), int(rows[task].start[at + 1]))
        moved[rows[task].at[part]] += share * of[task].influence[part]
    return moved


def _over_tasks(each: Sequence[PairFigure], shares: Float64[Array, "tasks"], se: float) -> PairFigure:
    """The mean over tasks, weighted by items; the interval is the tasks' own, widened where tasks share their luck."""
    names = (each[0].first, each[0].second)
    used = [(figure, share) for figure, share in zip(each, shares, strict=True) if share > 0]
    n = sum(figure.n for figure, _ in used)
    if not used:
        most = max(each, key=lambda figure: figure.n)
        return PairFigure(*names, "model", None, most.n, None, None, None, None, None, None, most.reason)
    weight = np.array([share for _, share in used])
    value, low, high, own_se, both, same = np.array([figure[5:11] for figure, _ in used], np.float64).T
    apart = float(np.sqrt((weight**2 * own_se**2).sum()))
    ends = np.arctanh(np.clip([low, high], -0.999999, 0.999999))
    middle, reach = (weight * ends.mean(axis=0)).sum(), (weight**2 * (ends[1] - ends[0]) ** 2 / 4).sum() ** 0.5
    reach *= max(se / apart, 1.0)
    mean = float(weight @ value)
    bounds = min(float(np.tanh(middle - reach)), mean), max(float(np.tanh(middle + reach)), mean)
    wrong = float(weight @ both), float(weight @ same)
    return PairFigure(*names, "model", None, n, mean, *bounds, max(se, apart), *wrong, None)


def _effective(
    matrix: Float64[Array, "models models"], by_item: Float64[Array, "items"], level: float
) -> tuple[int, Interval | None]:
    """Of the models that have a known correlation with another one."""
    known = np.isfinite(matrix)
    n_models, n_pairs = int(known.any(axis=1).sum()), int(known.sum()) // 2
    if not n_pairs:
        return n_models, None
    mean, se = float(matrix[known].mean()), float(np.sqrt((by_item**2).sum())) / n_pairs
    reach = normal_quantile(level) * se
    return n_models, effective_number(n_models, Interval(mean, mean - reach, mean + reach, se))


def _families(models: Sequence[str], matrix: Float64[Array, "models models"]) -> tuple[Family, ...]:
    """An unknown correlation counts as none."""
    filled = np.where(np.isfinite(matrix), matrix, 0.0)
    np.fill_diagonal(filled, 1.0)
    found: list[Family] = []
    for group in families(filled, TOGETHER):
        members = tuple(models[m] for m in group)
        stems = {name.split("|", 1)[0] for name in members if "|" in name}
        alike = len(stems) == 1 and all("|" in name for name in members)
        inside = filled[np.ix_(group, group)][np.triu_indices(len(group), 1)]
        found.append(Family(members, float(inside.mean()), stems.pop() if alike else None))
    return tuple(found)


# ---- people -------------------------------------------------------------------------------------------------------
def _people_pairs(coded: Coded, task: int, of: Witness, level: float) -> list[PairFigure]:
    """Every two people with enough items in common on this task."""
    person = coded.labels.annotator[of.position].astype(np.int64)
    left, right = label_pairs(of.item)
    swap = person[left] > person[right]
    left, right = np.where(swap, right, left), np.where(swap, left, right)
    n_people = len(coded.annotators)
    named = person[left] >= 0
    left, right = left[named], right[named]
    pairs, place, often = np.unique(person[left] * n_people + person[right], return_inverse=True, return_counts=True)
    order = np.flatnonzero(often[place] >= MIN_SHARED)
    order = order[np.argsort(place[order], kind="stable")]
    left, right, pairs, often = left[order], right[order], pairs[often >= MIN_SHARED], often[often >= MIN_SHARED]
    code = coded.labels.code[of.position].astype(np.int64)
    start = np.concatenate([[0], np.cumsum(often)]).astype(np.int64)
    rows = Rows(of.of_pair(left, right), np.arange(len(left)), code[left], code[right], start)
    found, name = dependence(rows, level), coded.schema.tasks[task].name
    names = [(coded.annotators[int(p) // n_people], coded.annotators[int(p) % n_people]) for p in pairs]
    return [_figure(who, "annotator", name, found, at) for at, who in enumerate(names)]
