"""What the rows of a table must be to each other and to the schema."""

from __future__ import annotations

import difflib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int16, Int32, Int64, UInt64

from quorate.data.faults import Fault
from quorate.data.kernels import cell_order, first_seen, look_up, repeated
from quorate.data.names import shown
from quorate.data.tables import Clean
from quorate.errors import DataError, SchemaError
from quorate.schema import Schema, Task

Array = np.ndarray
SUM_TOLERANCE = 1e-3
MAX_SCORES = 2**32  # of four bytes each
MAX_CELLS = 2**28  # item-task pairs; beyond it the arrays of a data set would need more than some gigabytes


class Answers(NamedTuple):
    """What the names of a table's tasks and labels are in the schema; -1 where it does not know them."""

    task_of: Int32[Array, "task_values"]
    column_of: Int32[Array, "label_values"]  # in `class_of`; the last column is for labels of no task
    class_of: Int16[Array, "tasks_plus_1 columns"]  # the last row is for unknown tasks

    def tasks(self, table: Clean) -> Int32[Array, "rows"]:
        """The task of every row."""
        return self.task_of[table.names["task"].codes]

    def classes(self, table: Clean) -> Int16[Array, "rows"]:
        """The class of every row."""
        return look_up(table.names["task"].codes, table.names["label"].codes, *self)


def answers(schema: Schema, table: Clean) -> Answers:
    """How to read a table by the schema."""
    labels = {name: column for column, name in enumerate(dict.fromkeys(k for t in schema.tasks for k in t.classes))}
    class_of = np.full((len(schema) + 1, len(labels) + 1), -1, np.int16)
    for code, task in enumerate(schema.tasks):
        class_of[code, [labels[name] for name in task.classes]] = np.arange(len(task.classes))
    task_texts, label_texts = (table.names[column].values.to_pylist() for column in ("task", "label"))
    return Answers(
        np.array([schema.code_of.get(name, -1) for name in task_texts], np.int32),
        np.array([labels.get(name, len(labels)) for name in label_texts], np.int32),
        class_of,
    )


def schema_faults(table: Clean, schema: Schema) -> list[Fault]:
    """Tasks and classes that the schema does not have."""
    if table.name == "items":
        return []
    answer, task, label = answers(schema, table), table.names["task"], table.names["label"]
    classes = answer.classes(table)
    bad = np.flatnonzero(classes < 0)
    tasks = answer.task_of[task.codes[bad]]
    known = ", ".join(shown(task.name) for task in schema.tasks[:12]) + (", ..." if len(schema) > 12 else "")
    faults = [
        Fault(
            bad[tasks < 0],
            "task",
            lambda place: f"{shown(task.at(place))} is no task of the schema, which has {known}",
            "correct the name, or add the task to the schema",
            SchemaError,
        ),
        Fault(
            bad[tasks >= 0],
            "label",
            lambda place: _unknown_class(label.at(place), schema.task(task.at(place))),
            "correct the label, or add the class to the schema",
            SchemaError,
        ),
    ]
    return [fault for fault in faults if len(fault.places)]


def _unknown_class(label: str, task: Task) -> str:
    near = difflib.get_close_matches(label.strip().casefold(), {name.casefold(): name for name in task.classes}, n=1)
    meant = [name for name in task.classes if near and name.casefold() == near[0]]
    guess = f" (is {shown(meant[0])} meant?)" if meant else ""
    classes = ", ".join(shown(name) for name in task.classes[:12]) + (", ..." if len(task.classes) > 12 else "")
    return f"{shown(label)} is no class of task {shown(task.name)}, which has {classes}{guess}"


class Cells(NamedTuple):
    """Rows sorted by what they speak of, in row order where that is the same."""

    start: Int64[Array, "cells_plus_1"]
    row: Int64[Array, "rows"]
    speaker: Int32[Array, "rows"]  # who speaks, as a code of the table's own names


SPEAKER = {"labels": "annotator", "scores": "label", "model_labels": "model"}  # who may speak once in a cell
KEYS = {
    "labels": "item, task and annotator",
    "scores": "item, task, model and label",
    "model_labels": "item, task and model",
    "gold": "item and task",
    "items": "item",
}


