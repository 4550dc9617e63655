"""Bad rows: every error names table, row, column and the mend; with quarantine just these rows are set aside."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.data.checks import groups
from quorate.data.dataset import Dataset
from quorate.errors import DataError, FormatError, SchemaError
from unit.data.small import SCHEMA, labels, scores

FINE = [("a", "food", "ann", "good"), ("a", "food", "bo", "bad"), ("b", "stars", "ann", "1")]
VECTOR = {"bad": 0.25, "good": 0.75}


def changed(row: int, column: str, value: Any) -> pa.Table | pd.DataFrame:
    """The fine labels with one value replaced."""
    place = ("item", "task", "annotator", "label").index(column)
    rows = [list(one) for one in FINE]
    rows[row - 1][place] = value
    return pd.DataFrame(rows, columns=["item", "task", "annotator", "label"], dtype=object)


@pytest.mark.parametrize(
    ("row", "column", "value", "kind", "problem"),
    [
        (
            2,
            "label",
            "godo",
            SchemaError,
            "'godo' is no class of task 'food', which has 'bad', 'good' (is 'good' meant?)",
        ),
        (3, "label", 4, SchemaError, "'4' is no class of task 'stars', which has '1', '2', '3'"),
        (1, "task", "foot", SchemaError, "'foot' is no task of the schema, which has 'food', 'stars'"),
        (2, "label", None, DataError, "the label is missing"),
        (2, "label", float("nan"), DataError, "the label is missing"),
        (2, "item", "  ", DataError, "the item is missing"),
        (1, "annotator", "", DataError, "the annotator is missing"),
        (3, "annotator", "x" * 1001, DataError, "is longer than 1,000 characters"),
        (3, "item", "a\nb", DataError, r"'a\nb' holds a control character"),
        (3, "item", 1e300, DataError, "is a float above 2^53"),
        (2, "label", b"good", DataError, "b'good' is bytes, not text"),
        (2, "label", ["good"], DataError, "['good'] is not one value"),
        (2, "annotator", "ann", DataError, "annotator 'ann' has answered task 'food' of item 'a' already in row 1"),
    ],
)
def test_a_bad_label_row_is_named(row, column, value, kind, problem):
    """Table, row and column; what is wrong; what to do. Set aside it is one row, with the reason."""
    with pytest.raises(DataError) as caught:
        Dataset(labels=changed(row, column, value), schema=SCHEMA)
    error = caught.value
    assert type(error) is kind
    assert (error.source, error.row, error.column) == ("labels", row, column)
    assert problem in error.problem
    assert str(error).startswith(f"labels, row {row}, column '{column}': ")
    assert "To mend: " in str(error)
    data = Dataset(labels=changed(row, column, value), schema=SCHEMA, on_bad="quarantine")
    aside = data.quarantined.to_pylist()
    assert [(entry["table"], entry["row"], entry["column"]) for entry in aside] == [("labels", row, column)]
    assert problem in aside[0]["reason"]
    assert "annotator" in json.loads(aside[0]["record"])
    assert data.labels.num_rows == 2


def test_the_error_counts_the_rows_that_are_like_it():
    """One error, not a hundred."""
    rows = [(f"i{k}", "food", "ann", "good" if k else "odd") for k in range(5)] + [("x", "food", "ann", "odd")] * 1
    with pytest.raises(SchemaError, match=r"row 1, .*\(and 1 more row like it\)"):
        Dataset(labels=labels(*rows), schema=SCHEMA)


def test_the_earliest_row_is_named_whatever_its_trouble():
    """Of several troubles the first in the file."""
    rows = [FINE[0], ("", "food", "ann", "good"), (None, "food", "ann", None)]
    with pytest.raises(DataError) as caught:
        Dataset(labels=labels(*rows), schema=SCHEMA)
    assert caught.value.row == 2


@pytest.mark.parametrize(
    ("vector", "column", "problem"),
    [
        ({"bad": -0.25, "good": 1.25}, "score", "the score -0.25 is negative"),
        ({"bad": float("nan"), "good": 1.0}, "score", "is missing"),
        ({"bad": None, "good": 1.0}, "score", "the score is missing"),
        ({"bad": float("inf"), "good": 1.0}, "score", "the score inf is infinite"),
        ({"bad": 0.25, "good": 0.7489}, "score", "of model 'm' for task 'food' of item 'b' sum to 0.9989, not to 1"),
        ({"good": 0.9}, "label", "leave out class 'bad', which most of its vectors have (see row 1)"),
        ({"good": 1.0}, "label", "leave out class 'bad', which most of its vectors have (see row 1)"),
        ({"bad": 0.5, "god": 0.5}, "label", "'god' is no class of task 'food'"),
    ],
)
def test_a_bad_score_vector_is_named_and_set_aside_whole(vector, column, problem):
    """Half a vector is of no use."""
    table = scores({("a", "food", "m"): VECTOR, ("b", "food", "m"): vector, ("c", "food", "m"): VECTOR})
    with pytest.raises(DataError) as caught:
        Dataset(scores=table, schema=SCHEMA)
    assert caught.value.source == "scores"
    assert caught.value.column == column
    assert 3 <= caught.value.row <= 2 + len(vector)
    assert problem in caught.value.problem
    data = Dataset(scores=table, schema=SCHEMA, on_bad="quarantine")
    assert data.quarantined["row"].to_pylist() == list(range(3, 3 + len(vector)))
    assert data.scores["item"].to_pylist() == ["a", "a", "c", "c"]
    reasons = data.quarantined["reason"].to_pylist()
    assert sum(problem in reason for reason in reasons) == 1
    assert all(problem in reason or "part of the score vector" in reason for reason in reasons)


def test_a_class_scored_twice_spoils_its_vector():
    """Which of the two was meant?"""
    table = pa.concat_tables([scores({("a", "food", "m"): VECTOR}), scores({("a", "food", "m"): {"bad": 0.25}})])
    with pytest.raises(DataError, match=r"row 3, column 'label': model 'm' has scored class 'bad' .* already in row 1"):
        Dataset(scores=table, schema=SCHEMA)
    data = Dataset(scores=table, schema=SCHEMA, on_bad="quarantine")
    assert (data.quarantined.num_rows, data.scores) == (3, None)


def test_a_class_that_a_model_never_scores_is_outside_its_vocabulary():
    """Language models often cannot say "not applicable" where people can: their score for it is 0, not missing."""
    table = scores({(item, "stars", "m"): {"1": 0.5, "2": 0.5} for item in "abc"})
    output = Dataset(scores=table, schema=SCHEMA).encode().outputs[1]
    np.testing.assert_array_equal(output.scores[:, 0], [[0.5, 0.5, 0]] * 3)


def test_scores_may_miss_one_by_a_thousandth():
    """Rounded scores are fine, and encoded they sum to 1."""
    for off, fine in ((0.00099, True), (-0.00099, True), (0.0011, False), (-0.0011, False)):
        table = scores({("a", "food", "m"): {"bad": 0.25, "good": 0.75 + off}})
        if fine:
            assert Dataset(scores=table).encode().outputs[0].scores.sum() == pytest.approx(1, abs=1e-6)
        else:
            with pytest.raises(DataError, match="not to 1"):
                Dataset(scores=table)


def test_a_stray_vector_is_the_bad_one_not_all_others():
    """Which classes a model scores is what most of its vectors say."""
    vectors = {(f"i{k}", "stars", "m"): {"1": 0.5, "2": 0.5} for k in range(4)}
    vectors["i4", "stars", "m"] = {"1": 0.5, "2": 0.25, "3": 0.25}
    data = Dataset(scores=scores(vectors), schema=SCHEMA, on_bad="quarantine")
    assert data.quarantined["row"].to_pylist() == [9, 10, 11]
    assert "have class '3', which most of its vectors leave out (see row 1)" in data.quarantined["reason"][0].as_py()


@pytest.mark.parametrize(
    ("table", "columns", "problem"),
    [
        (
            "gold",
            {"task": ["food"] * 2, "label": ["good", "bad"]},
            "task 'food' of item 'a' has a gold label already in row 1",
        ),
        ("items", {"text": ["x", "y"]}, "item 'a' is listed already in row 1"),
        (
            "model_labels",
            {"task": ["food"] * 2, "model": ["m"] * 2, "label": ["good"] * 2},
            "model 'm' has answered task 'food' of item 'a' already in row 1",
        ),
    ],
)
def test_what_may_stand_once_stands_once(table, columns, problem):
    """The first row stays, later ones are set aside."""
    frame = pa.table({"item": ["a", "a"], **columns})
    with pytest.raises(DataError, match=problem) as caught:
        Dataset(**{table: frame}, schema=SCHEMA)
    assert caught.value.row == 2
    data = Dataset(**{table: frame}, schema=SCHEMA, on_bad="quarantine")
    assert data.quarantined["row"].to_pylist() == [2]


@pytest.mark.parametrize(
    ("renamed", "mend"),
    [
        ({"annotator": "worker"}, "rename column 'worker' to 'annotator'"),
        ({"item": "Item "}, "rename column 'Item ' to 'item'"),
        ({"label": "lable"}, "rename column 'lable' to 'label'"),
        ({"task": "kind of thing"}, "add a column 'task' with the name of the question"),
    ],
)
def test_a_missing_column_is_named_with_a_guess(renamed, mend):
    """The column may be there under another name."""
    table = labels(*FINE)
    table = table.rename_columns([renamed.get(name, name) for name in table.column_names])
    with pytest.raises(FormatError) as caught:
        Dataset(labels=table)
    assert caught.value.column == next(iter(renamed))
    assert mend in caught.value.mend


def test_a_table_without_rows_is_told():
    """An empty export is a mistake, not a data set."""
    with pytest.raises(FormatError, match="labels: the table has no rows"):
        Dataset(labels=labels(*FINE).slice(0, 0))


def test_columns_of_nothing_but_garbage_are_refused_at_once():
    """A hundred thousand tasks times as many labels are never laid out as a table."""
    n = 100_000
    ids = pa.array(np.arange(n)).cast(pa.string())
    one = pa.array(["x"]).take(pa.array(np.zeros(n, np.int64)))
    with pytest.raises(SchemaError, match="row 1, column 'task': '0' is no task of the schema"):
        Dataset(labels=pa.table({"item": one, "task": ids, "annotator": one, "label": ids}), schema=SCHEMA)
    long = pa.array(["x" * 1001 + str(k) for k in range(n)])
    table = pa.table({"item": pa.concat_arrays([one, one]), "task": pa.concat_arrays([long, one])})
    table = table.append_column("annotator", pa.concat_arrays([ids, ids])).append_column("label", table["item"])
    data = Dataset(labels=table.slice(n - 10, 20), on_bad="quarantine")
    assert data.quarantined.num_rows == 10
    assert data.schema.tasks[0].name == "x"


def test_more_scores_than_memory_holds_are_refused():
    """A model column that holds something else would ask for terabytes of scores."""
    n = 100_000
    ids = pa.array(np.arange(n)).cast(pa.string())
    one = pa.array(["food"]).take(pa.array(np.zeros(n, np.int64)))
    label = pa.array(["good"]).take(pa.array(np.zeros(n, np.int64)))
    data = Dataset(model_labels=pa.table({"item": ids, "task": one, "model": ids, "label": label}), schema=SCHEMA)
    with pytest.raises(DataError, match="100,000 items times 100,000 models times 5 classes"):
        data.encode()


def test_more_cells_than_memory_holds_are_refused():
    """Item and task columns that hold something else would ask for terabytes."""
    n = 300_000
    ids = pa.array(np.arange(n)).cast(pa.string())
    tasks = pa.array(np.arange(n) % 1000).cast(pa.string())
    one = pa.array(["x"]).take(pa.array(np.zeros(n, np.int64)))
    with pytest.raises(DataError, match="300,000 items times 1,000 tasks are more than"):
        Dataset(labels=pa.table({"item": ids, "task": tasks, "annotator": one, "label": one}))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 2**31 - 2), st.integers(0, 3), st.integers(0, 2**31 - 2)), max_size=20))
def test_a_group_is_a_combination(rows):
    """By first appearance, however large the codes."""
    found = groups(*(np.array([row[i] for row in rows], np.int32) for i in range(3)))
    assert found.tolist() == [list(dict.fromkeys(rows)).index(row) for row in rows]
