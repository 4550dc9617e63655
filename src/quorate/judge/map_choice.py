"""Which map a judge is read through: the one with the least cross-validated loss, and its answers as held out.

The loss of an ordered task is the squared error of the mapped grade against a random person of the item (grades
squared), of unordered classes the log loss (nats). Where a judge said nothing, it counts as the constant judge would:
silence is no way to a better figure. The cut points of an ordered task are those of greatest quadratic kappa where
they hold out better than rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.errors import DataError
from quorate.judge.graded import Graded
from quorate.judge.map_classes import KINDS, class_map
from quorate.judge.map_grades import CURVES, grade_map, marginal, shares, with_cuts
from quorate.judge.maps import FLOOR, Curve, Mapped, ScoreMap

Array = np.ndarray
FOLDS = 5
SOFT = 1e-6  # how far from 0 and 1 a probability lies that tells more than an answer


class Chosen(NamedTuple):
    """A map, what it cost on items that it was not fitted on, and the judge's mapped answers on them."""

    score_map: ScoreMap  # fitted on all items
    held_out: Mapped  # of every item, by maps fitted on the others; silence as the constant judge; grades: no probs
    losses: dict[str, float]  # by kind, on held-out items


def chosen_map(graded: Graded, *, folds: int = FOLDS, seed: int = 0) -> Chosen:
    """The best map of a judge. Raises DataError where fewer items than folds were graded by people."""
    persons = graded.people.sum(axis=1) > 0
    if persons.sum() < folds:
        raise DataError(
            f"people graded only {int(persons.sum())} items of task {graded.task.name!r}",
            mend=f"have at least {folds} of them graded (50 teach little, 200 a fair map)",
        )
    fold = np.random.default_rng(seed).permutation(len(graded.items)) % folds
    held = {kind: _held_out(kind, graded, fold) for kind in kinds_of(graded)}
    losses = {kind: float(loss_of(graded, mapped)[persons].mean()) for kind, mapped in held.items()}
    kind = min(losses, key=losses.__getitem__)
    score_map = fitted(kind, graded)
    if not graded.task.ordered:
        return Chosen(score_map, held[kind], losses)
    cut = _held_out(kind, graded, fold, cuts=True)
    if kappa_of(graded, cut) > kappa_of(graded, held[kind]):
        return Chosen(with_cuts(score_map, graded), cut, losses)
    return Chosen(score_map, held[kind], losses)


def kinds_of(graded: Graded) -> tuple[str, ...]:
    """The maps that may be fitted: those that read probabilities only where the judge gave any."""
    soft = bool(((graded.probs > SOFT) & (graded.probs < 1 - SOFT)).any())
    if graded.task.ordered:
        return tuple(kind for kind in CURVES if soft or not kind.startswith("expected"))
    return tuple(kind for kind in KINDS if soft or kind in {"identity", "rows"})


def fitted(kind: str, graded: Graded) -> ScoreMap:
    """A map of that kind, fitted on these items."""
    return grade_map(kind, graded) if graded.task.ordered else class_map(kind, graded)


def loss_of(graded: Graded, mapped: Mapped) -> Float64[Array, "items"]:
    """Squared error against a random person (grades squared) or log loss (nats), item by item; 0 where nobody is."""
    people, values = shares(graded), graded.values
    if graded.task.ordered:
        persons = people.sum(axis=1)
        return persons * mapped.grades**2 - 2 * mapped.grades * (people @ values) + people @ values**2
    return -(people * np.log(np.maximum(mapped.probs, FLOOR))).sum(axis=1)


def kappa_of(graded: Graded, mapped: Mapped) -> float:
    """Quadratic kappa of the classes said with those of a random person of the item [cohen1968]."""
    apart, chance, _ = kappa_parts(graded, mapped.said)
    return 1 - float(apart.mean() / chance.mean()) if chance.mean() > 0 else 0.0


def kappa_parts(
    graded: Graded, said: Int64[Array, "items"]
) -> tuple[Float64[Array, "persons"], Float64[Array, "persons"], Bool[Array, "items"]]:
    """What each item adds to the squares apart and to those expected by chance, and which items people graded."""
    persons = graded.people.sum(axis=1) > 0
    people, values = shares(graded)[persons], graded.values
    mean, square, grade = people @ values, people @ values**2, values[said[persons]]
    apart = grade**2 - 2 * grade * mean + square
    chance = grade**2 - 2 * grade * mean.mean() + square.mean()
    return apart, chance, persons


def constant(graded: Graded) -> Mapped:
    """The judge that says the same of every item: people's mean grade, commonest class, and shares of classes."""
    base, n = marginal(graded), len(graded.items)
    grade, code = float(base @ graded.values), int(np.argmax(base))
    if graded.task.ordered:
        code = int(np.argmin(np.abs(graded.values - grade)))
    grades = np.full(n, grade if graded.task.ordered else 0.0)
    return Mapped(np.full(n, code, np.int64), grades, np.tile(base, (n, 1)))


def raw(graded: Graded) -> Mapped:
    """The judge as it speaks, read through no map; silence as the constant judge."""
    kind = "identity"
    return filled(fitted(kind, graded).apply(graded.said, graded.probs), graded.said, constant(graded))


def filled(mapped: Mapped, said: Int64[Array, "items"], silent: Mapped) -> Mapped:
    """The mapped answers, with another judge's where this one said nothing."""
    quiet = said < 0
    return Mapped(
        np.where(quiet, silent.said, mapped.said),
        np.where(quiet, silent.grades, mapped.grades),
        np.where(quiet[:, None], silent.probs, mapped.probs),
    )


# ---- folds ----------------------------------------------------------------------------------------------------------
def _held_out(kind: str, graded: Graded, fold: Int64[Array, "items"], *, cuts: bool = False) -> Mapped:
    """Every item mapped by a map that was fitted without its fold."""
    found = constant(graded)
    for inside, outside in _splits(fold):
        train, test = graded.select(outside), graded.select(inside)
        score_map = _bare(fitted(kind, train))
        if cuts:
            score_map = with_cuts(score_map, train)
        silent = Mapped(*(part[:1].repeat(len(inside), axis=0) for part in constant(train)))
        part = filled(score_map.apply(test.said, test.probs), test.said, silent)
        for whole, piece in zip(found, part, strict=True):
            whole[inside] = piece
    return found


def _bare(score_map: ScoreMap) -> ScoreMap:
    """The same grades without probabilities over classes, which take most of the time and no figure reads."""
    if isinstance(score_map.shape, Curve):
        return replace(score_map, shape=score_map.shape._replace(base=()))
    return score_map


def _splits(fold: Int64[Array, "items"]) -> Iterator[tuple[Int64[Array, "in"], Int64[Array, "out"]]]:
    for number in range(int(fold.max()) + 1):
        yield np.flatnonzero(fold == number), np.flatnonzero(fold != number)


def without(graded: Graded, items: frozenset[str]) -> Graded:
    """The same answers as if people had said nothing of these items, because the judge was shown what they said."""
    if not items:
        return graded
    hidden = np.array([item in items for item in graded.items])
    return replace(graded, people=np.where(hidden[:, None], 0, graded.people))
