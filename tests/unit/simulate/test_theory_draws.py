"""Laws of the theory by simulation: it agrees with the formulas within its own errors, which are honest."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.errors import SettingError
from quorate.simulate.theory import (
    TABLE_AGENTS,
    equal_covariance,
    equal_spread,
    inverse_variance,
    log_odds_reduction,
    prevalence_reduction,
    spread,
)
from quorate.simulate.theory_draws import (
    equal_draw,
    normal_draw,
    simulated_reduction,
    simulated_rows,
    simulated_spread,
)

FIGURES = ("relative_error", "bias_trace", "naive_trace", "true_trace")


def assert_agree(found, expected):
    """Every figure within 4 of its own standard errors."""
    for name in FIGURES:
        value, se = getattr(found, name)
        assert se > 0
        assert abs(value - getattr(expected, name)) < 4 * se, name


def test_table_2_comes_out_by_simulation():
    """Every figure of the six rows within 4 of its own standard errors, which are below 2 % of it."""
    found = simulated_rows(n_draws=10_000, seed=1)
    assert tuple(found) == TABLE_AGENTS
    for agents, each in found.items():
        assert_agree(each, equal_spread(agents, 0.5))
        assert all(getattr(each, name).se < 0.02 * getattr(each, name).value for name in FIGURES)


@pytest.mark.parametrize("correlation", [0.0, 0.1, 0.9, 1.0])
def test_other_correlations_agree_too(correlation):
    """Also at rho 0, where the norm of the bias is that of noise, and at rho 1."""
    found = simulated_spread(equal_draw(5, correlation), 5, n_draws=10_000, seed=2)
    assert_agree(found, equal_spread(5, correlation))


@pytest.mark.parametrize("seed", range(5))
def test_unequal_agents_and_weights_agree(seed):
    """Any covariance, weights by inverse variance or drawn."""
    rng = np.random.default_rng(seed)
    agents, n_classes = 4, 3
    root = rng.normal(size=(agents * n_classes, 5))
    covariance = (root @ root.T).reshape(agents, n_classes, agents, n_classes).transpose(0, 2, 1, 3)
    for weights in (inverse_variance(covariance), rng.dirichlet(np.ones(agents))):
        found = simulated_spread(normal_draw(covariance), agents, weights, n_draws=10_000, seed=seed)
        assert_agree(found, spread(covariance, weights))


def test_both_ways_to_draw_equal_agents_have_one_law():
    """A shared part, or the root of the whole covariance: figures within 4 standard errors of the difference."""
    one = simulated_spread(equal_draw(3, 0.3), 3, n_draws=10_000, seed=3)
    other = simulated_spread(normal_draw(equal_covariance(3, 0.3)), 3, n_draws=10_000, seed=4)
    for name in FIGURES:
        (a, sa), (b, sb) = getattr(one, name), getattr(other, name)
        assert abs(a - b) < 4 * np.hypot(sa, sb)


def test_the_standard_errors_are_the_scatter_over_repetitions():
    """Mean squared error over 200 repetitions = mean of se^2, within the error of that mean square."""
    exact = equal_spread(5, 0.5)
    found = [simulated_spread(equal_draw(5, 0.5), 5, n_draws=400, seed=seed) for seed in range(200)]
    for name in FIGURES:
        ratio = [((getattr(each, name).value - getattr(exact, name)) / getattr(each, name).se) ** 2 for each in found]
        assert abs(np.mean(ratio) - 1.0) < 4 * np.std(ratio, ddof=1) / np.sqrt(200), name


def test_blocks_change_nothing_but_rounding(monkeypatch):
    """Figures are those of all draws together, however many are drawn at once."""
    whole = simulated_spread(normal_draw(equal_covariance(3, 0.5)), 3, n_draws=1_000)
    monkeypatch.setattr("quorate.simulate.theory_draws.BLOCK", 300)
    parts = simulated_spread(normal_draw(equal_covariance(3, 0.5)), 3, n_draws=1_000)
    np.testing.assert_allclose(np.array(whole), np.array(parts), rtol=1e-9)


def test_one_agent_has_no_bias():
    """True and naive covariance are the same draws; nothing is divided by 0."""
    found = simulated_spread(equal_draw(1, 0.5), 1, n_draws=100)
    assert found.bias_trace.value == pytest.approx(0.0, abs=1e-12)
    assert np.isfinite(found.relative_error).all()


@pytest.mark.parametrize("correlation", [0.0, -0.6, 0.85])
def test_variance_reduction_agrees(correlation):
    """Log-odds and prevalences: before, left and explained within 4 of their own standard errors."""
    for log_odds in (True, False):
        exact = log_odds_reduction(2.0, correlation) if log_odds else prevalence_reduction(0.3, 2.0, correlation)
        found = simulated_reduction(0.3, 2.0, correlation, log_odds=log_odds, seed=5)
        for name in ("before", "left", "explained"):
            value, se = getattr(found, name)
            assert abs(value - getattr(exact, name)) < 4 * se


def test_what_cannot_be_drawn_is_refused():
    """SettingError for too few draws, a negative shared part, a covariance that is none."""
    with pytest.raises(SettingError, match="n_draws"):
        simulated_spread(equal_draw(2, 0.5), 2, n_draws=1)
    with pytest.raises(SettingError, match="share"):
        equal_draw(2, -0.5)
    with pytest.raises(SettingError, match="semidefinite"):
        normal_draw(np.array([[1.0, 2.0], [2.0, 1.0]]).reshape(2, 2, 1, 1))
