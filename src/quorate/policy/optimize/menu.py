"""What every threshold of a stopping policy leads to, exactly, as it rises from asking nobody to asking all.

An item-task stops at the first step whose sureness is at least the threshold, and never later than its last label. It
leaves that stop when the threshold rises above the highest sureness it had so far, so that totals over item-tasks
change at these values only. Thresholds between two of them are alike; a menu names the roundest of them.
"""

from __future__ import annotations

from math import ceil, floor
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.policy.steps import Steps
from quorate.policy.stopping import DIGITS

Array = np.ndarray
QUANTITIES = ("credit", "gain", "cost", "labels", "reviewed")  # gain: minus the log loss, nats
MOST_LEVELS = 2_000  # of one menu; more are thinned evenly
FEW_LEVELS = 40  # of a task's own menu: together with those of other tasks they make 40^tasks policies


class Bars(NamedTuple):
    """Where a threshold may lie."""

    low: float
    high: float
    whole: bool = False  # a number of labels


class Menu(NamedTuple):
    """Totals over the items at each level, for one threshold that all its tasks share."""

    above: Float64[Array, "levels"]  # the least sureness that stops lies above this
    up_to: Float64[Array, "levels"]  # and is at most this
    total: Float64[Array, "levels quantities tasks"]  # as QUANTITIES; tasks of this menu
    tasks: tuple[int, ...]
    bars: Bars

    def of(self, quantity: str) -> Float64[Array, "levels tasks"]:
        """One quantity."""
        return self.total[:, QUANTITIES.index(quantity)]

    def bar(self, level: int) -> float:
        """The least sureness that stops at this level, the roundest number that will do."""
        return _roundest(float(self.above[level]), float(self.up_to[level]), self.bars)

    def only(self, levels: Array) -> Menu:
        """These levels."""
        return self._replace(above=self.above[levels], up_to=self.up_to[levels], total=self.total[levels])


class _Moves(NamedTuple):
    """An item-task goes from one stop to a later one when the threshold rises above the value."""

    value: Float64[Array, "moves"]
    change: Float64[Array, "moves quantities"]
    task: Int64[Array, "moves"]


def menu(
    steps: Steps, sureness: Float64[Array, "steps items tasks"], bars: Bars, tasks: tuple[int, ...], whole_item: bool
) -> Menu:
    """The menu of these tasks under this sureness; tasks: those that share the threshold."""
    of = np.array(tasks, np.int64)
    state = _quantities(steps, of)
    moves = _moves(np.round(sureness[:, :, of], DIGITS), _last(steps, of, whole_item), state)
    values = np.unique(moves.value)
    edges = np.concatenate([[-np.inf], values, [np.inf]])  # level k holds for bars above edge k, up to edge k + 1
    levels = np.flatnonzero((edges[:-1] < bars.high) & (edges[1:] >= bars.low))
    levels = levels[_spread(len(levels), MOST_LEVELS)]
    total = _totals(moves, values, levels, state[0].sum(axis=1))
    return Menu(edges[levels], np.minimum(edges[levels + 1], bars.high), total, tasks, bars)


def thinned(of: Menu, most: int = FEW_LEVELS) -> Menu:
    """At most so many levels, at even distances, with both ends."""
    return of.only(_spread(len(of.total), most))


def _spread(n: int, most: int) -> Int64[Array, "kept"]:
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def _quantities(steps: Steps, tasks: Int64[Array, "own"]) -> Float64[Array, "steps quantities items own"]:
    """What every step adds up to, item-task by item-task, in the order of QUANTITIES."""
    each = np.arange(len(steps.credit))[:, None, None]
    bought = np.minimum(each, steps.n_labels[:, tasks]).astype(float)
    parts = (steps.credit[:, :, tasks], -steps.loss[:, :, tasks], steps.cost[:, :, tasks], bought, bought > 0)
    return np.stack([np.asarray(part, float) for part in parts], axis=1)


def _last(steps: Steps, tasks: Int64[Array, "own"], whole_item: bool) -> Int64[Array, "items own"]:
    if whole_item:
        return np.repeat(steps.n_labels.max(axis=1, keepdims=True, initial=0), len(tasks), axis=1)
    return steps.n_labels[:, tasks]


def _moves(
    sureness: Float64[Array, "steps items own"],
    last: Int64[Array, "items own"],
    state: Float64[Array, "steps quantities items own"],
) -> _Moves:
    best = np.maximum.accumulate(sureness, axis=0)
    n_steps, n_items, n_own = best.shape
    step = np.arange(n_steps)[:, None, None]
    record = np.concatenate([np.ones((1, n_items, n_own), bool), best[1:] > best[:-1]])
    stop: Bool[Array, "steps items own"] = (record | (step == last)) & (step <= last)
    item, own, at = np.nonzero(np.moveaxis(stop, 0, 2))
    stays = (item[:-1] == item[1:]) & (own[:-1] == own[1:])
    item, own, here, there = item[:-1][stays], own[:-1][stays], at[:-1][stays], at[1:][stays]
    change = state[there, :, item, own] - state[here, :, item, own]
    return _Moves(best[here, item, own], change, own)


def _totals(
    moves: _Moves,
    values: Float64[Array, "values"],
    levels: Int64[Array, "levels"],
    first: Float64[Array, "quantities own"],
) -> Float64[Array, "levels quantities own"]:
    """Level k has made every move whose value is among the k lowest."""
    place = np.searchsorted(levels, np.searchsorted(values, moves.value) + 1)
    change = np.zeros((len(levels) + 1, *first.shape))  # the last entry: moves above every level
    np.add.at(change.transpose(0, 2, 1), (place, moves.task), moves.change)
    return first + np.cumsum(change[:-1], axis=0)


def _roundest(low: float, high: float, bars: Bars) -> float:
    """The number with the fewest digits above `low`, up to `high`."""
    if bars.whole:
        return float(max(floor(low) + 1 if np.isfinite(low) else bars.low, bars.low))
    if not np.isfinite(high):
        return float(ceil(low))
    for digits in range(DIGITS):
        number = floor(high * 10**digits + 1e-9) / 10**digits
        if low < number <= high:
            return max(number, bars.low)
    return high
