"""What people and a judge said, side by side."""

import numpy as np
import pyarrow as pa
import pytest

from quorate.data.dataset import Dataset
from quorate.errors import SettingError
from quorate.judge.graded import grade_values, graded
from quorate.schema import Schema, Task

CARE = Task("care", ("1", "2", "3"), ordered=True)


def three_items() -> Dataset:
    """Two people and a judge on a, one person on b, gold alone on c."""
    labels = [("a", "ann", "1"), ("a", "bob", "3"), ("b", "ann", "2")]
    said = [("a", "2"), ("b", "3")]
    return Dataset(
        labels=pa.table(
            {
                "item": [item for item, _, _ in labels],
                "task": ["care"] * 3,
                "annotator": [who for _, who, _ in labels],
                "label": [label for _, _, label in labels],
            }
        ),
        model_labels=pa.table(
            {
                "item": [item for item, _ in said],
                "task": ["care"] * 2,
                "model": ["judge"] * 2,
                "label": [label for _, label in said],
            }
        ),
        gold=pa.table({"item": ["c"], "task": ["care"], "label": ["3"]}),
        schema=Schema((CARE,)),
    )


def test_people_are_counted_and_gold_stands_in_where_nobody_graded():
    """Counts per class are people's; an item with gold alone has one trusted grade."""
    found = graded(three_items(), "judge", "care", ["c", "a", "b"])
    assert found.people.tolist() == [[0, 0, 1], [1, 0, 1], [0, 1, 0]]
    assert found.human.tolist() == [3.0, 2.0, 2.0]
    assert found.said.tolist() == [-1, 1, 2]
    assert found.known.tolist() == [False, True, True]
    assert found.probs[1:].tolist() == np.eye(3)[[1, 2]].tolist()


def test_a_selection_keeps_rows_together():
    """By mask or by place, every field moves with its item."""
    found = graded(three_items(), "judge", "care")
    kept = found.select(found.known)
    assert kept.items == ("a", "b")
    assert kept.said.tolist() == [1, 2]
    assert kept.select(np.array([1])).items == ("b",)


def test_a_judge_or_an_item_that_is_not_there_is_named():
    """Bad input names what is missing."""
    with pytest.raises(SettingError, match="no model 'oracle'"):
        graded(three_items(), "oracle", "care")
    with pytest.raises(SettingError, match="no item 'z'"):
        graded(three_items(), "judge", "care", ["z"])


def test_grades_are_numbers_only_where_they_rise():
    """Classes that spell no rising numbers count 1, 2, 3."""
    assert grade_values(Task("x", ("3", "2", "1"), ordered=True)).tolist() == [1.0, 2.0, 3.0]
    assert grade_values(Task("x", ("0", "0.5", "2"), ordered=True)).tolist() == [0.0, 0.5, 2.0]
