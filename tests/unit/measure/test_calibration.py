"""Laws of measures of calibration."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from quorate.errors import SettingError
from quorate.measure.calibration import (
    brier,
    expected_calibration_error,
    log_loss,
    reliability,
    top_answers,
)
from unit.measure.crowd import assert_within


def drawn(seed: int, n: int = 4000, n_classes: int = 3, sharpen: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and truths drawn from them; then the probabilities are sharpened."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(n_classes), n)
    truth = (rng.random(n)[:, None] > probs.cumsum(axis=1)).sum(axis=1)
    sharp = probs**sharpen
    return sharp / sharp.sum(axis=1, keepdims=True), truth


@pytest.mark.parametrize("binning", ["width", "mass"])
def test_probabilities_that_are_true_lie_on_the_diagonal(binning):
    """Where truth is drawn from the probabilities, every bin is right as often as it says, within its own error."""
    bins = reliability(*top_answers(*drawn(0)), binning=binning)
    for at in range(len(bins.n)):
        assert_within(bins.right.estimate[at], bins.confidence[at], se=bins.right.se[at])


def test_too_sharp_probabilities_show_as_error():
    """Sharpened probabilities have a larger calibration error, Brier score and log loss than true ones."""
    true, sharp = drawn(0), drawn(0, sharpen=4.0)
    assert expected_calibration_error(*top_answers(*true)) < 0.03
    assert expected_calibration_error(*top_answers(*sharp)) > 0.1
    assert brier(*sharp).estimate > brier(*true).estimate
    assert log_loss(*sharp).estimate > log_loss(*true).estimate


def test_bins_hold_every_answer_once():
    """Sizes add up; means lie inside the edges; equal numbers where asked for."""
    confidence, right = top_answers(*drawn(0))
    for binning in ("width", "mass"):
        bins = reliability(confidence, right, n_bins=8, binning=binning)
        assert bins.n.sum() == len(confidence)
        assert ((bins.low <= bins.confidence) & (bins.confidence <= bins.high)).all()
        assert (bins.n * bins.right.estimate).sum() == pytest.approx(right.sum())
    assert np.ptp(reliability(confidence, right, n_bins=8, binning="mass").n) <= 1


def test_one_bin_compares_means():
    """With one bin the error is the distance of mean confidence and accuracy."""
    confidence, right = top_answers(*drawn(0, sharpen=3.0))
    assert expected_calibration_error(confidence, right, n_bins=1) == pytest.approx(
        abs(confidence.mean() - right.mean())
    )


def test_certain_and_right_costs_nothing():
    """Limits: 0 when sure and right; 2 and 27.6 nats when sure and wrong."""
    sure, truth = np.eye(3)[[0, 1, 2]], np.array([0, 1, 2])
    assert brier(sure, truth)[:1] == log_loss(sure, truth)[:1] == (0.0,)
    assert expected_calibration_error(*top_answers(sure, truth)) == 0.0
    wrong = (truth + 1) % 3
    assert brier(sure, wrong).estimate == 2.0
    assert log_loss(sure, wrong).estimate == pytest.approx(27.63, abs=0.01)


def test_losses_are_those_of_scikit_learn():
    """Log loss on any classes; Brier on two classes is twice the score of one class."""
    probs, truth = drawn(1)
    assert log_loss(probs, truth).estimate == pytest.approx(sklearn_log_loss(truth, probs))
    probs, truth = drawn(1, n_classes=2)
    assert brier(probs, truth).estimate == pytest.approx(2 * brier_score_loss(truth, probs[:, 1]))


def test_the_error_of_a_loss_is_the_spread_of_its_items():
    """Se = s / √n."""
    probs, truth = drawn(2, n=200)
    losses = -np.log(probs[np.arange(200), truth])
    assert log_loss(probs, truth).se == pytest.approx(losses.std(ddof=1) / 200**0.5)


def test_ties_share_the_credit():
    """Relabeling the classes of a tie changes nothing."""
    probs = np.array([[0.4, 0.4, 0.2]])
    for truth in (0, 1):
        assert top_answers(probs, np.array([truth]))[1].tolist() == [0.5]
    assert top_answers(probs, np.array([2]))[1].tolist() == [0.0]


def test_nothing_to_measure_is_refused():
    """No answers, no bins, a single loss: an error that says so."""
    with pytest.raises(SettingError, match="at least one answer"):
        reliability(np.zeros(0), np.zeros(0))
    with pytest.raises(SettingError, match="one bin"):
        reliability(np.ones(1), np.ones(1), n_bins=0)
    with pytest.raises(SettingError, match="two values"):
        log_loss(np.eye(2)[:1], np.array([0]))