def cells_of(table: Clean, schema: Schema) -> Cells:
    """Rows by item and task (items: by item; scores: by item, task and model). Raises DataError for too many cells."""
    item, none = table.names["item"], np.zeros(len(table), np.int32)
    outer, inner, inner_of = item.codes, none, np.zeros(1, np.int32)
    n_outer, n_inner = len(item.values), 1
    if table.name == "scores":
        outer = groups(item.codes, table.names["task"].codes, table.names["model"].codes).astype(np.int32)
        n_outer = int(outer.max(initial=-1)) + 1
    elif table.name != "items":
        inner, inner_of, n_inner = table.names["task"].codes, answers(schema, table).task_of, len(schema)
    check_size(n_outer, n_inner, table.source)
    speaker = table.names[SPEAKER[table.name]].codes if table.name in SPEAKER else none
    return Cells(*cell_order(outer, inner, inner_of, speaker, n_outer, n_inner))


def repeat_faults(table: Clean, cells: Cells) -> list[Fault]:
    """Rows that speak of what an earlier row has spoken of; the first one stays."""
    column = SPEAKER.get(table.name, "task" if table.name == "gold" else "item")
    row, first = repeated(*cells, len(table.names[column].values))
    if not len(row):
        return []
    earlier = dict(zip(row.tolist(), first.tolist(), strict=True))
    mend = f"keep one row per {KEYS[table.name]}"
    return [Fault(np.sort(row), column, lambda place: _repeat(table, place, earlier[place]), mend)]


def _repeat(table: Clean, place: int, earlier: int) -> str:
    name = {column: shown(names.at(place)) for column, names in table.names.items()}
    row = int(table.row[earlier])
    if table.name == "items":
        return f"item {name['item']} is listed already in row {row}"
    about = f"task {name['task']} of item {name['item']}"
    match table.name:
        case "labels":
            return f"annotator {name['annotator']} has answered {about} already in row {row}"
        case "model_labels":
            return f"model {name['model']} has answered {about} already in row {row}"
        case "scores":
            return f"model {name['model']} has scored class {name['label']} for {about} already in row {row}"
        case _:
            return f"{about} has a gold label already in row {row}"


def check_size(n_items: int, n_tasks: int, source: str) -> None:
    """Raises DataError for more item-task pairs than a data set can hold in memory."""
    if n_items * n_tasks > MAX_CELLS:
        raise DataError(
            f"{n_items:,} items times {n_tasks:,} tasks are more than {MAX_CELLS:,} pairs",
            mend="split the data by items, or check that the item and task columns hold what their names say",
            source=source,
        )


def check_outputs(n_items: int, n_models: int, schema: Schema) -> None:
    """Raises DataError where the scores of all models would need more than 16 GiB."""
    n_classes = sum(len(task.classes) for task in schema.tasks)
    if n_items * n_models * n_classes > MAX_SCORES:
        raise DataError(
            f"{n_items:,} items times {n_models:,} models times {n_classes:,} classes: over {MAX_SCORES:,} scores",
            mend="split the data by items, or check that the model column holds models",
            column="model",
        )


# ---- score vectors --------------------------------------------------------------------------------------------------


def groups(*codes: Array) -> Int64[Array, "rows"]:
    """One number per distinct combination of codes, by first appearance, from 0 without gaps."""
    group, size, room = np.zeros(len(codes[0]), np.int64), 1, 4 * len(codes[0]) + 2**20
    for column in codes:
        size *= int(column.max(initial=0)) + 1
        group = group * (int(column.max(initial=0)) + 1) + column
        if size > room:  # too many combinations for a table of them all
            group = np.unique(group, return_inverse=True)[1]
            size = int(group.max(initial=0)) + 1
    return first_seen(group.astype(np.int32), size)[0][group].astype(np.int64)


def whole_vectors(table: Clean, places: Int64[Array, "bad"]) -> dict[int, int]:
    """These places and all that stand in one score vector with them, each with a bad place of its vector."""
    keys = [table.names[column].codes for column in ("item", "task", "model")]
    known = np.logical_and.reduce([codes >= 0 for codes in keys])
    group = np.where(known, groups(*(codes + 1 for codes in keys)), -1)
    cause = np.full(int(group.max(initial=-1)) + 2, -1, np.int64)  # the last entry is for rows without a vector
    cause[group[places]] = places
    cause[-1] = -1
    cause_of_row = cause[group]
    cause_of_row[places] = places
    return {int(place): int(cause_of_row[place]) for place in np.flatnonzero(cause_of_row >= 0)}


