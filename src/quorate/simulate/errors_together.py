"""Models that err together on the same items and towards the same wrong class, each one's own law unchanged.

A model reads an item n times. The readings x, counts of classes, come from an urn in which every class drawn becomes
likelier (Dirichlet-multinomial, weights lambda row [blackwell1973]), so that each single reading follows the model's
confusion row. Its scores are Dirichlet(x + doubt / K) and know of the truth only what was read; their mean is
(n row + doubt / K) / (n + doubt). Readings may be shared. With P_mk(x) their law for model m and true class k,

    all models read x as one      with probability  across * min_m P_mk(x),
    else a family reads x as one  with probability  inside' * min_{m in family} P'_mk(x),
    else every model reads alone, by what is left over; P' = what the first line leaves over, as shares,

inside' = (inside - across) / (1 - across), so that each model's readings keep the law P_mk exactly. For models with
equal rows the correlation of readings, and so of errors, is `inside` in a family and `across` elsewhere; unequal rows
have less to share. Readings can be summed out of the likelihood of the scores: see `log_likelihood`.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int16, Int64
from scipy.special import gammaln

Array = np.ndarray


class Together(NamedTuple):
    """How much models share: the correlation of the errors of equal models."""

    inside: float = 0.0  # a family
    across: float = 0.0  # all models


class Readings(NamedTuple):
    """The joint law of the models' readings on one task, for every true class."""

    counts: Int64[Array, "states classes"]  # the readings x that are possible
    alike: Float64[Array, "classes models states"]  # P_mk(x), of each model by itself
    by_all: Float64[Array, "classes states"]
    by_family: Float64[Array, "classes families states"]  # where not all read as one
    alone: Float64[Array, "classes models states"]  # where the family does not either
    family: Int64[Array, "models"]  # place of its family
    doubt: float


def readings_law(
    rows: Float64[Array, "models classes classes"],
    concentration: float,
    family: Int64[Array, "models"],
    together: Together,
    n: int,
    doubt: float,
) -> Readings:
    """The law of n readings. Rows are above 0, `together` is below 1.

    >>> rows = np.full((2, 2, 2), 0.5)
    >>> readings_law(rows, 2.0, np.array([0, 0]), Together(0.4, 0.0), 1, 1.0).by_family[0].round(3).tolist()
    [[0.2, 0.2]]
    """
    counts = _compositions(n, rows.shape[2])
    alike = np.exp(_log_urn(counts, concentration * rows)).transpose(1, 0, 2)
    alike /= alike.sum(axis=2, keepdims=True)
    by_all = together.across * alike.min(axis=1)
    left = _left_over(alike, by_all[:, None])
    strength = (together.inside - together.across) / (1.0 - together.across)
    members, place = np.unique(family, return_inverse=True)
    by_family = np.stack([strength * left[:, place == f].min(axis=1) for f in range(len(members))], axis=1)
    return Readings(counts, alike, by_all, by_family, _left_over(left, by_family[:, place]), place, doubt)


def draw_readings(
    law: Readings, truth: Int16[Array, "items"], rng: np.random.Generator
) -> Int64[Array, "items models classes"]:
    """What every model reads in every item, as counts of classes."""
    n_families, n_models = law.by_family.shape[1], law.alone.shape[1]
    points = rng.random((len(truth), 1 + n_families + n_models))
    state = np.empty((len(truth), n_models), np.int64)
    for k in range(len(law.by_all)):
        of_class = np.flatnonzero(truth == k)
        by_all, *others = points[of_class].T
        by_family = np.stack([_state(law.by_family[k, f], others[f]) for f in range(n_families)], axis=1)
        alone = np.stack([_state(law.alone[k, m], others[n_families + m]) for m in range(n_models)], axis=1)
        found = np.where(by_family[:, law.family] < len(law.counts), by_family[:, law.family], alone)
        shared = _state(law.by_all[k], by_all)[:, None]
        state[of_class] = np.where(shared < len(law.counts), shared, found)
    return law.counts[np.minimum(state, len(law.counts) - 1)]


