"""Who errs together, against an uncertain truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.measure.dependence import dependence, effective_number, expected_dependence, families
from quorate.measure.intervals import Interval
from unit.measure.crowd import assert_within
from unit.measure.witnessed import judged_together, pattern, truths

REPEATS = 100
PREVALENCE = np.array([0.5, 0.3, 0.2])
ACCURACY = np.array([0.9, 0.8, 0.5])  # by true class


def two_agents(n: int, shared: float, rng: np.random.Generator, *, certain: bool = False, n_witnesses: int = 3):
    """Two agents that with this probability err by one and the same draw; errors of class y: 1 - ACCURACY[y]."""
    truth, posterior = truths(n, PREVALENCE, pattern(0.7, 3), n_witnesses, rng)
    wrong = rng.random(n) > ACCURACY[truth]
    together = rng.random(n) < shared
    other = np.where(together, wrong, rng.random(n) > ACCURACY[truth])
    step = rng.integers(1, 3, (2, n))
    said = np.where(wrong, (truth + step[0]) % 3, truth)
    also = np.where(other, (truth + np.where(together, step[0], step[1])) % 3, truth)
    return (np.eye(3)[truth] if certain else posterior), said, also


def true_correlation(shared: float) -> float:
    """Of the error indicators: they share the class of the item always, and the draw sometimes."""
    mean = PREVALENCE @ (1 - ACCURACY)
    between = PREVALENCE @ (1 - ACCURACY) ** 2 - mean**2
    within = PREVALENCE @ (ACCURACY * (1 - ACCURACY))
    return (between + shared * within) / (mean * (1 - mean))


def repeated(shared: float, **options):
    rng = np.random.default_rng(0)
    return dependence(judged_together([two_agents(rng=rng, shared=shared, **options) for _ in range(REPEATS)]))


@pytest.mark.parametrize("shared", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("certain", [True, False], ids=["certain truth", "uncertain truth"])
def test_the_correlation_is_found_whether_the_truth_is_certain_or_not(shared, certain):
    """Mean estimate equals the simulated correlation within its error; averaging an uncertain truth would add .2."""
    found = repeated(shared, n=2000, certain=certain).correlation
    true = true_correlation(shared)
    assert_within(found.estimate.mean(), true, se=found.estimate.std(ddof=1) / REPEATS**0.5)
    assert (np.abs(found.estimate - true) < 4 * found.se).mean() > 0.98
    covered = ((found.low <= true) & (true <= found.high)).mean()
    assert covered > 0.95 - 4 * (0.95 * 0.05 / REPEATS) ** 0.5


@pytest.mark.parametrize("n", [50, 300])
def test_small_overlaps_have_honest_intervals(n):
    """Coverage of 95 % within the error of the repeats, from fifty items on."""
    found = repeated(0.3, n=n).correlation
    true = true_correlation(0.3)
    assert ((found.low <= true) & (true <= found.high)).mean() > 0.95 - 4 * (0.95 * 0.05 / REPEATS) ** 0.5


def test_a_certain_truth_gives_the_plain_phi():
    """The correlation coefficient of the two error indicators, and the shares of common errors."""
    posterior, said, also = two_agents(1000, 0.4, np.random.default_rng(3), certain=True)
    truth = posterior.argmax(axis=1)
    found = dependence(judged_together([(posterior, said, also)]))
    assert found.correlation.estimate[0] == pytest.approx(np.corrcoef(said != truth, also != truth)[0, 1], abs=1e-6)
    assert found.both_wrong[0] == pytest.approx(((said != truth) & (also != truth)).mean(), abs=1e-6)
    assert found.same_wrong[0] == pytest.approx(((said != truth) & (also == said)).mean(), abs=1e-6)


def test_twins_have_correlation_one():
    """Two agents that always say the same: 1, with an interval that knows how little was seen."""
    for certain in (True, False):
        posterior, said, _ = two_agents(60, 0.0, np.random.default_rng(0), certain=certain)
        found = dependence(judged_together([(posterior, said, said)]))
        _, low, high, _ = found.correlation.at(0)
        assert found.correlation.estimate[0] == pytest.approx(1.0)
        assert 0.5 < low < 1.0
        assert high == pytest.approx(1.0)


def test_who_comes_first_says_nothing():
    """Swapping the two agents swaps nothing but their places."""
    posterior, said, also = two_agents(300, 0.4, np.random.default_rng(1))
    one, other = (dependence(judged_together([(posterior, *pair)])) for pair in ((said, also), (also, said)))
    assert np.allclose(one.correlation, other.correlation, atol=1e-4)


def test_an_agent_that_is_never_wrong_has_no_correlation():
    """Nothing varies, so nothing correlates: unknown, not 0."""
    truth = np.array([0, 1, 2] * 20)
    found = dependence(judged_together([(np.eye(3)[truth], truth, (truth + 1) % 3)]))
    assert found.known.tolist() == [False]


def test_a_pair_without_common_items_is_unknown():
    """An empty pair among others harms nobody."""
    full = two_agents(100, 0.4, np.random.default_rng(0))
    empty = (np.zeros((0, 3)), np.zeros(0, int), np.zeros(0, int))
    found = dependence(judged_together([empty, full]))
    assert found.known.tolist() == [False, True]
    assert found.n.tolist() == [0, 100]


def test_influences_add_up_to_the_error():
    """The se is the root of the sum of squared influences; what they sum to is the pull of the prior, below one se."""
    found = repeated(0.3, n=500)
    influence = found.influence.reshape(REPEATS, 500)
    se = np.sqrt((influence**2).sum(axis=1))
    assert np.allclose(se, found.correlation.se, rtol=0.2)
    assert (np.abs(influence.sum(axis=1)) < se).all()


def test_expected_counts_are_right_under_a_posterior_that_knows_the_answers():
    """With both answers in the posterior, expected kinds give the simulated correlation within the repeats' error."""
    rng, parts = np.random.default_rng(0), []
    row = np.where(np.eye(3, dtype=bool), ACCURACY[:, None], (1 - ACCURACY[:, None]) / 2)
    for _ in range(REPEATS):
        posterior, said, also = two_agents(500, 0.5, rng)
        copied = 0.5 * np.eye(3)[said, also][:, None] + 0.5 * row[:, also].T
        knowing = posterior * row[:, said].T * copied
        parts.append((knowing / knowing.sum(axis=1, keepdims=True), said, also))
    found = expected_dependence(judged_together(parts)).correlation
    assert_within(found.estimate.mean(), true_correlation(0.5), se=found.estimate.std(ddof=1) / REPEATS**0.5)
    assert (np.abs(found.estimate - true_correlation(0.5)) < 4 * found.se).all()


