"""A schema that nobody wrote."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from quorate.data.dataset import Dataset
from quorate.data.infer import infer_schema
from quorate.errors import SchemaError
from quorate.schema import Task
from unit.data.small import labels, world


def test_tasks_and_classes_are_in_natural_order_whatever_the_rows():
    """Numbers by value; the order of the rows does not matter."""
    rows = [("a", "Q10", "p", 10), ("a", "Q2", "p", 9), ("b", "Q2", "p", 100), ("b", "Q10", "p", -1)]
    for order in (rows, rows[::-1]):
        assert Dataset(labels=labels(*order)).schema.tasks == (Task("Q2", ("9", "100")), Task("Q10", ("-1", "10")))


def test_every_table_adds_its_answers():
    """Labels, scores, model labels and gold."""
    tables = world()
    found = Dataset(**tables).schema
    assert [(task.name, task.classes) for task in found.tasks] == [
        ("food", ("bad", "good")),
        ("stars", ("1", "2", "3")),
    ]
    gold = pa.table({"item": ["i0"], "task": ["food"], "label": ["so-so"]})
    assert Dataset(**{**tables, "gold": gold}).schema.tasks[0].classes == ("bad", "good", "so-so")


def test_a_scale_is_a_scale_only_where_somebody_says_so():
    """Digits may be codes of unrelated answers."""
    data = Dataset(labels=labels(("a", "stars", "p", 1), ("b", "stars", "p", 2)))
    assert not data.schema.tasks[0].ordered
    assert infer_schema(data._tables.values(), ordered=["stars"]).tasks[0].ordered


def test_one_answer_spelled_in_two_ways_is_told():
    """A stray blank would make a class of its own, and nobody would see it."""
    table = labels(("a", "food", "p", "good"), ("b", "food", "p", "good "), ("c", "stars", "p", "good "))
    with pytest.raises(SchemaError, match=r"row 2, column 'label': 'good ' and 'good' are one answer") as caught:
        Dataset(labels=table)
    assert "quarantine" in caught.value.mend
    kept = Dataset(labels=table, on_bad="quarantine")
    assert kept.quarantined["row"].to_pylist() == [2]
    assert kept.schema.task("stars").classes == ("good ",)


def test_both_tables_are_asked_for_spellings():
    """The label is plain in one table and not in the other."""
    gold = pa.table({"item": ["a"], "task": ["stars"], "label": ["1.0"]})
    with pytest.raises(SchemaError, match=r"gold, row 1, column 'label': '1.0' and '1'"):
        Dataset(labels=labels(("a", "stars", "p", 1)), gold=gold)


@pytest.mark.parametrize(("column", "other"), [("label", "task"), ("task", "label")])
def test_a_million_answers_are_no_answers(column, other):
    """The error comes at once, and names the row where it became clear."""
    n = 1_000_000
    texts = pa.array(np.arange(n)).cast(pa.string())
    one = pa.array(["x"]).take(pa.array(np.zeros(n, np.int64)))
    table = pa.table({"item": texts, column: texts, other: one, "annotator": one})
    with pytest.raises(SchemaError, match=rf"row 1001, column '{column}': 1,000,000 distinct"):
        Dataset(labels=table)


def test_a_thousand_classes_of_one_task_are_the_most():
    """Another task beside it does not help."""
    rows = [(f"i{k}", "id", "p", f"answer {k}") for k in range(1001)]
    with pytest.raises(SchemaError, match="1,001 distinct classes of task 'id'"):
        Dataset(labels=labels(("a", "food", "p", "good"), *rows))
    assert len(Dataset(labels=labels(*rows[:1000])).schema.tasks[0].classes) == 1000
