"""What a gate's rule asks of a judge, question by question: each a claim that a number is above what is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from quorate.errors import SettingError
from quorate.judge import claims, claims_exact
from quorate.judge.bets import Claim
from quorate.judge.bounds import Linear
from quorate.judge.figures import estimate
from quorate.judge.losses import Losses
from quorate.judge.rule import Rule

Claims = Callable[[Losses, np.random.Generator], list[Claim | Linear]]


class Question(NamedTuple):
    """One claim about the judge or the people, of the losses of items; of several claims all must be shown."""

    name: str  # figure, figure beside people, constant, people
    words: str
    estimate: float | None  # in the figure's unit, as `need`
    need: float
    claims: Claims
    of: Losses
    above: float  # what the claims are about: the number that is asked for, up is better
    span: tuple[float, float]  # where it lies
    unit: tuple[float, float] = (0.0, 1.0)  # a number x of the claims is a + b x in the figure's unit

    def figure(self, value: float) -> float:
        """A number of the claims in the figure's unit."""
        return self.unit[0] + self.unit[1] * value


def questions(of: Losses, rule: Rule, *, kappa_of_people: Losses) -> tuple[Question, ...]:
    """Every one of a rule. Raises SettingError where people's own figure is asked and no two graded an item."""
    first = _beside_people(of, rule) if rule.threshold is None else _threshold(of, rule, rule.threshold)
    found = [first, _constant(of, rule)]
    if rule.people is not None and len(of.pairable):
        value = estimate(kappa_of_people, "kappa", "people")
        words, exact = "people's kappa among themselves", rule.proof == "exact"

        def people(of: Losses, rng: np.random.Generator) -> list[Claim | Linear]:
            return [claims_exact.people_kappa(of, rng) if exact else claims.people_kappa(of)]

        span = (-1.0, 1.0)
        found.append(Question("people", words, value, rule.people, people, kappa_of_people, rule.people, span))
    return tuple(found)


def _threshold(of: Losses, rule: Rule, threshold: float) -> Question:
    value, words = estimate(of, rule.figure, "judge"), f"the judge's {rule.figure} with people"
    if rule.figure == "kappa":
        return Question("figure", words, value, threshold, _kappa(rule), of, threshold, (-1.0, 1.0))
    unit = (1.0, 1.0) if rule.figure == "agreement" else (0.0, -1.0)  # agreement is 1 - loss; of mse less is better
    above = (threshold - unit[0]) / unit[1]

    def small_loss(of: Losses, rng: np.random.Generator) -> list[Claim | Linear]:
        return [claims_exact.small_loss(of, rng) if rule.proof == "exact" else claims.small_loss(of)]

    return Question("figure", words, value, threshold, small_loss, of, above, (-of.most, 0.0), unit)


def _beside_people(of: Losses, rule: Rule) -> Question:
    if not len(of.pairable):
        raise SettingError("no gate item has grades of two people: name a threshold, or let people grade items twice")
    kept, exact = of.select(of.pairable), rule.proof == "exact"
    value = _better(rule, estimate(kept, rule.figure, "judge"), estimate(kept, rule.figure, "people"))
    words = f"by how much the judge's {rule.figure} is better than people's own"

    def kappas(of: Losses, rng: np.random.Generator) -> list[Claim | Linear]:
        return [claims_exact.kappa_beside_people(of, rng) if exact else claims.kappa_beside_people(of)]

    def means(of: Losses, rng: np.random.Generator) -> list[Claim | Linear]:
        return [claims_exact.beside_people(of, rng) if exact else claims.beside_people(of)]

    asked, span = (kappas, (-2.0, 1.0)) if rule.figure == "kappa" else (means, (-of.most, of.most))
    return Question("figure beside people", words, value, -rule.margin, asked, of, -rule.margin, span)


def _constant(of: Losses, rule: Rule) -> Question:
    """A judge that beats the best class beats every class: no level is split between them [berger1982]."""
    value = _better(rule, estimate(of, rule.figure, "judge"), estimate(of, rule.figure, "constant"))
    words = f"by how much the judge's {rule.figure} is better than the best constant's"
    span = (-1.0, 1.0) if rule.figure == "kappa" else (-of.most, of.most)
    return Question("constant", words, value, 0.0, _constants(rule), of, 0.0, span)


def _constants(rule: Rule) -> Claims:
    exact = rule.proof == "exact"

    def mean(of: Losses, rng: np.random.Generator) -> list[Claim | Linear]:
        return [claims_exact.beside_mean(of, rng) if exact else claims.beside_mean(of)]

    def each_class(of: Losses, rng: np.random.Generator) -> list[Claim | Linear]:
        codes = range(len(of.between))
        return [claims_exact.beside_class(of, at, rng) if exact else claims.beside_class(of, at) for at in codes]

    return _kappa(rule) if rule.figure == "kappa" else mean if rule.figure == "mse" else each_class


def _kappa(rule: Rule) -> Claims:
    def kappa(of: Losses, rng: np.random.Generator) -> list[Claim | Linear]:
        return [claims_exact.kappa(of, rng) if rule.proof == "exact" else claims.kappa(of)]

    return kappa


def _better(rule: Rule, judge: float | None, other: float | None) -> float | None:
    """By how much the judge's figure is better, in the figure's unit."""
    if judge is None or other is None:
        return None
    return judge - other if rule.figure in ("kappa", "agreement") else other - judge
