"""Laws of Theorem 1 and Proposition 1 as formulas: brute force, bounds, limits, printed digits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, roots_hermitenorm

from quorate.errors import SettingError
from quorate.simulate.theory import (
    FIGURE_AGENTS,
    FIGURE_CORRELATIONS,
    TABLE_AGENTS,
    bias_bound,
    equal_covariance,
    equal_spread,
    inverse_variance,
    log_odds_reduction,
    prevalence_reduction,
    printed,
    rows,
    spread,
    sweep,
)

PRINTED = {  # Table 2 of the paper: relative error, trace of the bias, trace of the naive covariance
    2: ("0.50", "0.075", "0.150"),
    5: ("2.00", "0.120", "0.060"),
    10: ("4.50", "0.135", "0.030"),
    50: ("24.50", "0.147", "0.006"),
    100: ("49.50", "0.149", "0.003"),
    500: ("249.50", "0.150", "0.001"),
}
ANY_SEED = st.integers(0, 2**32 - 1)


def random_setting(seed):
    """Agents of a random joint covariance, with a positive definite part that all share, and random weights."""
    rng = np.random.default_rng(seed)
    agents, n_classes = int(rng.integers(2, 7)), int(rng.integers(1, 4))
    own = rng.normal(size=(agents * n_classes, agents * n_classes))
    shared = rng.normal(size=(n_classes, n_classes))
    shared = shared @ shared.T + 0.1 * np.eye(n_classes)
    blocks = (own @ own.T).reshape(agents, n_classes, agents, n_classes).transpose(0, 2, 1, 3)
    return blocks * rng.random(), shared, rng.dirichlet(np.ones(agents))


@given(ANY_SEED)
def test_both_covariances_are_their_double_sums(seed):
    """V_true = sum_mn w_m w_n V_mn and V_naive = sum_m w_m^2 V_m, term by term."""
    covariance, _, weights = random_setting(seed)
    found = spread(covariance, weights)
    agents = range(len(weights))
    true = sum(weights[m] * weights[n] * covariance[m, n] for m in agents for n in agents)
    apart = sum(weights[m] * weights[n] * covariance[m, n] for m in agents for n in agents if m != n)
    np.testing.assert_allclose(found.true, true, atol=1e-12)
    np.testing.assert_allclose(found.naive, sum(weights[m] ** 2 * covariance[m, m] for m in agents), atol=1e-12)
    np.testing.assert_allclose(found.bias, apart, atol=1e-12)
    assert found.true_trace == pytest.approx(found.bias_trace + found.naive_trace)
    assert found.relative_error == pytest.approx(np.sqrt((apart**2).sum()) / np.sqrt((found.naive**2).sum()))


@given(ANY_SEED)
def test_the_bias_is_at_least_the_bound(seed):
    """The bias - tau V_min (1 - sum w^2) has no negative eigenvalue where sym(V_mn) >= tau V_min for every pair.

    tau is the largest for which the assumption holds; it may be negative, and the algebra does not mind.
    """
    covariance, least, weights = random_setting(seed)
    pairs = [(m, n) for m in range(len(weights)) for n in range(len(weights)) if m != n]
    root = np.linalg.inv(np.linalg.cholesky(least))
    symmetric = [(covariance[m, n] + covariance[m, n].T) / 2 for m, n in pairs]
    tau = min(np.linalg.eigvalsh(root @ each @ root.T)[0] for each in symmetric)
    above = spread(covariance, weights).bias - bias_bound(least, tau, weights)
    assert np.linalg.eigvalsh(above)[0] > -1e-9 * (1 + abs(above).max())


@given(ANY_SEED, st.floats(0.05, 0.95))
def test_inverse_variance_weights_do_not_escape_the_bound(seed, tau):
    """Remark 2: with weights 1 / tr(V_m) the bias is at least tau V_min (1 - sum w^2), positive definite."""
    rng = np.random.default_rng(seed)
    variance = rng.uniform(0.5, 2.0, int(rng.integers(2, 30)))
    least = np.eye(3) * variance.min()
    covariance = np.broadcast_to(tau * least, (len(variance), len(variance), 3, 3)).copy()
    covariance[np.diag_indices(len(variance))] = variance[:, None, None] * np.eye(3)
    weights = inverse_variance(covariance)
    np.testing.assert_allclose(weights * variance, (weights * variance)[0])
    assert weights.max() <= variance.max() / variance.min() / len(variance) + 1e-12  # at most C / M
    np.testing.assert_allclose(spread(covariance, weights).bias, bias_bound(least, tau, weights), atol=1e-12)


@pytest.mark.parametrize("correlation", [-0.2, 0.0, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("agents", [1, 2, 5])
def test_the_closed_form_of_equal_agents_is_the_double_sum(agents, correlation):
    """equal_spread = spread(equal_covariance), also for other variances and numbers of classes."""
    options = {"variance": 0.7, "n_classes": 2}
    brute = spread(equal_covariance(agents, correlation, **options))
    found = equal_spread(agents, correlation, **options)
    np.testing.assert_allclose(found.true, brute.true, atol=1e-15)
    np.testing.assert_allclose(found.naive, brute.naive, atol=1e-15)
    assert found.relative_error == pytest.approx(abs(correlation) * (agents - 1), abs=1e-12)


def test_independent_agents_have_no_bias():
    """At rho 0 naive and true covariance are one."""
    for row in rows((1, 3, 100), correlation=0.0):
        assert (row.relative_error, row.bias_trace) == (0.0, 0.0)
        assert row.naive_trace == pytest.approx(0.3 / row.agents)


def test_table_2_comes_out_to_the_printed_digits():
    """Every figure of the paper's Table 2, as printed."""
    assert tuple(row.agents for row in rows()) == TABLE_AGENTS == tuple(PRINTED)
    for row in rows():
        found = printed(row.relative_error, 2), printed(row.bias_trace, 3), printed(row.naive_trace, 3)
        assert found == PRINTED[row.agents]
        assert list(row._asdict()) == ["agents", "relative_error", "bias_trace", "naive_trace"]


