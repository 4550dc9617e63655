"""Who teaches a student, and what is taught: probabilities of classes, from a model, from people, or from a consensus.

A model's scores are taught as they are, an answer without scores as sure; people's labels as the shares of the classes,
and gold where nobody labeled. Several models teach together only where no item has two of them, as the versions of one
judge do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int64

from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.data.files import ENDINGS, read_file
from quorate.errors import DataError, SettingError
from quorate.judge.student.contents import Contents
from quorate.judge.student.regression import Taught
from quorate.schema import Schema

Array = np.ndarray
PEOPLE = "people"


class Lesson(NamedTuple):
    """What is taught, task by task, of items in the order of their contents."""

    teacher: str
    schema: Schema
    of: tuple[Taught, ...]

    def select(self, index: Int64[Array, "kept"]) -> Lesson:
        """These items only."""
        return self._replace(of=tuple(each.select(index) for each in self.of))

    def without(self, left_out: Bool[Array, "items"]) -> Lesson:
        """The same items, of which those left out teach nothing."""
        return self._replace(of=tuple(each._replace(weight=each.weight * ~left_out) for each in self.of))

    def over(self, people: Lesson) -> Lesson:
        """What people say of an item in place of what the teacher says, where people said anything."""
        theirs = {task.name: (task.classes, of) for task, of in zip(people.schema.tasks, people.of, strict=True)}
        both = [
            own if task.name not in theirs else _replaced(own, *theirs[task.name], task.classes)
            for task, own in zip(self.schema.tasks, self.of, strict=True)
        ]
        return self._replace(teacher=f"{self.teacher} and {PEOPLE}", of=tuple(both))

    def heard(self) -> Bool[Array, "items"]:
        """Items of which anything is taught."""
        return np.logical_or.reduce([each.weight > 0 for each in self.of])


def lesson(
    data: Dataset,
    ids: Sequence[str],
    teacher: str | None = None,
    weights: Float64[Array, "items"] | None = None,
) -> Lesson:
    """What a model of that name, or `people`, says of these items; without a name the only model that speaks.

    Raises SettingError where the teacher is not clear or not there, DataError where it says nothing of these items.
    """
    coded = data.encode()
    name = teacher or _only_teacher(coded)
    place = {item: at for at, item in enumerate(coded.items)}
    at = np.array([place.get(item, -1) for item in ids], np.int64)
    probs = _people(coded) if name == PEOPLE else _said(coded, None if teacher is None else name)
    weight = np.ones(len(ids)) if weights is None else weights
    of = tuple(_aligned(each, at, weight) for each in probs)
    if not any(each.weight.any() for each in of):
        raise DataError(f"{name} says nothing of these items", mend="give the items that were labeled, by the same ids")
    return Lesson(name, data.schema, of)


def weights_of(contents: Contents, column: str) -> Float64[Array, "items"]:
    """A column of the items as weights. Raises DataError for a value that is no number of at least 0."""
    found = np.zeros(len(contents))
    for row, text in enumerate(contents.column(column)):
        try:
            value = float(text) if text is not None else np.nan
        except ValueError:
            value = np.nan
        if not 0 <= value < np.inf:
            problem = f"{text!r} is no weight" if text is not None else "the weight is missing"
            raise DataError(problem, mend="give every item a number of at least 0", row=row + 1, column=column)
        found[row] = value
    return found


def consensus_as_data(path: Path, schema: Schema) -> Dataset:
    """A consensus that `quorate predict` wrote, as the scores of a model of the file's name.

    Raises DataError where it is none, or where it is not of these tasks and classes.
    """
    if path.suffix.lower() not in ENDINGS or not path.is_file():
        mend = f"name a file that `quorate predict` wrote ({', '.join(ENDINGS)})"
        raise DataError("this is no consensus", mend=mend, source=str(path))
    raw = read_file("model_labels", path)
    missing = next((name for name in ("item", "task", "probs") if name not in raw.columns), None)
    if missing is not None:
        mend = "name a file that `quorate predict` wrote"
        raise DataError("the column is missing", mend=mend, source=str(path), column=missing)
    numbers = [int(row) for row in raw.row]
    return _from_rows([raw.record(row) for row in numbers], numbers, schema, path)


def _from_rows(rows: Sequence[dict[str, object]], numbers: Sequence[int], schema: Schema, path: Path) -> Dataset:
    columns: dict[str, list[object]] = {name: [] for name in ("item", "task", "model", "label", "score")}
    for row, number in zip(rows, numbers, strict=True):
        task = schema.task(str(row["task"]))
        probs = _vector(row["probs"])
        if len(probs) != len(task.classes):
            problem = f"{len(probs)} probabilities for the {len(task.classes)} classes of task {task.name!r}"
            mend = "give the consensus of this folder"
            raise DataError(problem, mend=mend, source=str(path), row=number, column="probs")
        n = len(probs)
        for name, values in zip(
            columns, ([row["item"]] * n, [task.name] * n, [path.name] * n, task.classes, probs), strict=True
        ):
            columns[name] += values
    return Dataset(scores=pa.table(columns), schema=schema)


def _vector(value: object) -> list[float]:
    """A list of numbers, also one that is spelled as JSON; empty for anything else."""
    import json

    try:
        spelled = json.loads(value) if isinstance(value, str | bytes) else value
        return [float(each) for each in spelled]  # type: ignore[union-attr]
    except (ValueError, TypeError):
        return []


# ---- who says what --------------------------------------------------------------------------------------------------
def _only_teacher(coded: Coded) -> str:
    """The name of the only model, of several that share the items between them all names, or people."""
    if not coded.models:
        return PEOPLE
    if len(coded.models) == 1:
        return coded.models[0]
    for task, output in zip(coded.schema.tasks, coded.outputs, strict=True):
        if ((output.kind > 0).sum(axis=1) > 1).any():
            names = ", ".join(repr(name) for name in coded.models[:6]) + (", ..." if len(coded.models) > 6 else "")
            raise SettingError(f"several models speak of the same items of task {task.name!r}: name one of {names}")
    return " and ".join(coded.models)


def _said(coded: Coded, name: str | None) -> list[Float64[Array, "items classes"]]:
    """Probabilities per task, zeros where nothing was said; without a name of whichever model speaks."""
    if name is None:
        return [output.scores.astype(np.float64).sum(axis=1) for output in coded.outputs]
    if name not in coded.models:
        known = ", ".join(repr(each) for each in coded.models[:12]) or "none"
        raise SettingError(f"there is no model {name!r} in these tables, but {known}; or name `{PEOPLE}`")
    number = coded.models.index(name)
    return [output.scores[:, number].astype(np.float64) for output in coded.outputs]


def _people(coded: Coded) -> list[Float64[Array, "items classes"]]:
    return [people_counts(coded, task).astype(np.float64) for task in range(coded.n_tasks)]


def people_counts(coded: Coded, task: int) -> Int64[Array, "items classes"]:
    """How many people gave each class; gold is one person where nobody else is."""
    counts = coded.counts(task).astype(np.int64)
    gold = coded.gold[:, task]
    alone = np.flatnonzero((counts.sum(axis=1) == 0) & (gold >= 0))
    counts[alone, gold[alone]] = 1
    return counts


def _replaced(own: Taught, theirs: Sequence[str], of: Taught, classes: Sequence[str]) -> Taught:
    """Rows of people over one's own; people may have their classes in another order, or not all of them."""
    columns = [theirs.index(label) if label in theirs else -1 for label in classes]
    probs = np.where(np.array(columns) >= 0, of.probs[:, columns], 0.0)
    total = probs.sum(axis=1)
    heard = (of.weight > 0) & (total > 0)
    told = probs / np.where(total > 0, total, 1.0)[:, None]
    return Taught(np.where(heard[:, None], told, own.probs), np.where(heard, of.weight, own.weight))


def _aligned(
    probs: Float64[Array, "there classes"], at: Int64[Array, "items"], weight: Float64[Array, "items"]
) -> Taught:
    found = np.where(at[:, None] >= 0, probs[np.maximum(at, 0)], 0.0) if len(probs) else np.zeros((len(at), 0))
    total = found.sum(axis=1)
    return Taught(found / np.where(total > 0, total, 1.0)[:, None], np.where(total > 0, weight, 0.0))
