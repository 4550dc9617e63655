"""Rows of a data set while another tool's records are read, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from quorate.data.dataset import Dataset
from quorate.data.faults import OnBad
from quorate.data.frames import column_of
from quorate.data.tables import Raw, TableName
from quorate.schema import Schema

Rank = tuple[Any, ...]  # larger stands, of two answers to one question


class Imported(NamedTuple):
    """A data set, and what was left out of it, as sentences' ends: "3 skipped by a person"."""

    data: Dataset
    notes: tuple[str, ...]


class _Row(NamedTuple):
    """A row of a table, and where it is from."""

    row: int
    values: Mapping[str, Any]
    rank: Rank


class Gathered:
    """Rows of all tables; of two answers of one person or model to one question the later stands."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._of: dict[TableName, dict[tuple[Any, ...], _Row]] = {}
        self._superseded = 0

    def add_item(self, row: int | None, item: str, content: Mapping[str, Any]) -> None:
        """An item; one that is there already stays as it is."""
        self._of.setdefault("items", {}).setdefault((item,), _Row(row or 0, {"item": item, **content}, ()))

    def add_score(self, row: int | None, item: str, task: str, model: str, label: str, score: float) -> None:
        """A model's score for one class."""
        values = {"item": item, "task": task, "model": model, "label": label, "score": score}
        self._add("scores", (item, task, model, label), _Row(row or 0, values, ()))

    def add_model_label(
        self,
        row: int | None,
        item: str,
        task: str,
        model: str,
        label: str,
        confidence: float | None,
        *,
        rank: Rank = (),
    ) -> None:
        """A model's answer."""
        values = {"item": item, "task": task, "model": model, "label": label, "confidence": confidence}
        self._add("model_labels", (item, task, model), _Row(row or 0, values, rank))

    def add_gold(self, row: int | None, item: str, task: str, label: str, *, rank: Rank = ()) -> None:
        """A trusted answer."""
        self._add("gold", (item, task), _Row(row or 0, {"item": item, "task": task, "label": label}, rank))

    def add_label(
        self,
        row: int | None,
        item: str,
        task: str,
        annotator: str,
        label: str,
        created_at: Any = None,
        seconds: float | None = None,
        assisted: bool | None = None,
        *,
        rank: Rank = (),
    ) -> None:
        """A person's answer."""
        values = {"item": item, "task": task, "annotator": annotator, "label": label}
        values |= {"created_at": created_at, "seconds": seconds, "assisted": assisted}
        self._add("labels", (item, task, annotator), _Row(row or 0, values, rank))

    def _add(self, table: TableName, key: tuple[Any, ...], new: _Row) -> None:
        rows = self._of.setdefault(table, {})
        if key in rows:
            self._superseded += 1
            if new.rank < rows[key].rank:
                return
        rows[key] = new

    def result(self, schema: Schema, notes: Sequence[str], on_bad: OnBad) -> Imported:
        """The data set. Raises DataError that names the row of the source."""
        raws = [self._raw(name, list(rows.values())) for name, rows in self._of.items()]
        told = [*notes, *([f"{self._superseded:,} answers that a later one replaced"] if self._superseded else [])]
        return Imported(Dataset.from_raw(raws, schema, on_bad), tuple(told))

    def _raw(self, name: TableName, rows: list[_Row]) -> Raw:
        rows.sort(key=lambda row: row.row)
        names = dict.fromkeys(column for row in rows for column in row.values)
        columns = {column: [row.values.get(column) for row in rows] for column in names}
        known = {column: column_of(cells) for column, cells in columns.items() if any(c is not None for c in cells)}
        return Raw(name, self._source, known, np.array([row.row for row in rows], np.int64))
