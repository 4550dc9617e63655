"""Laws of all calibrators, one table against every law."""

from __future__ import annotations

import json

import numpy as np
import pytest

from quorate.calibrate.calibrators import Calibrator, Identity, Isotonic, Matrix, Platt, from_json
from quorate.calibrate.logits import log_softmax
from quorate.calibrate.methods import LEARNING, METHODS, calibrator
from quorate.calibrate.prior import WEAK, Gaussian, Prior
from quorate.errors import DataError, SettingError
from unit.calibrate.simulated import bent, excess, log_loss
from unit.measure.crowd import assert_within

ALL = tuple(METHODS)
FITTED = tuple(name for name in ALL if name != "identity")
MONOTONE = ("identity", "temperature")
SLOPES, BIAS = np.array([0.6, 0.5, 0.7]), np.array([0.4, 0.0, -0.4])


@pytest.mark.parametrize("method", ALL)
def test_scores_sum_to_one_and_levels_of_logits_mean_nothing(method: str) -> None:
    """A constant added to a row of logits changes nothing; certain scores, and scores seen by nobody, stay finite."""
    train, new = bent(60, seed=1, slopes=SLOPES), bent(40, seed=2, sharpness=40.0)
    fitted = calibrator(method, train.x, train.truth)
    probs = fitted.apply(new.x)
    assert np.isfinite(probs).all()
    assert (probs >= 0).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(fitted.apply(new.x + 7.0), probs, atol=1e-9)


@pytest.mark.parametrize("method", ALL)
def test_renaming_classes_only_renames_the_answer(method: str) -> None:
    """Permuted columns and codes give permuted scores."""
    train, new, order = bent(120, seed=3, slopes=SLOPES, bias=BIAS), bent(50, seed=4), np.array([2, 0, 1])
    plain = calibrator(method, train.x, train.truth).apply(new.x)
    place = np.argsort(order)
    renamed = calibrator(method, train.x[:, order], place[train.truth]).apply(new.x[:, order])
    np.testing.assert_allclose(renamed, plain[:, order], atol=1e-6)


@pytest.mark.parametrize("method", ALL)
def test_the_order_of_examples_means_nothing(method: str) -> None:
    """The same examples in another order give the same calibrator."""
    train, order = bent(80, seed=5, slopes=SLOPES), np.random.default_rng(0).permutation(80)
    new = bent(30, seed=6).x
    one = calibrator(method, train.x, train.truth).apply(new)
    other = calibrator(method, train.x[order], train.truth[order]).apply(new)
    np.testing.assert_allclose(one, other, atol=1e-7)


@pytest.mark.parametrize("method", ALL)
def test_an_example_of_weight_two_is_two_examples(method: str) -> None:
    """Even weights of any size are no weights; whole weights are repetitions, up to what they are worth together."""
    train, new = bent(80, seed=7, slopes=SLOPES), bent(30, seed=8).x
    plain = calibrator(method, train.x, train.truth, prior=Prior(examples=5.0))
    even = calibrator(method, train.x, train.truth, weights=np.full(80, 3.0), prior=Prior(examples=5.0))
    np.testing.assert_allclose(even.apply(new), plain.apply(new), atol=1e-9)
    twice = np.repeat(np.arange(80), np.where(np.arange(80) < 40, 2, 1))
    worth = 120**2 / (40 * 4 + 40)  # of the 120 repetitions, by Kish
    loose = Prior(1e3, 1e3, 1e3, 1e3, examples=40.0)  # pseudo-labels in the same proportion; nothing else pulls
    loose_too = Prior(1e3, 1e3, 1e3, 1e3, examples=40.0 * 120 / worth)
    weighted = calibrator(method, train.x, train.truth, weights=np.where(np.arange(80) < 40, 2.0, 1.0), prior=loose)
    repeated = calibrator(method, train.x[twice], train.truth[twice], prior=loose_too)
    np.testing.assert_allclose(weighted.apply(new), repeated.apply(new), atol=1e-4)


@pytest.mark.parametrize("method", ALL)
def test_json_keeps_every_digit(method: str) -> None:
    """from_json(to_json()) is the same calibrator, through text."""
    train, new = bent(50, seed=9, slopes=SLOPES), bent(30, seed=10).x
    fitted = calibrator(method, train.x, train.truth)
    again = from_json(json.loads(json.dumps(fitted.to_json(), allow_nan=False)))
    assert type(again) is type(fitted)
    assert isinstance(again, Calibrator)
    assert (again.apply(new) == fitted.apply(new)).all()
    assert again.to_json() == fitted.to_json()


@pytest.mark.parametrize("method", FITTED)
def test_many_examples_undo_what_was_bent(method: str) -> None:
    """From 4,000 examples of scores twice too sure, most of the excess log loss is gone on other items."""
    train, new = bent(4000, seed=11, slopes=0.5), bent(4000, seed=12, slopes=0.5)
    raw = excess(Identity().apply(new.x), new.log_probs)
    assert excess(calibrator(method, train.x, train.truth).apply(new.x), new.log_probs) < 0.2 * raw


