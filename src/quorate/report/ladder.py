"""A ladder of thresholds: what every rung buys and how right it is, item by item.

Rung after rung a policy grows stricter. Items, not item-tasks, are the independent draws, so that everything is kept as
sums over items and its error comes from drawing items anew [efron1979].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.measure.efficiency import Estimate
from quorate.measure.intervals import Interval
from quorate.policy.replay import Replayed
from quorate.policy.stopping import DIGITS

Array = np.ndarray
DRAWS = 300
SLACK = 1e-12  # an accuracy that misses the goal by rounding reaches it


class Ladder(NamedTuple):
    """One policy at rising thresholds; sums over the tasks of every item."""

    threshold: Float64[Array, "rungs"]
    cost: Float64[Array, "items rungs"]  # in the currency of the prices
    credit: Float64[Array, "items rungs"]  # answers that are right
    cells: Float64[Array, "items"]  # answers that have a truth
    full: Float64[Array, "items"]  # the cost of all labels

    def share(self) -> Float64[Array, "rungs"]:
        """What is paid, as a share of the cost of all labels."""
        return self.cost.sum(axis=0) / self.full.sum()

    def accuracy(self) -> Float64[Array, "rungs"]:
        """Share of the answers that are right."""
        return self.credit.sum(axis=0) / self.cells.sum()


def of_states(
    sureness: Float64[Array, "steps items tasks"],
    credit: Float64[Array, "steps items tasks"],
    n_labels: Int64[Array, "items tasks"],
    counted: Bool[Array, "items tasks"],
    rungs: Float64[Array, "rungs"],
) -> Ladder:
    """From the states after 0, 1, 2, ... labels, each at a cost of 1: a task closes at the first that reaches the rung.

    >>> sure, right = np.array([[[0.6]], [[1.0]]]), np.array([[[0.0]], [[1.0]]])
    >>> found = of_states(sure, right, np.array([[1]]), np.array([[True]]), np.array([0.5, 0.9]))
    >>> found.share().tolist(), found.accuracy().tolist()
    ([0.0, 1.0], [0.0, 1.0])
    """
    ended = np.arange(len(sureness))[:, None, None] >= n_labels
    cost, right = (np.zeros((len(n_labels), len(rungs))) for _ in range(2))
    for place, rung in enumerate(np.round(rungs, DIGITS)):
        stop = ((np.round(sureness, DIGITS) >= rung) | ended).argmax(axis=0)
        cost[:, place] = stop.sum(axis=1)
        right[:, place] = (np.take_along_axis(credit, stop[None], axis=0)[0] * counted).sum(axis=1)
    return Ladder(rungs, cost, right, counted.sum(axis=1).astype(float), n_labels.sum(axis=1).astype(float))


def of_replayed(found: Replayed, thresholds: Float64[Array, "rungs"], task: int | None = None) -> Ladder:
    """From one policy replayed at these thresholds; of one task only, where one is named."""
    part = slice(None) if task is None else slice(task, task + 1)
    counted = found.counted[:, part]
    cost = np.column_stack([outcome.cost[:, part].sum(axis=1) for outcome in found.outcomes])
    right = np.column_stack([(outcome.credit[:, part] * counted).sum(axis=1) for outcome in found.outcomes])
    return Ladder(thresholds, cost, right, counted.sum(axis=1).astype(float), found.full_cost[:, part].sum(axis=1))


def joined(first: Ladder, second: Ladder) -> Ladder:
    """The items of both, at the same thresholds."""
    both = [np.concatenate(parts) for parts in zip(first[1:], second[1:], strict=True)]
    return Ladder(first.threshold, *both)


# ---- what is needed -------------------------------------------------------------------------------------------------
def needed(of: Ladder, goal: float, weight: Float64[Array, "items"] | None = None) -> float | None:
    """The least share of the cost with at least this accuracy, straight between rungs; None where nothing reaches it.

    >>> two = Ladder(np.array([0.0, 1.0]), np.array([[0.0, 1.0]]), np.array([[0.8, 1.0]]), np.ones(1), np.ones(1))
    >>> round(needed(two, 0.9), 9), needed(two, 1.1)
    (0.5, None)
    """
    weight = np.ones(len(of.cells)) if weight is None else weight
    full, cells = float(weight @ of.full), float(weight @ of.cells)
    return _crossing(weight @ of.cost / full, weight @ of.credit / cells, goal) if full > 0 and cells > 0 else None


def _crossing(share: Float64[Array, "rungs"], accuracy: Float64[Array, "rungs"], goal: float) -> float | None:
    reached = accuracy >= goal - SLACK
    if not reached.any():
        return None
    at = int(np.where(reached, share, np.inf).argmin())
    if at == 0 or reached[at - 1] or accuracy[at] - accuracy[at - 1] < SLACK:
        return float(share[at])
    part = np.clip((goal - accuracy[at - 1]) / (accuracy[at] - accuracy[at - 1]), 0.0, 1.0)
    return float(share[at - 1] + part * (share[at] - share[at - 1]))


def cheapest(of: Ladder, goal: float, weights: Sequence[Float64[Array, "items"]]) -> int | None:
    """The rung that reaches the goal under each of these weights of the items, at the least cost; None: none does."""
    reached = np.ones(len(of.threshold), bool)
    for weight in weights:
        reached &= weight @ of.credit >= (goal - SLACK) * (weight @ of.cells)
    cost = np.sum([weight @ of.cost for weight in weights], axis=0)
    return int(np.where(reached, cost, np.inf).argmin()) if reached.any() else None


# ---- errors ---------------------------------------------------------------------------------------------------------
def ratio(top: Float64[Array, "items"], bottom: Float64[Array, "items"]) -> Estimate:
    """Sum over sum, with the standard error of drawing items anew by linearisation [liang1986].

    >>> ratio(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    Estimate(value=2.0, se=1.0)
    """
    total, n = float(bottom.sum()), len(top)
    value = float(top.sum()) / total
    if n < 2:
        return Estimate(value, None)
    return Estimate(value, float(np.sqrt(n / (n - 1) * ((top - value * bottom) ** 2).sum()) / total))


def drawn(n_items: int, statistic: Callable[[Float64[Array, "items"]], float | None], seed: int = 0) -> list[float]:
    """The statistic under weights of items drawn anew with replacement; draws on which it is unknown are left out."""
    rng = np.random.default_rng(seed)
    found = (statistic(rng.multinomial(n_items, np.full(n_items, 1 / n_items)).astype(float)) for _ in range(DRAWS))
    return [value for value in found if value is not None]


def interval_of(value: float, draws: list[float]) -> Interval | None:
    """The middle 95 % of the draws, widened to hold the value; None where fewer than half of the draws are known."""
    if len(draws) < DRAWS / 2:
        return None
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(value, min(float(low), value), max(float(high), value), float(np.std(draws, ddof=1)))
