"""Small tables for tests of the data layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from quorate.data.dataset import Dataset
from quorate.schema import Schema, Task

SCHEMA = Schema((Task("food", ("bad", "good")), Task("stars", ("1", "2", "3"), ordered=True)))


def labels(*rows: tuple[Any, ...], **more: list[Any]) -> pa.Table:
    """A labels table from rows (item, task, annotator, label)."""
    names = ("item", "task", "annotator", "label")
    columns = zip(*rows, strict=True)
    return pa.table({**{name: list(column) for name, column in zip(names, columns, strict=True)}, **more})


def scores(vectors: Mapping[tuple[str, str, str], Mapping[str, float]]) -> pa.Table:
    """A scores table from (item, task, model) to class to score."""
    rows = [(*key, label, score) for key, vector in vectors.items() for label, score in vector.items()]
    names = ("item", "task", "model", "label", "score")
    return pa.table({name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)})


def world(seed: int = 0, n_items: int = 12) -> dict[str, pa.Table]:
    """All five tables of a random project under SCHEMA, ragged in every way that is allowed."""
    rng = np.random.default_rng(seed)
    cells = [(f"i{i}", task) for i in range(n_items) for task in SCHEMA.tasks]
    people = [
        (item, task.name, f"p{p}", rng.choice(task.classes))
        for item, task in cells
        for p in rng.permutation(5)[: rng.integers(0, 4)]
    ]
    vectors = {
        (item, task.name, model): dict(
            zip(task.classes, rng.dirichlet(np.ones(len(task.classes))).tolist(), strict=True)
        )
        for item, task in cells
        for model in ("m1", "m2")
        if rng.random() < 0.7
    }
    hard = [(item, task.name, "m2", rng.choice(task.classes)) for item, task in cells if rng.random() < 0.5]
    gold = [(item, task.name, rng.choice(task.classes)) for item, task in cells if rng.random() < 0.3]
    return {
        "labels": labels(*people),
        "scores": scores(vectors),
        "model_labels": pa.table(
            dict(zip(("item", "task", "model", "label"), map(list, zip(*hard, strict=True)), strict=True))
        ),
        "gold": pa.table(dict(zip(("item", "task", "label"), map(list, zip(*gold, strict=True)), strict=True))),
        "items": pa.table(
            {
                "item": [f"i{i}" for i in range(n_items + 2)],
                "x_size": [None, *rng.normal(size=n_items + 1).tolist()],
                "embedding": [*rng.normal(size=(n_items + 1, 3)).tolist(), None],
                "text": [f"text {i}" for i in range(n_items + 2)],
            }
        ),
    }


def dataset(seed: int = 0, n_items: int = 12) -> Dataset:
    """The random project as a data set."""
    return Dataset(**world(seed, n_items), schema=SCHEMA)
