"""Stopping policies: small pure objects that say, of a consensus, which tasks of which items still need a label.

A policy gives every item and task a *sureness* that rises toward stopping, and asks on wherever it is below the
policy's threshold. With C_t the confidence of task t, H_t its entropy and n_t its labels, sources Table 4 of
[nguyen2026] for the first group:

    minimum, mean, maximum    min_t C_t, (1/T) sum_t C_t, max_t C_t       the tasks of an item stop together
    joint                     P(all tasks right), joint posterior         together
    product                   prod_t C_t, the same if tasks were apart    together
    per-task-confidence       C_t                                         each task by itself
    per-task-entropy          -H_t, against minus the threshold           each by itself
    fixed-overlap             n_t                                         each by itself; no model needed
    majority-agreement        share of the largest class of n_t           each by itself; no model needed

Surenesses closer than 1e-12 count as one, as in `measure.efficiency`, so that rounding decides nothing. Whether a
label can be had, and what it costs, is not the policy's affair.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float64

from quorate.consensus.posterior import Consensus
from quorate.errors import SettingError
from quorate.schema import Schema

Array = np.ndarray
Number = float | int  # JSON writes 1.0 as 1
DIGITS = 12


# ---- what every policy answers --------------------------------------------------------------------------------------
class Policy(ABC):
    """Which tasks still need a label."""

    name: ClassVar[str]
    whole_item: ClassVar[bool]  # the tasks of an item stop together

    @abstractmethod
    def sureness(self, consensus: Consensus) -> Float64[Array, "items tasks"]:
        """What is held against the threshold; rises toward stopping; the same in all tasks where they stop together."""

    @abstractmethod
    def bar(self, schema: Schema) -> Float64[Array, "tasks"]:
        """The least sureness at which each task stops. Raises SchemaError for a threshold of an unknown task."""

    def needs(self, consensus: Consensus) -> Bool[Array, "items tasks"]:
        """True where another label is wanted."""
        return np.round(self.sureness(consensus), DIGITS) < np.round(self.bar(consensus.schema), DIGITS)

    def to_json(self) -> str:
        """As `policy_from_json` reads it.

        >>> Minimum(0.95).to_json()
        '{"policy": "minimum", "threshold": 0.95}'
        """
        settings = {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type] # dataclasses
        return json.dumps({"policy": self.name, **{name: value for name, value in settings.items() if value != {}}})


# ---- the tasks of an item together ----------------------------------------------------------------------------------
@dataclass(frozen=True)
class WholeItem(Policy):
    """One number per item, from 0 to 1, held against one threshold."""

    threshold: Number
    whole_item: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_share("threshold", self.threshold)

    @abstractmethod
    def of_items(self, consensus: Consensus) -> Float64[Array, "items"]:
        """How sure one is of the item."""

    def sureness(self, consensus: Consensus) -> Float64[Array, "items tasks"]:
        """The item's number, in every task."""
        return np.repeat(self.of_items(consensus)[:, None], len(consensus.schema), axis=1)

    def bar(self, schema: Schema) -> Float64[Array, "tasks"]:
        """The threshold."""
        return np.full(len(schema), float(self.threshold))


@dataclass(frozen=True)
class Minimum(WholeItem):
    """Stops an item when its least sure task is sure enough."""

    name: ClassVar[str] = "minimum"

    def of_items(self, consensus: Consensus) -> Float64[Array, "items"]:
        """min_t C_t."""
        return confidences(consensus).min(axis=1, initial=1.0)


@dataclass(frozen=True)
class Mean(WholeItem):
    """Stops an item when its tasks are sure enough on average."""

    name: ClassVar[str] = "mean"

    def of_items(self, consensus: Consensus) -> Float64[Array, "items"]:
        """The mean of C_t."""
        return confidences(consensus).sum(axis=1) / max(len(consensus.schema), 1)


@dataclass(frozen=True)
class Maximum(WholeItem):
    """Stops an item as soon as any of its tasks is sure enough."""

    name: ClassVar[str] = "maximum"

    def of_items(self, consensus: Consensus) -> Float64[Array, "items"]:
        """max_t C_t."""
        return confidences(consensus).max(axis=1, initial=0.0)


@dataclass(frozen=True)
class Joint(WholeItem):
    """Stops an item when all its tasks are right with enough probability, from the joint posterior."""

    name: ClassVar[str] = "joint"

    def of_items(self, consensus: Consensus) -> Float64[Array, "items"]:
        """P(the most probable class of every task is right)."""
        return consensus.joint_confidence()


@dataclass(frozen=True)
class Product(WholeItem):
    """As `Joint`, as if the tasks were independent given the data: what Table 4 of [nguyen2026] writes."""

    name: ClassVar[str] = "product"

    def of_items(self, consensus: Consensus) -> Float64[Array, "items"]:
        """prod_t C_t."""
        return confidences(consensus).prod(axis=1)


# ---- every task by itself -------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class PerTaskConfidence(Policy):
    """Stops each task when it is sure enough. of_task: thresholds of the tasks that have one of their own.

    >>> PerTaskConfidence(0.9, {"safe": 0.98}).of_task["safe"]
    0.98
    """

    threshold: Number
    of_task: Mapping[str, Number] = field(default_factory=dict[str, Number], hash=False)
    name: ClassVar[str] = "per-task-confidence"
    whole_item: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for each in (self.threshold, *self.of_task.values()):
            _check_share("threshold", each)

    def sureness(self, consensus: Consensus) -> Float64[Array, "items tasks"]:
        """C_t."""
        return confidences(consensus)

    def bar(self, schema: Schema) -> Float64[Array, "tasks"]:
        """The thresholds, task after task."""
        return _by_task(schema, self.threshold, self.of_task)


