"""What people and one judge said of the same items, of one task: what maps, gates and watches read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped

from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import SettingError
from quorate.schema import Task

Array = np.ndarray


@dataclass(frozen=True)
class Graded:
    """People's grades of items, and a judge's.

    A person's label counts once; of an item without any, its gold counts as the label of one person.
    """

    task: Task
    items: tuple[str, ...]
    people: Int64[Array, "items classes"]  # how many people gave each class
    said: Int64[Array, "items"]  # the judge's class, -1 where it said none
    probs: Float64[Array, "items classes"]  # its probabilities, one-hot where it gave none, 0 where it said nothing
    weights: Float64[Array, "items"] | None = None  # as 1 / P(the item was drawn); None: all equal

    @property
    def known(self) -> Bool[Array, "items"]:
        """Items that the judge and at least one person graded."""
        return (self.said >= 0) & (self.people.sum(axis=1) > 0)

    @cached_property
    def values(self) -> Float64[Array, "classes"]:
        """The classes as numbers, in grades."""
        return grade_values(self.task)

    @property
    def human(self) -> Float64[Array, "items"]:
        """The mean of people's grades; 0 where nobody graded (see `known`)."""
        return self.people @ self.values / np.maximum(self.people.sum(axis=1), 1)

    def select(self, index: Shaped[Array, "kept"]) -> Graded:
        """These items only, by place or by mask."""
        index = np.flatnonzero(index) if index.dtype == bool else np.asarray(index, np.int64)
        items = tuple(map(self.items.__getitem__, index.tolist()))
        weights = None if self.weights is None else self.weights[index]
        parts = {"people": self.people[index], "said": self.said[index], "probs": self.probs[index], "weights": weights}
        return replace(self, items=items, **parts)


def grade_values(task: Task) -> Float64[Array, "classes"]:
    """The classes as numbers: those that they spell, where they rise; else 1, 2, 3, ...

    >>> grade_values(Task("truth", ("-2", "0", "2"), ordered=True)).tolist()
    [-2.0, 0.0, 2.0]
    >>> grade_values(Task("care", ("bad", "fair", "good"), ordered=True)).tolist()
    [1.0, 2.0, 3.0]
    """
    try:
        spelled = np.array([float(name) for name in task.classes])
    except ValueError:
        spelled = np.zeros(0)
    if spelled.size and np.isfinite(spelled).all() and (np.diff(spelled) > 0).all():
        return spelled
    return np.arange(1.0, len(task.classes) + 1)


def graded(data: Dataset | Coded, model: str, task: str, items: Sequence[str] | None = None) -> Graded:
    """What people and `model` said of a task: of all items, or of those named, in their order.

    Raises SettingError where the data holds no such model or no such item, SchemaError where it holds no such task.
    """
    coded = data.encode() if isinstance(data, Dataset) else data
    of = coded.schema.task(task)
    place = coded.schema.code_of[task]
    if model not in coded.models:
        known = ", ".join(coded.models) or "there are none"
        raise SettingError(f"there is no model {model!r} in these tables: {known}")
    if items is not None:
        coded = coded.select(_places(coded, items))
    output, number = coded.outputs[place], coded.models.index(model)
    return Graded(
        of,
        coded.items,
        _people(coded, place),
        output.answer[:, number].astype(np.int64),
        output.scores[:, number].astype(np.float64),
    )


def people_of(data: Dataset | Coded, task: str, items: Sequence[str]) -> Graded:
    """What people said of these items, in their order, beside a judge that has said nothing yet.

    Raises SettingError where the data holds no such item, SchemaError where it holds no such task.
    """
    coded = data.encode() if isinstance(data, Dataset) else data
    of = coded.schema.task(task)
    coded = coded.select(_places(coded, items))
    silent = np.full(len(coded.items), -1, np.int64)
    counts = _people(coded, coded.schema.code_of[task])
    return Graded(of, coded.items, counts, silent, np.zeros((len(silent), len(of.classes))))


def _people(coded: Coded, place: int) -> Int64[Array, "items classes"]:
    counts = coded.counts(place).astype(np.int64)
    gold = coded.gold[:, place]
    alone = np.flatnonzero((counts.sum(axis=1) == 0) & (gold >= 0))
    counts[alone, gold[alone]] = 1
    return counts


def _places(coded: Coded, items: Sequence[str]) -> Int64[Array, "kept"]:
    place = {name: at for at, name in enumerate(coded.items)}
    missing = next((name for name in items if name not in place), None)
    if missing is not None:
        raise SettingError(f"there is no item {missing!r} in these tables")
    return np.array([place[name] for name in items], np.int64)
