"""Whether policies hold their floors, on items that neither the fit nor the search has seen.

Each policy is a hypothesis "some floor is broken". Its p-value is the largest of those of its floors: all must speak
against it (intersection-union [berger1982]). Policies are tested in an order fixed beforehand, each at all of delta,
until one is not rejected; then P(a policy that breaks a floor is among the rejected) <= delta, whichever of them is
taken (fixed-sequence testing, Learn-then-Test [angelopoulos2021ltt]).

The tasks of an item depend on one another, so items are the independent draws: a floor of one task is tested by the
binomial, P(Bin(n, floor) >= right), exact, ties decided by a coin; a floor over several tasks by betting on the items
one by one, which gains from tasks that err apart (`floor_betting`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from quorate.policy.floor import binomial_p
from quorate.policy.floor_betting import betting_p
from quorate.policy.optimize.constraints import ALL_TASKS

Array = np.ndarray
Tail = Literal["binomial", "betting"]
FLOORS = np.linspace(0.005, 0.995, 199)  # tried for the highest that would pass


@dataclass(frozen=True)
class Proof:
    """What the validation items say of one floor under one policy."""

    task: str  # "" for all answers together
    floor: float
    delta: float  # the risk that the accuracy is below the floor all the same
    holds: bool
    n: int  # validation answers
    n_items: int  # of so many items
    accuracy: float
    lower: float  # the highest floor that this policy alone would pass
    p_value: float
    tail: Tail
    target: str  # what "right" means

    def to_json(self) -> str:
        """All of it."""
        return json.dumps(asdict(self))

    def sentence(self) -> str:
        """What a lead may say of it, in plain words."""
        whose = f"of task {self.task!r} " if self.task != ALL_TASKS else ""
        sample = (
            f"{self.n:,} validation answers from {self.n_items:,} items, none seen by the model that judged it or by "
            f"the search, of which {_percent(self.accuracy)} agree"
        )
        if not self.holds:
            return (
                f"Not proven: that at least {_percent(self.floor)} of the answers {whose}agree with {self.target}, at "
                f"a risk of {_percent(self.delta)}. On {sample}; proven of these alone are {_percent(self.lower)}."
            )
        return (
            f"At least {_percent(self.floor)} of the answers {whose}agree with {self.target}; the risk that this is "
            f"wrong is at most {_percent(self.delta)}. Shown on {sample}."
        )


class Sample(NamedTuple):
    """The answers on which a policy is tested."""

    credit: Float64[Array, "items tasks"]
    counted: Bool[Array, "items tasks"]


class Draws(NamedTuple):
    """What chance decides, blind to the answers; a number from 0 to 1 per item."""

    order: Float64[Array, "items"]  # in which items are bet on
    coin: Float64[Array, "items"]  # how a tie is decided


class Judged(NamedTuple):
    """How a policy ended on some items."""

    sample: Sample
    draws: Draws


class Check(NamedTuple):
    """One floor."""

    task: str
    column: int | None  # None: all tasks
    floor: float


def p_values(check: Check, judged: Sequence[Judged], delta: float) -> Float64[Array, "policies"]:
    """Of the hypotheses that policies, judged on the same items, are right less often than the floor.

    Betting aims at delta, so that a p-value is hardly ever much below it.
    """
    return _tested(check, judged, np.full(len(judged), check.floor), delta)


def highest_floor(check: Check, judged: Judged, delta: float) -> float:
    """The highest floor that this policy alone would pass, a share, down to half a percent; 0 where none."""
    passed = FLOORS[_tested(check, [judged] * len(FLOORS), FLOORS, delta) <= delta]
    return float(passed.max()) if len(passed) else 0.0


def tail_of(check: Check, sample: Sample) -> Tail:
    """Which test this floor gets."""
    return "binomial" if _part(sample, check.column).counted.shape[1] == 1 else "betting"


def proof_of(check: Check, judged: Judged, delta: float, target: str, *, holds: bool) -> Proof:
    """What the check found; holds: whether the sequence reached and passed this policy."""
    part = _part(judged.sample, check.column)
    return Proof(
        task=check.task,
        floor=check.floor,
        delta=delta,
        holds=holds,
        n=int(part.counted.sum()),
        n_items=int((part.counted.sum(axis=1) > 0).sum()),
        accuracy=float(part.credit[part.counted].mean()),
        lower=highest_floor(check, judged, delta),
        p_value=float(p_values(check, [judged], delta)[0]),
        tail=tail_of(check, judged.sample),
        target=target,
    )


def first_failure(p_values: Sequence[float], delta: float) -> int:
    """How many at the head of the sequence are rejected.

    >>> first_failure([0.01, 0.02, 0.3, 0.0], delta=0.1)
    2
    """
    passed = np.array(p_values) <= delta
    return len(passed) if passed.all() else int(passed.argmin())


# ---- the tests ------------------------------------------------------------------------------------------------------
def _part(sample: Sample, column: int | None) -> Sample:
    if column is None:
        return sample
    return Sample(sample.credit[:, column : column + 1], sample.counted[:, column : column + 1])


def _tested(
    check: Check, judged: Sequence[Judged], floors: Float64[Array, "policies"], delta: float
) -> Float64[Array, "policies"]:
    """P-values of policies on the same items, each against a floor of its own."""
    parts = [_part(each.sample, check.column) for each in judged]
    counted = parts[0].counted
    rows = np.flatnonzero(counted.sum(axis=1))
    if tail_of(check, judged[0].sample) == "binomial":
        coin = judged[0].draws.coin[rows]
        right = [float((coin < part.credit[rows, 0]).sum()) for part in parts]
        return np.array(
            [float(binomial_p(np.array([x]), np.array([len(rows)]), f)[0]) for x, f in zip(right, floors, strict=True)]
        )
    rows = rows[np.argsort(judged[0].draws.order[rows], kind="stable")]
    closed = counted[rows].sum(axis=1)
    right = np.column_stack([np.where(counted[rows], part.credit[rows], 0.0).sum(axis=1) for part in parts])
    level, expected = np.full(len(parts), delta), np.full(len(parts), float(closed.mean()) if len(rows) else 1.0)
    most = max(int(closed.max(initial=1)), 1)
    beside = np.repeat(closed[:, None], len(parts), axis=1).astype(np.float32)
    return betting_p(beside, right.astype(np.float32), floors, most, level, expected)


def _percent(share: float) -> str:
    return f"{round(100 * share, 2):g} %"