class _Vectors(NamedTuple):
    """Score rows gathered into vectors, one per item, task and model."""

    of_row: Int64[Array, "rows"]
    first: Int64[Array, "vectors"]  # their first rows
    total: Float64[Array, "vectors"]  # of their scores
    classes: UInt64[Array, "vectors"]  # a fingerprint of which classes they score
    source: Int64[Array, "vectors"]  # model and task, as one number


def _vectors(table: Clean, schema: Schema) -> _Vectors:
    answer, model = answers(schema, table), table.names["model"].codes
    tasks, classes = answer.tasks(table), answer.classes(table)
    of_row = groups(table.names["item"].codes, tasks, model)
    first = np.empty(int(of_row.max()) + 1, np.int64)
    first[of_row[::-1]] = np.arange(len(of_row))[::-1]  # the last one written stays: the first row
    # a random number per class: sums of them tell sets of classes apart
    mark = np.random.default_rng(0).integers(0, 2**63, int(classes.max()) + 1, np.uint64)
    fingerprint = np.zeros(len(first), np.uint64)
    np.add.at(fingerprint, of_row, mark[classes])
    total = np.bincount(of_row, table.rest["score"].to_numpy())
    return _Vectors(of_row, first, total, fingerprint, groups(tasks, model)[first])


def vector_faults(table: Clean, schema: Schema) -> list[Fault]:
    """Score vectors that do not sum to 1, or that leave out a class which their model scores elsewhere.

    A class that a model never scores for a task is not part of its vocabulary: its score is 0 everywhere.
    """
    if table.name != "scores" or not len(table):
        return []
    vectors = _vectors(table, schema)
    usual = _usual(vectors)
    ragged = vectors.classes != vectors.classes[usual]
    wrong = ~ragged & ~(np.abs(vectors.total - 1) <= SUM_TOLERANCE + 1e-9)
    faults = [
        Fault(
            vectors.first[ragged],
            "label",
            lambda r: _ragged(table, vectors, int(vectors.of_row[r]), int(usual[vectors.of_row[r]])),
            "give one row per class, with score 0 where the model gives it nothing",
        ),
        Fault(
            vectors.first[wrong],
            "score",
            lambda r: f"the scores of {_whose(table, r)} sum to {vectors.total[vectors.of_row[r]]:.6g}, not to 1",
            "divide the scores of each item, task and model by their sum, and check that no class is left out",
        ),
    ]
    return [fault for fault in faults if len(fault.places)]


def _usual(vectors: _Vectors) -> Int64[Array, "vectors"]:
    """For every vector a vector of the same model and task that scores the classes most of them score."""
    _, example, count = np.unique(
        np.stack([vectors.source.astype(np.uint64), vectors.classes], axis=1),
        axis=0,
        return_index=True,
        return_counts=True,
    )
    best = np.lexsort((-example, count))  # by count; of equals the one seen first
    usual = np.empty(int(vectors.source.max()) + 1, np.int64)
    usual[vectors.source[example[best]]] = example[best]
    return usual[vectors.source]


def _whose(table: Clean, place: int) -> str:
    name = {column: shown(names.at(place)) for column, names in table.names.items()}
    return f"model {name['model']} for task {name['task']} of item {name['item']}"


def _ragged(table: Clean, vectors: _Vectors, vector: int, usual: int) -> str:
    here, there = (
        {table.names["label"].at(int(r)) for r in np.flatnonzero(vectors.of_row == v)} for v in (vector, usual)
    )
    missing, extra = sorted(there - here), sorted(here - there)
    row = int(table.row[vectors.first[usual]])
    whose = _whose(table, int(vectors.first[vector]))
    if missing:
        return (
            f"the scores of {whose} leave out class {shown(missing[0])}, which most of its vectors have (see row {row})"
        )
    return f"the scores of {whose} have class {shown(extra[0])}, which most of its vectors leave out (see row {row})"
