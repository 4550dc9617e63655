"""Dataframes of any kind as raw tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import pyarrow as pa

from quorate.data.columns import Column, is_bytes
from quorate.data.lines import first_line
from quorate.data.tables import Raw, TableName
from quorate.errors import FormatError

MAX_COLUMNS = 10_000  # above this, rows and columns were swapped
NOT_A_FRAME = "give a pandas, polars or pyarrow table, or another dataframe that narwhals reads"
CONVERSION_ERRORS = (ValueError, TypeError, OverflowError, NotImplementedError, pa.ArrowException)


def read_frame(name: TableName, frame: Any, source: str | None = None) -> Raw:
    """A dataframe as a raw table. Raises FormatError where it is none, or where two columns have one name."""
    source = source or name
    columns = _arrow_columns(frame, source) if isinstance(frame, pa.Table | pa.RecordBatch) else _columns(frame, source)
    return raw_table(name, source, columns)


def raw_table(name: TableName, source: str, columns: Sequence[tuple[str, Column]]) -> Raw:
    """Named columns as a raw table. Raises FormatError where two have one name, or there are too many."""
    if len(columns) > MAX_COLUMNS:
        mend = "check that columns and rows are not swapped"
        raise FormatError(f"{len(columns):,} columns, more than {MAX_COLUMNS:,}", mend=mend, source=source)
    found = dict(columns)
    if len(found) < len(columns):
        raise _twice([column for column, _ in columns], source)
    n_rows = len(columns[0][1]) if columns else 0
    return Raw(name, source, found, range(1, n_rows + 1))


def _twice(names: Sequence[str], source: str) -> FormatError:
    name = next((name for name in names if names.count(name) > 1), None)
    return FormatError("two columns have this name", mend="rename one of them", source=source, column=name)


def column_of(values: list[Any]) -> Column:
    """Python values as an Arrow column; as they are where they are of many types."""
    try:
        column = pa.chunked_array([pa.array(values)])
    except CONVERSION_ERRORS:
        return values
    mixed = is_bytes(column.type) and any(isinstance(value, str) for value in values)  # Arrow makes bytes of both
    return values if mixed else column


def _arrow_columns(table: pa.Table | pa.RecordBatch, source: str) -> list[tuple[str, Column]]:
    try:
        table = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
        return list(zip(table.column_names, table.columns, strict=True))
    except ValueError as error:  # a column name that is no UTF-8
        raise FormatError(str(error), mend="rename the columns", source=source) from None


def _columns(frame: Any, source: str) -> list[tuple[str, Column]]:
    try:
        found = nw.from_native(frame)
        eager = found.collect() if isinstance(found, nw.LazyFrame) else found
        return [(str(name), _column(eager[name])) for name in eager.columns]
    except TypeError:
        raise FormatError(f"a {type(frame).__name__} is no table", mend=NOT_A_FRAME, source=source) from None
    except nw.exceptions.DuplicateError:
        raise _twice([str(name) for name in frame.columns], source) from None
    except (nw.exceptions.NarwhalsError, *CONVERSION_ERRORS) as error:
        problem = f"the dataframe cannot be read ({first_line(error)})"
        raise FormatError(problem, mend=NOT_A_FRAME, source=source) from None


def _column(series: Any) -> Column:
    try:
        column = series.to_arrow()
    except CONVERSION_ERRORS:
        return column_of(series.to_list())
    if is_bytes(column.type):
        return column_of(series.to_list())
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