def log_likelihood(law: Readings, scores: Float32[Array, "items models classes"]) -> Float64[Array, "items classes"]:
    """Log-density of all scores given each true class, in nats, less what is the same for all classes.

    The readings are summed out exactly; density(scores | x) is in proportion to multinomial(x | scores) / P_0(x), with
    P_0 the law of readings of an urn of weights doubt / K.
    """
    n_classes = scores.shape[2]
    log_ways = _log_ways(law.counts)
    log_none = _log_urn(law.counts, np.full((1, 1, n_classes), law.doubt / n_classes))[0, 0]
    log_ratio = log_ways - log_none + np.log(scores.astype(float)) @ law.counts.T.astype(float)
    highest = log_ratio.max(axis=2, keepdims=True)
    ratio = np.exp(log_ratio - highest)
    as_one = ratio.prod(axis=1)
    found = np.empty((len(scores), len(law.by_all)))
    for k, by_all in enumerate(law.by_all):
        own = np.einsum("ims,ms->im", ratio, law.alone[k])
        apart = np.ones(len(scores))
        for f, shared in enumerate(law.by_family[k]):
            inside = law.family == f
            apart *= ratio[:, inside].prod(axis=1) @ shared + (1.0 - shared.sum()) * own[:, inside].prod(axis=1)
        found[:, k] = np.log(as_one @ by_all + (1.0 - by_all.sum()) * apart)
    return found + highest.sum(axis=1)


def score_covariance(law: Readings, true_class: int) -> Float64[Array, "models models classes classes"]:
    """Covariance of the scores of every two models given the true class: the V_mn of `theory.spread`.

    Cov(x_m, x_n) / (n + doubt)^2, and for one model with itself the spread of scores around what it read besides.
    """
    shape = law.counts + law.doubt / law.counts.shape[1]
    total = shape[0].sum()
    expected = shape / total  # scores given the readings
    alike, rest = law.alike[true_class], 1.0 - law.by_all[true_class].sum()
    left = (alike - law.by_all[true_class]) / rest @ expected
    apart = np.einsum("mi,nj->mnij", left, left)
    for f, shared in enumerate(law.by_family[true_class]):
        alone = law.alone[true_class] @ expected
        pair = (1.0 - shared.sum()) * np.einsum("mi,nj->mnij", alone, alone) + _second(shared, expected)
        of_family = np.ix_(law.family == f, law.family == f)
        apart[of_family] = pair[of_family]
    mean = alike @ expected
    found = _second(law.by_all[true_class], expected) + rest * apart - np.einsum("mi,nj->mnij", mean, mean)
    for m, of_model in enumerate(alike):
        second = _second(of_model, expected)
        around = (np.diag(mean[m]) - second) / (total + 1.0)
        found[m, m] = second - np.outer(mean[m], mean[m]) + around
    return found


# ---- inside ---------------------------------------------------------------------------------------------------------
def _second(weight: Float64[Array, "states"], values: Float64[Array, "states classes"]) -> Array:
    return np.einsum("s,si,sj->ij", weight, values, values)


def _compositions(n: int, n_classes: int) -> Int64[Array, "states classes"]:
    """Every way in which n readings can fall on the classes."""
    ways = combinations_with_replacement(range(n_classes), n)
    return np.array([np.bincount(way, minlength=n_classes) for way in ways], np.int64)


def _log_ways(counts: Int64[Array, "states classes"]) -> Float64[Array, "states"]:
    return gammaln(counts.sum(axis=1) + 1.0) - gammaln(counts + 1.0).sum(axis=1)


def _log_urn(
    counts: Int64[Array, "states classes"], weight: Float64[Array, "models true_classes classes"]
) -> Float64[Array, "models true_classes states"]:
    """Log-probability of counts by an urn of these weights: the Dirichlet-multinomial."""
    start, total = weight[:, :, None], weight.sum(axis=2)[..., None]
    drawn = (gammaln(start + counts) - gammaln(start)).sum(axis=3)
    return _log_ways(counts) + drawn + gammaln(total) - gammaln(total + counts[0].sum())


def _left_over(
    whole: Float64[Array, "classes models states"], taken: Float64[Array, "classes #models states"]
) -> Float64[Array, "classes models states"]:
    """What is left of a law where a part of it was shared, as shares."""
    left = np.maximum(whole - taken, 0.0)
    return left / left.sum(axis=2, keepdims=True)


def _state(share: Float64[Array, "states"], point: Float64[Array, "items"]) -> Int64[Array, "items"]:
    """The state at these points of the unit line; the number of states where the shares end before."""
    return np.searchsorted(np.cumsum(share), point, side="right")
