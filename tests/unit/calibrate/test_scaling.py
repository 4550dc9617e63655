"""Laws of softmax scaling: rates, oracles, what it climbs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.calibration import _TemperatureScaling
from sklearn.linear_model import LogisticRegression

from quorate.calibrate.logits import log_softmax
from quorate.calibrate.prior import WEAK, Prior
from quorate.calibrate.scaling import affine, gaussian, scaled
from unit.calibrate.simulated import bent
from unit.measure.crowd import assert_within

SLOPES, BIAS = np.array([0.6, 0.5, 0.7]), np.array([0.4, 0.0, -0.4])


def test_temperature_is_that_of_scikit_learn() -> None:
    """Without a prior, the same number."""
    train = bent(500, seed=1, slopes=0.6)
    theirs = _TemperatureScaling().fit(train.x, train.truth)
    ours = scaled("temperature", train.x, train.truth, prior=WEAK)
    assert ours.status == "converged"
    assert ours.calibrator.scale == pytest.approx(float(theirs.beta_), rel=1e-3)


def test_matrix_is_the_multinomial_regression_of_scikit_learn() -> None:
    """Without a prior, the same probabilities: the family is all of logistic regression on log scores."""
    train = bent(800, seed=2, slopes=SLOPES, bias=BIAS)
    theirs = LogisticRegression(C=1e8, max_iter=5000, tol=1e-10).fit(train.x, train.truth)
    ours = scaled("matrix", train.x, train.truth, prior=WEAK).calibrator
    new = bent(200, seed=3).x
    np.testing.assert_allclose(ours.apply(new), theirs.predict_proba(new), atol=5e-3)


@pytest.mark.parametrize("family", ["temperature", "vector", "matrix"])
def test_the_climb_ends_where_no_other_climber_gets_higher(family: str) -> None:
    """BFGS on the same penalised likelihood, from the same start, finds nothing better."""
    train, prior = bent(60, seed=4, slopes=SLOPES, bias=BIAS), Prior()
    pull = gaussian(family, 3, prior)

    def cost(at: np.ndarray) -> float:
        weights, bias = affine(family, at, 3)
        log_probs = log_softmax(train.x @ weights.T + bias)
        return -log_probs[np.arange(60), train.truth].sum() + 0.5 * at @ pull.precision @ at

    best = minimize(cost, pull.mean, method="BFGS", options={"gtol": 1e-6})
    found = scaled(family, train.x, train.truth, prior=prior)
    assert found.status == "converged"
    assert cost(found.parameters) <= best.fun + 1e-6
    np.testing.assert_allclose(found.parameters, best.x, atol=2e-3)


def test_more_examples_find_the_true_slopes_and_biases_at_the_rate_of_the_root() -> None:
    """Four times the examples halve the error, with the default prior, once it has faded."""
    sizes = (500, 2000, 8000)
    errors = []
    for n in sizes:
        of = [
            scaled("vector", *bent(n, seed=1000 * k + n, slopes=SLOPES, bias=BIAS)[:2], prior=WEAK) for k in range(12)
        ]
        apart = [
            np.concatenate([c.calibrator.slopes - SLOPES, c.calibrator.bias - c.calibrator.bias.mean() - BIAS])
            for c in of
        ]
        errors.append(np.sqrt(np.mean(np.square(apart))))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert_within(slope, -0.5, se=0.04)  # of a line through three means of 72 squares each
    default = scaled("vector", *bent(8000, seed=7, slopes=SLOPES, bias=BIAS)[:2]).calibrator
    np.testing.assert_allclose(default.slopes, SLOPES, atol=0.1)


def test_a_stronger_prior_stays_nearer_to_the_identity() -> None:
    """From no prior to a very strong one the slope moves from the labels' to 1, never back."""
    train = bent(50, seed=5, slopes=0.4)
    scales = [scaled("temperature", train.x, train.truth, prior=Prior(scale_sd=sd)).calibrator.scale
              for sd in (10.0, 1.0, 0.3, 0.1, 0.001)]  # fmt: skip
    assert scales == sorted(scales)
    assert scales[-1] == pytest.approx(1.0, abs=1e-3)


def test_pseudo_examples_hold_a_sample_that_was_always_right() -> None:
    """Ten right answers of ten: without a prior sureness has no end, with pseudo-labels it stays near what it was."""
    x = np.log(np.tile([[0.7, 0.3]], (10, 1)))
    truth = np.zeros(10, int)
    endless = scaled("temperature", x, truth, prior=WEAK).calibrator
    held = scaled("temperature", x, truth, prior=Prior(scale_sd=10.0, examples=30.0)).calibrator
    assert endless.apply(x)[0, 0] > 0.99
    assert held.apply(x)[0, 0] == pytest.approx((10 + 30 * 0.7) / 40, abs=2e-3)


def test_the_covariance_is_the_spread_of_the_fits() -> None:
    """Over repeated samples parameters spread as the curvature says."""
    fits = [
        scaled("vector", *bent(1000, seed=2000 + k, slopes=SLOPES, bias=BIAS)[:2], prior=Prior(1.0, 1.0, 1.0))
        for k in range(60)
    ]
    spread = np.std([fit.parameters for fit in fits], axis=0, ddof=1)
    told = np.sqrt(np.mean([np.diag(fit.covariance) for fit in fits], axis=0))
    assert (spread < told * (1 + 4 / (2 * 59) ** 0.5)).all()  # shrunken estimates spread less than a posterior
