"""Logs of what people did: who was shown an item for a query, and whether they clicked, skipped, bought, or how long
they stayed.

A table of `item, query, signal` (CSV, JSONL or Parquet), one row per time that an item was shown, or per `weight` such
times; `position` is where it stood, from 1 at the top.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int64, Shaped

from quorate.data.columns import Column, plain, read_numbers
from quorate.data.files import read_file
from quorate.data.names import FLAWS, read_names
from quorate.data.tables import Raw
from quorate.errors import DataError, FormatError

Array = np.ndarray


class _Log(NamedTuple):
    """The rows of a log, by item and query."""

    items: tuple[str, ...]
    queries: tuple[str, ...]
    item: Int64[Array, "rows"]  # into items
    query: Int64[Array, "rows"]
    signal: Float64[Array, "rows"]
    weight: Float64[Array, "rows"]  # times shown
    position: Int64[Array, "rows"] | None  # from 0, at the top


class Log(_Log):
    """The rows of a log, by item and query; a cell is an item as the answer to a query."""

    @cached_property
    def binary(self) -> bool:
        """Whether the signal is yes or no."""
        return bool(np.isin(self.signal, (0.0, 1.0)).all())

    @cached_property
    def pairs(self) -> tuple[Int64[Array, "cells"], Int64[Array, "cells"], Int64[Array, "rows"]]:
        """Item and query of every cell, and the cell of every row."""
        keys, cell = np.unique(self.item * len(self.queries) + self.query, return_inverse=True)
        return keys // len(self.queries), keys % len(self.queries), cell

    def keep(self, rows: Bool[Array, "rows"]) -> Log:
        """These rows only; items and queries keep their numbers."""
        position = None if self.position is None else self.position[rows]
        return Log(
            self.items, self.queries, self.item[rows], self.query[rows], self.signal[rows], self.weight[rows], position
        )


def read_log(path: Path) -> Log:
    """A log from a file. Raises FormatError for a file that is none, DataError that names row, column and the mend."""
    raw = read_file("items", path)
    if raw.unread:
        first = raw.unread[0]
        raise FormatError(first.problem, mend=first.mend, source=raw.source, row=first.row, column=first.column)
    item, items = _names(raw, "item")
    query, queries = _names(raw, "query")
    signal = _numbers(raw, "signal", least=-np.inf)
    weight = _numbers(raw, "weight", least=np.nextafter(0, 1)) if "weight" in raw.columns else np.ones(len(signal))
    position = _numbers(raw, "position", least=1.0) if "position" in raw.columns else None
    if not len(signal):
        raise FormatError("the log has no row", mend="write one row per time that an item was shown", source=raw.source)
    place = None if position is None else np.floor(position).astype(np.int64) - 1
    return Log(items, queries, item, query, signal, weight, place)


def _column(raw: Raw, name: str) -> Column:
    if name not in raw.columns:
        there, mend = ", ".join(raw.columns), "a log has the columns item, query, signal [, position, weight]"
        raise DataError(f"there is no such column ({there})", mend=mend, source=raw.source, column=name)
    return raw.columns[name]


def _names(raw: Raw, name: str) -> tuple[Int64[Array, "rows"], tuple[str, ...]]:
    read = read_names(_column(raw, name))
    missing = read.names.codes < 0
    if missing.any():
        _refuse(raw, name, missing, "there is no name", "name the item and the query in every row")
    flaw = read.flaw[read.names.codes]
    if flaw.any():
        found = FLAWS[int(flaw[np.argmax(flaw > 0)])]
        _refuse(raw, name, flaw > 0, f"this {found.problem}", found.mend)
    return read.names.codes.astype(np.int64), tuple(read.names.values.to_pylist())


def _numbers(raw: Raw, name: str, *, least: float) -> Float64[Array, "rows"]:
    column = _column(raw, name)
    if isinstance(column, pa.ChunkedArray) and pa.types.is_boolean(column.type):
        column = plain(column).cast(pa.int8())
    read = read_numbers(column)
    with np.errstate(invalid="ignore"):
        bad = read.missing | read.unreadable | ~np.isfinite(read.values) | (read.values < least)
    if bad.any():
        words = {"signal": "a number", "weight": "a number above 0", "position": "1 at the top, then 2, 3, ..."}[name]
        _refuse(raw, name, bad, f"this is not {words}", f"write {words}, or leave the row out")
    return read.values


def _refuse(raw: Raw, name: str, bad: Shaped[Array, "rows"], problem: str, mend: str) -> NoReturn:
    row = int(np.asarray(raw.row)[int(np.argmax(bad))])
    raise DataError(problem, mend=mend, source=raw.source, row=row, column=name)
