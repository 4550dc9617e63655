"""The gate: whether a judge may label without people, shown on held-out items at a stated level.

It opens only if all of this is shown: the figure reaches its threshold, or people's own less a margin; the judge beats
the best constant; people agree enough for the figure to mean anything. A judge of whom any of it is false is let
through with at most the level, since it must pass that test too [berger1982]. How it is shown is told in `bounds`; the
items must be a random sample of those to be labeled.
Every further try on the same items has a smaller level, so that all tries together keep the stated one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.errors import FormatError, SettingError
from quorate.judge import claims, claims_exact
from quorate.judge.bets import Claim, share_bound
from quorate.judge.bounds import Linear, lower_bound
from quorate.judge.figures import Measured, Slices, estimate, measured
from quorate.judge.graded import Graded
from quorate.judge.losses import Losses, losses
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
    found = shown(each, rule, level, kappa_of_people=losses(of, "kappa", grades))
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
    )


def shown(of: Losses, rule: Rule, level: float, *, kappa_of_people: Losses) -> tuple[Shown, ...]:
    """Every claim that the rule asks for. Raises SettingError where people's own figure is asked and no two graded."""
    rng = np.random.default_rng(ORDER_SEED)
    first = _beside_people(of, rule, level, rng) if rule.threshold is None else _threshold(of, rule, level, rng)
    found = [first, _constant(of, rule, level, rng)]
    if rule.people is not None and len(of.pairable):
        value = estimate(kappa_of_people, "kappa", "people")
        claim = (
            claims_exact.people_kappa(kappa_of_people, rng)
            if rule.proof == "exact"
            else claims.people_kappa(kappa_of_people)
        )
        bound, passed = lower_bound(claim, level, (-1.0, 1.0), rule.people, rule.proof)
        found.append(Shown("people", "people's kappa among themselves", value, bound, rule.people, passed))
    return tuple(found)


# ---- the claims -----------------------------------------------------------------------------------------------------
def _threshold(of: Losses, rule: Rule, level: float, rng: np.random.Generator) -> Shown:
    assert rule.threshold is not None
    value, words = estimate(of, rule.figure, "judge"), f"the judge's {rule.figure} with people"
    if rule.figure == "kappa":
        bound, passed = lower_bound(_kappa(of, rule, rng), level, (-1.0, 1.0), rule.threshold, rule.proof)
        return Shown("figure", words, value, bound, rule.threshold, passed)
    if rule.figure == "agreement" and (of.people.sum(axis=1) == 1).all():  # right or wrong: exact, and costs nothing
        bound = share_bound(float((1 - of.own).sum()), len(of.own), level)
        return Shown("figure", words, value, bound, rule.threshold, bound >= rule.threshold)
    shift = 1.0 if rule.figure == "agreement" else 0.0  # agreement = 1 - loss; of mse and mae, less is better
    need = rule.threshold - 1 if shift else -rule.threshold
    claim = claims_exact.small_loss(of, rng) if rule.proof == "exact" else claims.small_loss(of)
    bound, passed = lower_bound(claim, level, (-of.most, 0.0), need, rule.proof)
    return Shown("figure", words, value, bound + 1 if shift else -bound, rule.threshold, passed)


def _beside_people(of: Losses, rule: Rule, level: float, rng: np.random.Generator) -> Shown:
    if not len(of.pairable):
        raise SettingError("no gate item has grades of two people: name a threshold, or let people grade items twice")
    kept, exact = of.select(of.pairable), rule.proof == "exact"
    value = _better(rule, estimate(kept, rule.figure, "judge"), estimate(kept, rule.figure, "people"))
    if rule.figure == "kappa":
        claim = claims_exact.kappa_beside_people(of, rng) if exact else claims.kappa_beside_people(of)
        span = (-2.0, 1.0)
    else:
        claim, span = claims_exact.beside_people(of, rng) if exact else claims.beside_people(of), (-of.most, of.most)
    bound, passed = lower_bound(claim, level, span, -rule.margin, rule.proof)
    words = f"by how much the judge's {rule.figure} is better than people's own"
    return Shown("figure beside people", words, value, bound, -rule.margin, passed)


def _constant(of: Losses, rule: Rule, level: float, rng: np.random.Generator) -> Shown:
    """A judge that beats the best class beats every class: no level is split between them [berger1982]."""
    value = _better(rule, estimate(of, rule.figure, "judge"), estimate(of, rule.figure, "constant"))
    span = (-1.0, 1.0) if rule.figure == "kappa" else (-of.most, of.most)
    bound, passed = min(lower_bound(claim, level, span, 0.0, rule.proof) for claim in _constants(of, rule, rng))
    words = f"by how much the judge's {rule.figure} is better than the best constant's"
    return Shown("constant", words, value, bound, 0.0, passed)


def _constants(of: Losses, rule: Rule, rng: np.random.Generator) -> list[Claim | Linear]:
    if rule.figure == "kappa":
        return [_kappa(of, rule, rng)]
    exact = rule.proof == "exact"
    if rule.figure == "mse":
        return [claims_exact.beside_mean(of, rng) if exact else claims.beside_mean(of)]
    codes = range(len(of.between))
    return [claims_exact.beside_class(of, at, rng) if exact else claims.beside_class(of, at) for at in codes]


def _kappa(of: Losses, rule: Rule, rng: np.random.Generator) -> Claim | Linear:
    return claims_exact.kappa(of, rng) if rule.proof == "exact" else claims.kappa(of)


def _better(rule: Rule, judge: float | None, other: float | None) -> float | None:
    """By how much the judge's figure is better, in the figure's unit."""
    if judge is None or other is None:
        return None
    return judge - other if rule.figure in ("kappa", "agreement") else other - judge


def _reason(of: Shown) -> str:
    if of.name == "people":
        found = "unknown" if of.estimate is None else f"{of.estimate:.2f}"
        return (
            f"people do not agree enough (kappa {found}, shown to be above {of.bound:.2f}, needed {of.need:.2f}): "
            "mend the rubric or ask more people before any judge"
        )
    found = "unknown" if of.estimate is None else f"{of.estimate:.3f}"
    return f"{of.words}: {found}, shown no better than {of.bound:.3f}, needed {of.need:.3f}"
