"""People's labels and gold as places in one flat table of log rows, so that a pass over them is two array reads.

The table of a task has, per annotator seen on it, then for the population, then for gold: (classes, latent) log rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int8, Int32, Int64

from quorate.consensus.hybrid.evidence import Evidence
from quorate.consensus.hybrid.parameters import Shape
from quorate.data.encode import Coded

Array = np.ndarray


class RowPlaces(NamedTuple):
    """Where the rows of a task begin, and an annotator's place among those seen on it (the last: population)."""

    start: Int64[Array, "tasks_plus_1"]
    local: tuple[Int32[Array, "_annotators_plus_1"], ...]  # entry -1 is for annotators unknown to the fit


class Votes(NamedTuple):
    """Labels and gold of a batch of items, in order of items."""

    item: Int64[Array, "votes"]
    column: Int64[Array, "votes"]  # first latent column of the task
    width: Int64[Array, "votes"]  # latent classes of the task
    place: Int64[Array, "votes"]  # first entry of the log row in the flat table


def seen_annotators(coded: Coded) -> tuple[Int64[Array, "_seen"], ...]:
    """The annotators who labeled each task."""
    task = coded.cell_of_label() % coded.n_tasks
    return tuple(
        np.unique(coded.labels.annotator[(task == t) & (coded.labels.annotator >= 0)]).astype(np.int64)
        for t in range(coded.n_tasks)
    )


def row_places(seen: tuple[Int64[Array, "_seen"], ...], shapes: tuple[Shape, ...], n_annotators: int) -> RowPlaces:
    """The table's layout."""
    sizes = [(shape.annotators + 2) * shape.classes * shape.latent for shape in shapes]
    local = []
    for annotators in seen:
        place = np.full(n_annotators + 1, len(annotators), np.int32)
        place[annotators] = np.arange(len(annotators))
        local.append(place)
    return RowPlaces(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), tuple(local))


def columns_of(shapes: tuple[Shape, ...]) -> Int64[Array, "tasks_plus_1"]:
    """Where the latent classes of every task begin, side by side."""
    return np.concatenate([[0], np.cumsum([shape.latent for shape in shapes])]).astype(np.int64)


def votes_of(coded: Coded, shapes: tuple[Shape, ...], places: RowPlaces, *, with_gold: bool) -> Votes:
    """Labels, and gold where asked, as places in the table."""
    item, task = np.divmod(coded.cell_of_label(), coded.n_tasks)
    sizes = np.array([(shape.classes, shape.latent, shape.annotators) for shape in shapes], np.int64).reshape(-1, 3)
    local = np.empty(len(task), np.int64)
    for t, place in enumerate(places.local):
        chosen = task == t
        local[chosen] = place[coded.labels.annotator[chosen]]
    label = coded.labels.code.astype(np.int64)
    if with_gold:
        gold_item, gold_task = np.nonzero(coded.gold >= 0)
        item, task = np.append(item, gold_item), np.append(task, gold_task)
        local = np.append(local, sizes[gold_task, 2] + 1)
        label = np.append(label, coded.gold[gold_item, gold_task])
        order = np.argsort(item, kind="stable")
        item, task, local, label = item[order], task[order], local[order], label[order]
    n_classes, n_latent = sizes[task, 0], sizes[task, 1]
    place = places.start[task] + (local * n_classes + label) * n_latent
    return Votes(item, columns_of(shapes)[task], n_latent, place)


def active_cells(coded: Coded, evidence: tuple[Evidence, ...], *, with_gold: bool) -> Int8[Array, "items tasks"]:
    """1 where a model, a feature or a person (or gold, where asked) says anything."""
    spoken: Bool[Array, "items tasks"] = np.column_stack([part.spoken for part in evidence])
    labeled = np.diff(coded.labels.start).reshape(coded.n_items, coded.n_tasks) > 0
    return (spoken | labeled | (with_gold & (coded.gold >= 0))).astype(np.int8)
