"""Opinions joined: their mean, weights learned from checked labels, and boosted trees as a rival."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from quorate.act.combine import ANNOTATOR, Opinions, checked_rows, held_out, learned, mean_errors, opinions_of
from quorate.act.detector import detected, features_of
from quorate.act.labels import MachineLabel
from quorate.errors import SettingError
from unit.act.critics import LABELS, RUBRIC, asked, critic, says


def opinions(errors: np.ndarray) -> Opinions:
    n, width = errors.shape
    return Opinions(
        tuple((f"i{k}", "t") for k in range(n)),
        tuple(f"c{k}" for k in range(width)),
        errors,
        np.ones(errors.shape, bool),
    )


def drawn(n: int, weights: tuple[float, ...], seed: int = 0) -> tuple[Opinions, np.ndarray]:
    """Labels that are wrong by a logistic law of what critics say."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-1, 1.5, (n, len(weights)))
    return opinions(expit(odds)), rng.random(n) < expit(odds @ np.array(weights))


def test_opinions_are_of_these_labels_and_unsure_ones_do_not_count() -> None:
    """A flagged criticism leaves the mean to the others; the annotator's doubt is one opinion more."""
    table = [says(0, "[0.2]"), says(1, "no idea"), says(2, "[0.4]"), says(3, "[0.6]")]
    found = asked([critic("naive", plain=True), critic("naive", "other", plain=True)], table).table()
    joined = opinions_of(found, LABELS, with_confidence=True)
    assert joined.sources == ("judge, naive", "other, naive", ANNOTATOR)
    np.testing.assert_allclose(mean_errors(joined), [0.5 / 3, 0.4, 1 / 3, 0.5])
    alone = mean_errors(opinions_of(found, LABELS))
    np.testing.assert_allclose(alone, [0.2, 0.5, 0.4, 0.6])
    relabeled = [LABELS[0]._replace(label="angry"), *LABELS[1:]]
    assert not opinions_of(found, relabeled).sure[0].any()  # it was about another label
    with pytest.raises(SettingError, match="no confidence"):
        opinions_of(found, [each._replace(confidence=None) for each in LABELS], with_confidence=True)


@given(st.integers(1, 4), st.integers(0, 2**31 - 1))
def test_the_mean_stays_within_what_was_said(width: int, seed: int) -> None:
    """And one opinion alone is itself."""
    errors = np.random.default_rng(seed).random((5, width))
    means = mean_errors(opinions(errors))
    assert (means >= errors.min(axis=1) - 1e-12).all()
    assert (means <= errors.max(axis=1) + 1e-12).all()


def test_weights_come_back_from_labels_drawn_by_them() -> None:
    """With 20,000 checked labels, to three errors of a logistic fit (about .03)."""
    of, wrong = drawn(20_000, (0.9, 0.3, 0.0))
    found = learned(of, np.arange(20_000), wrong)
    np.testing.assert_allclose(found.weights, (0.9, 0.3, 0.0), atol=0.09)
    assert abs(found.bias) < 0.12
    np.testing.assert_allclose(
        found.errors(of), expit(found.bias + logit(np.clip(of.errors, 1e-3, 1 - 1e-3)) @ found.weights), atol=1e-6
    )


def test_where_labels_say_nothing_it_is_the_mean_of_log_odds_and_no_critic_is_trusted_backwards() -> None:
    """Critics that always say .5 keep the prior's weights; one that is wrong every time gets weight 0."""
    found = learned(opinions(np.full((40, 2), 0.5)), np.arange(40), np.arange(40) < 20)
    np.testing.assert_allclose([found.bias, *found.weights], [0.0, 0.5, 0.5], atol=1e-5)
    odds = np.concatenate([np.full(200, 2.0), np.full(200, -2.0)])
    backwards = opinions(expit(odds)[:, None])
    assert learned(backwards, np.arange(400), odds < 0).weights[0] == 0
    with pytest.raises(SettingError, match="at least 10"):
        learned(backwards, np.arange(9), odds[:9] < 0)


def test_learning_beats_the_mean_where_critics_differ_in_worth() -> None:
    """Held-out log loss: a good critic, and one that guesses."""
    of, wrong = drawn(600, (1.2, 0.0))
    found = held_out(of, np.arange(600), wrong)
    assert found.learned < found.mean
    assert found.learned < found.constant


def test_boosted_trees_foretell_errors_from_confidence() -> None:
    """On labels that they did not learn from they do better than the share of errors; too few are refused."""
    rng = np.random.default_rng(0)
    confidence = rng.choice([0.2, 0.95], 600)
    labels = [MachineLabel(f"i{k}", "tone", "m", "calm", float(c)) for k, c in enumerate(confidence)]
    wrong = rng.random(600) < 1 - confidence
    features = features_of(labels, RUBRIC.schema)
    rows = np.arange(300)
    said = np.clip(detected(features, rows, wrong[:300]), 0.01, 0.99)[300:]
    of = wrong[300:]
    loss = -np.where(of, np.log(said), np.log1p(-said)).mean()
    rate = wrong[:300].mean()
    assert loss < -np.where(of, np.log(rate), np.log1p(-rate)).mean()
    with pytest.raises(SettingError, match="30 checked labels"):
        detected(features, rows[:20], wrong[:20])


def test_checked_rows_are_those_whose_truth_is_known() -> None:
    """And wrong where it differs from the machine's label."""
    rows, wrong = checked_rows(LABELS, {("n1", "tone"): "angry", ("n3", "tone"): "angry", ("x", "tone"): "calm"})
    assert rows.tolist() == [1, 3]
    assert wrong.tolist() == [True, False]