@dataclass(frozen=True)
class PerTaskEntropy(Policy):
    """Stops each task when its entropy, in nats, is down to the threshold."""

    threshold: Number
    of_task: Mapping[str, Number] = field(default_factory=dict[str, Number], hash=False)
    name: ClassVar[str] = "per-task-entropy"
    whole_item: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for each in (self.threshold, *self.of_task.values()):
            if not each >= 0:
                raise SettingError(f"threshold is an entropy in nats, 0 or more, not {each}")

    def sureness(self, consensus: Consensus) -> Float64[Array, "items tasks"]:
        """-H_t, in nats."""
        return _side_by_side(consensus, [-consensus.entropy(task.name) for task in consensus.schema.tasks])

    def bar(self, schema: Schema) -> Float64[Array, "tasks"]:
        """Minus the thresholds, in nats."""
        return -_by_task(schema, self.threshold, self.of_task)


# ---- what people use today ------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class FixedOverlap(Policy):
    """So many labels for every item and task, whatever they say."""

    labels: Number  # whole
    of_task: Mapping[str, Number] = field(default_factory=dict[str, Number], hash=False)
    name: ClassVar[str] = "fixed-overlap"
    whole_item: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for each in (self.labels, *self.of_task.values()):
            _check_count("labels", each, 0)

    def sureness(self, consensus: Consensus) -> Float64[Array, "items tasks"]:
        """The number of labels."""
        return _label_counts(consensus)

    def bar(self, schema: Schema) -> Float64[Array, "tasks"]:
        """The numbers wanted."""
        return _by_task(schema, self.labels, self.of_task)


@dataclass(frozen=True)
class MajorityAgreement(Policy):
    """Asks `fewest` people, then on until this share of them gave the same label, or `most` people were asked."""

    share: Number
    fewest: int = 2
    most: int = 5
    name: ClassVar[str] = "majority-agreement"
    whole_item: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_share("share", self.share)
        _check_count("fewest", self.fewest, 0)
        _check_count("most", self.most, self.fewest)

    def sureness(self, consensus: Consensus) -> Float64[Array, "items tasks"]:
        """The share of the largest class; below any threshold before `fewest` labels, 1 from `most` on."""
        n_labels = _label_counts(consensus)
        largest = _side_by_side(
            consensus, [of_task.max(axis=1, initial=0).astype(float) for of_task in consensus.counts]
        )
        share = largest / np.maximum(n_labels, 1)
        return np.where(n_labels < self.fewest, -1.0, np.where(n_labels >= self.most, 1.0, share))

    def bar(self, schema: Schema) -> Float64[Array, "tasks"]:
        """The share wanted."""
        return np.full(len(schema), float(self.share))


# ---- in and out -----------------------------------------------------------------------------------------------------
POLICIES: dict[str, type[Policy]] = {
    kind.name: kind
    for kind in (
        Minimum, Mean, Maximum, Joint, Product, PerTaskConfidence, PerTaskEntropy, FixedOverlap, MajorityAgreement,
    )
}  # fmt: skip


def policy_from_json(text: str) -> Policy:
    """The policy that `to_json` wrote. Raises SettingError where the text is none.

    >>> policy_from_json('{"policy": "joint", "threshold": 0.8}')
    Joint(threshold=0.8)
    """
    try:
        settings: dict[str, Any] = dict(json.loads(text))
    except (ValueError, TypeError):
        raise SettingError(f"a policy is a JSON object such as {Minimum(0.95).to_json()}, not {text[:80]!r}") from None
    return policy(str(settings.pop("policy", None)), **settings)


def policy(name: str, **settings: Any) -> Policy:
    """The policy of that name. Raises SettingError for an unknown name or setting.

    >>> policy("fixed-overlap", labels=3)
    FixedOverlap(labels=3, of_task={})
    """
    if name not in POLICIES:
        raise SettingError(f"there is no policy {name!r}; use one of {', '.join(POLICIES)}")
    try:
        return POLICIES[name](**settings)
    except (TypeError, AttributeError) as error:  # a setting too many, too few, or of another type
        raise SettingError(f"policy {name!r}: {error}") from None


# ---- parts ----------------------------------------------------------------------------------------------------------
def confidences(consensus: Consensus) -> Float64[Array, "items tasks"]:
    """The confidence of every task, side by side."""
    return _side_by_side(consensus, [consensus.confidence(task.name) for task in consensus.schema.tasks])


def _label_counts(consensus: Consensus) -> Float64[Array, "items tasks"]:
    return _side_by_side(consensus, [of_task.sum(axis=1).astype(float) for of_task in consensus.counts])


def _side_by_side(consensus: Consensus, columns: list[Float64[Array, "items"]]) -> Float64[Array, "items tasks"]:
    return np.column_stack(columns) if columns else np.zeros((len(consensus.items), 0))


def _by_task(schema: Schema, default: Number, of_task: Mapping[str, Number]) -> Float64[Array, "tasks"]:
    for name in of_task:
        schema.task(name)  # an unknown task would be passed over without a word
    return np.array([of_task.get(task.name, default) for task in schema.tasks], float)


def _check_share(name: str, value: Number) -> None:
    if not 0 <= value <= 1:
        raise SettingError(f"{name} is between 0 and 1, not {value}")


def _check_count(name: str, value: Number, least: int) -> None:
    if value < least or value != int(value):
        raise SettingError(f"{name} is a whole number of {least} or more, not {value}")
