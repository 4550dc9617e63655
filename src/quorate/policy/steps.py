"""What is known of every item-task after 0, 1, 2, ... labels, with what those labels cost.

All validation of policies stands on these states. Step j is the consensus after the first j labels of every item and
task (all of them where there are fewer), as in `evaluate.protocol`; so a task also learns from labels of tasks that a
policy may have stopped by then. For a policy that stops whole items that is what happens; for others `replay.replay`
goes label by label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int16, Int64

from quorate.consensus.door import coded_of
from quorate.consensus.estimator import Estimator, Model
from quorate.consensus.posterior import Consensus, Kind
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import DataError, SettingError
from quorate.evaluate.protocol import MOST_LABELS, Truth, aimed, judged, n_labels, shuffled, truth_of, without_gold
from quorate.policy.prices import Prices
from quorate.policy.stopping import FixedOverlap, MajorityAgreement, Policy
from quorate.schema import Schema

Array = np.ndarray
Progress = Callable[[float, str], None]
Order = Literal["arrival", "shuffled"]
BY_LABEL = Prices()  # every label costs 1


class Steps(NamedTuple):
    """The states after 0, 1, 2, ... labels; credit and loss are 0 where there is no truth."""

    schema: Schema
    items: tuple[str, ...]
    confidence: Float64[Array, "steps items tasks"]
    entropy: Float64[Array, "steps items tasks"]  # nats
    joint: Float64[Array, "steps items"]  # P(every task right)
    largest: Int16[Array, "steps items tasks"]  # labels of the most frequent class
    credit: Float64[Array, "steps items tasks"]
    loss: Float64[Array, "steps items tasks"]  # nats
    n_labels: Int64[Array, "items tasks"]  # labels there are
    cost: Float64[Array, "steps items tasks"]  # of the labels bought so far
    counted: Bool[Array, "items tasks"]  # has a truth
    kind: tuple[Kind, ...]  # what counts as right, task by task


def steps_of(
    model: Model, coded: Coded, truth: Truth, prices: Prices = BY_LABEL, progress: Progress | None = None
) -> Steps:
    """The states of these items under a fitted model; labels in their order of arrival, gold hidden from the model.

    >>> from quorate.consensus.registry import estimator
    >>> from quorate.evaluate.protocol import truth_of
    >>> from quorate.simulate.world import world
    >>> data = world("paper", 40).coded()
    >>> steps_of(estimator("majority").fit(data), data, truth_of(data)).confidence.shape
    (6, 40, 10)
    """
    hidden, available = without_gold(coded), n_labels(coded)
    most = int(available.max(initial=0))
    states: list[_State] = []
    for j in range(most + 1):
        if progress is not None:
            progress(j / (most + 1), f"after {j} labels")
        states.append(_state(aimed(model.predict(hidden.first_labels(j)), hidden, truth), truth))
    return Steps(
        coded.schema,
        coded.items,
        *(np.stack(part) for part in zip(*states, strict=True)),
        n_labels=available,
        cost=prices.of_first_labels(coded),
        counted=truth.code >= 0,
        kind=truth.kind,
    )


def select(steps: Steps, index: Int64[Array, "kept"]) -> Steps:
    """The states of these items, by position, in this order."""
    return steps._replace(
        items=tuple(steps.items[i] for i in index),
        n_labels=steps.n_labels[index],
        counted=steps.counted[index],
        **{name: getattr(steps, name)[:, index] for name in _BY_STEP},
    )


def joined(parts: Sequence[Steps]) -> Steps:
    """The items of all parts, one part after the other; a part with fewer steps stays as it ended."""
    most = max(len(part.confidence) for part in parts)
    return parts[0]._replace(
        items=tuple(item for part in parts for item in part.items),
        n_labels=np.concatenate([part.n_labels for part in parts]),
        counted=np.concatenate([part.counted for part in parts]),
        **{
            name: np.concatenate([_stretched(getattr(part, name), most) for part in parts], axis=1) for name in _BY_STEP
        },
    )


class _State(NamedTuple):
    """One step, in the order of `_BY_STEP`."""

    confidence: Float64[Array, "items tasks"]
    entropy: Float64[Array, "items tasks"]
    joint: Float64[Array, "items"]
    largest: Int16[Array, "items tasks"]
    credit: Float64[Array, "items tasks"]
    loss: Float64[Array, "items tasks"]


_BY_STEP = (*_State._fields, "cost")


def _state(consensus: Consensus, truth: Truth) -> _State:
    names = [task.name for task in consensus.schema.tasks]
    state = judged([consensus.probs(name) for name in names], truth)
    entropy = np.zeros_like(state.confidence)
    largest = np.zeros(entropy.shape, np.int16)
    for t, name in enumerate(names):
        entropy[:, t] = consensus.entropy(name)
        largest[:, t] = consensus.counts[t].max(axis=1, initial=0)
    return _State(state.confidence, entropy, consensus.joint_confidence(), largest, state.credit, state.loss)


def _stretched(steps: Array, n_steps: int) -> Array:
    return np.concatenate([steps, np.repeat(steps[-1:], n_steps - len(steps), axis=0)])


# ---- what a policy sees in them -------------------------------------------------------------------------------------
def sureness_of(policy: Policy, steps: Steps) -> Float64[Array, "steps items tasks"]:
    """What the policy holds against its threshold, at every step; as `policy.sureness` of that step's consensus.

    Raises SettingError for a kind of policy that these states cannot tell.
    """
    shape, tasks = steps.confidence.shape, max(steps.confidence.shape[2], 1)
    whole_item: dict[str, Callable[[], Float64[Array, "steps items"]]] = {
        "minimum": lambda: steps.confidence.min(axis=2, initial=1.0),
        "mean": lambda: steps.confidence.sum(axis=2) / tasks,
        "maximum": lambda: steps.confidence.max(axis=2, initial=0.0),
        "joint": lambda: steps.joint,
        "product": lambda: steps.confidence.prod(axis=2),
    }
    if policy.name in whole_item:
        return np.broadcast_to(whole_item[policy.name]()[:, :, None], shape)
    if policy.name == "per-task-confidence":
        return steps.confidence
    if policy.name == "per-task-entropy":
        return -steps.entropy
    bought = np.minimum(np.arange(shape[0])[:, None, None], steps.n_labels).astype(float)
    if isinstance(policy, FixedOverlap):
        return bought
    if isinstance(policy, MajorityAgreement):
        share = steps.largest / np.maximum(bought, 1)
        return np.where(bought < policy.fewest, -1.0, np.where(bought >= policy.most, 1.0, share))
    raise SettingError(f"the states after each label cannot tell how sure policy {policy.name!r} is; replay it exactly")


# ---- every item under a model that never saw it ---------------------------------------------------------------------
class Fold(NamedTuple):
    """What is replayed under a model that never saw it."""

    model: Model
    judge: Coded  # its gold hidden
    truth: Truth
    place: Int64[Array, "items"]  # of every item among those of both folds, in the order of the data


def fitted_folds(
    data: Dataset | Coded,
    estimator: Estimator,
    *,
    order: Order = "arrival",
    seed: int = 0,
    most_items: int | None = None,
    most_labels: int | None = MOST_LABELS,
    progress: Progress | None = None,
) -> tuple[Fold, Fold]:
    """Two halves of the items that people labeled, each with a model fitted on the other; the seed decides the halves.

    order: of the labels of an item and task. most_items: a sample of them, by the seed. most_labels: of an item and
    task, as in the protocol. Items with gold alone teach both models. Truth is gold, else the majority, as in
    `evaluate.protocol`. Raises DataError where people labeled fewer than two items, or there is nothing to judge by.
    """
    coded, rng = coded_of(data), np.random.default_rng(seed)
    labeled = np.any(n_labels(coded) > 0, axis=1)
    replayed = np.flatnonzero(labeled)
    if most_items is not None:
        replayed = np.sort(rng.permutation(replayed)[:most_items])
    half = np.array_split(rng.permutation(len(replayed)), 2)
    coded = ordered(coded, order, rng)
    coded = coded if most_labels is None else coded.first_labels(most_labels)
    truth = truth_of(coded).select(replayed)
    _check_judgeable(truth)
    aside = np.flatnonzero(~labeled & np.any(coded.gold >= 0, axis=1))
    folds: list[Fold] = []
    for part, (teach, judge) in enumerate(((half[0], half[1]), (half[1], half[0]))):
        place = np.sort(judge)
        lessons = coded.select(np.sort(np.concatenate([replayed[teach], aside])))
        model = estimator.fit(lessons, progress=part_of(progress, part / 2, 0.5, "fitting"))
        folds.append(Fold(model, without_gold(coded.select(replayed[place])), truth.select(place), place))
    return folds[0], folds[1]


def cross_fitted(
    data: Dataset | Coded,
    estimator: Estimator,
    *,
    prices: Prices = BY_LABEL,
    order: Order = "arrival",
    seed: int = 0,
    most_items: int | None = None,
    progress: Progress | None = None,
) -> Steps:
    """The states of all items that people labeled, none under a model that saw it; see `fitted_folds`.

    >>> from quorate.consensus.registry import estimator
    >>> from quorate.simulate.world import world
    >>> cross_fitted(world("paper", 40).coded(), estimator("majority")).n_labels.shape
    (40, 10)
    """
    fit = part_of(progress, 0.0, 0.7, "")
    folds = fitted_folds(data, estimator, order=order, seed=seed, most_items=most_items, progress=fit)
    return of_folds(folds, prices, part_of(progress, 0.7, 0.3, "replaying"))


def of_folds(folds: Sequence[Fold], prices: Prices = BY_LABEL, progress: Progress | None = None) -> Steps:
    """The states of the items of all folds, in the order of the data."""
    parts = [
        steps_of(fold.model, fold.judge, fold.truth, prices, part_of(progress, i / len(folds), 1 / len(folds), ""))
        for i, fold in enumerate(folds)
    ]
    return select(joined(parts), np.argsort(np.concatenate([fold.place for fold in folds])))


def ordered(coded: Coded, order: Order, rng: np.random.Generator) -> Coded:
    """The labels of every item and task as they arrived, or in random order."""
    return shuffled(coded, rng) if order == "shuffled" else coded


def _check_judgeable(truth: Truth) -> None:
    if len(truth.code) < 2:
        raise DataError(
            f"people labeled {len(truth.code)} items, too few to replay",
            mend="add people's labels: one half of the items is replayed by what the other teaches",
        )
    if not (truth.code >= 0).any():
        raise DataError(
            "no item has a gold label or two people's labels that agree, so nothing says which answers are right",
            mend="add gold labels, or more people's labels per item",
        )


def part_of(progress: Progress | None, begin: float, length: float, name: str) -> Progress | None:
    """What reports a part of longer work."""
    if progress is None:
        return None
    return lambda share, what: progress(begin + length * share, f"{name}: {what}" if name else what)
