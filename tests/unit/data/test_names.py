"""What values are called, and their codes."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.data.names import (
    BLURRED,
    BYTES,
    CONTROL,
    FINE,
    INFINITE,
    LONG,
    NESTED,
    NOT_UTF8,
    name_text,
    read_names,
    shown,
)


def called(column: pa.ChunkedArray | list) -> list[str | None]:
    """The names of a column, row by row."""
    names = read_names(column).names
    return names.text().to_pylist()


def column(values: list, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["b", "a", None, "", " ", "b"], pa.string(), ["b", "a", None, None, None, "b"]),
        (["b", "a", None], pa.large_string(), ["b", "a", None]),
        (["b", "a", None], pa.string_view(), ["b", "a", None]),
        ([1, -2, None], pa.int8(), ["1", "-2", None]),
        ([2**64 - 1], pa.uint64(), ["18446744073709551615"]),
        ([1.0, 0.5, float("nan"), None, -0.0, 0.0], pa.float64(), ["1", "0.5", None, None, "0", "0"]),
        ([1.0, 0.1], pa.float32(), ["1", "0.1"]),
        ([True, False, None], pa.bool_(), ["true", "false", None]),
        ([Decimal("1.00"), Decimal("1.50")], pa.decimal128(5, 2), ["1", "1.50"]),
        ([dt.date(2024, 1, 31)], pa.date32(), ["2024-01-31"]),
        ([None, None], pa.null(), [None, None]),
        ([uuid.UUID(int=1).bytes], None, None),
    ],
)
def test_a_value_is_called_the_same_in_every_type(values, kind, expected):
    """Text as it stands, whole numbers without a point, NaN and blanks missing; alone, as categories, as objects."""
    if expected is None:
        assert read_names(column(values)).flaw.tolist() == [BYTES]
        return
    found = column(values, kind)
    assert called(found) == expected
    assert called(found.slice(1)) == expected[1:]
    assert called(pa.chunked_array([found.chunk(0), found.chunk(0)])) == expected * 2
    if kind not in {pa.null(), pa.string_view()}:
        assert called(found.dictionary_encode()) == expected
    if kind != pa.float32():  # as a Python float it has other digits
        assert called(found.to_pylist()) == expected


def test_categories_that_are_empty_or_repeated_do_not_disturb():
    """An Arrow dictionary may hold nulls, repeats and values that no row uses."""
    values = pa.array(["a", None, "a", "unused"])
    found = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None, 0], pa.int8()), values)
    names = read_names(pa.chunked_array([found])).names
    assert names.text().to_pylist() == ["a", None, "a", None, "a"]
    assert names.codes[0] == names.codes[2] == names.codes[4]


@pytest.mark.parametrize(
    ("value", "flaw"),
    [
        ("x" * 1001, LONG),
        ("é" * 1000, FINE),
        ("a\nb", CONTROL),
        ("a\x1b[31m", CONTROL),
        ("\ud800", NOT_UTF8),
        (float("inf"), INFINITE),
        (2.0**53, FINE),
        (2.0**53 + 2, BLURRED),
        (10**18, FINE),
        pytest.param(10**5000, LONG, id="huge"),
        (Decimal("1E+5000"), LONG),
        (b"a", BYTES),
        (["a"], NESTED),
        ({"a": 1}, NESTED),
        (object(), NESTED),
    ],
)
def test_a_flaw_is_marked_where_it_stands(value, flaw):
    """Only the value that is no name has the flaw, beside others of any type."""
    reading = read_names(["a", value, None, 1])
    marks = np.append(reading.flaw, FINE)[reading.names.codes]
    assert marks.tolist() == [FINE, flaw, FINE, FINE]


def test_bytes_that_are_no_utf8_are_shown_and_marked():
    """Arrow does not look into its strings; here a file's Latin-1 bytes come to light."""
    found = pa.chunked_array([pa.array([b"caf\xe9", b"caf\xc3\xa9"]).view(pa.string())])
    reading = read_names(found)
    assert reading.flaw.tolist() == [NOT_UTF8, FINE]
    assert reading.names.text().to_pylist() == ["caf\\xe9", "café"]


def test_missing_values_of_pandas_are_missing():
    """None, NaN, NA and NaT are one: nothing."""
    assert called([None, float("nan"), pd.NA, pd.NaT, np.float64("nan"), Decimal("NaN"), "a"]) == [None] * 6 + ["a"]


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.integers(-(2**70), 2**70) | st.booleans() | st.text(max_size=3) | st.none() | st.floats(), max_size=20)
)
def test_equal_codes_mean_equal_names(values):
    """Two fine rows have one code exactly where they have one text."""
    reading = read_names(values)
    marks = np.append(reading.flaw, FINE)[reading.names.codes]
    texts = [name_text(value).text if mark == FINE else None for value, mark in zip(values, marks, strict=True)]
    texts = [text if text and text.strip() else None for text in texts]
    code_of: dict[str, int] = {}
    for text, code, mark in zip(texts, reading.names.codes.tolist(), marks, strict=True):
        if mark == FINE:
            assert (text is None) == (code == -1)
            assert text is None or code_of.setdefault(text, code) == code
    assert len(set(code_of.values())) == len(code_of)


def test_a_value_in_a_message_is_short_and_on_one_line():
    """No control characters, no kilometres of text."""
    assert shown("a\n\x1b") == r"'a\n\x1b'"
    assert len(shown("x" * 10_000)) < 70
    assert shown("né") == "'né'"
