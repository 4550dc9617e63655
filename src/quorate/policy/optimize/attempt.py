"""One attempt to keep to constraints: search on one half of the items, prove on the other, take the best that holds.

The family that stands best gives its candidates, from the best quality there is down to the floor itself, in steps of
the floor's own error, and asking everything is one more. They are tested on the other half in the order of how far
above the floors the search found them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from quorate.policy.optimize.choice import Choice, choice_of
from quorate.policy.optimize.constraints import Aim, Constraints
from quorate.policy.optimize.ground import Ground
from quorate.policy.optimize.prove import Check, Judged, first_failure, p_values
from quorate.policy.optimize.standing import (
    ALONG,
    USED,
    USED_COARSELY,
    accuracy_of,
    levels_along,
    quality_of,
    slack_of,
    standings,
)
from quorate.policy.stopping import DIGITS, Policy

EVERYTHING = "everything"
LIMIT_WORDS = {"cost": "budget", "labels": "deadline", "reviewed": "share of reviews"}
SLACK = 1e-9


class Candidate(NamedTuple):
    """A policy as it ended on the items of the search."""

    choice: Choice
    slack: float  # above the floors, in standard errors


class Attempt(NamedTuple):
    """What came of it: the sequence that was tested, as it ended on the items to prove on."""

    sequence: tuple[Candidate, ...]
    checks: tuple[Check, ...]  # of the floors
    choices: tuple[Choice, ...]  # on the items to prove on
    judged: tuple[Judged, ...]
    p_values: tuple[float, ...]
    n_passed: int  # at the head of the sequence
    picked: int | None  # the best that holds; None: none does
    nearest: int | None  # the one picked, else what comes nearest
    best_of_family: dict[str, Policy]  # by the search


def attempt(ground: Ground, constraints: Constraints, aim: Aim) -> Attempt:
    """Search, test and pick."""
    standing = standings(ground, constraints, aim)
    found, bests = list[Candidate](), dict[str, Policy]()
    for place in sorted(range(len(standing)), key=lambda place: (standing[place], place)):
        name = ground.search.families[place].name
        if name in bests:  # another setting of the same kind stands better
            continue
        candidates = _candidates(
            ground, name, _policies(ground, place, constraints, aim, all_along=not found), constraints
        )
        if candidates:
            bests[name] = min(candidates, key=lambda each: _rank(each, ground, aim)).choice.policy
            found = found or candidates
    everything = _candidates(ground, EVERYTHING, [ground.everything], constraints)
    return _tested(ground, [*found, *everything], bests, constraints, aim)


def limit_breaks(choice: Choice, constraints: Constraints) -> tuple[str, ...]:
    """The limits that a policy does not keep, in words."""
    return tuple(
        f"{LIMIT_WORDS[name]}: up to {choice.at_most[name]:,.6g} of {limit:,.6g}"
        for name, limit in constraints.limits().items()
        if choice.at_most[name] > limit * (1 + SLACK) + SLACK
    )


# ---- the candidates -------------------------------------------------------------------------------------------------
def _policies(ground: Ground, place: int, constraints: Constraints, aim: Aim, *, all_along: bool) -> list[Policy]:
    """All along the way for the family whose sequence is tested, and of the others where it will likely end."""
    family = ground.search.families[place]
    margins, used = (ALONG, USED) if all_along else ((ground.z,), USED_COARSELY)
    levels = levels_along(ground, ground.search, family, constraints, aim, margins, used)
    return [family.policy(each) for each in dict.fromkeys(levels) if each is not None]


def _candidates(ground: Ground, name: str, policies: Sequence[Policy], constraints: Constraints) -> list[Candidate]:
    """As they ended on the items of the search."""
    frame = ground.frame(ground.search, constraints)
    choices = [_limited(choice_of(name, outcome, frame), constraints) for outcome in ground.search.ended(policies)]
    return [Candidate(choice, _slack(choice, constraints, ground)) for choice in choices]


def _checks(ground: Ground, constraints: Constraints) -> tuple[Check, ...]:
    floors = constraints.floors(ground.steps.schema)
    return tuple(Check(task, ground.column(task), floor) for task, floor in floors.items())


def _slack(choice: Choice, constraints: Constraints, ground: Ground) -> float:
    floors = constraints.floors(ground.steps.schema)
    return slack_of({task: accuracy_of(choice, task) for task in floors}, constraints, ground)


def _limited(choice: Choice, constraints: Constraints) -> Choice:
    return replace(choice, breaks=limit_breaks(choice, constraints))


def _worst(checks: Sequence[Check], judged: Sequence[Judged], delta: float) -> list[float]:
    """Of every policy the p-value of "some floor is broken": all floors must speak against it."""
    if not judged or not checks:
        return [0.0] * len(judged)
    return np.max([p_values(check, judged, delta) for check in checks], axis=0).tolist()


def _rank(each: Candidate, ground: Ground, aim: Aim) -> tuple[float, ...]:
    """Lower is better: first who keeps the limits, then who holds the floors, then the aim."""
    holds = each.slack >= ground.z - SLACK
    far = 0.0 if holds else -each.slack
    return (float(len(each.choice.breaks)), float(not holds), far, *_aim(each.choice, each, aim))


def _aim(cost_by: Choice, searched: Candidate, aim: Aim) -> tuple[float, ...]:
    """Lower is better; quality by the search, so that the pick does not touch that of the other half."""
    quality = -round(quality_of(searched.choice, aim), DIGITS)
    return (quality, round(cost_by.cost, DIGITS), round(cost_by.labels, DIGITS))


# ---- the tests ------------------------------------------------------------------------------------------------------
def _tested(
    ground: Ground, found: list[Candidate], bests: dict[str, Policy], constraints: Constraints, aim: Aim
) -> Attempt:
    once = {each.choice.policy.to_json(): each for each in found}
    sequence = tuple(sorted(once.values(), key=lambda each: (-each.slack, -each.choice.cost)))
    outcomes = ground.proved([each.choice.policy for each in sequence])
    frame = ground.frame(ground.prove, constraints)
    judged = tuple(ground.judged(outcome, ground.proving) for outcome in outcomes)
    choices = tuple(
        _limited(choice_of(each.choice.name, outcome, frame), constraints)
        for each, outcome in zip(sequence, outcomes, strict=True)
    )
    checks = _checks(ground, constraints)
    worst = _worst(checks, judged, ground.delta)
    n_passed = first_failure(worst, ground.delta)
    slacks = [_slack(choice, constraints, ground) for choice in choices]
    holds = [at < n_passed if ground.margin == "proven" else slacks[at] >= -SLACK for at in range(len(sequence))]
    good = [at for at, choice in enumerate(choices) if holds[at] and not choice.breaks]
    picked = min(good, key=lambda at: _aim(choices[at], sequence[at], aim), default=None)
    nearest = min(range(len(sequence)), key=lambda at: (len(choices[at].breaks), -slacks[at]))
    return Attempt(
        sequence,
        checks,
        choices,
        judged,
        tuple(worst),
        n_passed,
        picked,
        nearest if picked is None else picked,
        bests,
    )


def accuracy_at_best(tried: Attempt, task: str) -> float:
    """The best accuracy among the policies tested, on the items to prove on."""
    return max(accuracy_of(choice, task) for choice in tried.choices)
