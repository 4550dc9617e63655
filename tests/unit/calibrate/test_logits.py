"""Laws of reading class scores out of token logits."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.calibrate.logits import (
    first_token,
    largest_logits,
    listed_token,
    log_scores,
    log_softmax,
    matching,
    score_floor,
)
from quorate.errors import SettingError

YES_NO = matching([[3, 5], [1]], 8)


def drawn(seed: int = 0, n_items: int = 20, n_positions: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_items, n_positions, 8)) * 3


def test_aggregation_is_the_definition() -> None:
    """Max over i in M_c and j = 1..T, written out in loops."""
    logits = drawn()
    found = largest_logits(logits, YES_NO)
    for item in range(20):
        assert found[item, 0] == max(logits[item, j, i] for j in range(4) for i in (3, 5))
        assert found[item, 1] == max(logits[item, j, 1] for j in range(4))


def test_padding_is_not_read() -> None:
    """What stands at positions that are not part of the output changes nothing."""
    logits, answered = drawn(), np.tile([True, True, False, False], (20, 1))
    padded = logits.copy()
    padded[:, 2:] = 1e9
    np.testing.assert_array_equal(largest_logits(padded, YES_NO, answered), largest_logits(logits[:, :2], YES_NO))


def test_a_level_added_to_all_logits_changes_no_score() -> None:
    """Logits are known up to a constant."""
    logits = drawn()
    one, other = (log_softmax(largest_logits(each, YES_NO)) for each in (logits, logits + 11.0))
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_first_token_probabilities_are_exact() -> None:
    """Classes and what is outside of them add up to 1; with every token in a class nothing is outside."""
    logits = drawn()[:, 0]
    probs = np.exp(log_softmax(logits))
    found = first_token(logits, YES_NO)
    inside = np.column_stack([probs[:, [3, 5]].sum(axis=1), probs[:, 1]])
    np.testing.assert_allclose(np.exp(found.log_outside), 1 - inside.sum(axis=1))
    np.testing.assert_allclose(np.exp(found.log_scores), inside / inside.sum(axis=1, keepdims=True))
    all_named = matching([[0, 1, 2, 3], [4, 5, 6, 7]], 8)
    assert np.isneginf(first_token(logits, all_named).log_outside).all()


def test_with_one_token_a_class_and_one_position_both_readings_agree() -> None:
    """The largest of one is the sum of one."""
    logits, single = drawn(n_positions=1), matching([[3], [1]], 8)
    np.testing.assert_allclose(
        log_softmax(largest_logits(logits, single)), first_token(logits[:, 0], single).log_scores, atol=1e-12
    )


def test_a_list_of_all_tokens_is_the_whole_vocabulary() -> None:
    """With every token listed, the list says what the logits say."""
    logits = drawn()[:1, 0]
    log_probs = log_softmax(logits)[0]
    class_of = np.array([-1, 1, -1, 0, -1, 0, -1, -1])
    scores, outside = listed_token(class_of, log_probs, 2)
    whole = first_token(logits, YES_NO)
    np.testing.assert_allclose(scores, whole.log_scores[0], atol=1e-9)
    assert outside == pytest.approx(whole.log_outside[0], abs=1e-9)


def test_a_class_outside_the_list_is_given_no_more_than_it_can_have() -> None:
    """At most the smallest listed probability, at most what is left over, and a finite logarithm."""
    scores, _ = listed_token(np.array([0]), np.log([0.9]), 3)
    np.testing.assert_allclose(np.exp(scores), np.array([0.9, 0.05, 0.05]) / 1.0)
    scores, _ = listed_token(np.array([0, -1]), np.log([0.5, 0.01]), 2)
    assert np.exp(scores[1] - scores[0]) == pytest.approx(0.01 / 0.5)
    scores, outside = listed_token(np.array([0]), np.array([0.0]), 2)
    assert np.isfinite(scores).all()
    assert np.isneginf(outside)


def test_zeros_are_roundings() -> None:
    """Half of the smallest positive score, within bounds; logarithms are finite."""
    assert score_floor(np.array([0.0, 0.01, 0.99])) == 0.005
    assert score_floor(np.array([0.0, 1e-30, 1.0])) == 1e-6
    assert score_floor(np.array([0.0, 1.0])) == 5e-3
    assert score_floor(np.zeros(3)) == 5e-3
    assert np.isfinite(log_scores(np.array([[0.0, 1.0]], np.float32), 1e-6)).all()


def test_wrong_calls_say_what_is_wrong() -> None:
    """A class without token, a token of two classes, an output without positions, an empty list."""
    with pytest.raises(SettingError, match="class 1 has no"):
        matching([[0], []], 3)
    with pytest.raises(SettingError, match="token 2 matches two"):
        matching([[0, 2], [2]], 3)
    with pytest.raises(SettingError, match="item 1 has an output without"):
        largest_logits(drawn(n_items=2), YES_NO, np.array([[True] * 4, [False] * 4]))
    with pytest.raises(SettingError, match="at least one token"):
        listed_token(np.zeros(0, int), np.zeros(0), 2)
