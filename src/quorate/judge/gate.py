"""The gate: whether a judge may label without people, shown on held-out items at a stated level.

It opens only if all of this is shown: the figure reaches its threshold, or people's own less a margin; the judge beats
the best constant; people agree enough for the figure to mean anything. A judge of whom any of it is false is let
through with at most the level, since it must pass that test too [berger1982]. How it is shown is told in `bounds`; the
items must be a random sample of those to be labeled. Where they were drawn with unequal chances, by stratum or by
doubt, each counts by 1 / its chance (see `claims`): a sample with more of what is hard would else decide about items
that it does not look like.
Every further try on the same items has a smaller level, so that all tries together keep the stated one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.errors import FormatError, SettingError
from quorate.judge.bets import share_bound
from quorate.judge.bounds import lower_bound
from quorate.judge.enough import POWER, enough_items
from quorate.judge.figures import Measured, Slices, measured
from quorate.judge.graded import Graded
from quorate.judge.losses import Losses, losses
from quorate.judge.questions import Question, questions
from quorate.judge.rule import LOSS, Rule, spent

Array = np.ndarray

ORDER_SEED = 7  # of the orders in which the money is staked: fixed, or asking again would be another try
FEWEST = 8  # items; with fewer nothing can be shown at any usual level


class Shown(NamedTuple):
    """One claim about the judge or the people: what was found, the bound that is shown, and what was needed."""

    name: str  # figure, figure beside people, constant, people
    words: str
    estimate: float | None
    bound: float  # the number is worse than this with at most the level of the try
    need: float
    passed: bool
    enough: int | None = None  # of a claim not shown: gate items that would show it, if the estimate holds; None: none


@dataclass(frozen=True)
class Decision:
    """What a gate decided about one judge on one task, and why."""

    task: str
    classes: tuple[str, ...]
    ordered: bool
    open: bool
    rule: Rule
    tries: int
    level: float  # of this try
    n_items: int
    n_pairable: int  # items that two people graded
    shown: tuple[Shown, ...]
    reasons: tuple[str, ...]  # why it stays closed
    figures: tuple[Measured, ...]
    n_effective: float | None = (
        None  # of items drawn with unequal chances: as many of equal ones say as much [kish1965]
    )

    @property
    def id(self) -> str:
        """A name that changes with anything in it: 16 hexadecimal digits of SHA-256."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()[:16]

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON holds it."""
        plain = asdict(self)
        return {**plain, "shown": [x._asdict() for x in self.shown], "figures": [x._asdict() for x in self.figures]}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Decision:
        """The decision that was written. Raises FormatError where something else was."""
        try:
            parts: dict[str, Any] = {
                **plain,
                "classes": tuple(plain["classes"]),
                "reasons": tuple(plain["reasons"]),
                "rule": Rule(**plain["rule"]),
                "shown": tuple(Shown(**each) for each in plain["shown"]),
                "figures": tuple(Measured(**each) for each in plain["figures"]),
            }
            return cls(**parts)
        except (KeyError, TypeError) as error:
            mend = "decide again; a gate's file is not for editing"
            raise FormatError(f"no decision of a gate ({error})", mend=mend) from error


def gate(
    of: Graded,
    rule: Rule | None = None,
    *,
    grades: Float64[Array, "items"] | None = None,
    tries: int = 1,
    slices: Slices | None = None,
) -> Decision:
    """Decide about a judge from its answers on gate items; `grades` are the ones after its score map.

    Raises SettingError where the rule cannot be asked of these items.
    """
    rule = rule or Rule()
    level = spent(rule.level, tries)
    each = losses(of, LOSS[rule.figure], grades)
    if rule.proof == "exact" and not each.equal:
        raise SettingError("an exact proof asks for gate items drawn with equal chances: seed by random")
    asked = questions(each, rule, kappa_of_people=losses(of, "kappa", grades))
    found = tuple(map(_with_enough, _answers(asked, rule, level), asked, repeat(rule)))
    reasons = tuple(_reason(one) for one in found if not one.passed)
    if len(each.cost) < FEWEST:
        reasons = (f"only {len(each.cost)} items: nothing can be shown from fewer than {FEWEST}", *reasons)
    silent = int((of.people.sum(axis=1) > 0).sum()) - len(each.cost)
    if silent:
        reasons = (f"the judge said nothing of {silent} items that people graded", *reasons)
    return Decision(
        task=of.task.name,
        classes=of.task.classes,
        ordered=of.task.ordered,
        open=not reasons,
        rule=rule,
        tries=tries,
        level=level,
        n_items=len(each.cost),
        n_pairable=len(each.pairable),
        shown=found,
        reasons=reasons,
        figures=measured(of, grades, slices=slices),
        n_effective=None if each.equal else float(each.weights.sum() ** 2 / (each.weights**2).sum()),
    )


def shown(of: Losses, rule: Rule, level: float, *, kappa_of_people: Losses) -> tuple[Shown, ...]:
    """Every claim that the rule asks for. Raises SettingError where people's own figure is asked and no two graded."""
    return _answers(questions(of, rule, kappa_of_people=kappa_of_people), rule, level)


def _answers(asked: Sequence[Question], rule: Rule, level: float) -> tuple[Shown, ...]:
    rng = np.random.default_rng(ORDER_SEED)
    return tuple(_answered(one, rule, level, rng) for one in asked)


def _answered(one: Question, rule: Rule, level: float, rng: np.random.Generator) -> Shown:
    of, right_or_wrong = one.of, rule.figure == "agreement" and (one.of.people.sum(axis=1) == 1).all()
    right_or_wrong = right_or_wrong and of.equal
    if one.name == "figure" and right_or_wrong:  # exact, and costs nothing
        bound = share_bound(float((1 - of.own).sum()), len(of.own), level)
        return Shown(one.name, one.words, one.estimate, bound, one.need, bound >= one.need)
    found = [lower_bound(claim, level, one.span, one.above, rule.proof) for claim in one.claims(of, rng)]
    bound, passed = min(found)
    return Shown(one.name, one.words, one.estimate, one.figure(bound), one.need, passed)


def _with_enough(found: Shown, one: Question, rule: Rule) -> Shown:
    """With the number of items that would show it, at the level of a first try: new gate items are tried anew."""
    return found if found.passed else found._replace(enough=enough_items(one, spent(rule.level, 1), rule.proof))


def _reason(of: Shown) -> str:
    if of.name == "people":
        found = "unknown" if of.estimate is None else f"{of.estimate:.2f}"
        return (
            f"people do not agree enough (kappa {found}, shown to be above {of.bound:.2f}, needed {of.need:.2f}): "
            f"mend the rubric or ask more people before any judge; {_would(of)}"
        )
    found = "unknown" if of.estimate is None else f"{of.estimate:.3f}"
    return f"{of.words}: {found}, shown no better than {of.bound:.3f}, needed {of.need:.3f}; {_would(of)}"


def _would(of: Shown) -> str:
    """How many gate items would show it."""
    if of.enough is None:
        return "no number of gate items would show it, if the estimate holds"
    return f"about {of.enough:,} gate items would show it with {POWER:.0%}, if the estimate holds"
