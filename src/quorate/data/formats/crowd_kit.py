"""crowd-kit's layout: a long table `task, worker, label` for one question; its task is our item."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from quorate.data.dataset import Dataset
from quorate.data.faults import OnBad
from quorate.data.formats.source import read_source, renamed, the_task
from quorate.data.tables import Raw
from quorate.schema import Schema

TO_OURS = {"task": "item", "worker": "annotator"}
TO_THEIRS = {ours: theirs for theirs, ours in TO_OURS.items()}
_OURS = ("item", "task", "annotator", "label")


class CrowdKit(NamedTuple):
    """Tables as crowd-kit takes them (as pandas: `.to_pandas()`); gold is None where there is none."""

    labels: pa.Table  # task, worker, label
    gold: pa.Table | None  # task, label


def from_crowd_kit(
    labels: Any, *, gold: Any = None, question: str = "label", schema: Schema | None = None, on_bad: OnBad = "raise"
) -> Dataset:
    """A data set of one question from a table `task, worker, label` (and gold `task, label`): dataframes or files.

    Raises DataError that names the row and the column of the source.

    >>> data = from_crowd_kit(pa.table({"task": ["t1", "t1"], "worker": ["w1", "w2"], "label": ["y", "n"]}))
    >>> data.encode().items, data.encode().annotators
    (('t1',), ('w1', 'w2'))
    """
    raws = [_ours(read_source("labels", labels, ("task", "worker", "label")), question)]
    if gold is not None:
        raws.append(_ours(read_source("gold", gold, ("task", "label")), question))
    with renamed(TO_THEIRS):
        return Dataset.from_raw(raws, schema, on_bad)


def _ours(raw: Raw, question: str) -> Raw:
    task = pa.array([question], pa.string()).take(np.zeros(len(raw.row), np.int64))
    columns = {TO_OURS.get(name, name): column for name, column in raw.columns.items()}
    return raw._replace(columns={**columns, "task": pa.chunked_array([task])})


def to_crowd_kit(data: Dataset, question: str | None = None) -> CrowdKit:
    """The labels and gold of one question (None: the only one). Raises SettingError where there are several.

    >>> labels = {"item": ["a"], "task": ["spam"], "annotator": ["ann"], "label": ["y"]}
    >>> to_crowd_kit(Dataset(labels=pa.table(labels))).labels.to_pylist()
    [{'task': 'a', 'worker': 'ann', 'label': 'y'}]
    """
    task = the_task(data, question).name
    labels = data.labels if data.labels is not None else pa.table({name: pa.array([], pa.string()) for name in _OURS})
    return CrowdKit(_theirs(labels, task), None if data.gold is None else _theirs(data.gold, task))


def _theirs(table: pa.Table, task: str) -> pa.Table:
    """The rows of one task, with their words for ours."""
    kept = table.filter(pc.equal(table["task"], task)).drop_columns(["task"])
    return kept.rename_columns([TO_THEIRS.get(name, name) for name in kept.column_names])
