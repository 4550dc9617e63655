"""Distinct texts of a column: hash, deal the rows into partitions that fit the cache, look up inside each.

One table over a million texts would wait for memory at every row, longer than all else in the encoding together.
Rows are matched by hash and then compared text by text, in a loop of its own whose reads can overlap; should two texts
share a hash of 64 bits, the caller is told to do without hashes.

Texts are read eight bytes at a time from `words`: the bytes of all texts in little-endian words, and one word more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Int32, Int64, UInt64
from numba import njit, uint64

Array = np.ndarray
Number = Any  # of 64 bits; numba knows which
PARTITION_ROWS = 16_384
BLOCK = 512  # rows whose texts are fetched together


@njit(cache=True)
def text_codes(
    offsets: Int64[Array, "rows_plus_1"], words: UInt64[Array, "words"], known: Bool[Array, "rows"]
) -> tuple[Int32[Array, "rows"], Int32[Array, "values"], bool]:
    """Codes by first appearance (-1: not known), the row where each text first stands, whether to trust them."""
    bits = 1
    while bits < 10 and (PARTITION_ROWS << bits) < len(known):
        bits += 1
    start, row, hashed = _deal(offsets, words, known, bits)
    first = np.full(len(known), -1, np.int32)
    _look_up(start, row, hashed, first)
    codes, holder = _number(first)
    return codes, holder, _verified(offsets, words, codes, holder)


@njit(cache=True, inline="always")
def _word(words: UInt64[Array, "words"], at: Number, length: Number) -> Number:
    """The up to eight bytes from byte `at` on, as one number."""
    shift = uint64(8 * (at & 7))  # no branch below: a branch on it would be guessed wrong and stall the reads
    word = (words[at >> 3] >> shift) | ((words[(at >> 3) + 1] << uint64(1)) << (uint64(63) - shift))
    return word & (~uint64(0) >> uint64(8 * max(8 - length, 0)))


@njit(cache=True)
def _hash(words: UInt64[Array, "words"], start: Number, stop: Number) -> Number:
    """Multiply and fold word by word, starting from the length; every step is a bijection of the word."""
    value = uint64(stop - start) * uint64(0x9E3779B97F4A7C15)
    for at in range(start, stop, 8):
        value = (value ^ _word(words, at, stop - at)) * uint64(0xD6E8FEB86659FD93)
        value ^= value >> uint64(32)
    value *= uint64(0xD6E8FEB86659FD93)
    return value ^ (value >> uint64(32))


@njit(cache=True)
def _deal(
    offsets: Int64[Array, "rows_plus_1"], words: UInt64[Array, "words"], known: Bool[Array, "rows"], bits: int
) -> tuple[Int64[Array, "partitions_plus_1"], Int32[Array, "dealt"], UInt64[Array, "dealt"]]:
    """Known rows and their hashes, partition after partition (the high bits of the hash), in row order inside."""
    shift = uint64(64 - bits)
    start = np.zeros((1 << bits) + 1, np.int64)
    for r in range(len(known)):
        if known[r]:
            start[np.int64(_hash(words, offsets[r], offsets[r + 1]) >> shift) + 1] += 1
    start = np.cumsum(start)
    row = np.empty(start[-1], np.int32)
    hashed = np.empty(start[-1], np.uint64)
    at = start.copy()
    for r in range(len(known)):  # hashed again: cheaper than keeping eight more bytes a row
        if known[r]:
            value = _hash(words, offsets[r], offsets[r + 1])
            p = np.int64(value >> shift)
            row[at[p]], hashed[at[p]] = r, value
            at[p] += 1
    return start, row, hashed


@njit(cache=True)
def _look_up(
    start: Int64[Array, "partitions_plus_1"],
    row: Int32[Array, "dealt"],
    hashed: UInt64[Array, "dealt"],
    first: Int32[Array, "rows"],
) -> None:
    """Write into `first`, for every dealt row, the first row with the same hash."""
    holder = np.full(1024, -1, np.int64)  # the dealt row that a slot holds; open addressing, at most half full
    for p in range(len(start) - 1):
        holder[:] = -1
        held = 0
        for q in range(start[p], start[p + 1]):
            slot = _slot(holder, hashed, hashed[q])
            if holder[slot] < 0:
                holder[slot] = q
                held += 1
            first[row[q]] = row[holder[slot]]
            if 2 * held > len(holder):
                holder = _grown(holder, hashed)


@njit(cache=True)
def _slot(holder: Int64[Array, "slots"], hashed: UInt64[Array, "dealt"], value: Number) -> Number:
    """The slot of this hash, or the empty one where it belongs."""
    slot = np.int64(value & uint64(len(holder) - 1))
    while holder[slot] >= 0 and hashed[holder[slot]] != value:
        slot = (slot + 1) & (len(holder) - 1)
    return slot


@njit(cache=True)
def _grown(holder: Int64[Array, "slots"], hashed: UInt64[Array, "dealt"]) -> Int64[Array, "more_slots"]:
    """The same table with four times the slots."""
    grown = np.full(4 * len(holder), -1, np.int64)
    for q in holder:
        if q >= 0:
            grown[_slot(grown, hashed, hashed[q])] = q
    return grown


@njit(cache=True)
def _number(first: Int32[Array, "rows"]) -> tuple[Int32[Array, "rows"], Int32[Array, "values"]]:
    """Number the texts by first appearance; `first` becomes the codes."""
    holder = np.empty(_distinct(first), np.int32)
    seen = 0
    for r in range(len(first)):
        if first[r] == r:
            holder[seen] = r
            first[r] = seen
            seen += 1
        elif first[r] >= 0:
            first[r] = first[first[r]]  # of an earlier row: a code already
    return first, holder


@njit(cache=True)
def _distinct(first: Int32[Array, "rows"]) -> int:
    seen = 0
    for r in range(len(first)):
        seen += first[r] == r
    return seen


@njit(cache=True)
def _verified(
    offsets: Int64[Array, "rows_plus_1"],
    words: UInt64[Array, "words"],
    codes: Int32[Array, "rows"],
    holder: Int32[Array, "values"],
) -> bool:
    """Whether every row's text is its code's text."""
    start, kept = _packed(offsets, words, holder)
    if not len(holder):
        return True
    place, length = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.uint64)
    for begin in range(0, len(codes), BLOCK):
        block = codes[begin : begin + BLOCK]
        for j in range(len(block)):
            place[j] = start[max(block[j], 0)]
        for j in range(len(block)):  # short loops without a branch: their far reads overlap, the ones below are near
            length[j] = kept[place[j]]
        for j in range(len(block)):
            at, size = offsets[begin + j], offsets[begin + j + 1] - offsets[begin + j]
            differs = length[j] ^ uint64(size)
            for i in range(min((size + 7) >> 3, np.int64(length[j] + uint64(7)) >> 3)):
                differs |= _word(words, at + 8 * i, size - 8 * i) ^ kept[place[j] + 1 + i]
            if differs and block[j] >= 0:
                return False
    return True


@njit(cache=True)
def _packed(
    offsets: Int64[Array, "rows_plus_1"], words: UInt64[Array, "words"], holder: Int32[Array, "values"]
) -> tuple[Int64[Array, "values"], UInt64[Array, "packed"]]:
    """The distinct texts on word boundaries: where each one starts, and length and words one after the other."""
    start = np.empty(len(holder), np.int64)
    n_words = 0
    for code in range(len(holder)):
        start[code] = n_words
        n_words += 1 + ((offsets[holder[code] + 1] - offsets[holder[code]] + 7) >> 3)
    kept = np.empty(n_words, np.uint64)
    for code in range(len(holder)):
        at, size = offsets[holder[code]], offsets[holder[code] + 1] - offsets[holder[code]]
        kept[start[code]] = size
        for i in range((size + 7) >> 3):
            kept[start[code] + 1 + i] = _word(words, at + 8 * i, size - 8 * i)
    return start, kept
