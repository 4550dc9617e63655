"""Laws of selecting examples: exact chances, unbiased weights."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.calibrate.prior import WEAK
from quorate.calibrate.sampling import STRATEGIES, importance, inclusion, select, stratified, surrogate_errors
from quorate.calibrate.scaling import scaled
from quorate.errors import SettingError
from unit.calibrate.simulated import bent
from unit.measure.crowd import assert_within

POOL = 300


def skewed(seed: int = 0) -> np.ndarray:
    """Surrogate errors as they come: most near 0, a few large."""
    return np.random.default_rng(seed).beta(0.4, 4.0, POOL)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("n", [1, 7, 100, 299, 300])
def test_as_many_as_asked_for_and_none_twice(strategy: str, n: int) -> None:
    """Any number up to the whole pool; weights are positive."""
    for seed in range(5):
        chosen = select(strategy, n, np.random.default_rng(seed), surrogate_error=skewed())
        assert len(set(chosen.places.tolist())) == n
        assert (chosen.weights > 0).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_weighted_means_are_unbiased_for_the_pool(strategy: str) -> None:
    """The mean over 2,000 selections of any weighted mean is that of the pool, whoever was likelier to be drawn."""
    error = skewed()
    value = np.random.default_rng(1).normal(size=POOL) + 5 * error  # what is drawn more often is larger
    means = []
    for seed in range(2000):
        chosen = select(strategy, 20, np.random.default_rng(seed), surrogate_error=error)
        means.append((chosen.weights * value[chosen.places]).sum() / 20)
    assert_within(np.mean(means), value.mean(), se=np.std(means, ddof=1) / 2000**0.5)


def test_each_item_is_drawn_as_often_as_its_chance_says() -> None:
    """Systematic draws keep the chance of inclusion exactly."""
    error, n, times = skewed(), 30, 3000
    drawn = np.zeros(POOL)
    for seed in range(times):
        drawn[importance(error, n, np.random.default_rng(seed)).places] += 1
    chance = inclusion(error, n)
    assert chance.sum() == pytest.approx(n)
    z = (drawn / times - chance) / np.sqrt(np.maximum(chance * (1 - chance), 1e-4) / times)
    assert np.abs(z).max() < 4.5  # the largest of 300
    assert_within(np.square(z).mean(), 1.0, se=(2 / POOL) ** 0.5)


def test_importance_draws_large_errors_more_and_no_weight_explodes() -> None:
    """Mean error of the selection is above the pool's; a quarter falls evenly, so weights stay under four."""
    error = skewed()
    chosen = [importance(error, 20, np.random.default_rng(seed)) for seed in range(50)]
    assert np.mean([error[each.places].mean() for each in chosen]) > 1.5 * error.mean()
    assert max(each.weights.max() for each in chosen) <= 4 + 1e-9


def test_strata_are_all_visited() -> None:
    """Each fifth of the errors gives the same number; a remainder falls on some by chance."""
    error = skewed()
    ranks = np.argsort(np.argsort(error)) * 5 // POOL
    assert np.bincount(ranks[stratified(error, 20, np.random.default_rng(0)).places]).tolist() == [4] * 5
    assert sorted(np.bincount(ranks[stratified(error, 22, np.random.default_rng(0)).places])) == [4, 4, 4, 5, 5]


def test_errors_that_are_all_zero_are_even() -> None:
    """Where the surrogate agrees everywhere, importance is uniform."""
    np.testing.assert_allclose(inclusion(np.zeros(50), 10), 0.2)


def test_items_that_must_be_drawn_are() -> None:
    """A chance above 1 is 1, and the others share what is left."""
    chance = inclusion(np.array([100.0, 1.0, 1.0, 1.0]), 2, even_share=0.0)
    np.testing.assert_allclose(chance, [1.0, 1 / 3, 1 / 3, 1 / 3], atol=1e-6)


def test_a_weighted_fit_of_importance_draws_aims_where_even_draws_aim() -> None:
    """Where no temperature is right, the weighted fit finds the pool's best one on average; unweighted it would not.

    Half of the pool is far too sure and is drawn five times as often, the other half is not sure enough.
    """
    parts = [bent(1500, seed=seed, slopes=slope) for seed, slope in ((1, 0.3), (2, 1.3))]
    x, truth = (np.concatenate([part[of] for part in parts]) for of in (0, 1))
    error = np.repeat([0.5, 0.1], 1500)
    whole = scaled("temperature", x, truth, prior=WEAK).parameters[0]
    found = {True: [], False: []}
    for seed in range(100):
        chosen = importance(error, 200, np.random.default_rng(seed))
        for weighted, of in found.items():
            weights = chosen.weights if weighted else None
            shots = x[chosen.places], truth[chosen.places]
            of.append(scaled("temperature", *shots, weights=weights, prior=WEAK).parameters[0])
    bias = {weighted: abs(np.mean(of) - whole) for weighted, of in found.items()}
    assert bias[True] < 0.3 * bias[False]


def test_surrogate_error_is_of_the_answer() -> None:
    """The class that the raw scores choose, also where the surrogate chooses another."""
    assert surrogate_errors(np.array([[0.6, 0.4]]), np.array([[0.3, 0.7]]))[0] == pytest.approx(0.3)


def test_wrong_calls_say_what_is_wrong() -> None:
    """Too many, none, or an unknown way."""
    rng, error = np.random.default_rng(0), np.zeros(5)
    for n in (0, 6):
        with pytest.raises(SettingError, match="1 to 5"):
            select("uniform", n, rng, surrogate_error=error)
    with pytest.raises(SettingError, match="no selection 'greedy'"):
        select("greedy", 2, rng, surrogate_error=error)
