"""External features of items: the `x_*` columns and the `embedding` column of the items table, side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float32, Int64

from quorate.data.columns import Column, is_blank, is_text, plain, read_numbers
from quorate.data.faults import Fault
from quorate.data.naming import natural_key

Array = np.ndarray
VECTOR = pa.large_list(pa.float32())


def feature_columns(columns: list[str]) -> list[str]:
    """Which columns of the items table are features: `x_*` in natural order, then `embedding`."""
    scalars = sorted((name for name in columns if name.startswith("x_")), key=natural_key)
    return [*scalars, *(name for name in columns if name == "embedding")]


class Cleaned(NamedTuple):
    """A feature column in its type, null where unknown, and its bad rows."""

    column: pa.ChunkedArray
    faults: list[Fault]


def clean_feature(name: str, column: Column) -> Cleaned:
    """Numbers for an `x_*` column, vectors of one width for `embedding`; an empty cell is unknown."""
    return _clean_vectors(column) if name == "embedding" else _clean_scalars(name, column)


def _clean_scalars(name: str, column: Column) -> Cleaned:
    numbers = read_numbers(column)
    with np.errstate(over="ignore"):  # a number too large for float32 is told as infinite
        infinite = ~np.isfinite(numbers.values.astype(np.float32))
    mend = "give a finite number, or leave the cell empty where it is unknown"
    faults = [
        _fault(numbers.unreadable, name, "the feature is not a number", mend),
        _fault(infinite, name, "the feature is not a finite number", mend),
    ]
    return Cleaned(numbers.column(), [fault for fault in faults if len(fault.places)])


def _fault(bad: Bool[Array, "rows"], column: str, problem: str, mend: str) -> Fault:
    return Fault(np.flatnonzero(bad), column, lambda _: problem, mend)


def _clean_vectors(column: Column) -> Cleaned:
    vectors, unreadable = _vectors(column)
    known = vectors.is_valid().to_numpy()
    width = pc.list_value_length(vectors).fill_null(0).to_numpy().astype(np.int64)
    usual = int(np.bincount(width[known]).argmax()) if known.any() else 0
    finite = _all_finite(vectors, known, width)
    mend = "give every embedding as a list of numbers, all of the same length"
    other = np.flatnonzero(known & (width != usual))
    faults = [
        _fault(unreadable, "embedding", "the embedding is not a list of numbers", mend),
        Fault(other, "embedding", lambda r: f"the embedding has length {width[r]}, others have {usual}", mend),
        _fault(known & ~finite, "embedding", "the embedding holds a missing or infinite number", mend),
    ]
    return Cleaned(vectors, [fault for fault in faults if len(fault.places)])


def _vectors(column: Column) -> tuple[pa.ChunkedArray, Bool[Array, "rows"]]:
    """As lists of float32; null where missing or unreadable."""
    if isinstance(column, pa.ChunkedArray):
        found = plain(column)
        if pa.types.is_nested(found.type) and "list_view" not in str(found.type):  # Arrow 26 casts views wrongly
            try:
                return found.cast(VECTOR), np.zeros(len(found), bool)
            except pa.ArrowException:
                pass
        column = found.cast(pa.binary()).to_pylist() if is_text(found.type) else found.to_pylist()
    parsed = [_vector(value) for value in column]
    unreadable = np.array([vector is None and not is_blank(v) for vector, v in zip(parsed, column, strict=True)], bool)
    return pa.chunked_array([pa.array(parsed, VECTOR)]), unreadable


def _vector(value: Any) -> Float32[Array, "width"] | None:
    """A list of numbers, also one that is spelled as JSON."""
    try:
        spelled = json.loads(value) if isinstance(value, str | bytes) else value
        with np.errstate(over="ignore"):
            vector = np.asarray(spelled, np.float32)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
    return vector if vector.ndim == 1 else None


def _all_finite(
    vectors: pa.ChunkedArray, known: Bool[Array, "rows"], width: Int64[Array, "rows"]
) -> Bool[Array, "rows"]:
    flat = pc.fill_null(pc.list_flatten(vectors), np.nan).to_numpy()
    odd = np.flatnonzero(~np.isfinite(flat))
    end = np.cumsum(np.where(known, width, 0))
    finite = np.ones(len(known), bool)
    finite[np.searchsorted(end, odd, side="right")] = False
    return finite


# ---- encoding -------------------------------------------------------------------------------------------------------


class Features(NamedTuple):
    """Rows of the items table in numbers."""

    names: tuple[str, ...]
    values: Float32[Array, "rows features"]  # 0 where unknown
    known: Bool[Array, "rows"]  # False where any of them is unknown


def read_features(columns: Mapping[str, pa.ChunkedArray], n_rows: int) -> Features:
    """All feature columns among those of a clean table, side by side; width 0 if there are none."""
    blocks = [_block(name, columns[name]) for name in feature_columns(list(columns))]
    known = np.logical_and.reduce([np.full(n_rows, bool(blocks)), *(block.known for block in blocks)])
    values = np.concatenate([np.zeros((n_rows, 0), np.float32), *(block.values for block in blocks)], axis=1)
    values[~known] = 0
    return Features(tuple(name for block in blocks for name in block.names), values, known)


def _block(name: str, column: pa.ChunkedArray) -> Features:
    known = column.is_valid().to_numpy()
    if name != "embedding":
        return Features((name,), column.fill_null(0).to_numpy().astype(np.float32)[:, None], known)
    flat = pc.list_flatten(column).to_numpy()
    width = len(flat) // max(int(known.sum()), 1)
    values = np.zeros((len(column), width), np.float32)
    values[known] = flat.reshape(-1, width) if width else 0
    return Features(tuple(f"embedding_{i}" for i in range(width)), values, known)
