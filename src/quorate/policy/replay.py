"""Policies replayed over recorded labels: what each buys, what that costs, and how right one is in the end.

`replay` goes as a campaign would. In every round the consensus of an item is that of the labels bought so far; each of
its tasks that needs another label, and has one left, buys its next; the item is done when none does. A task that
stopped buys nothing more unless labels of other tasks make it doubtful again, and nobody learns from labels that
nobody paid for. Items are apart from one another: the model is fitted before, and stays.

`replay_steps` reads off the states of `steps`, where state j of a task has j labels of every task: at once, and the
same for policies that stop whole items; for others it is what the curves of the protocol show.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int64

from quorate.consensus.door import coded_of
from quorate.consensus.estimator import Model
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import DataError
from quorate.evaluate.protocol import Truth, n_labels, truth_of, without_gold
from quorate.policy.outcome import Outcome, Replayed, States, pooled
from quorate.policy.prices import Prices
from quorate.policy.rounds import Recorded, ends_of, rules_of
from quorate.policy.steps import BY_LABEL, Fold, Order, Progress, Steps, ordered, part_of, sureness_of
from quorate.policy.stopping import DIGITS, Policy

Array = np.ndarray


# ---- label by label -------------------------------------------------------------------------------------------------
def replay(
    model: Model,
    data: Dataset | Coded,
    policies: Sequence[Policy],
    *,
    truth: Truth | None = None,
    prices: Prices = BY_LABEL,
    order: Order = "arrival",
    seed: int = 0,
    progress: Progress | None = None,
) -> Replayed:
    """Every policy as it would have gone on these items, which the model must not have seen when it was fitted.

    truth: by default gold where a task has any, else the majority. order: of the labels of an item and task, as they
    arrived or shuffled by the seed. Raises DataError where there is no item.

    >>> from quorate.consensus.registry import estimator
    >>> from quorate.policy.stopping import PerTaskConfidence
    >>> from quorate.simulate.world import world
    >>> data = world("paper", 40).coded()
    >>> model = estimator("majority").fit(data.select(np.arange(20)))
    >>> found = replay(model, data.select(np.arange(20, 40)), [PerTaskConfidence(0.0), PerTaskConfidence(1.0)])
    >>> [found.figures(place)[""].labels for place in (0, 1)]
    [0, 1000]
    """
    coded = ordered(coded_of(data), order, np.random.default_rng(seed))
    if not coded.n_items:
        raise DataError("there is no item to replay", mend="give items that people labeled")
    known = truth_of(coded) if truth is None else truth
    recorded = Recorded(model, without_gold(coded), known, prices.of_first_labels(coded))
    outcomes: dict[int, Outcome] = {}
    for whole_item in (True, False):  # whole items come through few states, and are alone in asking for the joint
        places = [place for place, policy in enumerate(policies) if policy.whole_item == whole_item]
        if not places:
            continue
        part = part_of(progress, len(outcomes) / len(policies), len(places) / len(policies), "")
        ends = ends_of(recorded, [policies[place] for place in places], part)
        for place, end in zip(places, ends.end, strict=True):
            row = np.broadcast_to(end[:, None], known.code.shape)
            outcomes[place] = Outcome(policies[place], ends.states, row)
    return Replayed(
        tuple(outcomes[place] for place in range(len(policies))),
        n_labels(coded),
        recorded.paid[-1],
        known.code >= 0,
        coded.schema,
        coded.items,
    )


def replay_folds(
    folds: Sequence[Fold], policies: Sequence[Policy], prices: Prices = BY_LABEL, progress: Progress | None = None
) -> Replayed:
    """The exact replay of all folds, each under its own model; items in the order of the data."""
    share = 1 / len(folds)
    parts = [
        replay(
            fold.model,
            fold.judge,
            policies,
            truth=fold.truth,
            prices=prices,
            progress=part_of(progress, place * share, share, ""),
        )
        for place, fold in enumerate(folds)
    ]
    return pooled(parts, np.argsort(np.concatenate([fold.place for fold in folds])))


# ---- from the states after each label -------------------------------------------------------------------------------
def replay_steps(steps: Steps, policies: Sequence[Policy]) -> Replayed:
    """The policies on states where every task has as many labels: what the curves of the protocol show.

    >>> from quorate.consensus.registry import estimator
    >>> from quorate.policy.steps import cross_fitted
    >>> from quorate.policy.stopping import FixedOverlap
    >>> from quorate.simulate.world import world
    >>> steps = cross_fitted(world("paper", 40).coded(), estimator("majority"))
    >>> round(replay_steps(steps, [FixedOverlap(2)]).figures(0)[""].efficiency, 2)
    0.6
    """
    n_steps, n_items, n_tasks = steps.confidence.shape
    bought = np.minimum(np.arange(n_steps)[:, None, None], steps.n_labels).astype(np.int16)
    by_step = (bought, steps.cost, steps.confidence, steps.credit, steps.loss)
    states = States(*(np.reshape(each, (n_steps * n_items, n_tasks)) for each in by_step))
    rules, row = rules_of(policies, steps.schema), np.arange(n_items)[:, None]
    sureness = [np.round(sureness_of(policy, steps), DIGITS) for policy in rules.examples]
    outcomes: list[Outcome] = []
    for policy, kind, bar in zip(policies, rules.kind, rules.bars, strict=True):
        step = _stops(sureness[kind] < bar, steps.n_labels, policy.whole_item)
        outcomes.append(Outcome(policy, states, step * n_items + row))
    return Replayed(tuple(outcomes), steps.n_labels, steps.cost[-1], steps.counted, steps.schema, steps.items)


def _stops(
    needs: Bool[Array, "steps items tasks"], available: Int64[Array, "items tasks"], whole_item: bool
) -> Int64[Array, "items tasks"]:
    """The first step that needs no more labels, or the one that has all; one for all tasks where they stop together."""
    if whole_item:
        available = np.repeat(available.max(axis=1, keepdims=True, initial=0), available.shape[1], axis=1)
    return np.where(needs.all(axis=0), available, np.minimum(needs.argmin(axis=0), available))
