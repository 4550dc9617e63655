"""How often agents are right, and what they say when they are wrong, when the truth itself is uncertain.

There are two ways to count, for two kinds of knowledge.

`expected_accuracy` adds up the probability of each answer under a posterior that knows the answer. It is right where
that posterior is calibrated given everybody's answers, and needs nothing else.

`accuracy` takes a posterior of the latent class *without* the agent's own answer. Averaging over it would be biased
toward chance: a vague truth makes everybody look wrong. Instead the agent's confusion is fitted to it by maximum
likelihood, answers being independent of all else given the latent class (see `mixture`); what the vagueness costs shows
in the interval, not in the estimate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.measure.intervals import Intervals, jeffreys
from quorate.measure.mixture import PRIOR_ROWS, Mixture, Rows, fitted, influence
from quorate.measure.mixture_kernels import add_information

Array = np.ndarray

INFORMATION_ENTRIES = 2**21  # numbers in the curvature matrices of one block of agents
LEAST = 1e-6  # answers; an interval of fewer is that of none


class Accuracy(NamedTuple):
    """Of every agent; all shares."""

    n: Int64[Array, "agents"]  # answers
    n_effective: Float64[Array, "agents"]  # answers with a certain truth that would tell as much
    right: Intervals  # (agents,)
    chance: Float64[Array, "agents"]  # accuracy of one who gives each class as often, but blindly
    confusion: Intervals  # (agents, true class, answer); says nothing where truth_n is 0
    truth_n: Float64[Array, "agents classes"]  # expected answers on items of each true class


def accuracy(rows: Rows, credit: Float64[Array, "latent classes"], level: float = 0.95) -> Accuracy:
    """Accuracy and confusion of every agent; rows.truth: of the latent class, without the agent's own answer.

    credit: P(an answer is right | latent class).

    >>> rows = Rows(np.eye(2), np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), np.full(4, -1), np.array([0, 4]))
    >>> found = accuracy(rows, np.eye(2))
    >>> found.right.estimate.round(2).tolist(), found.n_effective.round(1).tolist()
    ([0.75], [4.0])
    """
    size, n_classes = np.maximum(rows.size, 1).astype(np.float64), credit.shape[1]
    said = _answer_shares(rows, n_classes)
    of = fitted(rows, np.ones(n_classes), lambda counts: _own_pattern(counts, said, credit))
    right = np.einsum("gcr,cr->g", of.counts, credit) / size
    se = _error(rows, of, credit)
    middle = (right * size + 0.5) / (size + 1)
    n_effective = np.clip(middle * (1 - middle) / np.maximum(se, 1e-12) ** 2, LEAST, size)
    truth_n = np.einsum("gc,ck->gk", of.counts.sum(axis=2), credit)
    return Accuracy(
        rows.size,
        np.where(rows.size > 0, n_effective, 0.0),
        jeffreys(right * n_effective, n_effective, level),
        _chance(truth_n, said),
        _cells(rows, of, credit, level),
        truth_n,
    )


def expected_accuracy(rows: Rows, level: float = 0.95) -> Accuracy:
    """Expected counts; rows.truth: of the true class, given everybody's answers. Intervals as if truth were certain.

    >>> rows = Rows(np.array([[0.9, 0.1]]), np.zeros(10, int), np.zeros(10, int), np.full(10, -1), np.array([0, 10]))
    >>> expected_accuracy(rows).right.estimate.round(2).tolist()
    [0.9]
    """
    n_classes = rows.truth.shape[1]
    agent = np.repeat(np.arange(len(rows.size)), rows.size)
    counts = np.zeros((len(rows.size), n_classes, n_classes))
    for k in range(n_classes):
        place = agent * n_classes + rows.first
        added = np.bincount(place, rows.truth[rows.at, k], minlength=len(rows.size) * n_classes)
        counts[:, k] = added.reshape(-1, n_classes)
    size = np.maximum(rows.size, LEAST)
    truth_n = counts.sum(axis=2)
    return Accuracy(
        rows.size,
        rows.size.astype(np.float64),
        jeffreys(np.einsum("gkk->g", counts), size, level),
        _chance(truth_n, _answer_shares(rows, n_classes)),
        jeffreys(counts, np.broadcast_to(np.maximum(truth_n, LEAST)[:, :, None], counts.shape), level),
        truth_n,
    )


def _answer_shares(rows: Rows, n_classes: int) -> Float64[Array, "agents classes"]:
    """How often each agent gives each class."""
    n_agents = len(rows.size)
    agent = np.repeat(np.arange(n_agents), rows.size)
    counts = np.bincount(agent * n_classes + rows.first, minlength=n_agents * n_classes).reshape(-1, n_classes)
    return counts / np.maximum(rows.size, 1)[:, None]


def _chance(
    truth_n: Float64[Array, "agents classes"], said: Float64[Array, "agents classes"]
) -> Float64[Array, "agents"]:
    return (truth_n * said).sum(axis=1) / np.maximum(truth_n.sum(axis=1), LEAST)


def _own_pattern(
    counts: Float64[Array, "agents latent classes"],
    said: Float64[Array, "agents classes"],
    credit: Float64[Array, "latent classes"],
) -> Float64[Array, "agents latent classes"]:
    """For classes hardly seen: right as often as on all of them; a wrong answer as often as the agent gives it."""
    n = counts.sum(axis=(1, 2))
    right = ((np.einsum("gcr,cr->g", counts, credit) + 0.5) / (n + 1))[:, None, None]
    smooth = (said * n[:, None] + 0.5) / (n + 0.5 * said.shape[1])[:, None]
    wrong = smooth[:, None, :] * (1 - credit)
    total = wrong.sum(axis=2, keepdims=True)
    wrong = np.where(total > 1e-12, wrong / np.maximum(total, 1e-12), credit)
    return right * credit + (1 - right) * wrong


def _error(rows: Rows, of: Mixture, credit: Float64[Array, "latent classes"]) -> Float64[Array, "agents"]:
    """Standard error of the mean credit, in shares."""
    of_row, unknown = influence(rows, of, np.broadcast_to(credit, of.counts.shape).copy())
    agent = np.repeat(np.arange(len(rows.size)), rows.size)
    total = np.bincount(agent, of_row**2, minlength=len(rows.size)) + unknown
    return np.sqrt(total) / np.maximum(rows.size, 1)


# ---- confusion ----------------------------------------------------------------------------------------------------
def _cells(rows: Rows, of: Mixture, credit: Float64[Array, "latent classes"], level: float) -> Intervals:
    """Each P(answer | true class), with the interval of a share among as many certain truths as tell as much."""
    n_agents, n_latent = of.shares.shape[:2]
    share = of.counts.sum(axis=2)[:, :, None] * credit
    truth_n = share.sum(axis=1)
    share /= np.maximum(truth_n, LEAST)[:, None, :]  # P(latent class | true class) of the agent's items
    cells = np.einsum("gck,gcr->gkr", share, of.shares)
    block = max(1, INFORMATION_ENTRIES // (n_latent**2 * credit.shape[1]))
    parts = [_variance(rows, of, share, range(at, min(at + block, n_agents))) for at in range(0, n_agents, block)]
    variance = np.concatenate(parts) if parts else np.zeros_like(cells)
    most = truth_n[:, :, None] + LEAST
    n = np.clip(cells * (1 - cells) / np.maximum(variance, 1e-15) - PRIOR_ROWS, LEAST, most)
    return jeffreys(cells * n, n, level)


def _variance(
    rows: Rows, of: Mixture, share: Float64[Array, "agents latent classes"], agents: range
) -> Float64[Array, "some classes classes"]:
    """Of the cells, from the inverse of the exact curvature, given that the shares of a latent class sum to 1.

    The log likelihood is the logarithm of a sum that is linear in the shares, and every answer has shares of its own:
    one latent x latent block per answer, tied by one constraint per latent class.
    """
    part = slice(agents.start, agents.stop)
    shares = np.clip(of.shares[part], 1e-9, 1.0)
    n_latent, n_classes = shares.shape[1:]
    information = np.zeros((len(agents), n_classes, n_latent, n_latent))
    add_information(rows.truth, rows.at, rows.first, rows.start[agents.start : agents.stop + 1], shares, information)
    inverse = np.linalg.inv(information + np.eye(n_latent) * (PRIOR_ROWS / shares).transpose(0, 2, 1)[..., None])
    tie = np.linalg.inv(inverse.sum(axis=1))[:, None]
    covariance = inverse - inverse @ tie @ inverse
    return np.einsum("gck,grcd,gdk->gkr", share[part], covariance, share[part], optimize=True)
