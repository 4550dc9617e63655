"""The ACT loss as an objective of LightGBM: beside its own objectives, and beside differences of the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from quorate.act.boosting import ACTObjective
from quorate.errors import SettingError

lightgbm = pytest.importorskip("lightgbm")

SETTINGS = {"verbosity": -1, "num_leaves": 7, "min_data_in_leaf": 5, "boost_from_average": False, "deterministic": True,
            "num_threads": 1, "seed": 0}  # fmt: skip


def drawn(n: int, n_classes: int, seed: int = 0) -> tuple[Any, Any, Any, Any]:
    """Features, truth that they tell, a machine that errs on a quarter, and a review of a third."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    truth = np.digitize(x[:, 0] + 0.3 * rng.normal(size=n), np.linspace(-0.8, 0.8, n_classes - 1))
    machine = np.where(rng.random(n) < 0.25, rng.integers(0, n_classes, n), truth)
    return x, truth, machine, rng.random(n) < 1 / 3


@pytest.mark.parametrize("n_classes", [2, 4])
def test_where_review_is_certain_it_is_lightgbm_on_the_corrected_labels(n_classes: int) -> None:
    """Weights of 0 and 1, lambda 1: the same trees as LightGBM's own objective grows on the corrected labels."""
    x, truth, machine, seen = drawn(400, n_classes)
    mine = ACTObjective(machine, np.where(seen, truth, -1), seen.astype(float), n_classes)
    shape = {"num_class": n_classes} if n_classes > 2 else {}
    own = lightgbm.train(SETTINGS | shape | {"objective": mine}, lightgbm.Dataset(x, np.zeros(400)), num_boost_round=8)
    theirs = lightgbm.train(
        SETTINGS | shape | {"objective": "multiclass" if n_classes > 2 else "binary"},
        lightgbm.Dataset(x, np.where(seen, truth, machine)), num_boost_round=8,
    )  # fmt: skip
    raw = theirs.predict(x, raw_score=True)
    np.testing.assert_allclose(own.predict(x, raw_score=True), raw, rtol=1e-5, atol=1e-6)
    assert np.abs(raw).max() > 0.5


@given(st.integers(0, 10_000), st.integers(2, 5), st.floats(0, 1))
def test_the_gradient_is_that_of_the_loss(seed: int, n_classes: int, lambda_: float) -> None:
    """Against central differences of equation 21 with cross-entropy, whatever scores, weights and labels are."""
    rng = np.random.default_rng(seed)
    n = 6
    machine, human = rng.integers(0, n_classes, (2, n))
    weight = np.where(rng.random(n) < 0.5, 0.0, rng.uniform(1, 8, n))
    scores = rng.normal(size=(n, n_classes)) * 3
    if n_classes == 2:
        scores[:, 0] = 0.0
    objective = ACTObjective(machine, np.where(weight > 0, human, -1), weight, n_classes, lambda_)
    found, curved = objective(scores[:, 1] if n_classes == 2 else scores, None)
    step = 1e-5
    for place in range(n_classes):
        if n_classes == 2 and place == 0:
            continue
        ahead, back = (_loss(scores + sign * step * np.eye(n_classes)[place], machine, human, weight, lambda_)
                       for sign in (1, -1))  # fmt: skip
        np.testing.assert_allclose(
            found if n_classes == 2 else found[:, place], (ahead - back) / (2 * step), rtol=1e-4, atol=1e-6
        )
    assert (curved >= 0).all()


def _loss(scores: Any, machine: Any, human: Any, weight: Any, lambda_: float) -> Any:
    told = -log_softmax(scores, axis=1)
    at = np.arange(len(scores))
    return lambda_ * told[at, machine] + weight * (told[at, human] - lambda_ * told[at, machine])


def test_what_cannot_be_is_refused() -> None:
    """Codes beyond the classes, a review without a label, scores of other items."""
    machine, weight = np.array([0, 2]), np.array([0.0, 1.0])
    with pytest.raises(SettingError, match="a class of code 2"):
        ACTObjective(machine, np.array([-1, 0]), weight, 2)
    with pytest.raises(SettingError, match="where the weight is above 0"):
        ACTObjective(machine, np.array([-1, -1]), weight, 3)
    with pytest.raises(SettingError, match="asked about 3"):
        ACTObjective(machine, np.array([-1, 0]), weight, 3)(np.zeros((3, 3)), None)
