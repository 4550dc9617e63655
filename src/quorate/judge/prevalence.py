"""Prevalence of classes and the mean grade of a large set that a judge labeled, corrected by what people graded.

With Y people's mean answer on a graded item, f what the judge says of it, and F the judge's mean over the whole set,

    θ = Σ w (Y + λ (F - f)),    w ∝ 1 / P(the item was chosen), summing to 1,

is the prediction-powered mean: the judge's, less how far it is off where people looked [angelopoulos2023]. Whatever the
judge says, it is unbiased (up to the ratio of Hájek's weights [hajek1971]). λ, 0 to 1, says how far the judge is
trusted; that of least variance is

    λ = Σ w² (Y - Ȳ)(f - f̄) / (Σ w² (f - f̄)² + var(f) / N)

which is the power tuning of PPI++ at equal weights [angelopoulos2023plus]. It is told for each item from the others, so
that no item chooses its own correction. All classes share one λ: prevalences then sum to 1 by themselves.

Intervals are those of a bounded mean by random weights [gaffke2005], as the gate has them (see `bounds`), since normal
ones fail where it matters: of a class of 3 % and a good judge, thirty items often show no fault at all, and an interval
of width 0 says that there is none. To it comes, at right angles, λ² var(f) / N of the set itself, as a sample of what
it comes from. What is estimated is the answer of a random person of a random item, so an item with several people is
one value, their mean, and its spread between items holds what people differ by.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy.special import ndtr

from quorate.errors import DataError
from quorate.judge.bounds import linear, weighted_bounds
from quorate.measure.intervals import Intervals, normal_quantile

Array = np.ndarray
FEWEST = 8  # graded items; with fewer an interval says next to nothing
TINY = 1e-12


class Sample(NamedTuple):
    """Items that people graded and the judge too, beyond those that taught it."""

    people: Float64[Array, "items sums"]  # people's mean answer: shares of classes, or one column of grades
    judge: Float64[Array, "items sums"]  # the same of the judge
    weights: Float64[Array, "items"]  # as 1 / P(the item was chosen), of any sum


class Whole(NamedTuple):
    """What the judge says of the whole set."""

    mean: Float64[Array, "sums"]
    variance: Float64[Array, "sums"]
    n_items: int


class Corrected(NamedTuple):
    """Means over the whole set, in the unit of the answers, with intervals."""

    found: Intervals
    people: Intervals  # from the graded items alone
    trust: float  # the mean of λ


def corrected(sample: Sample, whole: Whole, span: tuple[float, float], level: float = 0.95) -> Corrected:
    """The means of people's answers over the whole set, each with an interval at the level; `span`: the least and the
    largest answer there can be.

    Raises DataError for fewer than eight graded items, SettingError for a level outside (0, 1).

    >>> rng = np.random.default_rng(0)
    >>> truth = rng.random(40_000) < 0.2
    >>> says = np.where(rng.random(40_000) < 0.1, 1.0, truth)  # too often yes
    >>> first = Sample(truth[:400, None].astype(float), says[:400, None], np.ones(400))
    >>> whole = Whole(says.mean(keepdims=True), says.var(keepdims=True), 40_000)
    >>> found = corrected(first, whole, (0.0, 1.0))
    >>> bool(found.found.low[0] < 0.2 < found.found.high[0] < whole.mean[0])
    True
    """
    normal_quantile(level)  # checks the level
    n = len(sample.weights)
    if n < FEWEST:
        raise DataError(
            f"people graded only {n} items that the judge was not taught by",
            mend=f"let people grade more gate items and anchors: at least {FEWEST}, and 100 for a narrow interval",
        )
    sample = sample._replace(weights=sample.weights / sample.weights.sum())
    trust = tuned(sample, whole)
    found = _intervals(sample, whole, trust, span, level)
    return Corrected(found, _intervals(sample, whole, np.zeros(n), span, level), float(trust @ sample.weights))


def tuned(sample: Sample, whole: Whole) -> Float64[Array, "items"]:
    """λ of least variance for every item, from all others; weights sum to 1."""
    weights, people, judge = sample.weights[:, None], sample.people, sample.judge
    rest, square = 1 - weights, weights**2

    def others(values: Float64[Array, "items sums"]) -> Float64[Array, "items sums"]:
        return (square * values).sum(axis=0) - square * values

    def mean(values: Float64[Array, "items sums"]) -> Float64[Array, "items sums"]:
        return ((weights * values).sum(axis=0) - weights * values) / rest

    y, f, unit = mean(people), mean(judge), others(np.ones_like(judge))
    both = others(people * judge) - y * others(judge) - f * others(people) + y * f * unit
    spread = others(judge**2) - 2 * f * others(judge) + f**2 * unit + rest**2 * whole.variance / whole.n_items
    above, below = both.sum(axis=1), spread.sum(axis=1)
    return np.clip(np.where(below > TINY, above / np.maximum(below, TINY), 0.0), 0.0, 1.0)


def on_simplex(shares: Float64[Array, "classes"]) -> Float64[Array, "classes"]:
    """The nearest shares that are 0 or more and sum to 1 [duchi2008].

    >>> on_simplex(np.array([0.75, 0.5, -0.25])).tolist()
    [0.625, 0.375, 0.0]
    """
    falling = np.sort(shares)[::-1]
    excess = (np.cumsum(falling) - 1) / np.arange(1, len(shares) + 1)
    return np.maximum(shares - excess[np.flatnonzero(falling > excess)[-1]], 0.0)


def alike(sample: Sample, whole: Whole) -> float:
    """How probable it is that graded items that are a random sample of the set look at least as unlike it as these.

    Read off the judge's answers on both: the class in which they are furthest apart, in its own error, times the number
    of classes [bonferroni1936].
    """
    weights = sample.weights / sample.weights.sum()
    error = np.sqrt(whole.variance * ((weights**2).sum() + 1 / whole.n_items))
    known = error > TINY
    apart = np.abs(weights @ sample.judge - whole.mean)[known] / error[known]
    return float(min(2 * ndtr(-apart.max()) * len(apart), 1.0)) if len(apart) else 1.0


def _intervals(
    sample: Sample, whole: Whole, trust: Float64[Array, "items"], span: tuple[float, float], level: float
) -> Intervals:
    """θ of every column, with its interval."""
    low, high = span
    weights, most, n = sample.weights, float(trust.max()), len(trust)
    values = sample.people + trust[:, None] * (whole.mean - sample.judge)
    estimate = weights @ values
    least, largest = low + most * (whole.mean - high), high + most * (whole.mean - low)
    scale = np.append(weights, weights.max()) * n
    claims = [
        linear(side * weights * n * column, weights * n, (side * end * scale[-1], scale[-1]))
        for side, ends in ((1, least), (-1, largest))
        for column, end in zip(values.T, ends.tolist(), strict=True)
    ]
    bounds = np.array(weighted_bounds(claims, (1 - level) / 2)).reshape(2, -1)
    of_set = float(trust @ weights) ** 2 * whole.variance / whole.n_items
    reach = normal_quantile(level) ** 2 * of_set
    below = np.sqrt(np.maximum(estimate - bounds[0], 0) ** 2 + reach)
    above = np.sqrt(np.maximum(-bounds[1] - estimate, 0) ** 2 + reach)
    se = np.sqrt((weights**2) @ (values - estimate) ** 2 * n / (n - 1) + of_set)
    return Intervals(estimate, np.clip(estimate - below, low, high), np.clip(estimate + above, low, high), se)
