"""Efficiency curves: how right one is against how many labels one saves by stopping early.

Stop at the first confidence above a threshold, never later than the last label; sweep the threshold from 0 (no label
bought) to 1 (all bought). Source: [nguyen2026], section 6.3. Every threshold at which anything changes is used, so the
curve is exact; thresholds closer than 1e-12 count as one, so that rounding in the last bit decides nothing.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped

from quorate.errors import SettingError

Array = np.ndarray
StopRule = Literal["minimum", "per_task"]


class Curve(NamedTuple):
    """Accuracy against efficiency; from the lowest threshold (all labels saved) to the highest (none saved)."""

    threshold: Float64[Array, "points"]  # stop at the first confidence above it
    efficiency: Float64[Array, "points"]  # share of labels saved; falling
    accuracy: Float64[Array, "points"]  # share of counted item-tasks that are right

    def saving(self, accuracy: float) -> float | None:
        """The largest share of labels saved with at least this accuracy; None where it is never reached.

        >>> curve = Curve(np.array([0.0, 0.8]), np.array([1.0, 0.0]), np.array([0.7, 0.9]))
        >>> curve.saving(0.9), curve.saving(0.95)
        (0.0, None)
        """
        reached = self.efficiency[self.accuracy >= accuracy - 1e-12]
        return float(reached.max()) if len(reached) else None


class Estimate(NamedTuple):
    """A figure and its standard error, in the figure's own unit."""

    value: float
    se: float | None  # None: one draw tells nothing of its error


class Moves(NamedTuple):
    """What changes as the threshold rises, in the order of the thresholds: one entry per move to a later stop."""

    threshold: Float64[Array, "moves"]
    item: Int64[Array, "moves"]
    credit: Float64[Array, "moves"]  # change in the number of right item-tasks
    labels: Float64[Array, "moves"]  # labels bought by the move
    first_credit: Float64[Array, "items"]  # right item-tasks with no label bought
    cells: Float64[Array, "items"]  # counted item-tasks


def curve(
    confidence: Float64[Array, "steps items tasks"],
    correct: Float64[Array, "steps items tasks"],
    n_labels: Shaped[Array, "items tasks"],
    *,
    counted: Bool[Array, "items tasks"] | None = None,
    rule: StopRule = "per_task",
) -> Curve:
    """The whole curve of accuracy over the share of labels saved.

    Step j is the state after at most j labels of every item-task; correct is a credit from 0 to 1 (ties shared).
    Only item-tasks in `counted` (those with a truth; default all) count, for accuracy, for labels and for "minimum".
    Raises SettingError when nothing is counted or a step is missing.

    >>> confidence, correct = np.array([[[0.6], [0.9]], [[1.0], [1.0]]]), np.array([[[0.0], [1.0]], [[1.0], [1.0]]])
    >>> curve(confidence, correct, np.array([[1], [1]])).accuracy.tolist()
    [0.5, 1.0, 1.0]
    """
    return traced(moves(confidence, correct, n_labels, counted=counted, rule=rule))


def auc(of: Curve) -> float:
    """Area of accuracy over efficiency by the trapezoid rule, extended flat to efficiency 0 and 1; from 0 to 1.

    >>> auc(Curve(np.array([0.0, 0.5]), np.array([1.0, 0.0]), np.array([0.6, 0.8])))
    0.7
    """
    saved = np.concatenate([[1.0], of.efficiency, [0.0]])
    accuracy = np.concatenate([of.accuracy[:1], of.accuracy, of.accuracy[-1:]])
    return float(np.sum((saved[:-1] - saved[1:]) * (accuracy[:-1] + accuracy[1:]) / 2))


def auc_estimate(of: Moves, *, n_replicates: int = 200, seed: int = 0) -> Estimate:
    """AUC with its standard error by the bootstrap over items [efron1979].

    >>> confidence, correct = np.array([[[0.6], [0.9]], [[1.0], [1.0]]]), np.ones((2, 2, 1))
    >>> auc_estimate(moves(confidence, correct, np.array([[1], [1]])))
    Estimate(value=1.0, se=0.0)
    """
    rng = np.random.default_rng(seed)
    n_items = len(of.cells)
    drawn = (np.bincount(rng.integers(n_items, size=n_items), minlength=n_items) for _ in range(n_replicates))
    replicates = [auc(traced(of, weight.astype(float))) for weight in drawn if weight @ of.cells > 0]
    return Estimate(auc(traced(of)), float(np.std(replicates, ddof=1)) if len(replicates) > 1 else None)


