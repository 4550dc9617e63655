"""The best thresholds under constraints: one level from every menu.

    least cost        min sum_t cost_t(l_t)    subject to  sum_t credit_t(l_t) >= floor, limits on the sums
    best quality      max sum_t credit_t(l_t)  subject to  limits on the sums

a multiple-choice knapsack, solved menu after menu [kellerer2004]: of all sums so far those stay that could still keep
to the constraints and that no other beats or equals in everything. Where more than MOST_POINTS would stay, the sums
that are constrained are sorted into so many bins, and of each bin the best stays: then the result keeps to the
constraints, but may miss the optimum by about a bin. Floors of single tasks are kept by leaving out the levels that
break them; with one menu all this is a look at every level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.policy.optimize.menu import Menu

Array = np.ndarray
MOST_POINTS = 1_024  # sums that stay after a menu
SLACK = 1e-9  # of sums of floats
TIE = 1e-6  # of policies that cost the same, the one with fewer labels; of equals in quality, the cheaper


class Need(NamedTuple):
    """What the sums must reach, and what they must not exceed; in totals over the items searched."""

    credit: float | None  # of all tasks
    credit_of_task: Mapping[int, float]
    limits: Mapping[str, float]  # "cost", "labels", "reviewed"


def cheapest(menus: Sequence[Menu], need: Need) -> tuple[int, ...] | None:
    """The levels that cost least; None where none keeps to the constraints."""
    return _solved(menus, need, {"cost": 1.0, "labels": TIE})


def finest(menus: Sequence[Menu], need: Need, quality: str = "credit") -> tuple[int, ...] | None:
    """The levels with the best quality, "credit" or "gain"; None where none keeps to the constraints."""
    return _solved(menus, need, {quality: -1.0, "cost": TIE, "labels": TIE**2})


def _solved(menus: Sequence[Menu], need: Need, weights: Mapping[str, float]) -> tuple[int, ...] | None:
    """The levels with the least weighted sum, each quantity taken as a share of its largest."""
    kept = [np.flatnonzero(_keeps(menu, need)) for menu in menus]
    if not all(len(levels) for levels in kept):
        return None
    value = [_value(menu, weights, menus)[levels] for menu, levels in zip(menus, kept, strict=True)]
    rows = _rows(menus, kept, need)
    if len(menus) == 1:
        at = _least(value[0], rows)
        return None if at is None else (int(kept[0][at]),)
    thin = [_efficient(np.vstack([value[m], *(row.of[m] for row in rows)])) for m in range(len(menus))]
    rows = [Row([of[levels] for of, levels in zip(row.of, thin, strict=True)], row.most) for row in rows]
    chosen = _program([each[levels] for each, levels in zip(value, thin, strict=True)], rows)
    if chosen is None:
        return None
    return tuple(int(kept[m][thin[m][place]]) for m, place in enumerate(chosen))


class Row(NamedTuple):
    """A sum over menus that must not exceed a number; what must be reached stands with its sign turned."""

    of: list[Float64[Array, "_levels"]]
    most: float


def _rows(menus: Sequence[Menu], kept: Sequence[Int64[Array, "_levels"]], need: Need) -> list[Row]:
    def summed(quantity: str, sign: float) -> list[Float64[Array, "_levels"]]:
        return [sign * menu.of(quantity)[levels].sum(axis=1) for menu, levels in zip(menus, kept, strict=True)]

    rows = [Row(summed(quantity, 1.0), limit) for quantity, limit in need.limits.items()]
    return rows if need.credit is None else [*rows, Row(summed("credit", -1.0), -need.credit)]


def _keeps(menu: Menu, need: Need) -> Bool[Array, "levels"]:
    """Levels at which every task of the menu reaches the floor of its own."""
    credit = menu.of("credit")
    own = [need.credit_of_task.get(task, -np.inf) for task in menu.tasks]
    return np.all(credit >= np.array(own) - _room(own), axis=1)


def _room(values: Sequence[float]) -> float:
    return SLACK * max(1.0, *(abs(value) for value in values if np.isfinite(value)), 1.0)


def _value(menu: Menu, weights: Mapping[str, float], menus: Sequence[Menu]) -> Float64[Array, "levels"]:
    parts = [weight * menu.of(name).sum(axis=1) / _scale(name, menus) for name, weight in weights.items()]
    return np.sum(parts, axis=0)


def _scale(quantity: str, menus: Sequence[Menu]) -> float:
    return max(sum(float(np.abs(menu.of(quantity).sum(axis=1)).max()) for menu in menus), SLACK)


def _least(value: Float64[Array, "levels"], rows: Sequence[Row]) -> int | None:
    fits = np.ones(len(value), bool)
    for row in rows:
        fits &= row.of[0] <= row.most + _room([row.most])
    return int(np.where(fits, value, np.inf).argmin()) if fits.any() else None


def _efficient(bad: Float64[Array, "measures levels"]) -> Int64[Array, "few_levels"]:
    """Levels that no other beats or equals in every measure; less is better."""
    order = np.lexsort(bad[::-1])
    return order[_unbeaten(bad[:, order])].astype(np.int64)


def _unbeaten(bad: Float64[Array, "measures levels"]) -> Bool[Array, "levels"]:
    """In rising order of the first measure, whom an earlier one beats or equals in all measures falls out."""
    if len(bad) == 2:
        lowest = np.concatenate([[np.inf], np.minimum.accumulate(bad[1])[:-1]])
        return bad[1] < lowest
    found = np.ones(bad.shape[1], bool)
    for at in range(1, bad.shape[1]):
        before = bad[1:, :at][:, found[:at]]
        found[at] = not (before <= bad[1:, at : at + 1]).all(axis=0).any()
    return found


def _program(value: Sequence[Float64[Array, "_levels"]], rows: Sequence[Row]) -> list[int] | None:
    """One level of each menu with the least sum of values, all rows kept; None where there is none."""
    bad = [np.vstack([of, *(row.of[menu] for row in rows)]) for menu, of in enumerate(value)]
    most = np.array([row.most + _room([row.most]) for row in rows])[:, None]
    least = np.array([[float(of.min()) for of in row.of] for row in rows]).reshape(len(rows), len(bad))
    sums, trail = np.zeros((1 + len(rows), 1)), list[Int64[Array, "_kept"]]()
    for menu, levels in enumerate(bad):
        sums = (sums[:, :, None] + levels[:, None, :]).reshape(len(sums), -1)
        rest = least[:, menu + 1 :].sum(axis=1, keepdims=True)
        fits = np.flatnonzero(np.all(sums[1:] + rest <= most, axis=0))
        trail.append(fits[_worth_keeping(sums[:, fits])])
        sums = sums[:, trail[-1]]
    return _traced(trail, [of.shape[1] for of in bad], int(sums[0].argmin())) if sums.shape[1] else None


def _traced(trail: Sequence[Int64[Array, "_kept"]], sizes: Sequence[int], end: int) -> list[int]:
    """The levels that led to this sum."""
    levels: list[int] = []
    for kept, size in zip(reversed(trail), reversed(sizes), strict=True):
        end, level = divmod(int(kept[end]), size)
        levels.append(level)
    return levels[::-1]


def _worth_keeping(bad: Float64[Array, "measures sums"]) -> Int64[Array, "kept"]:
    if len(bad) == 2:
        kept = _efficient(bad)
        return kept if len(kept) <= MOST_POINTS else kept[_best_of_bins(bad[:, kept])]
    kept = np.arange(bad.shape[1]) if bad.shape[1] <= MOST_POINTS else _best_of_bins(bad)
    return kept[_efficient(bad[:, kept])]


def _best_of_bins(bad: Float64[Array, "measures sums"]) -> Int64[Array, "kept"]:
    """Of every bin of the constrained sums the one with the least value; and what is least in a constrained sum."""
    bins = max(int(MOST_POINTS ** (1 / max(len(bad) - 1, 1))), 2)
    key = np.zeros(bad.shape[1], np.int64)
    for row in bad[1:]:
        low, high = float(row.min()), float(row.max())
        key = key * bins + np.minimum(((row - low) / max(high - low, SLACK) * bins).astype(np.int64), bins - 1)
    order = np.lexsort((bad[0], key))
    best = order[np.unique(key[order], return_index=True)[1]]
    return np.unique(np.concatenate([best, bad[1:].argmin(axis=1)])).astype(np.int64)
