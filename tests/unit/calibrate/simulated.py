"""Scores whose right calibration is known: truth drawn from softmax(z), scores from logits that were bent away."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quorate.calibrate.logits import log_softmax


class Bent(NamedTuple):
    """What a model says, what is true, and the log probabilities that the truth was drawn from."""

    x: np.ndarray
    truth: np.ndarray
    log_probs: np.ndarray


def bent(
    n: int,
    *,
    seed: int,
    n_classes: int = 3,
    slopes: float | np.ndarray = 1.0,
    bias: float | np.ndarray = 0.0,
    sharpness: float = 2.0,
) -> Bent:
    """softmax(slopes ∘ x + bias) is right, x centred; slopes and bias are what a calibrator must find."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, n_classes)) * sharpness
    x = z - z.mean(axis=1, keepdims=True)
    logits = x * slopes + bias
    truth = np.argmax(logits + rng.gumbel(size=logits.shape), axis=1)
    return Bent(x, truth, log_softmax(logits))


def log_loss(probs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Per item, in nats."""
    return -np.log(np.maximum(probs[np.arange(len(truth)), truth], 1e-12))


def excess(probs: np.ndarray, log_probs: np.ndarray) -> float:
    """Expected log loss above the best there is, in nats: no noise of the labels that judge."""
    return float((np.exp(log_probs) * (log_probs - np.log(np.maximum(probs, 1e-12)))).sum(axis=1).mean())
