"""What a judge's grade costs beside people's: losses of items, of pairs of people, and of grades of unlike items.

A loss d(x, y) compares a grade with the grade of a random person of the item: squared or absolute difference of grades,
or 1 where classes differ. Two people of an item are compared in the same way, so that a judge's loss stands beside
theirs; unlike items give what chance alone would cost [cohen1968, fleiss1971].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from quorate.errors import SettingError
from quorate.judge.graded import Graded

Array = np.ndarray
SAME = 1e-9  # relative: chances that differ by less are equal
Loss = Literal["squared", "absolute", "differs", "kappa"]  # of kappa: squared of nearest classes, or differs


@dataclass(frozen=True)
class Losses:
    """Losses of the items that the judge and people graded."""

    cost: Float64[Array, "items classes"]  # d(the judge's grade, a class)
    between: Float64[Array, "classes classes"]  # d(a class, another)
    shares: Float64[Array, "items classes"]  # of people's grades
    people: Int64[Array, "items classes"]
    weights: Float64[Array, "items"]  # as 1 / P(the item was drawn)

    def mean(self, values: Float64[Array, "items *sums"]) -> Float64[Array, "*sums"] | np.float64:
        """The weighted mean over items: of the items that these were drawn from [hajek1971]."""
        return np.average(values, axis=0, weights=self.weights)

    @property
    def equal(self) -> bool:
        """Whether all items were drawn with equal chances."""
        return bool(np.ptp(self.weights) <= SAME * self.weights.max())

    @property
    def own(self) -> Float64[Array, "items"]:
        """The judge against a random person of the item."""
        return (self.cost * self.shares).sum(axis=1)

    @property
    def paired(self) -> Float64[Array, "items"]:
        """A person against another of the item; 0 where there is one only (see `pairable`)."""
        n = self.people.sum(axis=1)
        pairs = np.einsum("ic,ck,ik->i", self.people, self.between, self.people)
        return pairs / np.maximum(n * (n - 1), 1)

    @property
    def pairable(self) -> Int64[Array, "kept"]:
        """Items that two people graded."""
        return np.flatnonzero(self.people.sum(axis=1) > 1)

    @property
    def most(self) -> float:
        """The largest loss there can be."""
        return float(max(self.between.max(), 1e-12))

    def select(self, index: Int64[Array, "kept"]) -> Losses:
        """These items only."""
        return Losses(self.cost[index], self.between, self.shares[index], self.people[index], self.weights[index])


def grades_of(of: Graded, grades: Float64[Array, "items"] | None) -> Float64[Array, "items"]:
    """The judge's grades, kept within the scale; those of the classes it said where there are none.

    Raises SettingError where they are not one finite number per item.
    """
    if grades is None:
        return of.values[np.maximum(of.said, 0)]
    if grades.shape != of.said.shape or not np.isfinite(grades[of.known]).all():
        raise SettingError(f"grades of task {of.task.name!r} must be one finite number for each of its items")
    return np.clip(grades, of.values[0], of.values[-1])


def classes_of(of: Graded, grades: Float64[Array, "items"] | None) -> Int64[Array, "items"]:
    """The judge's classes: those nearest to its grades, or those it said."""
    if grades is None or not of.task.ordered:
        return of.said
    return np.abs(grades_of(of, grades)[:, None] - of.values).argmin(axis=1)


def losses(of: Graded, loss: Loss, grades: Float64[Array, "items"] | None = None) -> Losses:
    """The losses of the known items, in the order of their names.

    Raises SettingError where a loss of grades is asked of classes without an order, or nothing is known.
    """
    if loss in ("squared", "absolute") and not of.task.ordered:
        raise SettingError(f"task {of.task.name!r} has no order: ask for agreement or kappa")
    known = np.flatnonzero(of.known)
    known = known[np.argsort([of.items[at] for at in known.tolist()], kind="stable")]
    if not len(known):
        raise SettingError(f"no item of task {of.task.name!r} was graded by both people and the judge")
    grade, code = grades_of(of, grades)[known], classes_of(of, grades)[known]
    if loss in ("squared", "absolute"):
        power = 2 if loss == "squared" else 1
        cost = np.abs(grade[:, None] - of.values) ** power
        between = np.abs(of.values[:, None] - of.values) ** power
    else:
        graded_kappa = loss == "kappa" and of.task.ordered
        between = (of.values[:, None] - of.values) ** 2 if graded_kappa else 1.0 - np.eye(len(of.values))
        cost = between[code]
    people = of.people[known]
    weights = np.ones(len(known)) if of.weights is None else of.weights[known] / of.weights[known].max()
    return Losses(cost, between, people / people.sum(axis=1, keepdims=True), people, weights)
