"""Which candidate is the judge: noisy figures of many candidates, shrunken to what models and prompts have in common.

With 200 items the best of 130 figures is rarely that of the best candidate. So the figures are read as

    f_c = μ + Σ_p a_p(part p of c) + d_c + noise,     a_p ~ N(0, τ_p²), d_c ~ N(0, τ_0²)

with parts p the model, the prompt, the examples and the thinking; τ by restricted maximum likelihood and f by its
posterior mean (the best linear prediction [robinson1991], empirical Bayes [morris1983]). All candidates answered the
same items, so the noise that they share is taken out first. What is left is taken as independent: its correlations,
estimated from 200 items, made both the figures and the choice worse in simulation than leaving them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

Array = np.ndarray
DRAWS = 4_000
LEAST_VARIANCE = 1e-10


class Shrunken(NamedTuple):
    """Figures after shrinkage; up is better."""

    mean: Float64[Array, "candidates"]
    error: Float64[Array, "candidates"]  # standard error, without the noise that all candidates share
    best: Float64[Array, "candidates"]  # probability of being the best


def shrunken(
    figures: Float64[Array, "candidates"],
    influence: Float64[Array, "candidates items"],
    parts: Sequence[Sequence[str]],
    *,
    seed: int = 0,
) -> Shrunken:
    """Posterior means of figures of which each item moved candidate c by influence / items.

    Where there is one candidate it stands as it is.
    """
    n = len(figures)
    if n == 1:
        one = float(influence[0].std() / max(influence.shape[1], 1) ** 0.5)
        return Shrunken(figures, np.array([one]), np.ones(1))
    noise = noise_of(influence)
    shared = _shared(parts)
    start = np.full(1 + len(shared), np.log(max(float(figures.var()), LEAST_VARIANCE) / (1 + len(shared))))
    floor = np.log(max(float(noise.mean()) * 1e-3, LEAST_VARIANCE))
    found = minimize(
        _minus_evidence,
        np.maximum(start, floor),
        (figures, noise, shared),
        "L-BFGS-B",
        bounds=[(floor, 3.0)] * len(start),
    )
    prior = _prior(found.x, shared, n)
    mean, covariance = _posterior(figures, noise, prior)
    draws = np.random.default_rng(seed).multivariate_normal(mean, covariance, DRAWS, method="eigh")
    best = np.bincount(draws.argmax(axis=1), minlength=n) / DRAWS
    return Shrunken(mean, np.sqrt(np.maximum(np.diag(covariance), 0)), best)


def survivors(found: Shrunken, keep: int) -> Bool[Array, "candidates"]:
    """The `keep` candidates that are likeliest the best; ties by the posterior mean."""
    order = np.lexsort((-found.mean, -found.best))
    kept = np.zeros(len(order), bool)
    kept[order[:keep]] = True
    return kept


def noise_of(influence: Float64[Array, "candidates items"]) -> Float64[Array, "candidates"]:
    """The error variances of figures less what all share: only differences matter to a choice."""
    n_items = influence.shape[1]
    own = influence - influence.mean(axis=0)
    return own.var(axis=1, ddof=min(1, n_items - 1)) / n_items


# ---- inside ---------------------------------------------------------------------------------------------------------
def _shared(parts: Sequence[Sequence[str]]) -> list[Float64[Array, "candidates candidates"]]:
    """Which candidates have a part in common, part by part; parts in which all or none agree tell nothing."""
    found: list[Float64[Array, "candidates candidates"]] = []
    for names in zip(*parts, strict=True):
        _, code = np.unique(names, return_inverse=True)
        if 0 < code.max() < len(code) - 1:
            found.append((code[:, None] == code).astype(np.float64))
    return found


def _prior(
    logs: Float64[Array, "variances"], shared: Sequence[Float64[Array, "candidates candidates"]], n: int
) -> Float64[Array, "candidates candidates"]:
    total = np.exp(logs[0]) * np.eye(n)
    for log, same in zip(logs[1:], shared, strict=True):
        total = total + np.exp(log) * same
    return total


def _minus_evidence(
    logs: Float64[Array, "variances"],
    figures: Float64[Array, "candidates"],
    noise: Float64[Array, "candidates"],
    shared: Sequence[Float64[Array, "candidates candidates"]],
) -> float:
    """Minus the restricted log likelihood of the variances, in nats, up to a constant [patterson1971]."""
    factor = cho_factor(_prior(logs, shared, len(figures)) + np.diag(noise))
    ones = cho_solve(factor, np.ones(len(figures)))
    solved = cho_solve(factor, figures)
    rest = figures @ solved - (ones @ figures) ** 2 / ones.sum()
    return float(np.log(np.diag(factor[0])).sum() + 0.5 * np.log(ones.sum()) + 0.5 * rest)


def _posterior(
    figures: Float64[Array, "candidates"],
    noise: Float64[Array, "candidates"],
    prior: Float64[Array, "candidates candidates"],
) -> tuple[Float64[Array, "candidates"], Float64[Array, "candidates candidates"]]:
    """Mean and covariance given the variances; μ has a flat prior."""
    factor = cho_factor(prior + np.diag(noise))
    ones = np.ones(len(figures))
    solved = cho_solve(factor, ones)
    mu = solved @ figures / solved.sum()
    gain = cho_solve(factor, prior).T
    left = ones - gain @ ones
    covariance = prior - gain @ prior + np.outer(left, left) / solved.sum()
    return mu + gain @ (figures - mu), (covariance + covariance.T) / 2
