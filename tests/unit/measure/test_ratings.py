"""Labels of one task as sums over items."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.measure.ratings import label_pairs, model_pairs, pair_tables, people_pairs, ratings
from unit.measure.crowd import coded_from_matrix


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 5), max_size=30))
def test_every_two_labels_of_an_item_are_a_pair(items):
    """As a loop over all pairs of places finds them."""
    item = np.sort(np.array(items, np.int64))
    left, right = label_pairs(item)
    brute = {(i, j) for i in range(len(item)) for j in range(i + 1, len(item)) if item[i] == item[j]}
    assert set(zip(left.tolist(), right.tolist(), strict=True)) == brute
    assert len(left) == len(brute)


def test_tables_of_pairs_count_both_answers():
    """The sums over items are each pair's contingency table; pairs with too few common items are left out."""
    labels = np.array([[0, 1, -1], [1, 1, 1], [0, 0, -1], [-1, 1, 0]])
    of = ratings(coded_from_matrix(labels, n_classes=2), 0)
    tables = pair_tables(people_pairs(of), 2, min_shared=2)
    assert list(zip(tables.first.tolist(), tables.second.tolist(), strict=True)) == [(0, 1), (1, 2)]
    assert tables.shared.tolist() == [3, 2]
    assert np.asarray(tables.sums.sum(axis=0)).reshape(2, 2, 2).tolist() == [[[1, 1], [0, 1]], [[0, 0], [1, 1]]]


def test_models_are_paired_with_every_person_of_the_item():
    """One entry per person, item and model that answered it."""
    labels, answers = np.array([[0, 1], [1, -1]]), np.array([[1, 0], [-1, 1]])
    shared = model_pairs(ratings(coded_from_matrix(labels, answers, n_classes=2), 0))
    entries = zip(shared.item, shared.first, shared.second, shared.first_code, shared.second_code, strict=True)
    assert sorted(tuple(map(int, entry)) for entry in entries) == [
        (0, 0, 0, 1, 0),
        (0, 0, 1, 1, 1),
        (0, 1, 0, 0, 0),
        (0, 1, 1, 0, 1),
        (1, 1, 0, 1, 1),
    ]
