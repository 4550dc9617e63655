"""Platt, beta and isotonic against scikit-learn, class by class."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from quorate.calibrate.calibrators import log_odds_parts
from quorate.calibrate.logits import log_softmax
from quorate.calibrate.one_vs_rest import beta, isotonic, platt
from quorate.calibrate.prior import Prior
from unit.calibrate.simulated import bent

BARE = Prior(examples=0.0)


def test_platt_is_logistic_regression_on_the_log_odds() -> None:
    """Without pseudo-labels: slope and bias of every class as scikit-learn finds them."""
    train = bent(600, seed=1, slopes=0.6)
    made = platt(train.x, train.truth, prior=BARE)
    log_p, log_rest = log_odds_parts(train.x)
    for k in range(3):
        theirs = LogisticRegression(C=1e8, tol=1e-10, max_iter=5000).fit((log_p - log_rest)[:, [k]], train.truth == k)
        assert made.slopes[k] == pytest.approx(theirs.coef_[0, 0], rel=1e-3)
        assert made.bias[k] == pytest.approx(theirs.intercept_[0], abs=1e-3)


def test_beta_is_logistic_regression_on_two_logarithms() -> None:
    """Where both slopes come out positive."""
    train = bent(4000, seed=2, slopes=0.6)
    made = beta(train.x, train.truth, prior=BARE)
    log_p, log_rest = log_odds_parts(train.x)
    for k in range(3):
        columns = np.column_stack([log_p[:, k], -log_rest[:, k]])
        theirs = LogisticRegression(C=1e8, tol=1e-10, max_iter=5000).fit(columns, train.truth == k)
        assert (theirs.coef_ > 0).all()
        np.testing.assert_allclose([made.yes[k], made.no[k]], theirs.coef_[0], atol=5e-3)


def test_beta_never_falls() -> None:
    """Labels that contradict the scores give a slope of 0, not a negative one."""
    train = bent(300, seed=3)
    made = beta(train.x, train.x.argmin(axis=1), prior=BARE)
    assert (made.yes >= 0).all()
    assert (made.no >= 0).all()


def test_isotonic_is_that_of_scikit_learn() -> None:
    """Ties, weights and the straight lines between knots."""
    train = bent(300, seed=4, slopes=0.6)
    x = np.log(np.round(np.exp(log_softmax(train.x)), 1) + 0.05)  # many ties
    weights = np.random.default_rng(0).integers(1, 4, 300).astype(float)
    made = isotonic(x, train.truth, weights=weights, prior=BARE)
    p, new = np.exp(log_softmax(x)), np.linspace(0, 1, 201)
    for k in range(3):
        theirs = IsotonicRegression(out_of_bounds="clip").fit(p[:, k], train.truth == k, sample_weight=weights)
        np.testing.assert_allclose(np.interp(new, made.scores[k], made.shares[k]), theirs.predict(new), atol=1e-6)


def test_with_two_classes_one_says_what_the_other_says() -> None:
    """One against the rest twice is one problem: both classes claim what sums to 1 already."""
    train = bent(400, seed=5, n_classes=2, slopes=0.5)
    made = platt(train.x, train.truth)
    assert made.slopes[0] == pytest.approx(made.slopes[1])
    assert made.bias[0] == pytest.approx(-made.bias[1])


def test_log_odds_of_certain_scores_are_exact() -> None:
    """No digits are lost in 1 - s."""
    log_p, log_rest = log_odds_parts(np.array([[0.0, -60.0]]))
    assert log_rest[0, 0] == pytest.approx(-60.0)
    assert log_rest[0, 1] == pytest.approx(log_p[0, 0])
