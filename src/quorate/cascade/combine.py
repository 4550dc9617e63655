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
MOST_STEPS, TOLERANCE = 30, 1e-7  # nats


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
    at = _climbed(features, truth, mean, precision)
    return Combination(at[:n_agents], at[n_agents:])


def _climbed(
    features: Float64[Array, "items classes features"],
    truth: Int64[Array, "items"],
    mean: Float64[Array, "features"],
    precision: Float64[Array, "features"],
) -> Float64[Array, "features"]:
    at, value = mean, _value(features, truth, mean, mean, precision)
    flat = features.reshape(-1, features.shape[2])
    seen = features[np.arange(len(truth)), truth].sum(axis=0)
    for _ in range(MOST_STEPS):
        q = np.exp(log_softmax(features @ at))
        expected = np.einsum("ic,icf->if", q, features)
        gradient = seen - expected.sum(axis=0) - precision * (at - mean)
        curvature = (flat * q.reshape(-1, 1)).T @ flat - expected.T @ expected + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        after, gain = _stepped(features, truth, at, value, step, mean, precision)
        at, value = after, value + gain
        if gain < TOLERANCE:
            break
    return at


def _stepped(
    features: Float64[Array, "items classes features"],
    truth: Int64[Array, "items"],
    at: Float64[Array, "features"],
    value: float,
    step: Float64[Array, "features"],
    mean: Float64[Array, "features"],
    precision: Float64[Array, "features"],
) -> tuple[Float64[Array, "features"], float]:
    """The first of ever shorter steps that does not fall, and what it gains in nats."""
    share = 1.0
    while share > 1e-6:
        after = at + share * step
        gain = _value(features, truth, after, mean, precision) - value
        if gain >= 0:
            return after, gain
        share /= 2
    return at, 0.0


def _value(
    features: Float64[Array, "items classes features"],
    truth: Int64[Array, "items"],
    at: Float64[Array, "features"],
    mean: Float64[Array, "features"],
    precision: Float64[Array, "features"],
) -> float:
    likelihood = log_softmax(features @ at)[np.arange(len(truth)), truth].sum()
    return float(likelihood - 0.5 * (precision * (at - mean) ** 2).sum())
