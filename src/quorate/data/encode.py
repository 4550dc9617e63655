"""A data set as arrays of codes, sorted for one pass over items: what every estimator reads.

A *cell* is one item and task, numbered `item * tasks + task`. People's labels lie cell after cell, in order of
arrival inside a cell, so that `labels.start[cell]:labels.start[cell + 1]` are the labels of a cell.
Code -1 means unknown (no answer, no gold, an annotator whom a fitted model never saw); no NaN is ever stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int8, Int16, Int32, Int64

from quorate.errors import SchemaError
from quorate.schema import Schema, Task

Array = np.ndarray


class Labels(NamedTuple):
    """People's labels, sorted by cell, then by arrival."""

    start: Int64[Array, "cells_plus_1"]
    annotator: Int32[Array, "labels"]  # place in Coded.annotators
    code: Int16[Array, "labels"]  # place in the task's classes
    row: Int64[Array, "labels"]  # row of the labels table it came from


class ModelOutput(NamedTuple):
    """What the models said on one task. A model with neither scores nor answer on an item has kind 0 there."""

    kind: Int8[Array, "items models"]  # 0 nothing, 1 scores, 2 a hard answer only
    scores: Float32[Array, "items models classes"]  # sums to 1 where kind is 1, one-hot where 2, 0 where 0
    answer: Int16[Array, "items models"]  # the hard answer, else the largest score (first of ties), else -1

    def select(self, index: Int64[Array, "kept"]) -> ModelOutput:
        """These items only."""
        return ModelOutput(self.kind[index], self.scores[index], self.answer[index])


@dataclass(frozen=True)
class Coded:
    """A data set in codes; axes: items, tasks, agents, classes."""

    schema: Schema
    items: tuple[str, ...]
    annotators: tuple[str, ...]
    models: tuple[str, ...]
    labels: Labels
    outputs: tuple[ModelOutput, ...]  # one per task; the models axis is that of `models`
    gold: Int16[Array, "items tasks"]
    features: Float32[Array, "items features"]  # x_* columns and embedding side by side; width 0 if none
    features_known: Bool[Array, "items"]
    feature_names: tuple[str, ...] = ()

    @property
    def n_items(self) -> int:
        """Items, counting those without any label."""
        return len(self.items)

    @property
    def n_tasks(self) -> int:
        """Tasks of the schema."""
        return len(self.schema)

    def cell_of_label(self) -> Int64[Array, "labels"]:
        """The cell (item * tasks + task) of every label."""
        return np.repeat(np.arange(len(self.labels.start) - 1), np.diff(self.labels.start))

    def counts(self, task_code: int) -> Int32[Array, "items classes"]:
        """How many people gave each class of this task to each item."""
        from quorate.data.kernels import count_classes

        n_classes = len(self.schema.tasks[task_code].classes)
        return count_classes(self.labels.start, self.labels.code, task_code, self.n_tasks, n_classes)

    def keep_labels(self, mask: Bool[Array, "labels"]) -> Coded:
        """The same items with only the chosen labels of people (mask over `labels`, in its order)."""
        kept_before = np.concatenate([[0], np.cumsum(mask)])
        labels = self.labels
        kept = Labels(kept_before[labels.start], labels.annotator[mask], labels.code[mask], labels.row[mask])
        return replace(self, labels=kept)

    def first_labels(self, n: int) -> Coded:
        """The same items with at most the first n labels of every item and task."""
        rank = np.arange(len(self.labels.code)) - self.labels.start[self.cell_of_label()]
        return self.keep_labels(rank < n)

    def without_labels(self) -> Coded:
        """The same items before any person answered."""
        return self.keep_labels(np.zeros(len(self.labels.code), bool))

    def select(self, index: Int64[Array, "kept"]) -> Coded:
        """These items, by position, in this order."""
        index = np.asarray(index, np.int64)
        return replace(
            self,
            items=tuple(map(self.items.__getitem__, index.tolist())),
            labels=_labels_of(self.labels, index, self.n_tasks),
            outputs=tuple(output.select(index) for output in self.outputs),
            gold=self.gold[index],
            features=self.features[index],
            features_known=self.features_known[index],
        )

    def with_features(self, names: Sequence[str], width: int) -> Coded:
        """The same items with the features that a fitted model reads, in its order; all unknown where there are none.

        Raises SchemaError where some of them are missing, or where their number differs and they have no names.
        """
        if self.features.shape[1] == 0:
            nothing = np.zeros((self.n_items, width), np.float32)
            known = np.zeros(self.n_items, bool)
            return replace(self, features=nothing, features_known=known, feature_names=tuple(names))
        if not (names and self.feature_names):
            if self.features.shape[1] != width:
                raise _strange_features(f"{self.features.shape[1]} features per item", f"{width}")
            return self
        missing = [name for name in names if name not in self.feature_names]
        if missing:
            raise _strange_features(f"no feature {missing[0]!r}", ", ".join(names[:8]) + (", ..." if width > 8 else ""))
        if tuple(names) == self.feature_names:
            return self
        columns = [self.feature_names.index(name) for name in names]
        return replace(self, features=self.features[:, columns], feature_names=tuple(names))

    def aligned(self, schema: Schema, annotators: Sequence[str], models: Sequence[str]) -> Coded:
        """The same data in the vocabulary of a fitted model.

        Annotators it never saw get code -1; models it never saw are dropped, models that are absent here have kind 0;
        tasks that are absent here are empty. Raises SchemaError for a task or class that it does not know.
        """
        if (schema, tuple(annotators), tuple(models)) == (self.schema, self.annotators, self.models):
            return self
        _check_known(self.schema, schema)
        place = {task.name: code for code, task in enumerate(self.schema.tasks)}
        recode = [_recode(self.schema, task, place) for task in schema.tasks]
        source = np.array([place.get(task.name, -1) for task in schema.tasks], np.int64)
        return replace(
            self,
            schema=schema,
            annotators=tuple(annotators),
            models=tuple(models),
            labels=_align_labels(self, source, recode, annotators),
            outputs=tuple(
                _align_output(self, int(s), codes, models, len(task.classes))
                for s, codes, task in zip(source, recode, schema.tasks, strict=True)
            ),
            gold=_align_gold(self, source, recode),
        )