def moves(
    confidence: Float64[Array, "steps items tasks"],
    correct: Float64[Array, "steps items tasks"],
    n_labels: Shaped[Array, "items tasks"],
    *,
    counted: Bool[Array, "items tasks"] | None = None,
    rule: StopRule = "per_task",
) -> Moves:
    """Every move of a stop as the threshold rises; arguments as in `curve`."""
    counted = np.ones(n_labels.shape, bool) if counted is None else counted
    _check(confidence, n_labels, counted)
    units = _by_cell if rule == "per_task" else _by_item
    return _sorted_moves(units(confidence, correct, n_labels.astype(np.int64), counted), counted)


def traced(of: Moves, weight: Float64[Array, "items"] | None = None) -> Curve:
    """The curve of these moves, items counted `weight` times (default once)."""
    weight = np.ones(len(of.cells)) if weight is None else weight
    share = weight[of.item]
    ends = np.flatnonzero(np.append(np.diff(of.threshold) > 0, True)) if len(of.threshold) else np.zeros(0, np.int64)
    credit = weight @ of.first_credit + np.append(0.0, np.cumsum(share * of.credit)[ends])
    bought = np.append(0.0, np.cumsum(share * of.labels)[ends])
    saved = 1.0 - bought / bought[-1] if bought[-1] > 0 else np.ones_like(bought)
    return Curve(np.append(0.0, of.threshold[ends]), saved, credit / (weight @ of.cells))


class _Units(NamedTuple):
    """What stops as one: an item-task, or an item with all its counted tasks."""

    confidence: Float64[Array, "steps units"]
    credit: Float64[Array, "steps units"]
    labels: Float64[Array, "steps units"]  # bought when the unit stops at this step
    last: Int64[Array, "units"]  # the step at which every label is bought
    item: Int64[Array, "units"]


def _by_cell(confidence: Array, correct: Array, n_labels: Array, counted: Array) -> _Units:
    steps = np.arange(len(confidence))[:, None]
    last = n_labels[counted]
    return _Units(
        confidence[:, counted], correct[:, counted], np.minimum(steps, last).astype(float), last, counted.nonzero()[0]
    )


def _by_item(confidence: Array, correct: Array, n_labels: Array, counted: Array) -> _Units:
    items = np.flatnonzero(counted.any(axis=1))
    keep, wanted = counted[items], np.where(counted, n_labels, 0)[items]
    steps = np.arange(len(confidence))[:, None, None]
    return _Units(
        np.where(keep, confidence[:, items], np.inf).min(axis=2),
        (correct[:, items] * keep).sum(axis=2),
        np.minimum(steps, wanted).sum(axis=2).astype(float),
        wanted.max(axis=1),
        items,
    )


def _sorted_moves(units: _Units, counted: Bool[Array, "items tasks"]) -> Moves:
    """A unit stops where its confidence sets a record; it leaves that stop when the threshold reaches the record."""
    steps = np.arange(len(units.confidence))[:, None]
    best = np.maximum.accumulate(np.round(units.confidence, 12), axis=0)
    record = np.vstack([np.ones((1, best.shape[1]), bool), best[1:] > best[:-1]]) | (steps == units.last)
    unit, step = np.nonzero((record & (steps <= units.last)).T)
    stays = unit[:-1] == unit[1:]  # two stops of one unit in a row: a move from the first to the second
    unit, here, there = unit[:-1][stays], step[:-1][stays], step[1:][stays]
    order = np.argsort(best[here, unit], kind="stable")
    unit, here, there = unit[order], here[order], there[order]
    first_credit = np.bincount(units.item, units.credit[0], minlength=len(counted))
    return Moves(
        best[here, unit],
        units.item[unit],
        units.credit[there, unit] - units.credit[here, unit],
        units.labels[there, unit] - units.labels[here, unit],
        first_credit,
        counted.sum(axis=1).astype(float),
    )


def _check(confidence: Array, n_labels: Array, counted: Array) -> None:
    if not counted.any():
        raise SettingError("no item-task is counted, so there is no curve")
    most = int(n_labels[counted].max())
    if len(confidence) <= most:
        raise SettingError(f"{len(confidence)} steps cannot show {most} labels; give {most + 1} (0 to {most} labels)")
