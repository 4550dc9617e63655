"""Laws of the test by betting: never too sure, whatever items are like, and strong where it can be."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import norm

from quorate.policy.floor import binomial_p
from quorate.policy.floor_betting import betting_p
from quorate.policy.floor_kernels import normal_quantile


def p_of(right, floor, *, closed=None, most=1, level=0.1, expected=1.0):
    """Of a table of samples by items, each sample a column."""
    right = np.asarray(right, np.float32).T
    closed = np.ones_like(right) * most if closed is None else np.asarray(closed, np.float32).T
    columns = np.ones(right.shape[1])
    return betting_p(closed, right, floor * columns, most, level * columns, expected * columns)


KINDS = {  # how many of an item's tasks close, how many are right, how often; right just as often as the floor
    "alike": ([1, 1], [1, 0], [0.9, 0.1]),
    "two tasks together": ([2, 2], [2, 0], [0.9, 0.1]),
    "two tasks apart": ([2, 2, 2], [2, 1, 0], [0.82, 0.16, 0.02]),
    "many closed are wrong": ([0, 1, 3], [0, 1, 2], [0.2, 0.56, 0.24]),
    "credits": ([1, 1, 1], [1.0, 0.85, 0.5], [0.4, 0.5, 0.1]),
}


@pytest.mark.parametrize("level", [0.05, 0.4])
@pytest.mark.parametrize("kind", KINDS)
def test_p_values_are_super_uniform_over_all_samples(kind, level):
    """P(p <= u) <= u for every u, summed over every sample of seven items, wherever the bets aim."""
    closed, right, chance = (np.array(each, float) for each in KINDS[kind])
    floor = (chance @ right) / (chance @ closed)  # the mean score is 0
    samples = np.array(list(product(range(len(chance)), repeat=7)))
    p_values = p_of(right[samples], floor, closed=closed[samples], most=int(closed.max()), level=level)
    weight = chance[samples].prod(axis=1)
    for u in np.unique(p_values):
        assert weight[p_values <= u].sum() <= u + 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_capital_is_a_fair_game_at_the_floor(kind):
    """After one item capital is 1 + bet * score with one bet for all it may show, whose mean at the floor is 1."""
    closed, right, chance = (np.array(each, float) for each in KINDS[kind])
    floor = (chance @ right) / (chance @ closed)
    most = int(closed.max())
    p_values = p_of(right[:, None], floor, closed=closed[:, None], most=most, level=0.01)
    score = right - floor * closed
    rise = 1.0 / p_values - 1.0
    bet = rise[score > 1e-9] / score[score > 1e-9]
    assert np.allclose(bet, bet[0], rtol=1e-5)  # one bet, laid before the item is seen
    assert 0 < bet[0] <= 1 / (floor * most) + 1e-9  # and none may lose more than all
    assert np.allclose(rise[score <= 1e-9], 0.0, atol=1e-5)


@pytest.mark.parametrize(("floor", "accuracy", "n"), [(0.9, 0.94, 300), (0.95, 0.975, 400)])
def test_of_one_task_it_is_nearly_as_strong_as_the_exact_test(floor, accuracy, n):
    """Power at least nine tenths of the binomial's, on the same 2,000 samples."""
    right = np.random.default_rng(0).random((2000, n)) < accuracy
    exact = binomial_p(right.sum(axis=1).astype(float), np.full(2000, n), floor) <= 0.1
    assert (p_of(right, floor) <= 0.1).mean() >= 0.9 * exact.mean()


def test_of_many_tasks_it_is_stronger_than_one_task_of_each():
    """Ten tasks that err apart: half a percent above the floor is seen, which one task per item seldom shows."""
    rng = np.random.default_rng(0)
    right = rng.binomial(10, 0.96, (500, 900))
    together = p_of(right, 0.95, most=10, expected=10.0) <= 0.1
    one = rng.random((500, 900)) < 0.96
    alone = binomial_p(one.sum(axis=1).astype(float), np.full(500, 900), 0.95) <= 0.1
    assert together.mean() > 0.9
    assert alone.mean() < 0.6


def test_its_power_at_the_level_is_near_that_of_the_normal_test():
    """P(p <= .1) within .1 of the normal test's power, 400 items of three tasks, floor .9."""
    rng = np.random.default_rng(0)
    p_values = p_of(rng.binomial(3, 0.925, (2000, 400)), 0.9, most=3, expected=3.0)
    mean, spread = 1200 * 0.025, (1200 * 0.9 * 0.1) ** 0.5
    power = 1 - norm.cdf(ndtri(0.9) * spread, mean, (1200 * 0.925 * 0.075) ** 0.5)
    assert abs((p_values <= 0.1).mean() - power) < 0.1


def test_items_that_close_nothing_change_nothing():
    """They are no draws: with or without them the same p-value."""
    rng = np.random.default_rng(0)
    closed = rng.integers(0, 4, 200)
    right = rng.binomial(closed, 0.97)
    busy = closed > 0
    assert p_of([right], 0.9, closed=[closed], most=4) == p_of([right[busy]], 0.9, closed=[closed[busy]], most=4)


def test_all_right_proves_no_sooner_than_the_floor_allows():
    """All right in n items, all T tasks closed: never p < floor ** n, however large T, since all may fail together."""
    for n, most in product((10, 45, 100), (1, 10)):
        p_value = p_of([np.full(n, most)], 0.95, most=most, level=1e-4, expected=most)[0]
        assert p_value >= 0.95**n * (1 - 1e-6)
        assert p_of([np.full(n, most)], 0.95, most=most, level=0.95**n, expected=most)[0] <= 0.95**n * 1.5


def test_the_quantile_is_near_enough():
    """Within 5e-4 of the true one."""
    for share in (1e-12, 1e-4, 0.02, 0.3, 0.5, 0.7, 0.999):
        assert normal_quantile(share) == pytest.approx(ndtri(share), abs=5e-4)
