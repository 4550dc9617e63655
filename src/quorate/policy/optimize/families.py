"""The kinds of stopping policies that compete, each with its menus and what makes a policy of chosen thresholds.

One threshold for all tasks, or one per task where the policy has them; these are chosen from fewer levels, since
thresholds for every task that follow every whim of the items searched fare worse on others. A task with nothing to
judge by is asked everything under thresholds per task: no figure says that less would do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from quorate.policy.optimize.menu import Bars, Menu, menu, thinned
from quorate.policy.steps import Steps, sureness_of
from quorate.policy.stopping import (
    FixedOverlap,
    Joint,
    MajorityAgreement,
    Maximum,
    Mean,
    Minimum,
    PerTaskConfidence,
    PerTaskEntropy,
    Policy,
    Product,
)
from quorate.schema import Schema

SHARES = Bars(0.0, 1.0)
ENTROPIES = Bars(-np.inf, 0.0)  # the sureness is minus the entropy
FEWEST, MOST = (1, 2, 3), (3, 5, 7, 9)  # people that majority agreement asks
BY_TASK = ", by task"
Thresholds = Callable[[Schema, Sequence[float]], Policy]  # from the bars of all tasks


@dataclass(frozen=True, eq=False)
class Family:
    """Policies that differ in their thresholds only."""

    name: str
    menus: tuple[Menu, ...]  # one for all tasks, or one per task
    made: Callable[[Sequence[float]], Policy]  # from one bar per menu

    def policy(self, levels: Sequence[int]) -> Policy:
        """The policy at these levels, one per menu."""
        return self.made([menu.bar(level) for menu, level in zip(self.menus, levels, strict=True)])


def families(steps: Steps, most_labels: int) -> Iterator[Family]:
    """All of them, in one order; kinds with further settings come once per setting, under one name."""
    labels = Bars(0, float(most_labels), whole=True)
    yield _shared(steps, PerTaskConfidence(1.0), SHARES, PerTaskConfidence)
    yield _shared(steps, PerTaskEntropy(0.0), ENTROPIES, lambda bar: PerTaskEntropy(abs(bar)))
    yield _shared(steps, FixedOverlap(0), labels, lambda bar: FixedOverlap(int(bar)))
    for kind in (Minimum, Mean, Product, Joint, Maximum):
        yield _shared(steps, kind(1.0), SHARES, kind)
    for fewest, most in _panels(most_labels):
        yield _shared(
            steps,
            MajorityAgreement(1.0, fewest, most),
            SHARES,
            lambda bar, fewest=fewest, most=most: MajorityAgreement(bar, fewest, most),
        )
    if len(steps.schema) > 1:
        yield _apart(steps, PerTaskConfidence(1.0), SHARES, _confidences)
        yield _apart(steps, PerTaskEntropy(0.0), ENTROPIES, _entropies)
        yield _apart(steps, FixedOverlap(0), labels, _overlaps)


def _panels(n_labels: int) -> list[tuple[int, int]]:
    """The fewest and the most people that majority agreement asks: more than there are labels is all alike."""
    most = sorted({min(each, n_labels) for each in MOST})
    return [(fewest, each) for fewest in FEWEST for each in most if fewest < each]


def _shared(steps: Steps, like: Policy, bars: Bars, made: Callable[[float], Policy]) -> Family:
    tasks = tuple(range(len(steps.schema)))
    found = menu(steps, sureness_of(like, steps), bars, tasks, like.whole_item)
    return Family(like.name, (found,), lambda chosen: made(chosen[0]))


def _apart(steps: Steps, like: Policy, bars: Bars, made: Thresholds) -> Family:
    sureness, judged = sureness_of(like, steps), steps.counted.sum(axis=0) > 0
    menus = [thinned(menu(steps, sureness, bars, (t,), whole_item=False)) for t in range(len(steps.schema))]
    chosen = tuple(each if judged[t] else each.only(np.array([-1])) for t, each in enumerate(menus))
    return Family(f"{like.name}{BY_TASK}", chosen, lambda of_tasks: made(steps.schema, of_tasks))


# the strictest stands for tasks that a later campaign may add
def _confidences(schema: Schema, bars: Sequence[float]) -> Policy:
    return PerTaskConfidence(max(bars), _named(schema, bars))


def _entropies(schema: Schema, bars: Sequence[float]) -> Policy:
    nats = [abs(bar) for bar in bars]
    return PerTaskEntropy(min(nats), _named(schema, nats))


def _overlaps(schema: Schema, bars: Sequence[float]) -> Policy:
    return FixedOverlap(int(max(bars)), {name: int(bar) for name, bar in _named(schema, bars).items()})


def _named(schema: Schema, values: Sequence[float]) -> dict[str, float]:
    return {task.name: value for task, value in zip(schema.tasks, values, strict=True)}
