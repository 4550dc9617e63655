"""NDCG: beside scikit-learn's, by all orders of ties, and at its bounds."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import SettingError
from quorate.measure.ranking import dcg, gains, ndcg

ONE = np.zeros(6, np.int64)
FEW = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=6)


@given(rows=FEW, k=st.integers(1, 7))
def test_it_is_scikit_learn_s_with_ties(rows: list[tuple[int, int]], k: int) -> None:
    """The same number wherever a document has a gain."""
    from sklearn.metrics import ndcg_score

    gain, score = (np.array(column, float) for column in zip(*rows, strict=True))
    found = ndcg(gain, score, np.zeros(len(gain), np.int64), k)[0]
    if gain.any():
        assert found == pytest.approx(ndcg_score([gain], [score], k=k), abs=1e-12)
    else:
        assert np.isnan(found)


@given(rows=FEW, k=st.integers(1, 6))
def test_ties_are_the_mean_over_all_their_orders(rows: list[tuple[int, int]], k: int) -> None:
    """Every order of the documents that falls in score, each as probable."""
    gain, score = (np.array(column, float) for column in zip(*rows, strict=True))
    n = len(gain)
    orders = [list(order) for order in permutations(range(n)) if (np.diff(score[list(order)]) <= 0).all()]
    each = [sum(gain[at] / np.log2(2 + place) for place, at in enumerate(order[:k])) for order in orders]
    assert dcg(gain, score, k) == pytest.approx(np.mean(each))


@given(rows=FEW)
def test_it_lies_between_the_worst_order_and_one(rows: list[tuple[int, int]]) -> None:
    """The gains themselves rank best; any rising function of the scores ranks as they do."""
    gain, score = (np.array(column, float) for column in zip(*rows, strict=True))
    one = np.zeros(len(gain), np.int64)
    if gain.any():
        assert ndcg(gain, gain, one, 3)[0] == pytest.approx(1.0)
        assert -1e-12 <= ndcg(gain, score, one, 3)[0] <= 1 + 1e-12
        assert ndcg(gain, np.exp(score) - 5, one, 3)[0] == ndcg(gain, score, one, 3)[0]


def test_queries_stand_by_themselves_wherever_their_rows_lie() -> None:
    """Mixing the rows changes nothing."""
    rng = np.random.default_rng(0)
    gain, score, query = rng.integers(0, 4, 60).astype(float), rng.normal(size=60), rng.integers(0, 5, 60)
    order = rng.permutation(60)
    np.testing.assert_allclose(ndcg(gain, score, query, 4), ndcg(gain[order], score[order], query[order], 4))
    alone = [ndcg(gain[query == q], score[query == q], np.zeros((query == q).sum(), np.int64), 4)[0] for q in range(5)]
    np.testing.assert_allclose(ndcg(gain, score, query, 4), alone)


def test_by_hand() -> None:
    """Grades 3 2 3 0 1 2 in this order have a DCG of 6.861 with linear gains; their best order has 7.141."""
    gain, score = np.array([3.0, 2, 3, 0, 1, 2]), -np.arange(6.0)
    assert dcg(gain, score) == pytest.approx(6.861, abs=5e-4)
    assert ndcg(gain, score, ONE)[0] == pytest.approx(0.961, abs=5e-4)


def test_what_cannot_be_ranked_is_told() -> None:
    """Grades below 0, gains that overflow, scores that are no numbers, no place to look at."""
    with pytest.raises(SettingError, match="count from 0"):
        gains(np.array([-1.0]))
    with pytest.raises(SettingError, match="linear"):
        gains(np.array([100.0]))
    with pytest.raises(SettingError, match="no finite number"):
        ndcg(np.ones(6), np.full(6, np.nan), ONE)
    with pytest.raises(SettingError, match="at least 0"):
        ndcg(-np.ones(6), np.ones(6), ONE)
    with pytest.raises(SettingError, match="first place"):
        ndcg(np.ones(6), np.ones(6), ONE, 0)
