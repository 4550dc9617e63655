"""Laws of models that err together: each one's own law is kept, what they share is what was asked."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import dirichlet

from quorate.simulate.errors_together import (
    Together,
    draw_readings,
    log_likelihood,
    readings_law,
    score_covariance,
)
from quorate.simulate.theory import spread

FAMILY = np.array([0, 0, 1])
ANY_SEED = st.integers(0, 2**32 - 1)


def random_rows(seed, n_models=3, n_classes=3):
    """Confusion rows that are above .02 everywhere."""
    rng = np.random.default_rng(seed)
    return 0.02 + (1 - 0.02 * n_classes) * rng.dirichlet(np.ones(n_classes), (n_models, n_classes))


def equal_rows(n_models=3, n_classes=3):
    return np.broadcast_to(0.1 + 0.7 * np.eye(n_classes), (n_models, n_classes, n_classes)).copy()


def pair_law(law, k, m, n):
    """P(x_m, x_n | true class k) of two models, from the parts of the law."""
    rest, f, g = 1 - law.by_all[k].sum(), law.family[m], law.family[n]
    by_family = law.by_family[k]
    if f == g:
        apart = np.diag(by_family[f]) + (1 - by_family[f].sum()) * np.outer(law.alone[k, m], law.alone[k, n])
    else:
        each = [by_family[law.family[i]] + (1 - by_family[law.family[i]].sum()) * law.alone[k, i] for i in (m, n)]
        apart = np.outer(*each)
    return np.diag(law.by_all[k]) + rest * apart


@given(ANY_SEED, st.integers(1, 4), st.floats(0, 0.95), st.floats(0, 0.95))
def test_every_models_own_law_is_exactly_kept(seed, n, one, other):
    """Whatever is shared, the readings of a model follow its urn, and each single reading its confusion row."""
    rows, together = random_rows(seed), Together(max(one, other), min(one, other))
    law = readings_law(rows, 2.0, FAMILY, together, n, 0.5)
    plain = readings_law(rows, 2.0, FAMILY, Together(), n, 0.5)
    np.testing.assert_allclose(law.alike, plain.alike)
    np.testing.assert_allclose(plain.alone, plain.alike)
    np.testing.assert_allclose(law.alike @ law.counts / n, rows.transpose(1, 0, 2), atol=1e-9)
    for k, m, other_model in product(range(3), range(3), range(3)):
        if m != other_model:
            np.testing.assert_allclose(pair_law(law, k, m, other_model).sum(axis=1), law.alike[k, m], atol=1e-12)


@pytest.mark.parametrize("n", [1, 3])
def test_errors_of_equal_models_correlate_as_asked(n):
    """Corr(x_m, x_n) = inside in a family, across elsewhere, class by class, and so for errors."""
    law = readings_law(equal_rows(), 2.0, FAMILY, Together(0.6, 0.2), n, 0.5)
    for k in range(3):
        mean = law.alike[k, 0] @ law.counts
        own = (law.alike[k, 0] * (law.counts[:, k] - mean[k]) ** 2).sum()
        for n_model, expected in ((1, 0.6), (2, 0.2)):
            pair = pair_law(law, k, 0, n_model)
            both = law.counts[:, k] @ pair @ law.counts[:, k] - mean[k] ** 2
            assert both / own == pytest.approx(expected)


def test_unequal_models_share_less_and_err_towards_the_same_class():
    """Errors correlate by less than asked, but above 0; two wrong ones choose one class more often than by chance."""
    rows = np.stack([np.where(np.eye(3, dtype=bool), a, (1 - a) / 2) for a in (0.6, 0.8, 0.7)])
    law = readings_law(rows, 2.0, FAMILY, Together(0.6, 0.2), 1, 0.5)
    wrong = law.counts[:, 0] == 0
    pair, (first, second) = pair_law(law, 0, 0, 1), law.alike[0, :2]
    covariance = pair[np.ix_(wrong, wrong)].sum() - first[wrong].sum() * second[wrong].sum()
    correlation = covariance / np.sqrt(0.4 * 0.6 * 0.2 * 0.8)
    assert 0.2 < correlation < 0.6
    assert np.diag(pair)[wrong].sum() / pair[np.ix_(wrong, wrong)].sum() > 0.7  # by chance 1 / 2


def test_readings_are_drawn_by_the_law():
    """Shares of every pair of readings of two models, given the true class, within 4.5 standard errors (324 shares)."""
    rows = random_rows(1)
    law = readings_law(rows, 3.0, FAMILY, Together(0.7, 0.3), 2, 0.5)
    truth = np.repeat(np.arange(3, dtype=np.int16), 20_000)
    drawn = draw_readings(law, truth, np.random.default_rng(2))
    assert (drawn.sum(axis=2) == 2).all()
    state = (drawn[:, :, None, :] == law.counts).all(axis=3).argmax(axis=2)
    for k, (m, n) in product(range(3), ((0, 1), (0, 2), (1, 2))):
        of_class = truth == k
        expected = pair_law(law, k, m, n)
        found = np.zeros_like(expected)
        np.add.at(found, (state[of_class, m], state[of_class, n]), 1 / 20_000)
        se = np.sqrt(expected * (1 - expected) / 20_000)
        assert (np.abs(found - expected) < 4.5 * se + 1e-12).all()


def test_scores_vary_together_in_closed_form():
    """Covariance of all scores given the true class = score_covariance, within 4.5 standard errors (81 figures)."""
    rows, n_items, doubt = random_rows(3), 60_000, 0.5
    law = readings_law(rows, 3.0, FAMILY, Together(0.7, 0.3), 2, doubt)
    rng = np.random.default_rng(4)
    weight = draw_readings(law, np.ones(n_items, np.int16), rng) + doubt / 3
    scores = rng.standard_gamma(weight)
    scores /= scores.sum(axis=2, keepdims=True)
    centred = scores - scores.mean(axis=0)
    each = np.einsum("imj,inl->imnjl", centred, centred)
    se = each.std(axis=0) / np.sqrt(n_items)
    assert (np.abs(each.mean(axis=0) - score_covariance(law, 1)) < 4.5 * se).all()


def test_averaging_scores_that_are_shared_has_the_bias_of_theorem_1():
    """Alone: no bias. Together: the naive variance of the average understates, and more models do not help."""
    apart = readings_law(equal_rows(6), 3.0, np.arange(6), Together(), 1, 0.5)
    assert spread(score_covariance(apart, 0)).bias_trace == pytest.approx(0.0, abs=1e-12)
    bias = []
    for n_models in (3, 6, 12):
        law = readings_law(equal_rows(n_models), 3.0, np.zeros(n_models, np.int64), Together(0.5, 0.0), 1, 0.5)
        found = spread(score_covariance(law, 0))
        own = score_covariance(law, 0)[0, 1].trace()
        assert found.bias_trace == pytest.approx(own * (1 - 1 / n_models))
        bias.append(found.relative_error)
    assert bias[0] < bias[1] < bias[2]


def test_the_likelihood_is_the_sum_over_all_readings():
    """Log-likelihood up to a constant = log of sum over x of P(x | k) prod_m Dirichlet(s_m; x_m + doubt / K)."""
    rows, doubt = random_rows(5), 0.8
    law = readings_law(rows, 2.0, FAMILY, Together(0.6, 0.3), 2, doubt)
    rng = np.random.default_rng(6)
    scores = rng.dirichlet(np.ones(3), (5, 3)).astype(np.float32)
    found = log_likelihood(law, scores)
    density = np.array(
        [
            [[dirichlet.pdf(s / s.sum(), x + doubt / 3) for x in law.counts] for s in item.astype(float)]
            for item in scores
        ]
    )  # items, models, states
    expected = np.empty((5, 3))
    for k in range(3):
        rest = 1 - law.by_all[k].sum()
        own = np.einsum("ims,ms->im", density, law.alone[k])
        pair, single = law.by_family[k]
        first = density[:, :2].prod(axis=1) @ pair + (1 - pair.sum()) * own[:, 0] * own[:, 1]
        second = density[:, 2] @ single + (1 - single.sum()) * own[:, 2]
        expected[:, k] = np.log(density.prod(axis=1) @ law.by_all[k] + rest * first * second)
    np.testing.assert_allclose(found - found[:, :1], expected - expected[:, :1], atol=1e-5)


def test_models_that_read_alone_have_the_product_of_their_likelihoods():
    """Without sharing, the log-likelihood of all models = the sum of that of each."""
    rows = random_rows(7)
    scores = np.random.default_rng(8).dirichlet(np.ones(3), (9, 3)).astype(np.float32)
    whole = log_likelihood(readings_law(rows, 2.0, FAMILY, Together(), 2, 0.5), scores)
    each = [
        log_likelihood(readings_law(rows[[m]], 2.0, np.array([0]), Together(), 2, 0.5), scores[:, [m]])
        for m in range(3)
    ]
    np.testing.assert_allclose(whole, sum(each), atol=1e-9)


def test_scores_at_the_edge_stay_finite():
    """Scores of 1e-30 leave a finite log-likelihood: what was read is then beyond doubt."""
    law = readings_law(random_rows(9), 2.0, FAMILY, Together(0.9, 0.5), 3, 0.3)
    scores = np.full((1, 3, 3), 1e-30, np.float32)
    scores[0, [0, 1, 2], [0, 1, 2]] = 1.0
    assert np.isfinite(log_likelihood(law, scores)).all()
