"""Intervals: binomial shares, means of differences, and the bootstrap over items.

An interval is (estimate, low, high, se) in the unit of the estimate. Counts may be fractions (expected counts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped
from scipy.sparse import csr_array
from scipy.special import betaincinv, ndtr, ndtri, stdtrit

from quorate.errors import SettingError

Array = np.ndarray
Count = int | float | Shaped[Array, "..."]
Method = Literal["percentile", "bc", "bca"]  # plain; corrected for bias; and for skewness
Sums = Float64[Array, "items sums"] | csr_array  # what each item adds
Statistic = Callable[[Float64[Array, "draws sums"]], Float64[Array, "draws outputs"]]

BLOCK_ENTRIES = 2**20  # numbers of one block of resamples: 8 MiB stay near the processor
DEFINED_SHARE = 0.5  # of the resamples; below it there is no interval


class Interval(NamedTuple):
    """An estimate with its interval and standard error, all in the estimate's unit."""

    estimate: float
    low: float
    high: float
    se: float


class Intervals(NamedTuple):
    """Many intervals at once."""

    estimate: Float64[Array, "*n"]
    low: Float64[Array, "*n"]
    high: Float64[Array, "*n"]
    se: Float64[Array, "*n"]

    def at(self, *index: int) -> Interval:
        """The interval at this place; without a place the first."""
        return Interval(*(float(part[index or 0]) for part in self))


# ---- binomial shares ----------------------------------------------------------------------------------------------
def wilson(successes: Count, n: Count, level: float = 0.95) -> Intervals:
    """Score interval of a share, from 0 to 1; se is its half width over z [wilson1927].

    (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)

    >>> [round(x, 3) for x in wilson(8, 10).at()]
    [0.8, 0.49, 0.943, 0.116]
    """
    share, size = _share(successes, n)
    z = normal_quantile(level)
    centre = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    se = np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2)) / (1 + z**2 / size)
    return Intervals(share, np.clip(centre - z * se, 0.0, share), np.clip(centre + z * se, share, 1.0), se)


def clopper_pearson(successes: Count, n: Count, level: float = 0.95) -> Intervals:
    """Interval of a share that holds its level for every share, so it is wide, from 0 to 1 [clopper1934].

    >>> [round(x, 3) for x in clopper_pearson(8, 10).at()]
    [0.8, 0.444, 0.975, 0.135]
    """
    share, size = _share(successes, n)
    count, tail = share * size, (1 - level) / 2
    low = np.where(count > 0, betaincinv(np.maximum(count, 1e-12), size - count + 1, tail), 0.0)
    high = np.where(count < size, betaincinv(count + 1, np.maximum(size - count, 1e-12), 1 - tail), 1.0)
    se = (high - low) / (2 * normal_quantile(level))
    return Intervals(share, np.minimum(low, share), np.maximum(high, share), se)


def jeffreys(successes: Count, n: Count, level: float = 0.95) -> Intervals:
    """Interval of a share, Beta(c + 1/2, n - c + 1/2), from 0 to 1; counts may be fractions [brown2001].

    It reaches 0 where nothing succeeded and 1 where nothing failed; se is the posterior's standard deviation.

    >>> [round(x, 3) for x in jeffreys(7.5, 9.5).at()]
    [0.789, 0.477, 0.953, 0.126]
    """
    share, size = _share(successes, n)
    right, wrong, tail = share * size + 0.5, (1 - share) * size + 0.5, (1 - level) / 2
    low = np.where(share > 0, betaincinv(right, wrong, tail), 0.0)
    high = np.where(share < 1, betaincinv(right, wrong, 1 - tail), 1.0)
    se = np.sqrt(right * wrong / ((right + wrong) ** 2 * (right + wrong + 1)))
    return Intervals(share, np.minimum(low, share), np.maximum(high, share), se)


