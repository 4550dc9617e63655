"""Laws of intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.sparse import csr_array

from quorate.errors import SettingError
from quorate.measure.intervals import (
    bootstrap,
    clopper_pearson,
    jeffreys,
    mean_interval,
    paired_difference,
    wilson,
)
from unit.measure.crowd import assert_within

KINDS = [wilson, clopper_pearson, jeffreys]
counts = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.floats(0, n), st.just(float(n))))


@pytest.mark.parametrize("interval", KINDS)
@settings(deadline=None, max_examples=50)
@given(counts=counts)
def test_a_share_lies_in_its_own_interval(interval, counts):
    """0 <= low <= estimate <= high <= 1, for counts that are fractions too."""
    estimate, low, high, se = interval(*counts).at()
    assert 0 <= low <= estimate <= high <= 1
    assert se > 0


@pytest.mark.parametrize("interval", KINDS)
@settings(deadline=None, max_examples=50)
@given(counts=counts)
def test_failures_mirror_successes(interval, counts):
    """The interval of n - c is that of c, turned around."""
    successes, n = counts
    one, other = interval(successes, n).at(), interval(n - successes, n).at()
    assert np.allclose([one.low, one.high, one.se], [1 - other.high, 1 - other.low, other.se], atol=1e-9)


@pytest.mark.parametrize("interval", KINDS)
def test_more_of_the_same_data_narrows_the_interval(interval):
    """At a fixed share, width falls as n grows, in the end like 1 / √n."""
    n = np.array([10.0, 100.0, 10_000.0, 1_000_000.0])
    found = interval(0.3 * n, n)
    width = found.high - found.low
    assert (np.diff(width) < 0).all()
    assert width[3] / width[2] == pytest.approx(0.1, rel=0.01)


@pytest.mark.parametrize(
    ("successes", "n", "score", "exact"),
    [
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ],
)
def test_published_intervals_are_reproduced(successes, n, score, exact):
    """Score and exact intervals of the four examples of [newcombe1998], to the digits printed."""
    assert wilson(successes, n).at()[1:3] == pytest.approx(score, abs=5.1e-5)
    assert clopper_pearson(successes, n).at()[1:3] == pytest.approx(exact, abs=5.1e-5)


@pytest.mark.parametrize("n", [5, 30, 200])
def test_the_exact_interval_covers_every_share_at_its_level(n):
    """Summed over all outcomes, Clopper and Pearson's interval covers any share with at least 95 %."""
    outcomes = np.arange(n + 1)
    found = clopper_pearson(outcomes, np.full(n + 1, n))
    for share in np.linspace(0.01, 0.99, 50):
        covered = (found.low <= share) & (share <= found.high)
        assert stats.binom.pmf(outcomes, n, share)[covered].sum() >= 0.95


@settings(deadline=None, max_examples=50)
@given(counts=counts)
def test_the_jeffreys_interval_is_that_of_its_posterior(counts):
    """Away from 0 and n its ends are quantiles of Beta(c + 1/2, n - c + 1/2)."""
    successes, n = counts
    found = jeffreys(successes, n).at()
    low, high = stats.beta.ppf([0.025, 0.975], successes + 0.5, n - successes + 0.5)
    if low <= successes / n <= high and 0 < successes < n:
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("interval", KINDS)
@pytest.mark.parametrize("counts", [(1, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(interval, counts):
    """A share of nothing, of a negative count or above n is an error, never NaN."""
    with pytest.raises(SettingError, match="successes"):
        interval(*counts)


@pytest.mark.parametrize("level", [0.0, 1.0, -3.0])
def test_a_level_outside_zero_and_one_is_refused(level):
    """Level is a probability."""
    with pytest.raises(SettingError, match="level"):
        wilson(1, 2, level)


def test_a_mean_has_students_interval():
    """As scipy's one-sample t test; and paired differences as its paired one."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=40), rng.normal(size=40)
    assert mean_interval(first)[1:3] == pytest.approx(stats.ttest_1samp(first, 0).confidence_interval())
    assert paired_difference(first, second)[1:3] == pytest.approx(stats.ttest_rel(first, second).confidence_interval())


def test_pairing_removes_what_both_share():
    """The se of a paired difference ignores how much items differ from each other."""
    rng = np.random.default_rng(0)
    shared, noise = 100 * rng.normal(size=50), rng.normal(size=(2, 50))
    with_shared = paired_difference(shared + noise[0], shared + noise[1])
    assert with_shared.se == pytest.approx(paired_difference(noise[0], noise[1]).se)


def mean_of(values: np.ndarray, **options):
    sums = np.column_stack([values, np.ones(len(values))])
    return bootstrap(sums, lambda total: total[:, :1] / total[:, 1:], rng=np.random.default_rng(1), **options)[0]


@pytest.mark.parametrize("method", ["percentile", "bc", "bca"])
def test_the_bootstrap_of_a_mean_is_its_standard_error(method):
    """Se = s / √n, within the error of 2,000 resamples."""
    values = np.random.default_rng(0).normal(size=400)
    se = values.std() / 20
    found = mean_of(values, resamples=2000, method=method)
    assert_within(found.se, se, se=se / np.sqrt(2 * 2000))
    assert found.low == pytest.approx(values.mean() - 1.96 * se, abs=0.35 * se)
    assert found.high == pytest.approx(values.mean() + 1.96 * se, abs=0.35 * se)


def test_items_that_add_the_same_are_resampled_as_if_they_were_apart():
    """Counting equal items once changes the draws, not their spread."""
    values = np.random.default_rng(0).integers(0, 3, 500).astype(float)
    apart = values + np.linspace(0, 1e-9, 500)
    assert_within(
        mean_of(values, resamples=2000).se, mean_of(apart, resamples=2000).se, se=values.std() / 500**0.5 / 2000**0.5
    )


def test_sparse_sums_are_sums():
    """The same items give the same interval, dense or sparse."""
    rng = np.random.default_rng(0)
    sums = rng.random((200, 6)) * (rng.random((200, 6)) < 0.3) + np.eye(6)[0]

    def share(total: np.ndarray) -> np.ndarray:
        return total[:, 1:] / total[:, :1]

    dense = bootstrap(sums, share, rng=np.random.default_rng(2), resamples=100)
    sparse = bootstrap(csr_array(sums), share, rng=np.random.default_rng(2), resamples=100)
    assert np.allclose(np.array(dense), np.array(sparse))


def test_the_corrected_interval_covers_a_skewed_mean():
    """BCa covers the mean of 60 exponential values on 93.5 % (a known small lack), within the error of 300 trials."""
    rng = np.random.default_rng(0)
    covered = [
        found.low <= 1 <= found.high for found in (mean_of(rng.exponential(size=60), resamples=500) for _ in range(300))
    ]
    assert_within(np.mean(covered), 0.935, se=(0.935 * 0.065 / 300) ** 0.5)


def test_what_is_undefined_is_none():
    """A ratio whose denominator is always 0 has no interval; nor has anything of no items."""

    def ratio(total: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return total[:, :1] / total[:, 1:]

    nothing = np.zeros((10, 2))
    assert bootstrap(nothing, ratio, rng=np.random.default_rng(0), resamples=50) == [None]
    assert bootstrap(np.zeros((0, 2)), ratio, rng=np.random.default_rng(0), resamples=50) == [None]


def test_one_resample_is_refused():
    """There is no spread of one."""
    with pytest.raises(SettingError, match="resamples"):
        mean_of(np.arange(5.0), resamples=1)