def test_both_ways_of_counting_agree_on_a_certain_truth():
    """Where nothing is uncertain there is one correlation with one error."""
    rows = judged_together([two_agents(400, 0.4, np.random.default_rng(3), certain=True)])
    one, other = dependence(rows), expected_dependence(rows)
    assert np.allclose(one.correlation, other.correlation, atol=1e-4)
    assert np.allclose(one.influence, other.influence, atol=1e-5)


def exactly(rho: float) -> Interval:
    return Interval(rho, rho, rho, 0.0)


@settings(deadline=None, max_examples=50)
@given(n=st.integers(1, 50))
def test_twins_are_worth_one_and_strangers_are_worth_all(n):
    """Rho = 1 gives 1, rho = 0 gives M, a negative one M too."""
    assert effective_number(n, exactly(1.0)).estimate == pytest.approx(1.0)
    assert effective_number(n, exactly(0.0)).estimate == n
    assert effective_number(n, exactly(-0.2)).estimate == n


@settings(deadline=None, max_examples=50)
@given(n=st.integers(2, 50), rho=st.floats(0, 1))
def test_the_effective_number_is_kishs(n, rho):
    """M² / sum_ij rho_ij with the same correlation in every pair; falling in rho, so bounds change sides."""
    found = effective_number(n, Interval(rho, max(rho - 0.1, 0), min(rho + 0.1, 1), 0.05))
    assert found.estimate == pytest.approx(n**2 / (n + n * (n - 1) * rho))
    assert 1 <= found.low <= found.estimate <= found.high <= n


def test_the_mean_of_so_many_votes_varies_like_that_of_independent_ones():
    """What the number means: var(mean of M) = var(one) / effective number, in simulated votes of correlation .4."""
    rng = np.random.default_rng(0)
    common, own = rng.normal(size=(20_000, 1)), rng.normal(size=(20_000, 6))
    votes = 0.4**0.5 * common + 0.6**0.5 * own
    variance = votes.mean(axis=1).var()
    assert_within(1 / variance, effective_number(6, exactly(0.4)).estimate, se=(2 / 20_000) ** 0.5 / variance)


def test_families_are_blocks_of_correlated_agents():
    """Blocks are found whatever the order; agents alone are left out; the larger family comes first."""
    block = np.array([0, 0, 0, 1, 1, 2])
    matrix = np.where(np.equal.outer(block, block), 0.6, 0.1)
    np.fill_diagonal(matrix, 1.0)
    assert families(matrix, 0.3) == [[0, 1, 2], [3, 4]]
    turn = np.array([5, 3, 0, 4, 1, 2])
    turned = families(matrix[np.ix_(turn, turn)], 0.3)
    assert [sorted(turn[m] for m in family) for family in turned] == [[0, 1, 2], [3, 4]]
    assert families(np.eye(4), 0.3) == families(np.ones((1, 1)), 0.3) == []
