"""How often agents are right, and what they say when they are wrong, when the truth itself is uncertain.

Every answer comes with P(true class) from everybody else. See `mixture` for the estimate. The interval of an accuracy
is that of its posterior under Jeffreys' prior with the pattern of errors held fixed: with a certain truth exactly the
binomial interval [brown2001]; with an uncertain one wider, as if there were fewer answers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.measure.intervals import Intervals, jeffreys
from quorate.measure.mixture import PRIOR_ROWS, Mixture, Rows, expected, fitted
from quorate.measure.mixture_kernels import add_information, add_log_likelihood

Array = np.ndarray

INFORMATION_ENTRIES = 2**21  # numbers in the curvature matrices of one block of agents
GRID_POINTS = 257
GRID_REACH = 7.0  # standard errors to both sides


class Accuracy(NamedTuple):
    """Of every agent; all shares."""

    n: Int64[Array, "agents"]  # answers
    n_effective: Float64[Array, "agents"]  # answers with a certain truth that would tell as much
    right: Intervals  # (agents,)
    chance: Float64[Array, "agents"]  # accuracy of one who answers as often, but blindly
    confusion: Intervals  # (agents, true class, answer); meaningless where truth_n is 0
    truth_n: Float64[Array, "agents classes"]  # expected answers on items of each true class


def accuracy(rows: Rows, level: float = 0.95) -> Accuracy:
    """Accuracy and confusion of every agent, with intervals.

    >>> rows = Rows(np.eye(2), np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), np.full(4, -1), np.array([0, 4]))
    >>> found = accuracy(rows)
    >>> found.right.estimate.round(2).tolist(), found.n_effective.round(1).tolist()
    ([0.75], [4.0])
    """
    n_classes = rows.truth.shape[1]
    said = _answer_shares(rows)
    of = fitted(rows, np.ones(n_classes), lambda counts: _own_pattern(counts, said))
    is_right = np.broadcast_to(np.eye(n_classes), of.shares.shape).copy()
    p_right = expected(rows, of, is_right)
    right, n_effective = _posterior(p_right, rows, level)
    truth_n = of.counts.sum(axis=2)
    prevalence = truth_n / np.maximum(rows.size, 1)[:, None]
    chance = (prevalence * said).sum(axis=1)
    return Accuracy(rows.size, n_effective, right, chance, _cells(rows, of, level), truth_n)


def _answer_shares(rows: Rows) -> Float64[Array, "agents classes"]:
    """How often each agent gives each class."""
    n_agents, n_classes = len(rows.start) - 1, rows.truth.shape[1]
    agent = np.repeat(np.arange(n_agents), rows.size)
    counts = np.bincount(agent * n_classes + rows.first, minlength=n_agents * n_classes).reshape(-1, n_classes)
    return counts / np.maximum(rows.size, 1)[:, None]


def _own_pattern(
    counts: Float64[Array, "agents classes classes"], said: Float64[Array, "agents classes"]
) -> Float64[Array, "agents classes classes"]:
    """For classes hardly seen: right as often as on all classes; a wrong class as often as the agent says it."""
    n_classes = counts.shape[1]
    n = counts.sum(axis=(1, 2))
    right = (np.einsum("gyy->g", counts) + 0.5) / (n + 1)
    said = (said * n[:, None] + 0.5) / (n + 0.5 * n_classes)[:, None]
    wrong = said[:, None, :] / np.maximum(1 - said, 1e-12)[:, :, None]
    return np.where(np.eye(n_classes, dtype=bool), right[:, None, None], (1 - right)[:, None, None] * wrong)


def _posterior(p_right: Float64[Array, "rows"], rows: Rows, level: float) -> tuple[Intervals, Float64[Array, "agents"]]:
    """Jeffreys' prior is flat in the angle arcsin √share, so the posterior there is the likelihood, read on a grid."""
    n = np.maximum(rows.size, 1)
    agent = np.repeat(np.arange(len(n)), rows.size)
    total = np.bincount(agent, p_right, minlength=len(n))
    lost = np.bincount(agent, p_right * (1 - p_right), minlength=len(n))
    middle = (total + 0.5) / (n + 1)
    rough = np.maximum(n - lost / (middle * (1 - middle)), 1e-6)
    reach = GRID_REACH / (2 * np.sqrt(rough))
    low, high = np.arcsin(np.sqrt(middle)) - reach, np.arcsin(np.sqrt(middle)) + reach
    angle = np.linspace(np.maximum(low, 0), np.minimum(high, np.pi / 2), GRID_POINTS, axis=1)
    share = np.sin(angle) ** 2
    log_likelihood = np.zeros_like(share)
    add_log_likelihood(p_right, rows.start, np.clip(total / n, 1e-12, 1 - 1e-12), share, log_likelihood)
    weight = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    peak = weight.argmax(axis=1)
    weight /= weight.sum(axis=1, keepdims=True)
    mean = (weight * share).sum(axis=1)
    variance = np.maximum((weight * share**2).sum(axis=1) - mean**2, 1e-18)
    estimate = total / n
    # as with counts: never wrong so far reaches up to 1, never right down to 0
    low = np.where(peak == 0, share[:, 0], _quantile(share, weight, (1 - level) / 2))
    high = np.where(peak == GRID_POINTS - 1, share[:, -1], _quantile(share, weight, (1 + level) / 2))
    right = Intervals(estimate, np.minimum(low, estimate), np.maximum(high, estimate), np.sqrt(variance))
    return right, np.clip(mean * (1 - mean) / variance - 2, 0.0, n)


