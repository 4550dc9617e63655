"""The rounds of an exact replay: every policy from no label to where it stops, over shared states.

The state of an item is the number of labels bought per task. Many thresholds lead through few distinct states: each
round gathers the states of all policies, predicts every distinct one once, and lets each policy decide on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int16, Int64

from quorate.consensus.estimator import Model
from quorate.consensus.posterior import Consensus
from quorate.data.encode import Coded
from quorate.evaluate.protocol import Truth, aimed, judged, n_labels
from quorate.policy.outcome import States
from quorate.policy.steps import Progress
from quorate.policy.stopping import DIGITS, POLICIES, Policy
from quorate.schema import Schema

Array = np.ndarray
BATCH = 20_000  # states predicted at a time
ONLY_BAR = {"threshold", "of_task", "labels", "share"}  # settings of our policies that their sureness does not read


class Recorded(NamedTuple):
    """What is replayed."""

    model: Model
    coded: Coded  # labels in the order in which they are bought; gold hidden
    truth: Truth
    paid: Float64[Array, "steps items tasks"]  # for the first labels


class Ends(NamedTuple):
    """Where policies stop."""

    states: States
    end: Int64[Array, "policies items"]  # the state in which each item ends


def ends_of(recorded: Recorded, policies: Sequence[Policy], progress: Progress | None = None) -> Ends:
    """Round after round, until no policy wants a label that is left."""
    rules, end = rules_of(policies, recorded.coded.schema), np.zeros((len(policies), recorded.coded.n_items), np.int64)
    policy, item = (each.ravel() for each in np.indices(end.shape))
    asking = Asking(policy, item, np.zeros((end.size, recorded.coded.n_tasks), np.int16))
    ended, n_ended = list[States](), 0
    while len(asking.policy):
        states, share, after = gathered(asking), 1.0 - len(asking.policy) / end.size, list[Asking]()
        for part in _batches(len(states.item)):
            if progress is not None:
                progress(share, f"{part.start:,} of {len(states.item):,} states")
            decided = _decided(recorded, rules, states.part(part))
            end[decided.policy, decided.item] = n_ended + decided.row
            ended.append(decided.states)
            n_ended += len(decided.states.bought)
            after.append(decided.asking)
        asking = Asking(*map(np.concatenate, zip(*after, strict=True)))
    return Ends(States(*map(np.concatenate, zip(*ended, strict=True))), end)


def _batches(n: int) -> Iterator[slice]:
    return (slice(begin, min(begin + BATCH, n)) for begin in range(0, n, BATCH))


# ---- what policies look at ------------------------------------------------------------------------------------------
class Rules(NamedTuple):
    """Policies that differ in their bars only look at the same sureness."""

    examples: tuple[Policy, ...]  # one of each kind
    kind: Int64[Array, "policies"]  # the example of each policy
    bars: Float64[Array, "policies tasks"]


def rules_of(policies: Sequence[Policy], schema: Schema) -> Rules:
    """The kinds among these policies, and their bars; a policy that is not ours is a kind of its own."""
    keys = [_look(policy) for policy in policies]
    examples = dict(zip(reversed(keys), reversed(policies), strict=True))
    place = {key: kind for kind, key in enumerate(examples)}
    bars = [np.round(policy.bar(schema), DIGITS) for policy in policies]
    kind = np.array([place[key] for key in keys], np.int64)
    return Rules(tuple(examples.values()), kind, np.array(bars).reshape(len(policies), len(schema)))


def _look(policy: Policy) -> object:
    if POLICIES.get(policy.name) is not type(policy):
        return id(policy)
    settings = [each.name for each in fields(policy) if each.name not in ONLY_BAR]  # type: ignore[arg-type] # dataclasses
    return (policy.name, *(getattr(policy, name) for name in settings))


# ---- states ---------------------------------------------------------------------------------------------------------
class Asking(NamedTuple):
    """Items that a policy has yet to decide on, and the labels bought for them."""

    policy: Int64[Array, "pairs"]
    item: Int64[Array, "pairs"]
    bought: Int16[Array, "pairs tasks"]


class Shared(NamedTuple):
    """Every state once, and the policies that are in it: policy[start[s]:start[s + 1]] in state s."""

    item: Int64[Array, "states"]
    bought: Int16[Array, "states tasks"]
    start: Int64[Array, "states_plus_1"]
    policy: Int64[Array, "pairs"]

    def part(self, of: slice) -> Shared:
        """Some of the states."""
        start = self.start[of.start : of.stop + 1]
        return Shared(self.item[of], self.bought[of], start - start[0], self.policy[start[0] : start[-1]])


def gathered(asking: Asking) -> Shared:
    """The distinct states.

    >>> two = np.array([[0, 1], [1, 0], [0, 1]], np.int16)
    >>> gathered(Asking(np.arange(3), np.zeros(3, np.int64), two)).policy.tolist()
    [0, 2, 1]
    """
    key, n_keys = asking.item, int(asking.item.max()) + 1
    for of_task in asking.bought.T:
        n_counts = int(of_task.max()) + 1
        if n_keys * n_counts > 2**62:  # more than a number can tell apart: number those that are there
            key = np.unique(key, return_inverse=True)[1].astype(np.int64)
            n_keys = len(key)
        key, n_keys = key * n_counts + of_task, n_keys * n_counts
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    alone = order[first]
    return Shared(asking.item[alone], asking.bought[alone], np.append(first, len(key)), asking.policy[order])


# ---- one batch ------------------------------------------------------------------------------------------------------
class _Decided(NamedTuple):
    """Who stopped, and in which of the states that some policy stopped in; and who asks on, with the label bought."""

    policy: Int64[Array, "stopped"]
    item: Int64[Array, "stopped"]
    row: Int64[Array, "stopped"]
    states: States
    asking: Asking


def _decided(recorded: Recorded, rules: Rules, shared: Shared) -> _Decided:
    item, policy = shared.item, shared.policy
    full = recorded.coded.select(item)
    consensus = aimed(recorded.model.predict(with_labels(full, shared.bought)), full, recorded.truth.select(item))
    sureness = np.array([np.round(each.sureness(consensus), DIGITS) for each in rules.examples])
    state = np.repeat(np.arange(len(item)), np.diff(shared.start))
    unsure = sureness[rules.kind[policy], state] < rules.bars[policy]
    wanted = unsure & (shared.bought < n_labels(full))[state]
    goes_on = wanted.any(axis=1)
    last, row = np.unique(state[~goes_on], return_inverse=True)
    on = state[goes_on]
    return _Decided(
        policy[~goes_on],
        item[state[~goes_on]],
        row.astype(np.int64),
        _known(recorded, consensus, item[last], shared.bought[last], last),
        Asking(policy[goes_on], item[on], shared.bought[on] + wanted[goes_on]),
    )


def _known(
    recorded: Recorded,
    consensus: Consensus,
    item: Int64[Array, "kept"],
    bought: Int16[Array, "kept tasks"],
    kept: Int64[Array, "kept"],
) -> States:
    """What is known in some states of a batch, for good."""
    probs = [consensus.probs(task.name)[kept] for task in consensus.schema.tasks]
    cost = recorded.paid[bought, item[:, None], np.arange(bought.shape[1])]
    return States(bought, cost, *judged(probs, recorded.truth.select(item)))


def with_labels(coded: Coded, n: Int16[Array, "items tasks"]) -> Coded:
    """The same items with the first n labels of every item and task."""
    cell = coded.cell_of_label()
    rank = np.arange(len(cell)) - coded.labels.start[cell]
    return coded.keep_labels(rank < n.ravel()[cell])
