"""Regression on soft labels: the same answer as scikit-learn's on weighted rows, and the laws of a minimum."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from quorate.errors import SettingError
from quorate.judge.student.regression import (
    Linear,
    Taught,
    chosen,
    coordinates,
    fit,
    folds_of,
    loss_of,
    probs_of,
)


def lesson(n: int = 60, width: int = 8, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, Taught]:
    """Rows, soft labels that depend on them, and weights."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, width))
    logits = rows @ rng.normal(size=(width, classes))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return rows, Taught(0.8 * probs + 0.2 / classes, rng.uniform(0.2, 2.0, n))


@pytest.mark.parametrize("penalty", [0.1, 0.003])
def test_it_is_the_logistic_regression_of_scikit_learn_on_every_class_of_every_item(penalty: float) -> None:
    """A soft label is a row per class, weighed by its probability; C = 1 / (λ Σ w)."""
    from sklearn.linear_model import LogisticRegression

    rows, taught = lesson()
    n, k = taught.probs.shape
    theirs = LogisticRegression(C=1 / (penalty * taught.weight.sum()), tol=1e-8, max_iter=5_000)
    theirs.fit(np.repeat(rows, k, axis=0), np.tile(np.arange(k), n), (taught.probs * taught.weight[:, None]).ravel())
    np.testing.assert_allclose(probs_of(rows, fit(rows, taught, penalty)), theirs.predict_proba(rows), atol=2e-4)


def test_the_space_of_the_items_gives_the_same_answer_as_the_space_of_the_features() -> None:
    """The best slopes are a sum of rows, so nothing is lost; sparse rows and dense ones agree."""
    rows, taught = lesson(n=20, width=50)
    new = np.random.default_rng(1).normal(size=(5, 50))
    space = coordinates(csr_array(rows))
    found = fit(space.rows, taught, 0.01)
    wide = Linear(space.back(found.slopes), found.bias)
    direct = fit(csr_array(rows), taught, 0.01)
    assert space.rows.shape == (20, 20)
    np.testing.assert_allclose(probs_of(new, wide), probs_of(new, direct), atol=1e-3)
    np.testing.assert_allclose(probs_of(rows, wide), probs_of(space.rows, found), atol=1e-9)


def test_no_step_away_from_the_fit_is_better() -> None:
    """The penalised loss is convex: what is found is its minimum."""
    rows, taught = lesson()
    found, rng = fit(rows, taught, 0.01), np.random.default_rng(2)

    def cost(linear: Linear) -> float:
        return loss_of(rows, taught, linear) / taught.weight.sum() + 0.005 * float((linear.slopes**2).sum())

    for _ in range(20):
        step = rng.normal(size=found.slopes.shape) * 0.01
        assert cost(found) <= cost(Linear(found.slopes + step, found.bias)) + 1e-9


def test_an_item_of_weight_two_is_two_items_and_one_of_weight_zero_none() -> None:
    """Weights count items."""
    rows, taught = lesson(n=30)
    twice = np.r_[np.arange(30), np.arange(10)]
    weight = np.r_[np.full(10, 2.0), np.ones(20)]
    doubled = fit(rows[twice], Taught(taught.probs[twice], np.ones(40)), 0.01)
    weighed = fit(rows, Taught(taught.probs, weight), 0.01)
    np.testing.assert_allclose(probs_of(rows, doubled), probs_of(rows, weighed), atol=1e-4)
    silent = Taught(np.r_[taught.probs, np.eye(3)[[0] * 5]], np.r_[weight, np.zeros(5)])
    extended = fit(np.r_[rows, rows[:5]], silent, 0.01)
    np.testing.assert_allclose(probs_of(rows, extended), probs_of(rows, weighed), atol=1e-9)


def test_relabeling_classes_only_relabels_the_answer() -> None:
    """No class is special."""
    rows, taught = lesson()
    order = np.array([2, 0, 1])
    other = fit(rows, Taught(taught.probs[:, order], taught.weight), 0.01)
    np.testing.assert_allclose(probs_of(rows, other), probs_of(rows, fit(rows, taught, 0.01))[:, order], atol=2e-4)


def test_rows_that_say_nothing_leave_the_constant() -> None:
    """The infinite penalty wins on noise, and its probabilities are the weighted shares."""
    rng = np.random.default_rng(4)
    rows, n = rng.normal(size=(80, 40)), 80
    taught = Taught(np.eye(2)[np.arange(n) % 2], rng.uniform(0.5, 1.5, n))
    found = chosen(rows, taught, folds_of(None, n, 5, 0))
    assert found.penalty == np.inf
    share = taught.weight @ taught.probs / taught.weight.sum()
    np.testing.assert_allclose(probs_of(rows, found.linear), np.tile(share, (n, 1)), atol=1e-6)


def test_the_chosen_penalty_has_the_least_held_out_loss() -> None:
    """And where rows say much, it is finite."""
    rows, taught = lesson(n=150)
    found = chosen(rows, taught, folds_of(None, 150, 5, 0))
    assert found.losses[found.penalty] == min(found.losses.values())
    assert np.isfinite(found.penalty)


def test_groups_are_never_cut_by_a_fold() -> None:
    """All items of a group are held out together; without groups folds are even."""
    groups = [f"g{at % 7}" for at in range(50)]
    fold = folds_of(groups, 50, 3, 0)
    assert all(len({f for f, g in zip(fold.tolist(), groups, strict=True) if g == name}) == 1 for name in groups)
    assert np.bincount(folds_of(None, 50, 5, 0)).tolist() == [10] * 5
    with pytest.raises(SettingError, match="two groups"):
        folds_of(["one"] * 9, 9, 3, 0)
