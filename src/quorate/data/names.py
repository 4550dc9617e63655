"""A column of names (items, tasks, annotators, models, labels) as codes into its distinct texts.

What counts as a name: text as it stands; whole numbers in decimal digits (also a float that is whole: 1.0 is "1");
`true` and `false`; dates in ISO form. Missing is null, NaN, or text that is empty or only white space: code -1.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int8, Int32

from quorate.data.columns import Column, cell, is_bytes, is_missing, is_text, native
from quorate.data.kernels import first_seen

Array = np.ndarray
MAX_CHARS = 1_000  # above this, content was mistaken for a name
EXACT_BELOW = 2**53  # from here on a float no longer tells neighbouring whole numbers apart
CHUNK_ROWS = 2**19  # of 1,000 characters of four bytes each: the 2 GiB that one Arrow string chunk holds
MANY_DIGITS = "a number of many digits"
SHOWN_CHARS = 60  # of a value in a message
MANY_ROWS, MANY_VALUES = 2**20, 2**12  # from here on our own lookup outruns Arrow's


class Flaw(NamedTuple):
    """Why a value is no name."""

    problem: str
    mend: str


FLAWS = (
    Flaw("is a name", "leave it"),
    Flaw(f"is longer than {MAX_CHARS:,} characters", "give a short name; content belongs into the items table"),
    Flaw("holds a control character", "remove it (a quote that is never closed, or a binary file, can be the cause)"),
    Flaw("is not valid UTF-8", "save the text as UTF-8"),
    Flaw("is not a finite number", "leave the row out where the answer is unknown"),
    Flaw("is a float above 2^53, where whole numbers blur into each other", "store ids as text"),
    Flaw("is bytes, not text", "decode the column first, for example with .decode('utf-8')"),
    Flaw(
        "is not one value",
        "give one text or number per row (choose-all-that-apply: import with quorate.data.formats.multi_select)",
    ),
)
FINE, LONG, CONTROL, NOT_UTF8, INFINITE, BLURRED, BYTES, NESTED = range(len(FLAWS))
NO_TEXT = (BYTES, NESTED)  # such values stand among the names as messages show them


class Names(NamedTuple):
    """One column: row r is called `values[codes[r]]`, or is missing where the code is -1; no value stands twice."""

    codes: Int32[Array, "rows"]
    values: pa.LargeStringArray

    def keep(self, chosen: Array) -> Names:
        """The chosen rows (places or a mask), and the values that they have."""
        return in_order(Names(self.codes[chosen], self.values))

    def at(self, row: int) -> str:
        """The name in one row."""
        return self.values[int(self.codes[row])].as_py()

    def text(self) -> pa.ChunkedArray:
        """The column as Arrow text."""
        parts = [self.codes[start : start + CHUNK_ROWS] for start in range(0, len(self.codes), CHUNK_ROWS)]
        chunks = [self.values.take(pa.array(codes, mask=codes < 0)).cast(pa.string()) for codes in parts]
        return pa.chunked_array(chunks, pa.string())


def in_order(names: Names) -> Names:
    """The same rows with only the values that they have, in the order in which they have them."""
    rank, order = first_seen(names.codes, len(names.values))
    if len(order) == len(rank) and np.array_equal(rank, np.arange(len(rank))):
        return names
    return Names(np.append(rank, np.int32(-1))[names.codes], names.values.take(pa.array(order)))


class Reading(NamedTuple):
    """A column as names, and the flaw of every distinct value (a place in FLAWS)."""

    names: Names
    flaw: Int8[Array, "values"]


def read_names(column: Column) -> Reading:
    """Codes of a column of any type; a value that is no name is marked, not refused."""
    if not isinstance(column, pa.ChunkedArray):
        return _read_mixed(column)
    if isinstance(column.type, pa.BaseExtensionType):
        return read_names(native(column))
    if pa.types.is_dictionary(column.type):
        return _compose(column.unify_dictionaries())
    if is_text(column.type):
        return _read_text(column)
    if pa.types.is_nested(column.type):
        return _all_flawed(column, NESTED)
    if is_bytes(column.type):
        return _all_flawed(column, BYTES)
    if pa.types.is_null(column.type):
        return _read_text(column.cast(pa.string()))
    return _compose(column.dictionary_encode())


# ---- text -----------------------------------------------------------------------------------------------------------


def _read_text(column: pa.ChunkedArray) -> Reading:
    """Blank texts are missing; texts with a flaw are marked."""
    codes, raw = _dictionary(column.cast(pa.large_string()) if pa.types.is_string_view(column.type) else column)
    values, flaw = _valid(raw.cast(pa.large_string()))
    flaw[_holds_control(values)] = CONTROL
    flaw[pc.utf8_length(values).to_numpy(zero_copy_only=False) > MAX_CHARS] = LONG
    blank = pc.or_(pc.equal(values, ""), pc.utf8_is_space(values)).to_numpy(zero_copy_only=False)
    if blank.any():
        flaw[blank] = FINE
        codes = np.append(np.where(blank, -1, np.arange(len(values))), -1).astype(np.int32)[codes]
    return Reading(Names(codes, values), flaw)


def _dictionary(column: pa.ChunkedArray) -> tuple[Int32[Array, "rows"], pa.Array]:
    """Codes of text by first appearance, and the texts."""
    if len(column) >= MANY_ROWS and len(pc.unique(column.slice(0, MANY_ROWS // 8))) > MANY_VALUES:
        from quorate.data.text import many_texts

        found = many_texts(column)
        if found is not None:
            return found
    return _indices(column.dictionary_encode())


def _indices(column: pa.ChunkedArray) -> tuple[Int32[Array, "rows"], pa.Array]:
    """Of a column with one dictionary: its indices (-1 where null) and that dictionary."""
    if not column.num_chunks:
        return np.zeros(0, np.int32), pa.array([], column.type.value_type)
    indices = [chunk.indices if chunk.null_count == 0 else _filled(chunk.indices) for chunk in column.chunks]
    # copied, since Arrow's own arrays cannot be written to, and numba would compile every kernel for both kinds
    codes = np.concatenate(
        [index.to_numpy(zero_copy_only=False) for index in indices], dtype=np.int32, casting="unsafe"
    )
    return codes, column.chunk(0).dictionary


def _filled(indices: pa.Array) -> pa.Array:
    return indices.cast(pa.int64()).fill_null(-1)  # some index types know no -1


def _valid(values: pa.LargeStringArray) -> tuple[pa.LargeStringArray, Int8[Array, "values"]]:
    """The texts, with bytes that are not UTF-8 made visible as backslash escapes, and their flaws."""
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        raw: list[bytes] = values.cast(pa.large_binary()).to_pylist()
        texts = [value.decode("utf-8", "backslashreplace") for value in raw]
        flaw = [FINE if text.encode() == value else NOT_UTF8 for text, value in zip(texts, raw, strict=True)]
        return pa.array(texts, pa.large_string()), np.array(flaw, np.int8)
    return values, np.zeros(len(values), np.int8)


def _holds_control(values: pa.LargeStringArray) -> Bool[Array, "values"]:
    """Whether a text holds a character below space, or delete: it would break files and terminals."""
    held = np.frombuffer(values.buffers()[2] or b"", np.uint8)
    if not ((held < 32) | (held == 127)).any():
        return np.zeros(len(values), bool)
    return pc.match_substring_regex(values, r"[\x00-\x1f\x7f]").to_numpy(zero_copy_only=False)


# ---- other types ----------------------------------------------------------------------------------------------------


def _compose(column: pa.ChunkedArray) -> Reading:
    """Names of distinct values, of which some may be missing, or one as text (0.0 and -0.0)."""
    indices, values = _indices(column)
    texts, flaw_of_value = _texts(values)
    inner = read_names(pa.chunked_array([texts]))
    flaw = inner.flaw.copy()
    flawed = (flaw_of_value != FINE) & (inner.names.codes >= 0)
    flaw[inner.names.codes[flawed]] = flaw_of_value[flawed]
    names = Names(np.append(inner.names.codes, np.int32(-1))[indices], inner.names.values)
    order = first_seen(names.codes, len(flaw))[1]
    return Reading(in_order(names), flaw[order])


def _texts(values: pa.Array) -> tuple[pa.Array, Int8[Array, "values"]]:
    """Distinct values of any simple type as text, and their flaws."""
    flaw = np.zeros(len(values), np.int8)
    if is_text(values.type):
        return values, flaw
    if pa.types.is_floating(values.type):
        return _float_texts(values.cast(pa.float32()) if pa.types.is_float16(values.type) else values)
    if pa.types.is_integer(values.type) or pa.types.is_boolean(values.type):
        return values.cast(pa.string()), flaw
    texts = [name_text(cell(values, place)) for place in range(len(values))]
    return pa.array([text.text for text in texts], pa.string()), np.array([text.flaw for text in texts], np.int8)


def _float_texts(values: pa.Array) -> tuple[pa.Array, Int8[Array, "values"]]:
    """Whole numbers without a point, others at their shortest; NaN is missing."""
    known = values.is_valid().to_numpy(zero_copy_only=False)
    numbers = values.fill_null(0).to_numpy(zero_copy_only=False)
    finite = np.where(np.isfinite(numbers), numbers, 0.5)
    whole = finite == np.trunc(finite)
    exact = whole & (np.abs(finite) <= EXACT_BELOW)
    texts = numbers.astype(str).astype(object)
    texts[exact] = numbers[exact].astype(np.int64).astype(str)
    flaw = np.where(np.isinf(numbers), INFINITE, np.where(whole & ~exact, BLURRED, FINE)).astype(np.int8)
    return pa.array(texts, pa.string(), mask=~known | np.isnan(numbers)), flaw


def _all_flawed(column: pa.ChunkedArray, flaw: int) -> Reading:
    """Every value that is not null has the same flaw; they share one name for the message."""
    codes = np.where(column.is_valid().to_numpy(), 0, -1).astype(np.int32)
    example = shown(cell(column, int(codes.argmax()))) if len(codes) else ""
    return Reading(Names(codes, pa.array([example], pa.large_string())), np.array([flaw], np.int8))


def _read_mixed(values: Sequence[Any]) -> Reading:
    """Names of Python values of many types; flawed ones stand after the others, each for itself."""
    texts = [name_text(value) for value in values]
    inner = _read_text(pa.chunked_array([pa.array([t.text if t.flaw == FINE else None for t in texts], pa.string())]))
    flawed = [row for row, text in enumerate(texts) if text.flaw != FINE]
    codes = inner.names.codes.copy()
    codes[flawed] = np.arange(len(flawed)) + len(inner.names.values)
    told = pa.array([texts[row].text for row in flawed], pa.large_string())
    flaw = np.array([texts[row].flaw for row in flawed], np.int8)
    return Reading(Names(codes, pa.concat_arrays([inner.names.values, told])), np.concatenate([inner.flaw, flaw]))


class NameText(NamedTuple):
    """A Python value as a name: None where it is missing, and its flaw (a place in FLAWS)."""

    text: str | None
    flaw: int


def name_text(value: Any) -> NameText:
    """What a Python value is called.

    >>> name_text(3.0), name_text(True), name_text(float("nan")).text
    (NameText(text='3', flaw=0), NameText(text='true', flaw=0), None)
    """
    value = value.item() if isinstance(value, np.generic) else value
    if is_missing(value):
        return NameText(None, FINE)
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, bool):
        return NameText(str(value).lower(), FINE)
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return NameText(shown(bytes(value)), BYTES)
    if isinstance(value, date | time):
        return NameText(value.isoformat(), FINE)
    if isinstance(value, int | Decimal):
        return _digits(value)
    return NameText(str(value), FINE) if isinstance(value, UUID) else NameText(shown(value), NESTED)


def _encodable(value: str) -> NameText:
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, as JSON can spell it
        return NameText(value.encode("utf-8", "backslashreplace").decode(), NOT_UTF8)
    return NameText(value, FINE)


def _float_text(value: float) -> NameText:
    texts, flaw = _float_texts(pa.array([value]))
    return NameText(texts[0].as_py(), int(flaw[0]))


def _digits(value: int | Decimal) -> NameText:
    """Whole numbers without a point; beyond a thousand digits it is no name (and Python would refuse to spell it)."""
    if isinstance(value, int):
        return NameText(str(value), FINE) if value.bit_length() < 3 * MAX_CHARS else NameText(MANY_DIGITS, LONG)
    if not value.is_finite():
        return NameText(str(value), INFINITE)
    if abs(value.adjusted()) > MAX_CHARS:
        return NameText(MANY_DIGITS, LONG)
    return NameText(str(int(value)) if value == value.to_integral_value() else str(value), FINE)


def flaw_problem(text: str, flaw: int) -> str:
    """What a message says of a value with a flaw."""
    return f"{text if flaw in NO_TEXT else shown(text)} {FLAWS[flaw].problem}"


def shown(value: object) -> str:
    """A value for a message: short, on one line, without control characters."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."
