"""Laws of the ceiling: it is the power of the best test, and nothing that is valid passes it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from quorate.errors import SettingError
from quorate.policy.floor_ceiling import Law, ceiling


def one_threshold(accuracy, floor):
    return Law(np.array([1 - accuracy, accuracy]), np.array([[-floor], [1 - floor]]), np.ones(1))


@pytest.mark.parametrize(("n", "accuracy", "floor", "delta"), [(200, 0.95, 0.9, 0.1), (500, 0.97, 0.95, 0.05)])
def test_with_one_threshold_it_is_the_power_of_the_exact_test(n, accuracy, floor, delta):
    """P(X > c) + coin P(X = c) at the accuracy, with limit and coin that make it delta at the floor."""
    limit = stats.binom.isf(delta, n, floor)
    coin = (delta - stats.binom.sf(limit, n, floor)) / stats.binom.pmf(limit, n, floor)
    power = stats.binom.sf(limit, n, accuracy) + coin * stats.binom.pmf(limit, n, accuracy)
    found = ceiling(one_threshold(accuracy, floor), n, delta, draws=40_000)
    slope = stats.norm.pdf(stats.norm.isf(power)) / stats.norm.pdf(stats.norm.isf(delta))  # the limit is simulated too
    error = ((power * (1 - power) + slope**2 * delta * (1 - delta)) / 40_000) ** 0.5
    assert abs(found - power) < 4 * error


def two_thresholds():
    """Half of the items are right in 99 %, the others in 93 %."""
    chance = np.array([0.495, 0.005, 0.465, 0.035])
    return Law(chance, np.array([[0.05, 0.05], [-0.95, -0.95], [0.0, 0.05], [0.0, -0.95]]), np.array([0.5, 1.0]))


def test_it_rises_with_items_and_with_risk():
    """More data or more risk can only help; all is proven in the end, little with little."""
    by_n = [ceiling(two_thresholds(), n, 0.1) for n in (20, 200, 2000, 20_000)]
    assert np.all(np.diff(by_n) > 0)
    assert by_n[0] < 0.3
    assert by_n[-1] > 0.99
    by_delta = [ceiling(two_thresholds(), 200, delta) for delta in (0.01, 0.05, 0.1, 0.3)]
    assert np.all(np.diff(by_delta) > 0)


def test_a_stricter_threshold_that_is_easy_bounds_what_a_looser_one_adds():
    """With only the looser threshold the best test has less to see, so that both together can prove more."""
    law = two_thresholds()
    alone = Law(law.chance, law.score[:, 1:], law.saved[1:])
    assert ceiling(law, 500, 0.1) > ceiling(alone, 500, 0.1)


def test_where_nothing_holds_there_is_nothing_to_prove():
    """An error, not 0."""
    with pytest.raises(SettingError, match="nothing to prove"):
        ceiling(one_threshold(0.8, 0.9), 100, 0.1)
