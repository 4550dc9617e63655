"""Which labels people review, what they said of them, and the labels that come out.

Labels that people know already, and those about restricted items, are not for the queue: the first are certain, the
second keep the machine's label. A new budget draws anew among what is not answered yet: what was answered is known by
then, so that the loss over known labels and the new draw is unbiased whatever was drawn before (`inclusion` is the
chance of a label in the last draw, 1 for what was known before it).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int64

from quorate.act.answers import Key
from quorate.act.budget import BETA, Rule, reviews, sample
from quorate.act.labels import MachineLabel
from quorate.errors import SettingError

Array = np.ndarray
Unit = Literal["reviews", "share", "dollars"]


class Budget(NamedTuple):
    """What may be spent on people."""

    amount: float
    unit: Unit

    def reviews(self, n_labels: int, answer_usd: float | None = None, people: int = 1) -> int:
        """How many labels may be reviewed, never more than it pays for. Raises SettingError for an unknown price.

        >>> Budget(0.1, "share").reviews(57), Budget(10.0, "dollars").reviews(1000, answer_usd=0.08)
        (5, 125)
        """
        if self.unit == "share":
            return reviews(float(self.amount), n_labels)
        if self.unit == "reviews":
            return min(int(self.amount), n_labels)
        if not answer_usd:
            raise SettingError("a budget in dollars needs the price of an answer: --price 0.08")
        return min(int(self.amount / (answer_usd * people) + 1e-9), n_labels)


def parse_budget(text: str) -> Budget:
    """A budget as people write it: 250, 10%, $40.

    Raises SettingError for anything else.

    >>> parse_budget("10%"), parse_budget("$40")
    (Budget(amount=0.1, unit='share'), Budget(amount=40.0, unit='dollars'))
    """
    said = text.strip().replace(",", "")
    unit: Unit = "share" if said.endswith("%") else "dollars" if said.startswith("$") else "reviews"
    try:
        amount = float(said.strip("$%"))
    except ValueError:
        amount = -1.0
    if unit == "share":
        amount /= 100
    possible = 0 <= amount < float("inf") and (unit != "share" or amount <= 1)
    if not possible or (unit == "reviews" and not amount.is_integer()):
        raise SettingError(f"budget {text!r}: write a number of labels as 250, a share as 10%, or dollars as '$40'")
    return Budget(amount, unit)


@dataclass(frozen=True)
class Plan:
    """Every label of the annotator: how doubtful it is, its chance to be reviewed, and whether it was drawn."""

    labels: tuple[MachineLabel, ...]
    errors: Float64[Array, "labels"]
    inclusion: Float64[Array, "labels"]
    drawn: Bool[Array, "labels"]
    known: Bool[Array, "labels"]  # by people, before anything was drawn
    before: Bool[Array, "labels"]  # answered in an earlier draw
    hidden: Bool[Array, "labels"]  # about restricted items: for nobody
    place: Int64[Array, "labels"]  # in the queue, from 0; -1: not in it
    chance: Float64[
        Array, "labels"
    ]  # to have been drawn, in any draw so far: what a reviewed label stands for is 1 / it

    @property
    def keys(self) -> tuple[Key, ...]:
        """Item and task of every label."""
        return tuple((each.item, each.task) for each in self.labels)

    @property
    def open(self) -> Bool[Array, "labels"]:
        """Labels that are, or were, for people to review."""
        return ~self.known & ~self.hidden

    @property
    def certain(self) -> Bool[Array, "labels"]:
        """Labels whose truth was known when the queue was drawn."""
        return self.known | self.before

    def queue(self) -> list[Key]:
        """What people are asked, in order."""
        rows = np.flatnonzero(self.place >= 0)
        return [self.keys[row] for row in rows[np.argsort(self.place[rows])].tolist()]

    def table(self) -> pa.Table:
        """One row per label, in the labels' order."""
        names = {name: [getattr(each, name) for each in self.labels] for name in ("item", "task", "model", "label")}
        return pa.table(
            {
                **{name: pa.array(column, pa.string()) for name, column in names.items()},
                "confidence": pa.array([each.confidence for each in self.labels], pa.float64()),
                "error": self.errors,
                "inclusion": self.inclusion,
                "drawn": self.drawn,
                "known": self.known,
                "before": self.before,
                "hidden": self.hidden,
                "place": self.place,
                "chance": self.chance,
            }
        )

    @classmethod
    def read(cls, table: pa.Table) -> Plan:
        """The plan of a table that `table` made."""
        names = ("item", "task", "model", "label", "confidence")
        rows = zip(*(table[name].to_pylist() for name in names), strict=True)
        arrays = {name: np.array(table[name].to_pylist()) for name in ("drawn", "known", "before", "hidden")}
        return cls(
            tuple(MachineLabel(*row) for row in rows),
            np.array(table["error"].to_pylist(), np.float64),
            np.array(table["inclusion"].to_pylist(), np.float64),
            place=np.array(table["place"].to_pylist(), np.int64),
            chance=np.array(table["chance"].to_pylist(), np.float64),
            **arrays,
        )


