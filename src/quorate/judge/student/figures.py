"""How well a student agrees with people on items that it was not taught on, beside its teacher and a constant.

All are compared with a random person of the item, as a judge is (`quorate.judge.losses`): agreement, log loss in nats,
and of ordered tasks squared error of grades and quadratic kappa. The constant says what people say most often on these
very items, their mean grade, or their shares. Intervals are bootstrapped over items, or over groups of items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.data.dataset import Dataset
from quorate.errors import SettingError
from quorate.judge.graded import Graded, people_of
from quorate.judge.losses import losses
from quorate.judge.maps import FLOOR
from quorate.judge.student.model import mean_grades
from quorate.judge.student.regression import Taught
from quorate.measure.intervals import bootstrap
from quorate.schema import Task

Array = np.ndarray
Totals = Float64[Array, "draws sums"]
FigureName = Literal["agreement", "kappa", "mse", "log_loss"]
Party = Literal["student", "teacher", "constant", "student - teacher"]
PARTIES: tuple[Party, ...] = ("student", "teacher", "constant", "student - teacher")


class Figure(NamedTuple):
    """One figure of one party; without estimate and interval where the items cannot give it."""

    task: str
    figure: FigureName
    party: Party
    n_items: int
    estimate: float | None
    low: float | None
    high: float | None
    se: float | None


def compared(
    people: Dataset,
    ids: Sequence[str],
    student: Mapping[str, Float64[Array, "items _classes"]],
    teacher: Mapping[str, Taught],
    *,
    groups: Sequence[str] | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Figure, ...]:
    """Figures of held-out items, task by task; the teacher's where it spoke of them, and then all on those items only.

    Tasks that nobody answered are left out. Raises SettingError for an item that `people` does not hold.
    """
    found = list[Figure]()
    for name, probs in student.items():
        if name not in people.schema.code_of:
            continue
        of = people_of(people, name, ids)
        spoke = teacher[name].weight > 0 if name in teacher else np.zeros(len(ids), bool)
        graded = of.people.sum(axis=1) > 0
        beside = bool((spoke & graded).any())
        kept = np.flatnonzero(graded & spoke if beside else graded)
        if not len(kept):
            continue
        sides = [_said(of, probs).select(kept)]
        if beside:
            sides.append(_said(of, teacher[name].probs).select(kept))
        cluster = _clusters(sides[0], None if groups is None else [groups[at] for at in kept.tolist()])
        found += _of_task(sides, cluster, level, seed)
    return tuple(found)


def _said(of: Graded, probs: Float64[Array, "items classes"]) -> Graded:
    """The same items and people beside another who grades."""
    return Graded(of.task, of.items, of.people, probs.argmax(axis=1).astype(np.int64), probs)


def _clusters(of: Graded, groups: Sequence[str] | None) -> Int64[Array, "items"]:
    """A code per item, in the order of their names, in which losses come."""
    order = sorted(range(len(of.items)), key=of.items.__getitem__)
    names = np.array(of.items if groups is None else groups, str)[order]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _of_task(sides: Sequence[Graded], cluster: Int64[Array, "items"], level: float, seed: int) -> list[Figure]:
    task: Task = sides[0].task
    names: tuple[FigureName, ...] = (
        ("agreement", "kappa", "mse", "log_loss") if task.ordered else ("agreement", "log_loss")
    )
    found = list[Figure]()
    for name in names:
        parts = [_sums(name, side) for side in sides]
        width = parts[0].shape[1]
        sums = np.zeros((int(cluster.max()) + 1, width * len(parts)))
        np.add.at(sums, cluster, np.concatenate(parts, axis=1))
        values = _values(name, sides[0], width, len(sides))
        rng = np.random.default_rng(seed)
        rows = bootstrap(sums, values, rng=rng, level=level) if len(sums) > 1 else [None] * 4
        alone = values(sums.sum(axis=0)[None])[0]
        for party, row, estimate in zip(PARTIES, rows, alone.tolist(), strict=True):
            if len(sides) == 1 and party.endswith("teacher"):
                continue
            known = estimate if np.isfinite(estimate) else None
            found.append(Figure(task.name, name, party, len(cluster), *(row or (known, None, None, None))))
    return found


def _sums(name: FigureName, of: Graded) -> Float64[Array, "items sums"]:
    """What each item adds: its loss, 1, what every class would cost it, and the shares of people's classes."""
    grades = mean_grades(of.task, of.probs)
    if name == "log_loss":
        each = losses(of, "differs", None)
        order = sorted(range(len(of.items)), key=of.items.__getitem__)
        own = -(each.shares * np.log(np.maximum(of.probs[order], FLOOR))).sum(axis=1)
    else:
        each = losses(
            of, "squared" if name == "mse" else "kappa" if name == "kappa" else "differs", _read(name, grades)
        )
        own = each.own
    return np.column_stack([own, np.ones(len(own)), each.cost, each.shares])


def _read(name: FigureName, grades: Float64[Array, "items"] | None) -> Float64[Array, "items"] | None:
    """Kappa and squared error read the mean grade; agreement the likeliest class."""
    return None if name == "agreement" else grades


def _values(
    name: FigureName, of: Graded, width: int, n_sides: int
) -> Callable[[Totals], Float64[Array, "draws parties"]]:
    """The figures of student, teacher, constant, and student less teacher, from totals."""
    n_classes = len(of.task.classes)
    values = of.values

    def one(total: Totals) -> Float64[Array, "draws"]:
        mean = total[:, 0] / total[:, 1]
        if name == "kappa":
            chance = (total[:, 2 : 2 + n_classes] * total[:, 2 + n_classes :]).sum(axis=1) / total[:, 1] ** 2
            return 1 - mean / np.where(chance > 0, chance, np.nan)
        return 1 - mean if name == "agreement" else mean

    def constant(total: Totals) -> Float64[Array, "draws"]:
        share = total[:, 2 + n_classes :] / total[:, 1:2]
        if name == "agreement":
            return share.max(axis=1)
        if name == "kappa":
            return np.zeros(len(total))
        if name == "mse":
            return share @ values**2 - (share @ values) ** 2
        return -(share * np.log(np.maximum(share, FLOOR))).sum(axis=1)

    def both(total: Totals) -> Float64[Array, "draws parties"]:
        first = total[:, :width]
        student, still = one(first), constant(first)
        teacher = one(total[:, width:]) if n_sides > 1 else np.full(len(total), np.nan)
        return np.column_stack([student, teacher, still, student - teacher])

    return both


def held_out(
    graded: Sequence[bool], share: float, *, groups: Sequence[str] | None = None, seed: int = 0
) -> Int64[Array, "held"]:
    """Items to measure on: so large a share of all, of those that people graded, whole groups where there are groups.

    Where people graded fewer, all of them are held out. Raises SettingError for a share outside [0, 1).
    """
    if not 0 <= share < 1:
        raise SettingError(f"the share of items held out lies in [0, 1), not at {share}")
    known = np.array(graded, bool)
    wanted = min(round(share * len(known)), int(known.sum()))
    if not wanted:
        return np.zeros(0, np.int64)
    names = np.arange(len(known)) if groups is None else np.unique(np.array(groups, str), return_inverse=True)[1]
    order = np.random.default_rng(seed).permutation(int(names.max()) + 1)
    n_graded = np.bincount(names, known)[order]
    before = np.concatenate([[0.0], np.cumsum(n_graded)[:-1]])
    chosen = order[(n_graded > 0) & (before < wanted)]
    return np.flatnonzero(np.isin(names, chosen)).astype(np.int64)
