"""Laws of calibration errors, against relplot, brute force and the definition."""

from __future__ import annotations

import numpy as np
import pytest
from relplot import metrics as relplot
from sklearn.calibration import calibration_curve

from quorate.errors import SettingError
from quorate.measure.calibration import expected_calibration_error, top_answers
from quorate.measure.miscalibration import (
    adaptive_calibration_error,
    chance_error,
    classwise_calibration_error,
    miscalibration,
    smooth_calibration_error,
)
from unit.measure.crowd import assert_within


def drawn(seed: int, n: int = 2000, n_classes: int = 3, sharpen: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and truths drawn from them; then the probabilities are sharpened."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(n_classes), n)
    truth = (rng.random(n)[:, None] > probs.cumsum(axis=1)).sum(axis=1)
    sharp = probs**sharpen
    return sharp / sharp.sum(axis=1, keepdims=True), truth


def test_the_adaptive_error_is_the_definition() -> None:
    """Sorted, cut into ten equal parts, mean of |mean score - share of hits|: no weights."""
    confidence, right = top_answers(*drawn(0, sharpen=2.0))
    order = np.argsort(confidence)
    parts = [np.abs(confidence[part].mean() - right[part].mean()) for part in np.array_split(order, 10)]
    assert adaptive_calibration_error(confidence, right) == pytest.approx(np.mean(parts), abs=1e-12)


def test_the_adaptive_error_uses_the_curve_of_scikit_learn() -> None:
    """With two classes and quantile bins, its calibration curve has the same distances."""
    rng = np.random.default_rng(1)
    score = rng.random(1000)
    right = (rng.random(1000) < score**2).astype(float)
    share, mean = calibration_curve(right, score, n_bins=10, strategy="quantile")
    assert adaptive_calibration_error(score, right) == pytest.approx(np.abs(share - mean).mean(), abs=2e-3)


def test_equal_confidences_are_one_bin() -> None:
    """Ties cannot be told apart: with all alike the error is that of the means."""
    right = np.repeat([1.0, 0.0], [70, 30])
    assert adaptive_calibration_error(np.full(100, 0.9), right) == pytest.approx(0.2)


@pytest.mark.parametrize("sharpen", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("n", [50, 2000])
def test_the_smooth_error_is_that_of_relplot(n: int, sharpen: float) -> None:
    """Within its bandwidth search, which halves ten times from 1."""
    confidence, right = top_answers(*drawn(2, n=n, sharpen=sharpen))
    theirs = relplot.smECE(confidence, right)
    assert smooth_calibration_error(confidence, right) == pytest.approx(theirs, abs=2e-3)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_smooth_error_is_that_of_brute_force(seed: int) -> None:
    """The integral of the kernel sums with mirror images, at the bandwidth where error and bandwidth meet."""
    confidence, right = top_answers(*drawn(seed, n=60, sharpen=2.0))
    grid = (np.arange(1000) + 0.5) / 1000

    def error(width: float) -> float:
        images = np.concatenate([2 * k + side * confidence for k in range(-3, 4) for side in (1, -1)])
        kernel = np.exp(-0.5 * ((grid[:, None] - images) / width) ** 2) / (width * np.sqrt(2 * np.pi))
        return float(np.abs(kernel @ np.tile(right - confidence, 14)).mean() / 60)

    low, high = 1e-3, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if error(middle) >= middle else (low, middle)
    assert smooth_calibration_error(confidence, right) == pytest.approx(low, abs=1e-4)


def test_classwise_is_the_mean_over_classes() -> None:
    """Each class as a problem of its own."""
    probs, truth = drawn(3, sharpen=2.0)
    of = [expected_calibration_error(probs[:, k], truth == k) for k in range(3)]
    assert classwise_calibration_error(probs, truth) == pytest.approx(np.mean(of), abs=1e-12)


def test_calibrated_models_show_what_chance_shows() -> None:
    """Over 200 samples of calibrated confidences, the mean error is the one foretold."""
    found, foretold = [], []
    for seed in range(200):
        confidence, right = top_answers(*drawn(1000 + seed, n=500))
        found.append(adaptive_calibration_error(confidence, right))
        foretold.append(chance_error(confidence))
    assert_within(np.mean(found), np.mean(foretold), se=np.std(found, ddof=1) / 200**0.5 + 2e-4)  # the normal's own


def test_renaming_classes_changes_nothing() -> None:
    """All figures are the same for permuted columns and codes."""
    probs, truth = drawn(4, n=300)
    order = np.array([2, 0, 1])
    one = miscalibration(probs, truth, rng=np.random.default_rng(0), resamples=50)
    other = miscalibration(probs[:, order], np.argsort(order)[truth], rng=np.random.default_rng(0), resamples=50)
    for name in ("ace", "ece", "classwise_ece", "smooth_ece", "brier", "log_loss"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-9)


def test_estimates_are_the_single_figures_and_lie_in_their_intervals() -> None:
    """Whichever way they are computed."""
    probs, truth = drawn(5, n=800, sharpen=1.5)
    confidence, right = top_answers(probs, truth)
    of = miscalibration(probs, truth, rng=np.random.default_rng(0), resamples=200)
    assert of.ace.estimate == pytest.approx(adaptive_calibration_error(confidence, right))
    assert of.ece.estimate == pytest.approx(expected_calibration_error(confidence, right))
    assert of.classwise_ece.estimate == pytest.approx(classwise_calibration_error(probs, truth))
    assert of.smooth_ece.estimate == pytest.approx(smooth_calibration_error(confidence, right))
    assert all(each.low <= each.estimate <= each.high for each in of[:7])


@pytest.mark.slow
@pytest.mark.parametrize("sharpen", [1.0, 2.0])
def test_intervals_hold_the_truth_as_often_as_they_say(sharpen: float) -> None:
    """At least 90 of 100 intervals at 95 % hold the error of the whole population, calibrated or not."""
    population = 0.0 if sharpen == 1.0 else adaptive_calibration_error(*top_answers(*drawn(9, n=400_000, sharpen=2.0)))
    held = 0
    for seed in range(100):
        of = miscalibration(*drawn(2000 + seed, n=600, sharpen=sharpen), rng=np.random.default_rng(seed), resamples=200)
        held += of.ace.low <= population <= of.ace.high
    assert held >= 90


def test_nothing_to_measure_is_refused() -> None:
    """No answers, no bins, a single item."""
    nothing = np.zeros(0)
    with pytest.raises(SettingError, match="at least one answer"):
        adaptive_calibration_error(nothing, nothing)
    with pytest.raises(SettingError, match="at least one answer"):
        smooth_calibration_error(nothing, nothing)
    with pytest.raises(SettingError, match="one bin"):
        adaptive_calibration_error(np.ones(1), np.ones(1), n_bins=0)
    with pytest.raises(SettingError, match="two items"):
        miscalibration(np.eye(2)[:1], np.array([0]), rng=np.random.default_rng(0))
