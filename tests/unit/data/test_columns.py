"""Numbers and times, from whatever spells them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from quorate.data.columns import TIME, optional, plain, read_numbers, read_times


def column(values: list, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


@pytest.mark.parametrize(
    "values",
    [
        column([1, 2.5, None, float("nan")]),
        column(["1", " 2.5", None, ""]),
        column(["1", "2.5", None, "nan"]).cast(pa.large_string()),
        column(["1", "2.5", None, " "]).dictionary_encode(),
        [1, "2.5", None, float("nan")],
        [np.float32(1), 2.5, pd.NA, ""],
    ],
)
def test_numbers_are_read_from_all_that_spells_them(values):
    """Nothing unreadable in any of these; null, NaN and blank are missing."""
    numbers = read_numbers(values)
    assert numbers.values.tolist() == [1.0, 2.5, 0.0, 0.0]
    assert numbers.missing.tolist() == [False, False, True, True]
    assert not numbers.unreadable.any()
    assert numbers.column().to_pylist() == [1.0, 2.5, None, None]


@pytest.mark.parametrize("values", [column(["0,5", "1", None]), ["x", 1, None], [[1], 1, None], [10**400, 1, None]])
def test_what_is_no_number_is_told(values):
    """A decimal comma, a word, a list, a number beyond all floats."""
    assert read_numbers(values).unreadable.tolist() == [True, False, False]


def test_truth_values_are_no_numbers():
    """A score of `true` is a slip, not a 1."""
    assert read_numbers(column([True, None])).unreadable.tolist() == [True, False]
    assert read_numbers([True, 0.5]).unreadable.tolist() == [True, False]


NOON = dt.datetime(2024, 1, 31, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "values",
    [
        column(["2024-01-31T12:00:00Z", None]),
        column(["2024-01-31T12:00:00", ""]),
        column(["2024-01-31 13:00:00+01:00", " "]),
        column(["2024-01-31T12:00:00Z", "2024-01-31T12:00:00"]).slice(0, 1),
        column([NOON, None]),
        column([NOON.replace(tzinfo=None), None], pa.timestamp("ns")),
        column([NOON, None], pa.timestamp("s", "Europe/Rome")),
        [NOON, None],
        ["2024-01-31 12:00", pd.NaT],
    ],
)
def test_times_become_utc(values):
    """A time without a zone is UTC; a missing time stays missing."""
    times = read_times(values)
    assert times.column.type == TIME
    assert times.column.to_pylist() == [NOON, None][: len(values)]
    assert not times.unreadable.any()


def test_spellings_of_time_may_be_mixed():
    """With and without zone, day alone."""
    times = read_times(column(["2024-01-31T12:00:00Z", "2024-01-31", "yesterday", None]))
    assert times.column.to_pylist() == [NOON, NOON.replace(hour=0), None, None]
    assert times.unreadable.tolist() == [False, False, True, False]


@pytest.mark.parametrize("values", [column([3, 1, None]), column(["3", "1", None]), column([3.0, 1.0, None])])
def test_numbers_are_times_of_their_own(values):
    """Seconds since whenever: only their order counts."""
    assert read_times(values).column.to_pylist() == [3.0, 1.0, None]


def test_what_is_no_time_is_told():
    """Truth values, lists, years beyond the calendar."""
    assert read_times(column([True, None])).unreadable.tolist() == [True, False]
    assert read_times([[1], NOON]).unreadable.tolist() == [True, False]


def test_other_columns_come_in_everyday_types():
    """Categories are decoded, large text is text, mixed values are texts, nothing is nothing."""
    assert plain(column(["a", None]).dictionary_encode()).type == pa.string()
    assert plain(column(["a"], pa.large_string())).type == pa.string()
    assert plain(column([None])).type == pa.string()
    assert plain([1, "a", None, [1], {"b": "é"}, "\ud800"]).to_pylist() == [
        "1",
        "a",
        None,
        "[1]",
        '{"b": "é"}',
        "\\ud800",
    ]
    assert plain(column([[1, 2]])).to_pylist() == [[1, 2]]


def test_columns_that_the_contract_knows_take_their_types_where_they_can():
    """A confidence may also be a word."""
    assert optional("confidence", column(["0.5", None])).to_pylist() == [0.5, None]
    assert optional("confidence", column(["high", "0.5"])).to_pylist() == ["high", "0.5"]
    assert optional("assisted", column(["true", "False", None])).to_pylist() == [True, False, None]
    assert optional("assisted", column(["perhaps"])).to_pylist() == ["perhaps"]
    assert optional("note", column(["0.5"])).to_pylist() == ["0.5"]
