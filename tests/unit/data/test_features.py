"""Numbers about items."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from quorate.data.dataset import Dataset
from quorate.errors import DataError
from unit.data.small import labels

LABELS = labels(("b", "food", "ann", "good"), ("c", "food", "ann", "bad"))


def encoded(**columns: list):
    return Dataset(labels=LABELS, items=pa.table({"item": ["a", "b"], **columns})).encode()


def test_features_stand_side_by_side_in_natural_order():
    """x_2 before x_10, the embedding last; the names say which is which."""
    coded = encoded(embedding=[[1.0, 2.0], [3.0, 4.0]], x_10=[5, 6], text=["s", "t"], x_2=["7", "8"])
    assert coded.items == ("b", "c", "a")
    assert coded.feature_names == ("x_2", "x_10", "embedding_0", "embedding_1")
    np.testing.assert_array_equal(coded.features, [[8, 6, 3, 4], [0, 0, 0, 0], [7, 5, 1, 2]])
    assert coded.features_known.tolist() == [True, False, True]


def test_an_item_with_a_gap_is_unknown():
    """Half of its features would be no features; nothing is made up."""
    coded = encoded(embedding=[None, [3.0, 4.0]], x_1=[1.0, None])
    assert not coded.features.any()
    assert not coded.features_known.any()
    assert coded.features.shape == (3, 3)


def test_without_features_there_is_width_none():
    """An items table with contents only."""
    coded = encoded(text=["s", "t"])
    assert coded.features.shape == (3, 0)
    assert not coded.features_known.any()


@pytest.mark.parametrize(
    "embedding",
    [
        pa.array([[1, 2], [3, 4]], pa.list_(pa.int64())),
        pa.array([[1, 2], [3, 4]], pa.list_(pa.float64(), 2)),
        pa.array([[1, 2], [3, 4]], pa.large_list(pa.float32())),
        pa.array(["[1, 2]", "[3, 4]"]),
        pa.array([[1, 2], [3, 4]], pa.list_view(pa.float64())),
    ],
)
def test_vectors_come_in_many_types(embedding):
    """Lists of every kind, and JSON texts, since CSV has no lists."""
    coded = encoded(embedding=embedding)
    np.testing.assert_array_equal(coded.features, [[3, 4], [0, 0], [1, 2]])


def test_vectors_may_be_numpy_arrays_in_pandas():
    """As an encoder returns them."""
    items = pd.DataFrame({"item": ["b", "c"], "embedding": [np.array([1.0, 2.0]), np.array([3.0, 4.0])]})
    np.testing.assert_array_equal(Dataset(labels=LABELS, items=items).encode().features, [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("columns", "column", "problem"),
    [
        ({"x_1": ["1", "tall"]}, "x_1", "the feature is not a number"),
        ({"x_1": [1.0, float("inf")]}, "x_1", "the feature is not a finite number"),
        ({"x_1": [1.0, 1e39]}, "x_1", "the feature is not a finite number"),
        ({"x_1": [True, False]}, "x_1", "the feature is not a number"),
        ({"embedding": [[1.0, 2.0], [1.0, float("nan")]]}, "embedding", "holds a missing or infinite number"),
        ({"embedding": [[1.0, 2.0], [1.0, None]]}, "embedding", "holds a missing or infinite number"),
        ({"embedding": ["[1, 2]", "[1, 2"]}, "embedding", "not a list of numbers"),
        ({"embedding": [[[1.0]], [[2.0]]]}, "embedding", "not a list of numbers"),
        ({"embedding": [1.0, 2.0]}, "embedding", "not a list of numbers"),
    ],
)
def test_a_feature_that_is_none_is_told(columns, column, problem):
    """Row and column, as everywhere."""
    with pytest.raises(DataError, match=problem) as caught:
        encoded(**columns)
    assert (caught.value.source, caught.value.column) == ("items", column)
    assert caught.value.row in {1, 2}


def test_a_vector_of_another_width_is_told():
    """The width is that of most vectors."""
    table = pa.table({"item": ["a", "b", "c"], "embedding": [[1.0], [1.0, 2.0], [3.0, 4.0]]})
    with pytest.raises(DataError, match="row 1, column 'embedding': the embedding has length 1, others have 2"):
        Dataset(labels=LABELS, items=table)
    kept = Dataset(labels=LABELS, items=table, on_bad="quarantine")
    assert kept.quarantined["row"].to_pylist() == [1]
    assert kept.encode().features_known.tolist() == [True, True]