def _quantile(
    share: Float64[Array, "agents points"], weight: Float64[Array, "agents points"], tail: float
) -> Float64[Array, "agents"]:
    """Where the cumulated weight reaches the tail, between two points of the grid."""
    below = np.cumsum(weight, axis=1) - weight / 2
    return np.array([np.interp(tail, b, s) for b, s in zip(below, share, strict=True)])


def _cells(rows: Rows, of: Mixture, level: float) -> Intervals:
    """Each P(answer | true class), with the interval of a share among as many certain truths as tell as much."""
    n_agents, n_classes = of.shares.shape[:2]
    block = max(1, INFORMATION_ENTRIES // n_classes**3)
    parts = [_variance(rows, of, range(at, min(at + block, n_agents))) for at in range(0, n_agents, block)]
    variance = np.concatenate(parts) if parts else np.zeros_like(of.shares)
    n = np.clip(of.shares * (1 - of.shares) / variance - PRIOR_ROWS, 1e-6, of.counts.sum(axis=2, keepdims=True) + 1e-6)
    return jeffreys(of.shares * n, n, level)


def _variance(rows: Rows, of: Mixture, agents: range) -> Float64[Array, "some classes classes"]:
    """Of the shares, from the inverse of the exact curvature, given that the shares of a true class sum to 1.

    The log likelihood is the logarithm of a sum that is linear in the shares, and every answer has shares of its own:
    one classes x classes block per answer, tied by one constraint per true class.
    """
    shares = np.clip(of.shares[agents.start : agents.stop], 1e-9, 1.0)
    n_classes = shares.shape[1]
    information = np.zeros((len(agents), n_classes, n_classes, n_classes))
    start = rows.start[agents.start : agents.stop + 1]
    add_information(rows.truth, rows.at, rows.first, start, shares, information)
    inverse = np.linalg.inv(information + np.eye(n_classes) * (PRIOR_ROWS / shares).transpose(0, 2, 1)[..., None])
    tie = np.linalg.inv(inverse.sum(axis=1))
    taken = np.einsum("gryz,gzx,grxy->gyr", inverse, tie, inverse, optimize=True)
    return np.maximum(np.einsum("gryy->gyr", inverse) - taken, 1e-15)