def planned(
    labels: Sequence[MachineLabel],
    errors: Float64[Array, "labels"],
    n_reviews: int,
    rule: Rule = "thresholding",
    *,
    rng: np.random.Generator,
    known: Collection[Key] = (),
    before: Collection[Key] = (),
    hidden: frozenset[str] = frozenset(),
    beta: float = BETA,
    even: float = 0.0,
    earlier: Mapping[Key, float] | None = None,
) -> Plan:
    """Draw what people review; `earlier` are the chances of draws before.

    By thresholds the most doubtful comes first, else the queue is in random order: whoever stops early has reviewed as
    a smaller budget would have.
    """
    is_known = _marked(labels, known)
    is_before = _marked(labels, before) & ~is_known
    is_hidden = np.array([each.item in hidden for each in labels], bool) & ~is_known
    rows = np.flatnonzero(~is_known & ~is_before & ~is_hidden)
    found = sample(errors[rows], min(n_reviews, len(rows)), rule, rng=rng, beta=beta, even=even)
    inclusion = np.where(is_known | is_before, 1.0, 0.0)
    inclusion[rows] = found.inclusion
    drawn = np.zeros(len(labels), bool)
    drawn[rows] = found.reviewed
    chosen = rng.permutation(np.flatnonzero(drawn))
    if rule == "thresholding" and even == 0:
        chosen = chosen[np.argsort(-errors[chosen], kind="stable")]  # equals in random order
    place = np.full(len(labels), -1, np.int64)
    place[chosen] = np.arange(len(chosen))
    had = np.array([(earlier or {}).get((each.item, each.task), 0.0) for each in labels])
    chance = np.where(is_before, had, had + (1.0 - had) * inclusion)
    return Plan(tuple(labels), errors, inclusion, drawn, is_known, is_before, is_hidden, place, chance)


def _marked(labels: Sequence[MachineLabel], keys: Collection[Key]) -> Bool[Array, "labels"]:
    return np.array([(each.item, each.task) in keys for each in labels], bool)


class Corrected(NamedTuple):
    """The labels after review, in the order of the plan."""

    labels: tuple[str, ...]
    reviewed: Bool[Array, "labels"]  # by people, before the draw or in it
    inclusion: Float64[Array, "labels"]  # the chance to have been reviewed
    wrong: Bool[Array, "labels"]  # of those reviewed, whose machine label was not right


def corrected(plan: Plan, truth: Mapping[Key, str]) -> Corrected:
    """People's labels where there are some, the machine's elsewhere.

    Where a part of the queue is still open, the chance of the drawn is that of the draw times the share answered: the
    queue is worked off in its order, which is random but for thresholds.
    """
    labels = tuple(truth.get(key, each.label) for key, each in zip(plan.keys, plan.labels, strict=True))
    reviewed = np.array([key in truth for key in plan.keys], bool) & (plan.certain | plan.drawn)
    labels = tuple(
        label if seen else each.label for label, seen, each in zip(labels, reviewed, plan.labels, strict=True)
    )
    n_drawn = int(plan.drawn.sum())
    share = float((reviewed & plan.drawn).sum()) / n_drawn if n_drawn else 1.0
    chance = np.where(plan.certain, 1.0, plan.inclusion * share)
    wrong = np.array([label != each.label for label, each in zip(labels, plan.labels, strict=True)], bool)
    return Corrected(labels, reviewed, chance, wrong & reviewed)


def corrected_table(plan: Plan, found: Corrected) -> pa.Table:
    """item, task, label, machine_label, model, reviewed, error, inclusion: what a student learns from."""
    machine = [each.label for each in plan.labels]
    return pa.table(
        {
            "item": pa.array([each.item for each in plan.labels], pa.string()),
            "task": pa.array([each.task for each in plan.labels], pa.string()),
            "label": pa.array(found.labels, pa.string()),
            "machine_label": pa.array(machine, pa.string()),
            "model": pa.array([each.model for each in plan.labels], pa.string()),
            "reviewed": found.reviewed,
            "error": plan.errors,
            "inclusion": found.inclusion,
        }
    )
