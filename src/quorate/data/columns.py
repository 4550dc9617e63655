"""Columns that are not names: numbers, times, and whatever else a table carries."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float64

Array = np.ndarray
Column = pa.ChunkedArray | list[Any]  # a list where values of many types stand in one column
TIME = pa.timestamp("us", "UTC")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_text(kind: pa.DataType) -> bool:
    """Whether Arrow holds text."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def is_bytes(kind: pa.DataType) -> bool:
    """Whether Arrow holds bytes."""
    return "binary" in str(kind)


def is_number(kind: pa.DataType) -> bool:
    """Whether Arrow holds numbers."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def is_missing(value: Any) -> bool:
    """None, NaN, and what pandas calls NA and NaT."""
    if isinstance(value, float):
        return value != value  # noqa: PLR0124 - NaN alone differs from itself
    return (
        value is None
        or type(value).__name__ in {"NAType", "NaTType"}
        or (isinstance(value, Decimal) and value.is_nan())
    )


def is_blank(value: Any) -> bool:
    """Missing, or text that is empty or only white space."""
    return is_missing(value) or (isinstance(value, str | bytes) and not value.strip())


def cell(column: Column | pa.Array, place: int) -> Any:
    """One value, for people to read."""
    found = column[place]
    try:
        return found.as_py() if isinstance(found, pa.Scalar) else found
    except (ValueError, OverflowError):  # text that is no UTF-8; a time beyond the year 9999
        held = found.as_buffer() if hasattr(found, "as_buffer") else None
        return bytes(held).decode("utf-8", "backslashreplace") if held else f"a value of type {found.type}"


def native(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The storage of an extension type; other columns as they are."""
    if not isinstance(column.type, pa.BaseExtensionType):
        return column
    return pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)


def plain(column: Column) -> pa.ChunkedArray:
    """The same values in Arrow's everyday types: no dictionaries, no second kind of text, no column of nothing."""
    if not isinstance(column, pa.ChunkedArray):
        return pa.chunked_array([pa.array([_any_text(value) for value in column], pa.string())])
    found = native(column)
    if pa.types.is_dictionary(found.type):
        found = found.cast(found.type.value_type)
    if pa.types.is_null(found.type) or pa.types.is_string_view(found.type):
        return found.cast(pa.string())
    if pa.types.is_large_string(found.type) and found.nbytes < 2**31:
        return found.cast(pa.string())
    return found


def _any_text(value: Any) -> str | None:
    """A value of a mixed column as text: itself, or JSON."""
    if is_missing(value):
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text.encode("utf-8", "backslashreplace").decode()


# ---- numbers --------------------------------------------------------------------------------------------------------


class Numbers(NamedTuple):
    """A column read as numbers."""

    values: Float64[Array, "rows"]  # 0 where missing or unreadable
    missing: Bool[Array, "rows"]  # null, NaN or blank
    unreadable: Bool[Array, "rows"]

    def column(self) -> pa.ChunkedArray:
        """As Arrow, null where missing or unreadable."""
        return pa.chunked_array([pa.array(self.values, mask=self.missing | self.unreadable)])


def read_numbers(column: Column) -> Numbers:
    """Numbers, from numbers or from text that spells them; true and false are neither."""
    if not isinstance(column, pa.ChunkedArray):
        return _one_by_one(column)
    column = plain(column)
    if is_text(column.type):
        return _spelled(column)
    if not is_number(column.type):
        missing = column.is_null().to_numpy()
        return Numbers(np.zeros(len(column)), missing, ~missing)
    values = pc.fill_null(column.cast(pa.float64(), safe=False), np.nan).to_numpy()
    missing = np.isnan(values)
    return Numbers(np.where(missing, 0.0, values), missing, np.zeros(len(column), bool))


def _spelled(column: pa.ChunkedArray) -> Numbers:
    try:
        return read_numbers(column.cast(pa.float64()))
    except pa.ArrowException:
        return _one_by_one(column.cast(pa.binary()).to_pylist())


def _one_by_one(values: list[Any]) -> Numbers:
    numbers = [_number(value) for value in values]
    unreadable = np.array([number is None for number in numbers], bool)
    parsed = np.array([np.nan if number is None else number for number in numbers], float)
    missing = np.isnan(parsed) & ~unreadable
    return Numbers(np.where(np.isnan(parsed), 0.0, parsed), missing, unreadable)


def _number(value: Any) -> float | None:
    """NaN where missing, None where unreadable."""
    if is_blank(value):
        return float("nan")
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return float(value)
    except (ValueError, TypeError, OverflowError):
        return None


# ---- times ----------------------------------------------------------------------------------------------------------


class Times(NamedTuple):
    """A column read as times."""

    column: pa.ChunkedArray  # null where missing or unreadable
    unreadable: Bool[Array, "rows"]


def read_times(column: Column) -> Times:
    """UTC to the microsecond (a time without a zone is UTC); numbers stay numbers, on a clock of their own."""
    if not isinstance(column, pa.ChunkedArray):
        return _times(column)
    column = plain(column)
    if is_number(column.type):
        return Times(read_numbers(column).column(), np.zeros(len(column), bool))
    if is_text(column.type):
        return _spelled_times(column)
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        stamps = column if pa.types.is_timestamp(column.type) else column.cast(pa.timestamp("ms"))
        wide = pa.timestamp("us", stamps.type.tz)
        return Times(stamps.cast(wide, safe=False).cast(TIME), np.zeros(len(column), bool))
    return Times(pa.chunked_array([pa.nulls(len(column), TIME)]), column.is_valid().to_numpy())


def _spelled_times(column: pa.ChunkedArray) -> Times:
    for kind in (TIME, pa.timestamp("us")):
        try:
            return Times(column.cast(kind).cast(TIME), np.zeros(len(column), bool))
        except pa.ArrowException:
            continue
    numbers = read_numbers(column)
    if not numbers.unreadable.any():
        return Times(numbers.column(), numbers.unreadable)
    return _times(
        [value.decode("utf-8", "replace") if value else None for value in column.cast(pa.binary()).to_pylist()]
    )


def _times(values: list[Any]) -> Times:
    stamps = [_microseconds(value) for value in values]
    unreadable = np.array(
        [stamp is None and not is_blank(value) for stamp, value in zip(stamps, values, strict=True)], bool
    )
    return Times(pa.chunked_array([pa.array(stamps, pa.int64()).cast(TIME)]), unreadable)


def _microseconds(value: Any) -> int | None:
    """Since 1970; None where there is no time or something else."""
    try:
        moment = datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
        if not isinstance(moment, datetime) or is_missing(moment):
            return None
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return (moment - EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None


# ---- columns that the contract knows but does not need ---------------------------------------------------------------


def optional(name: str, column: Column) -> pa.ChunkedArray:
    """`confidence`, `seconds`, `cost_usd` as numbers, `assisted` as true or false, where all values can be read so."""
    if name in {"confidence", "seconds", "cost_usd"}:
        numbers = read_numbers(column)
        if not numbers.unreadable.any() and np.isfinite(numbers.values).all():
            return numbers.column()
    found = plain(column)
    if name == "assisted" and is_text(found.type):
        try:
            return found.cast(pa.bool_())
        except pa.ArrowException:
            return found
    return found