@pytest.mark.parametrize("method", FITTED)
def test_ten_examples_do_no_harm_to_calibrated_scores(method: str) -> None:
    """On calibrated scores the mean log loss rises by under a fifth of the error that ten labels measure it with."""
    rises = []
    new = bent(2000, seed=13)
    for seed in range(60):
        train = bent(10, seed=100 + seed)
        rises.append(excess(calibrator(method, train.x, train.truth).apply(new.x), new.log_probs))
    told_by_ten = log_loss(Identity().apply(new.x), new.truth).std(ddof=1) / np.sqrt(10)
    assert np.mean(rises) < 0.2 * told_by_ten


@pytest.mark.parametrize("method", LEARNING)
def test_harm_is_bounded_by_what_the_prior_allows(method: str) -> None:
    """With prior variance s² and Fisher information I per example, the expected rise is at most Σ s² I / 8, for any n.

    The rise is I var / 2 = n I² / 2 (n I + 1/s²)² per parameter, largest where n I = 1/s².
    """
    prior, n_classes = Prior(), 3
    new = bent(4000, seed=14)
    q = np.exp(new.log_probs)
    spread = np.einsum("nk,nk->k", q * (1 - q), new.x**2) / len(q)
    whole = ((q * new.x**2).sum(axis=1) - (q * new.x).sum(axis=1) ** 2).mean()
    bound = prior.scale_sd**2 * whole
    if method != "temperature":
        bound += prior.slope_sd**2 * spread.sum() + prior.bias_sd**2 * (q * (1 - q)).mean(axis=0).sum()
    if method == "matrix":
        others = (new.x**2).mean(axis=0)
        bound += prior.cross_sd**2 * sum(
            others[j] * (q[:, k] * (1 - q[:, k])).mean() for k in range(n_classes) for j in range(n_classes) if j != k
        )
    for n in (10, 50):
        rises = np.array([
            excess(calibrator(method, *bent(n, seed=200 + seed)[:2]).apply(new.x), new.log_probs) for seed in range(60)
        ])  # fmt: skip
        assert rises.mean() - 4 * rises.std(ddof=1) / 60**0.5 < bound / 8


@pytest.mark.parametrize("method", MONOTONE)
def test_temperature_keeps_every_answer(method: str) -> None:
    """Even where the labels contradict the scores, the order of the classes stays."""
    train, new = bent(40, seed=15), bent(500, seed=16).x
    fitted = calibrator(method, train.x, (train.x.argmin(axis=1)), prior=WEAK)
    assert (np.argsort(fitted.apply(new), axis=1) == np.argsort(new, axis=1)).all()


def test_wrong_calls_say_what_is_wrong() -> None:
    """An unknown method, no example, an unknown class, infinite logits, weights of nothing, a prior for no one."""
    x, truth = np.log([[0.6, 0.4]] * 4), np.array([0, 0, 1, 0])
    with pytest.raises(SettingError, match="no method 'temprature'"):
        calibrator("temprature", x, truth)
    with pytest.raises(SettingError, match="at least one example"):
        calibrator("vector", x[:0], truth[:0])
    with pytest.raises(SettingError, match="known class"):
        calibrator("vector", x, np.array([0, 0, -1, 0]))
    with pytest.raises(SettingError, match="finite"):
        calibrator("platt", np.array([[0.0, -np.inf]] * 4), truth)
    with pytest.raises(SettingError, match="not all 0"):
        calibrator("beta", x, truth, weights=np.zeros(4))
    with pytest.raises(SettingError, match="take a prior learned"):
        calibrator("isotonic", x, truth, prior=Gaussian(np.zeros(1), np.eye(1)))
    with pytest.raises(SettingError, match="positive"):
        Prior(scale_sd=0.0)
    with pytest.raises(SettingError, match="at most 20 classes"):
        calibrator("matrix", np.zeros((2, 30)), np.array([0, 1]))


def test_what_is_no_calibrator_is_refused() -> None:
    """An unknown method, and one whose parts are missing or of another shape."""
    with pytest.raises(DataError, match="no calibrator"):
        from_json({"method": "spline"})
    with pytest.raises(DataError, match="incomplete"):
        from_json({"method": "vector", "slopes": [1.0]})
    with pytest.raises(DataError, match="incomplete"):
        from_json({"method": "temperature", "scale": "hot"})


def test_calibrators_of_the_identity_are_the_identity() -> None:
    """Parameters that say nothing change nothing, in every family."""
    x = bent(20, seed=17).x
    scores = np.exp(log_softmax(x))
    line = np.linspace(0, 1, 11)
    same = (Matrix(np.eye(3), np.zeros(3)), Platt(np.ones(3), np.zeros(3)), Isotonic((line,) * 3, (line,) * 3))
    for each in same:
        np.testing.assert_allclose(each.apply(x), scores, atol=1e-12)


def test_temperature_of_calibrated_scores_is_one_within_its_error() -> None:
    """The log slope over 40 samples is 0 on average, and as far from it as its curvature says."""
    from quorate.calibrate.scaling import scaled

    fits = [scaled("temperature", *bent(400, seed=300 + seed)[:2], prior=WEAK) for seed in range(40)]
    found = np.array([fit.parameters[0] for fit in fits])
    se = np.sqrt([fit.covariance[0, 0] for fit in fits])
    assert_within(found.mean(), 0.0, se=se.mean() / 40**0.5)
    assert_within((found / se).std(ddof=1), 1.0, se=1 / (2 * 39) ** 0.5)