def normal_quantile(level: float) -> float:
    """The z such that a standard normal lies in [-z, z] with this probability. Raises SettingError outside (0, 1).

    >>> round(normal_quantile(0.95), 2)
    1.96
    """
    if not 0 < level < 1:
        raise SettingError(f"level must lie between 0 and 1, not {level}")
    return float(ndtri((1 + level) / 2))


def _share(successes: Count, n: Count) -> tuple[Float64[Array, "*n"], Float64[Array, "*n"]]:
    count, size = np.broadcast_arrays(*np.atleast_1d(np.asarray(successes, float), np.asarray(n, float)))
    if not ((size > 0) & (count >= 0) & (count <= size * (1 + 1e-9))).all():
        raise SettingError("a share needs n > 0 and between 0 and n successes")
    return np.minimum(count / size, 1.0), size


# ---- means --------------------------------------------------------------------------------------------------------
def mean_interval(values: Float64[Array, "items"], level: float = 0.95) -> Interval:
    """Mean with Student's interval, in the values' unit. Raises SettingError for fewer than two values.

    >>> [round(x, 2) for x in mean_interval(np.array([1.0, 2.0, 3.0]))]
    [2.0, -0.48, 4.48, 0.58]
    """
    if len(values) < 2:
        raise SettingError("an interval of a mean needs at least two values")
    mean, se = float(values.mean()), float(values.std(ddof=1)) / len(values) ** 0.5
    normal_quantile(level)  # checks the level
    reach = float(stdtrit(len(values) - 1, (1 + level) / 2)) * se
    return Interval(mean, mean - reach, mean + reach, se)


def paired_difference(first: Float64[Array, "items"], second: Float64[Array, "items"], level: float = 0.95) -> Interval:
    """Mean of first - second over the same items, in their unit, with Student's interval.

    >>> [round(x, 2) for x in paired_difference(np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.0, 1.0]))]
    [1.67, -1.2, 4.54, 0.67]
    """
    return mean_interval(first - second, level)


# ---- the bootstrap over items -------------------------------------------------------------------------------------
def bootstrap(
    sums: Sums,
    statistic: Statistic,
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
    method: Method = "bca",
) -> list[Interval | None]:
    """Intervals of statistics that depend on items only through sums over items [efron1979, efron1987].

    sums: what each item adds, dense or sparse. statistic: rows of totals to rows of outputs, NaN where undefined.
    A statistic that is undefined on the data, or on half of the resamples, is None.

    >>> values = np.arange(20.0)
    >>> sums = np.column_stack([values, np.ones(20)])
    >>> mean = bootstrap(sums, lambda total: total[:, :1] / total[:, 1:], rng=np.random.default_rng(0))[0]
    >>> mean.estimate, bool(mean.low < 9.5 < mean.high)
    (9.5, True)
    """
    if resamples < 2 or not 0 < level < 1:
        raise SettingError(f"the bootstrap needs 2 resamples and a level between 0 and 1, not {resamples} and {level}")
    n_items, n_sums = _shape(sums)
    if n_items == 0:
        return [None] * statistic(np.zeros((1, n_sums))).shape[1]
    total = np.asarray(sums.sum(axis=0), np.float64).reshape(1, -1)
    estimate = statistic(total)[0]
    draws = np.vstack([statistic(part) for part in _resampled(sums, resamples, rng)])
    tails = np.tile([(1 - level) / 2, (1 + level) / 2], (len(estimate), 1))
    if method != "percentile":
        skewness = _acceleration(sums, total, statistic) if method == "bca" else np.zeros(len(estimate))
        tails = _corrected(tails, estimate, draws, skewness)
    return [_from_draws(*parts) for parts in zip(estimate, draws.T, tails, strict=True)]


