"""The learned combination: one weight per agent and one bias per class, fitted together for every set of agents.

    P(y = c) ∝ exp(Σ_k w_k x_kc + b_c),   x_kc the centred log probability of agent k

Agents that err together share a weight, since their weights are fitted together. With w = 1 / K it is the geometric
mean of the agents; the normal prior pulls there, and b to 0. The likelihood is concave: Newton's steps.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.calibrate.calibrators import centred
from quorate.calibrate.logits import log_softmax
from quorate.cascade.readings import LEAST

Array = np.ndarray
WEIGHT_SD, BIAS_SD = 1.0, 0.3  # of the prior: of a weight, of a bias in nats
MOST_STEPS, SHORTEST = 30, 1e-6
TOLERANCE = 1e-5  # nats, all items together


class Combination(NamedTuple):
    """Weights of agents and biases of classes."""

    weights: Float64[Array, "agents"]
    bias: Float64[Array, "classes"]  # nats

    def probs(self, probs: Float64[Array, "items agents classes"]) -> Float64[Array, "items classes"]:
        """P(truth | what these agents said)."""
        return np.exp(log_softmax(np.einsum("k,ikc->ic", self.weights, logs(probs)) + self.bias))


def logs(probs: Float64[Array, "items agents classes"]) -> Float64[Array, "items agents classes"]:
    """Centred log probabilities, in nats."""
    n_items, n_agents, n_classes = probs.shape
    return centred(np.log(np.maximum(probs, LEAST)).reshape(-1, n_classes)).reshape(n_items, n_agents, n_classes)


def combination(probs: Float64[Array, "items agents classes"], truth: Int64[Array, "items"]) -> Combination:
    """The likeliest combination under the prior.

    >>> rng = np.random.default_rng(0)
    >>> truth = rng.integers(0, 2, 4000)
    >>> said = np.where(rng.random(4000) < 0.8, truth, 1 - truth)
    >>> probs = np.eye(2)[said] * 0.6 + 0.2  # right on 80 %
    >>> combination(np.stack([probs, probs], axis=1), truth).weights.round(1).tolist()  # two copies share a vote
    [0.5, 0.5]
    """
    x = logs(probs)
    n_items, n_agents, n_classes = x.shape
    features = np.concatenate(
        [x.transpose(0, 2, 1), np.broadcast_to(np.eye(n_classes), (n_items, n_classes, n_classes))], axis=2
    )
    mean = np.concatenate([np.full(n_agents, 1.0 / n_agents), np.zeros(n_classes)])
    precision = np.concatenate([np.full(n_agents, WEIGHT_SD**-2), np.full(n_classes, BIAS_SD**-2)])
    at = _climbed(_Hill(features, truth, mean, precision))
    return Combination(at[:n_agents], at[n_agents:])


class _Place(NamedTuple):
    """Where the climb stands."""

    at: Float64[Array, "features"]
    value: float  # penalised log likelihood, nats
    log_probs: Float64[Array, "items classes"]


class _Hill(NamedTuple):
    """What is climbed."""

    features: Float64[Array, "items classes features"]
    truth: Int64[Array, "items"]
    mean: Float64[Array, "features"]
    precision: Float64[Array, "features"]

    def place(self, at: Float64[Array, "features"]) -> _Place:
        log_probs = log_softmax(self.features @ at)
        likelihood = float(log_probs[np.arange(len(self.truth)), self.truth].sum())
        return _Place(at, likelihood - 0.5 * float(self.precision @ (at - self.mean) ** 2), log_probs)


def _climbed(hill: _Hill) -> Float64[Array, "features"]:
    flat = hill.features.reshape(-1, hill.features.shape[2])
    seen = hill.features[np.arange(len(hill.truth)), hill.truth].sum(axis=0)
    place = hill.place(hill.mean)
    for _ in range(MOST_STEPS):
        q = np.exp(place.log_probs)
        expected = np.matmul(q[:, None, :], hill.features)[:, 0]
        gradient = seen - expected.sum(axis=0) - hill.precision * (place.at - hill.mean)
        curvature = (flat * q.reshape(-1, 1)).T @ flat - expected.T @ expected + np.diag(hill.precision)
        after = _stepped(hill, place, np.linalg.solve(curvature, gradient))
        gain, place = after.value - place.value, after
        if gain < TOLERANCE:
            break
    return place.at


def _stepped(hill: _Hill, place: _Place, step: Float64[Array, "features"]) -> _Place:
    """The first of ever shorter steps that does not fall; where there is none, the same place."""
    share = 1.0
    while share > SHORTEST:
        after = hill.place(place.at + share * step)
        if after.value >= place.value:
            return after
        share /= 2
    return place
