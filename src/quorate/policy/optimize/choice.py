"""What one policy costs a campaign and how right it leaves it, by how it ended on validation items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.evaluate.protocol import clustered_mean
from quorate.measure.intervals import Interval, normal_quantile, wilson
from quorate.policy.outcome import Outcome
from quorate.policy.stopping import Number, Policy
from quorate.schema import Schema

Array = np.ndarray
LEVEL = 0.95  # of the intervals shown


class Frame(NamedTuple):
    """The validation items that figures are taken on, and the campaign that they speak of."""

    schema: Schema
    counted: Bool[Array, "items tasks"]  # has a truth
    n_labels: Int64[Array, "items tasks"]  # that there are
    n_items: int  # of the campaign
    labels_per_day: Number | None
    z: float  # how many standard errors above the expectation a limit must hold; 0: at the expectation

    @property
    def asked(self) -> Bool[Array, "items tasks"]:
        """Item-tasks that the campaign is about: a label or a truth exists."""
        return self.counted | (self.n_labels > 0)


@dataclass(frozen=True)
class Choice:
    """One policy in figures: expectations for the whole campaign, quality with intervals at .95."""

    name: str  # of its family
    policy: Policy
    labels: float
    share_saved: float  # of the labels that asking everything would buy
    cost: float  # currency
    share_reviewed: float  # of the item-tasks, those with any label
    days: float | None
    accuracy: Interval | None
    accuracy_of_task: Mapping[str, Interval]
    log_loss: Interval | None  # nats
    at_most: Mapping[str, float]  # cost, labels and reviewed, as the limits are held against them
    breaks: tuple[str, ...] = ()  # constraints it breaks, or is not proven to keep, in words

    def figures(self) -> dict[str, Any]:
        """As JSON holds it."""
        import json

        return {
            "name": self.name,
            "policy": json.loads(self.policy.to_json()),
            "labels": self.labels,
            "share_saved": self.share_saved,
            "cost": self.cost,
            "share_reviewed": self.share_reviewed,
            "days": self.days,
            "accuracy": _interval_json(self.accuracy),
            "accuracy_of_task": {name: _interval_json(found) for name, found in self.accuracy_of_task.items()},
            "log_loss": _interval_json(self.log_loss),
            "at_most": dict(self.at_most),
            "breaks": list(self.breaks),
        }


def choice_of(name: str, outcome: Outcome, frame: Frame) -> Choice:
    """The figures of a policy that ended like this on the items of the frame."""
    bought, credit, per_item = outcome.bought, outcome.credit, frame.n_items / max(len(frame.counted), 1)
    labels, all_labels = float(bought.sum()), float(frame.n_labels.sum())
    return Choice(
        name=name,
        policy=outcome.policy,
        labels=labels * per_item,
        share_saved=1.0 - labels / all_labels if all_labels else 0.0,
        cost=float(outcome.cost.sum()) * per_item,
        share_reviewed=float((bought > 0)[frame.asked].mean()) if frame.asked.sum() else 0.0,
        days=None if frame.labels_per_day is None else labels * per_item / frame.labels_per_day,
        accuracy=share_right(credit, frame.counted),
        accuracy_of_task=_by_task(credit, frame),
        log_loss=_loss(outcome.loss, frame.counted),
        at_most=at_most(outcome, frame),
    )


def at_most(outcome: Outcome, frame: Frame) -> dict[str, float]:
    """What the campaign takes, z standard errors above the expectation: cost (currency), labels, share reviewed."""
    bought = outcome.bought
    share, error = 0.0, 0.0
    if frame.asked.sum():
        found = clustered_mean((bought > 0)[frame.asked].astype(float), frame.asked.nonzero()[0])
        share, error = found.value, found.se or 0.0
    return {
        "cost": _sum_at_most(outcome.cost.sum(axis=1), frame),
        "labels": _sum_at_most(bought.sum(axis=1).astype(float), frame),
        "reviewed": min(share + frame.z * error, 1.0),
    }


def share_right(credit: Float64[Array, "items tasks"], counted: Bool[Array, "items tasks"]) -> Interval | None:
    """Share of counted answers that are right, with Wilson's interval at the number of answers that, were they
    independent, would tell as much as these do, clustered by item [wilson1927, liang1986]; None without any.

    Where all are right, or all wrong, the answers of an item count as one.
    """
    if not counted.sum():
        return None
    found = clustered_mean(credit[counted], counted.nonzero()[0])
    n_items = int((counted.sum(axis=1) > 0).sum())
    spread = found.value * (1 - found.value)
    worth = spread / found.se**2 if found.se and spread > 0 else n_items
    return wilson(min(max(found.value, 0.0), 1.0) * worth, worth, LEVEL).at()


def _by_task(credit: Float64[Array, "items tasks"], frame: Frame) -> dict[str, Interval]:
    """As `share_right`, all tasks at once: an item has one answer per task."""
    n = frame.counted.sum(axis=0)
    judged = np.flatnonzero(n)
    mean = np.clip(np.where(frame.counted, credit, 0.0)[:, judged].sum(axis=0) / n[judged], 0.0, 1.0)
    apart = np.where(frame.counted[:, judged], credit[:, judged] - mean, 0.0)
    variance = (apart**2).sum(axis=0) / np.maximum(n[judged] - 1, 1) / n[judged]
    spread = mean * (1 - mean)
    worth = np.where((variance > 0) & (spread > 0), spread / np.where(variance > 0, variance, 1.0), n[judged])
    found = wilson(mean * worth, worth, LEVEL) if len(judged) else None
    return {} if found is None else {frame.schema.tasks[t].name: found.at(at) for at, t in enumerate(judged)}


def _loss(loss: Float64[Array, "items tasks"], counted: Bool[Array, "items tasks"]) -> Interval | None:
    if not counted.sum():
        return None
    found = clustered_mean(loss[counted], counted.nonzero()[0])
    reach = normal_quantile(LEVEL) * (found.se or 0.0)
    return Interval(found.value, max(found.value - reach, 0.0), found.value + reach, found.se or 0.0)


def _sum_at_most(of_items: Float64[Array, "items"], frame: Frame) -> float:
    """The campaign's sum, z standard errors up: of the mean as estimated here, and of what chance does there."""
    n = len(of_items)
    spread = float(of_items.std(ddof=1)) if n > 1 else 0.0
    return frame.n_items * (float(of_items.mean()) + frame.z * spread * (1 / n + 1 / frame.n_items) ** 0.5)


def _interval_json(found: Interval | None) -> dict[str, float] | None:
    return None if found is None else {"estimate": found.estimate, "low": found.low, "high": found.high}