def _resampled(sums: Sums, resamples: int, rng: np.random.Generator) -> Iterator[Float64[Array, "draws sums"]]:
    """Totals of resampled items, block after block."""
    kinds, often = _distinct(sums)
    n_items = int(often.sum())
    columns = kinds.T.tocsr() if isinstance(kinds, csr_array) else kinds.T  # the fast side of a sparse product
    block = max(1, BLOCK_ENTRIES // max(_shape(kinds)))
    for start in range(0, resamples, block):
        n_draws = min(block, resamples - start)
        if len(often) < n_items:
            weights = rng.multinomial(n_items, often / n_items, size=n_draws).T
        else:
            weights = _draw_counts(n_items, n_draws, rng)
        yield np.ascontiguousarray((columns @ np.ascontiguousarray(weights, np.float64)).T)


def _draw_counts(n_items: int, n_draws: int, rng: np.random.Generator) -> Int64[Array, "items draws"]:
    """How often each item is drawn when as many items are drawn with replacement as there are."""
    place = rng.integers(0, n_items, (n_items, n_draws)) * n_draws + np.arange(n_draws)
    return np.bincount(place.ravel(), minlength=n_items * n_draws).reshape(n_items, n_draws)


def _distinct(sums: Sums) -> tuple[Float64[Array, "kinds sums"] | csr_array, Int64[Array, "kinds"]]:
    """Items that add the same sums are one kind: a million items with five labels have a few dozen kinds."""
    alone = np.ones(_shape(sums)[0], np.int64)
    if isinstance(sums, csr_array) or sums.shape[1] == 0:
        return sums, alone
    rows = np.ascontiguousarray(sums).view(np.dtype((np.void, sums.shape[1] * sums.itemsize))).ravel()
    _, first, often = np.unique(rows, return_index=True, return_counts=True)
    return (sums[first], often.astype(np.int64)) if 8 * len(first) < len(rows) else (sums, alone)


def _acceleration(sums: Sums, total: Float64[Array, "1 sums"], statistic: Statistic) -> Float64[Array, "outputs"]:
    """Skewness of the jackknife over 6 [efron1987]; 0 where it cannot be told."""
    kinds, often = _distinct(sums)
    block = max(1, BLOCK_ENTRIES // max(_shape(kinds)[1], 1))
    left_out = np.vstack([statistic(total - _dense(kinds[at : at + block])) for at in range(0, len(often), block)])
    known = np.isfinite(left_out)
    weight = known * often[:, None]
    mean = np.where(known, left_out * weight, 0.0).sum(axis=0) / np.maximum(weight.sum(axis=0), 1)
    distance = np.where(known, mean - left_out, 0.0)
    spread = (weight * distance**2).sum(axis=0) ** 1.5
    return (weight * distance**3).sum(axis=0) / (6 * np.where(spread > 0, spread, 1.0))


def _shape(sums: Sums) -> tuple[int, int]:
    n_items, n_sums = sums.shape or (0, 0)  # a sparse shape may be None to the type checker
    return n_items, n_sums


def _dense(rows: Sums) -> Float64[Array, "items sums"]:
    return np.asarray(rows.toarray()) if isinstance(rows, csr_array) else rows


def _corrected(
    tails: Float64[Array, "outputs 2"],
    estimate: Float64[Array, "outputs"],
    draws: Float64[Array, "draws outputs"],
    acceleration: Float64[Array, "outputs"],
) -> Float64[Array, "outputs 2"]:
    """Tail probabilities corrected for bias and skewness; ties with the estimate count half."""
    n_known = np.maximum(np.isfinite(draws).sum(axis=0), 1)
    below = ((draws < estimate).sum(axis=0) + (draws <= estimate).sum(axis=0)) / (2 * n_known)
    bias = ndtri(np.clip(below, 1 / (n_known + 1), n_known / (n_known + 1)))[:, None]
    moved = bias + ndtri(tails)
    return ndtr(bias + moved / (1 - acceleration[:, None] * moved))


def _from_draws(estimate: float, draws: Float64[Array, "draws"], tails: Float64[Array, "2"]) -> Interval | None:
    known: Bool[Array, "draws"] = np.isfinite(draws)
    if not np.isfinite(estimate) or known.mean() <= DEFINED_SHARE:
        return None
    low, high = np.quantile(draws[known], np.clip(tails, 0.0, 1.0))
    return Interval(float(estimate), float(low), float(high), float(draws[known].std(ddof=1)))