def test_the_text_of_section_6_1_agrees_with_the_trace_and_not_with_one_component():
    """At 500 agents: naive 0.0006 = K sigma^2 / M, true 0.1503, a factor of 250."""
    last = rows()[-1]
    assert (printed(last.naive_trace, 4), printed(last.true_trace, 4)) == ("0.0006", "0.1503")
    assert printed(last.true_trace / last.naive_trace, 0) in {"250", "251"}


def test_figure_3_shows_what_the_theorem_says():
    """Over agents: the relative error is rho (M - 1), the bias rises to rho sigma^2 K, the naive variance falls."""
    found = sweep()
    assert tuple(found) == FIGURE_CORRELATIONS
    for correlation, of in found.items():
        assert tuple(row.agents for row in of) == FIGURE_AGENTS
        np.testing.assert_allclose([row.relative_error for row in of], correlation * (np.array(FIGURE_AGENTS) - 1))
        bias = np.array([row.bias_trace for row in of])
        assert (np.diff(bias) > 0).all()
        assert bias[-1] == pytest.approx(0.3 * correlation * (1 - 1 / 500))
        assert (np.diff([row.naive_trace for row in of]) < 0).all()
        assert min(row.true_trace for row in of) > 0.3 * correlation


def test_a_known_task_never_adds_variance():
    """Proposition 1: E Var(B | A) <= Var(B), equal only at rho 0; the sign of rho does not matter."""
    for correlation in (-0.9, -0.3, 0.0, 0.5, 1.0):
        for found in (log_odds_reduction(1.5, correlation), prevalence_reduction(0.4, 1.5, correlation)):
            assert found.left <= found.before + 1e-15
            assert (found.explained > 1e-6) == (correlation != 0)
        mirrored = prevalence_reduction(0.4, 1.5, -correlation)
        assert mirrored == pytest.approx(prevalence_reduction(0.4, 1.5, correlation))
    assert log_odds_reduction(2.0, 1.0).left == 0.0
    assert prevalence_reduction(0.4, 2.0, 1.0).left == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize(("mean", "sd", "correlation"), [(0.0, 0.5, 0.3), (0.7, 2.0, 0.6), (-1.5, 3.0, 0.85)])
def test_the_variance_of_a_prevalence_is_its_integral(mean, sd, correlation):
    """Var(theta) and E Var(theta | A) by Gauss and Hermite's rule, another one than the library's, to 1e-9."""
    point, weight = roots_hermitenorm(400)
    weight /= weight.sum()
    whole = expit(mean + sd * point)
    inner = expit(mean + sd * (correlation * point[:, None] + np.sqrt(1 - correlation**2) * point))
    found = prevalence_reduction(mean, sd, correlation)
    assert found.before == pytest.approx(weight @ whole**2 - (weight @ whole) ** 2, abs=1e-9)
    assert found.left == pytest.approx(weight @ (inner**2 @ weight - (inner @ weight) ** 2), abs=1e-9)


def test_a_prevalence_that_hardly_varies_follows_the_log_odds():
    """As sigma goes to 0, Var(theta) = (theta (1 - theta))^2 Var(q), before and after."""
    sd, slope = 1e-3, expit(0.7) * expit(-0.7)
    found, linear = prevalence_reduction(0.7, sd, 0.5), log_odds_reduction(sd * slope, 0.5)
    np.testing.assert_allclose(found, linear, rtol=1e-5)


def test_what_cannot_be_is_refused():
    """SettingError says what."""
    covariance = equal_covariance(3, 0.5)
    for weights in (np.ones(3), np.array([1.5, -0.25, -0.25])):
        with pytest.raises(SettingError, match="weights"):
            spread(covariance, weights)
    with pytest.raises(SettingError, match="correlate"):
        equal_spread(5, -0.5)
    with pytest.raises(SettingError, match="between -1 and 1"):
        log_odds_reduction(1.0, 1.1)