def _strange_features(found: str, known: str) -> SchemaError:
    return SchemaError(
        f"the items have {found}, the fitted model reads {known}",
        mend="give the items the same x_* and embedding columns as when the model was fitted, or none of them",
        column="x_*",
    )


def _labels_of(labels: Labels, index: Int64[Array, "kept"], n_tasks: int) -> Labels:
    """The labels of these items, cell after cell."""
    cells = (index[:, None] * n_tasks + np.arange(n_tasks)).ravel()
    length = labels.start[cells + 1] - labels.start[cells]
    start = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    place = np.arange(start[-1]) + np.repeat(labels.start[cells] - start[:-1], length)
    return Labels(start, labels.annotator[place], labels.code[place], labels.row[place])


def _check_known(found: Schema, known: Schema) -> None:
    """Raises SchemaError where the data asks or answers what the fitted model never met."""
    for task in found.tasks:
        if task.name not in known.code_of:
            names = ", ".join(repr(other.name) for other in known.tasks)
            raise SchemaError(
                f"task {task.name!r} is unknown to the fitted model, which knows {names}",
                mend="fit on data that has this task, or leave its rows out",
                column="task",
            )
        strange = [label for label in task.classes if label not in known.task(task.name).code_of]
        if strange:
            classes = ", ".join(repr(label) for label in known.task(task.name).classes)
            raise SchemaError(
                f"class {strange[0]!r} of task {task.name!r} is unknown to the fitted model, which knows {classes}",
                mend="fit on data that has this class, or leave its rows out",
                column="label",
            )


def _recode(found: Schema, task: Task, place: Mapping[str, int]) -> Int16[Array, "classes_plus_1"]:
    """Class code here to class code there; the last entry is for -1."""
    classes = found.tasks[place[task.name]].classes if task.name in place else ()
    return np.array([*(task.code_of[label] for label in classes), -1], np.int16)


def _align_labels(
    coded: Coded, source: Int64[Array, "tasks"], recode: Sequence[Array], annotators: Sequence[str]
) -> Labels:
    cells = np.where(source >= 0, np.arange(coded.n_items)[:, None] * coded.n_tasks + source, -1).ravel()
    padded = np.append(coded.labels.start, coded.labels.start[-1])  # cell -1 is empty
    length = np.where(cells >= 0, padded[cells + 1] - padded[cells], 0)
    start = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    place = np.arange(start[-1]) + np.repeat(padded[cells] - start[:-1], length)
    known = {name: code for code, name in enumerate(annotators)}
    annotator_code = np.array([known.get(name, -1) for name in coded.annotators], np.int32)
    task = np.repeat(np.tile(np.arange(len(source)), coded.n_items), length)
    width = max((len(codes) for codes in recode), default=1)
    table = np.array([np.pad(codes, (0, width - len(codes)), constant_values=-1) for codes in recode], np.int16)
    return Labels(
        start,
        annotator_code[coded.labels.annotator[place]],
        table.reshape(len(recode), width)[task, coded.labels.code[place]],
        coded.labels.row[place],
    )


def _align_output(
    coded: Coded, source: int, codes: Int16[Array, "classes_plus_1"], models: Sequence[str], n_classes: int
) -> ModelOutput:
    empty = no_output(coded.n_items, len(models), n_classes)
    if source < 0:
        return empty
    output = coded.outputs[source]
    here = {name: code for code, name in enumerate(coded.models)}
    pairs = [(there, here[name]) for there, name in enumerate(models) if name in here]
    for there, model in pairs:
        empty.kind[:, there] = output.kind[:, model]
        empty.scores[:, there, codes[:-1]] = output.scores[:, model]
        empty.answer[:, there] = codes[output.answer[:, model]]
    return empty


def no_output(n_items: int, n_models: int, n_classes: int) -> ModelOutput:
    """Models that say nothing."""
    return ModelOutput(
        np.zeros((n_items, n_models), np.int8),
        np.zeros((n_items, n_models, n_classes), np.float32),
        np.full((n_items, n_models), -1, np.int16),
    )


def _align_gold(coded: Coded, source: Int64[Array, "tasks"], recode: Sequence[Array]) -> Int16[Array, "items tasks"]:
    gold = np.full((coded.n_items, len(source)), -1, np.int16)
    for task, (place, codes) in enumerate(zip(source, recode, strict=True)):
        if place >= 0:
            gold[:, task] = codes[coded.gold[:, place]]
    return gold
