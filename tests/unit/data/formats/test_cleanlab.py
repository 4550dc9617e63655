"""cleanlab's wide layout, in and out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from quorate.data.formats.cleanlab import from_cleanlab, to_cleanlab
from quorate.errors import DataError, SchemaError, SettingError
from quorate.schema import Task
from unit.data.small import dataset

CLASSES = ["cat", "dog", "owl"]
WIDE = pd.DataFrame({"ann": [0, 1, np.nan, 2], "bo": [np.nan, 1, 2, np.nan]})
PROBS = np.array([[0.5, 0.25, 0.25], [0, 1, 0], [np.nan] * 3, [0.2, 0.3, 0.5]])


def test_a_wide_table_becomes_labels_by_item():
    """Places become classes, gaps become nothing; rows without any label stay items."""
    data = from_cleanlab(WIDE, pred_probs={"net": PROBS}, classes=CLASSES, question="animal")
    rows = [tuple(row.values()) for row in data.labels.to_pylist()]
    assert rows == [
        ("0", "animal", "ann", "cat"),
        ("1", "animal", "ann", "dog"),
        ("1", "animal", "bo", "dog"),
        ("2", "animal", "bo", "owl"),
        ("3", "animal", "ann", "owl"),
    ]
    assert data.schema.tasks == (Task("animal", ("cat", "dog", "owl")),)
    output = data.encode().outputs[0]
    assert output.kind[:, 0].tolist() == [1, 1, 0, 1]
    np.testing.assert_allclose(output.scores[[0, 1, 3], 0], PROBS[[0, 1, 3]], atol=1e-7)


def test_labels_may_be_the_classes_themselves():
    """Words, or numbers that stand for themselves; scores in natural order."""
    words = from_cleanlab(pd.DataFrame({"ann": ["dog", None], "bo": ["cat", "cat"]}))
    assert words.schema.tasks[0].classes == ("cat", "dog")
    numbers = from_cleanlab(WIDE, pred_probs={"net": PROBS})
    assert numbers.schema.tasks[0].classes == ("0", "1", "2")
    seen = from_cleanlab(pd.DataFrame({"ann": [0, 1]}), pred_probs={"net": PROBS[:2]})
    assert seen.schema.tasks[0].classes == ("0", "1", "2")


def test_there_and_back_again_is_no_change():
    """Data set to wide table to data set: labels, scores, items."""
    data = dataset()
    for question in ("food", "stars"):
        theirs = to_cleanlab(data, question)
        again = from_cleanlab(
            theirs.labels, pred_probs=theirs.pred_probs, classes=theirs.classes, items=theirs.items, question=question
        )
        back = to_cleanlab(again)
        place = [back.items.index(item) for item in theirs.items]
        assert back.classes == theirs.classes
        assert back.labels.take(pa.array(place)).to_pydict() == theirs.labels.to_pydict()
        assert back.pred_probs.keys() == theirs.pred_probs.keys()
        for model, probs in theirs.pred_probs.items():
            np.testing.assert_allclose(back.pred_probs[model][place], probs, atol=1e-6)


def test_the_wide_table_is_what_cleanlab_takes():
    """Floats with NaN in pandas; scores with one row per item and one column per class."""
    theirs = to_cleanlab(dataset(), "stars")
    frame = theirs.labels.to_pandas()
    assert frame.shape[0] == len(theirs.items)
    assert frame.dtypes.eq(float).all()
    assert np.nanmax(frame) <= 2
    for probs in theirs.pred_probs.values():
        assert probs.shape == (len(theirs.items), 3)


def test_rows_may_have_names():
    """A column `item`, or a list."""
    named = from_cleanlab(pd.DataFrame({"item": ["x", "y"], "ann": ["a", "b"]}))
    assert named.encode().items == ("x", "y")
    assert from_cleanlab(pd.DataFrame({"ann": ["a", "b"]}), items=[7, 8]).encode().items == ("7", "8")
    with pytest.raises(SettingError, match="3 items for 2 rows"):
        from_cleanlab(pd.DataFrame({"ann": ["a", "b"]}), items=[1, 2, 3])
    with pytest.raises(DataError, match="item 'x' is listed already in row 1"):
        from_cleanlab(pd.DataFrame({"item": ["x", "x"], "ann": ["a", "b"]}))


@pytest.mark.parametrize("value", [3, -1, 0.5])
def test_a_place_that_there_is_not_is_named(value):
    """Row and annotator."""
    wide = WIDE.assign(ann=[0, value, np.nan, 2])
    with pytest.raises(SchemaError, match="is no place in the 3 classes") as caught:
        from_cleanlab(wide, classes=CLASSES)
    assert (caught.value.row, caught.value.column) == (2, "ann")


def test_an_answer_that_is_no_name_is_named():
    """As in every other layout."""
    with pytest.raises(DataError, match="is not a finite number") as caught:
        from_cleanlab(pd.DataFrame({"ann": [0.0, np.inf]}))
    assert (caught.value.row, caught.value.column) == (2, "ann")


@pytest.mark.parametrize(
    ("probs", "problem"),
    [
        (PROBS[:3], r"shape \(3, 3\)"),
        (PROBS[:, :2], r"shape \(4, 2\)"),
        (PROBS * [[1], [1.01], [1], [1]], r"row 2: .* are no probabilities"),
        (PROBS - [[0], [0], [0], [0.3]], r"row 4: .* are no probabilities"),
        (np.where(np.arange(12).reshape(4, 3) == 4, np.nan, PROBS), r"row 2: .* are no probabilities"),
    ],
)
def test_scores_that_are_none_are_named(probs, problem):
    """Model and row."""
    with pytest.raises(DataError, match=rf"pred_probs\['net'\].*{problem}"):
        from_cleanlab(WIDE, pred_probs={"net": probs}, classes=CLASSES)
