"""Distinct texts of a long column, by the kernel of `text_kernels`."""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int32, Int64, UInt8, UInt64

from quorate.data.text_kernels import text_codes

Array = np.ndarray


def many_texts(column: pa.ChunkedArray) -> tuple[Int32[Array, "rows"], pa.Array] | None:
    """Codes by first appearance (-1 where null) and the texts; None where the kernel cannot do it."""
    parts = [_part(chunk) for chunk in column.chunks]
    too_long = max(sum(len(part.data) for part in parts), len(column)) >= 2**31
    if too_long or sys.byteorder != "little":
        return None
    codes, holder, trusted = text_codes(_offsets(parts), _words(parts), _known(column))
    return (codes, column.take(pa.array(holder)).combine_chunks()) if trusted else None


class _Part(NamedTuple):
    """One chunk: where its texts start, from 0, and their bytes."""

    start: Int32[Array, "rows_plus_1"] | Int64[Array, "rows_plus_1"]
    data: UInt8[Array, "bytes"]


def _part(chunk: pa.Array) -> _Part:
    kind = np.int64 if pa.types.is_large_string(chunk.type) else np.int32
    _, offsets, data = chunk.buffers()
    if not len(chunk):
        return _Part(np.zeros(1, kind), np.zeros(0, np.uint8))
    start = np.frombuffer(offsets, kind, len(chunk) + 1, chunk.offset * np.dtype(kind).itemsize)
    held = np.frombuffer(data or b"", np.uint8)[start[0] : start[-1]]
    return _Part(start if start[0] == 0 else start - start[0], held)


def _offsets(parts: list[_Part]) -> Int32[Array, "rows_plus_1"]:
    if len(parts) == 1:
        return parts[0].start.astype(np.int32, copy=False)
    ends = np.cumsum([0, *(len(part.data) for part in parts)])
    shifted = [part.start[1:] + end for part, end in zip(parts, ends[:-1], strict=True)]
    return np.concatenate([[0], *shifted]).astype(np.int32)


def _words(parts: list[_Part]) -> UInt64[Array, "words"]:
    """All bytes in words, with one word to spare, since the kernel reads across their borders."""
    words = np.zeros(sum(len(part.data) for part in parts) // 8 + 2, np.uint64)
    at = 0
    for part in parts:
        words.view(np.uint8)[at : at + len(part.data)] = part.data
        at += len(part.data)
    return words


def _known(column: pa.ChunkedArray) -> Bool[Array, "rows"]:
    return np.ones(len(column), bool) if column.null_count == 0 else column.is_valid().to_numpy()
