"""How unsure a model is of an item, from its probabilities: 0 is certain, 1 is even [settles2009]."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Array = np.ndarray


def least_confidence(probs: Float[Array, "items classes"]) -> Float[Array, "items"]:
    """1 minus the largest probability, over its largest value.

    >>> least_confidence(np.array([[1.0, 0.0], [0.5, 0.5]])).tolist()
    [0.0, 1.0]
    """
    most = 1 - 1 / probs.shape[1]
    return (1 - probs.max(axis=1)) / most if most else np.zeros(len(probs))


def margin(probs: Float[Array, "items classes"]) -> Float[Array, "items"]:
    """1 minus the difference of the two largest probabilities [scheffer2001].

    >>> margin(np.array([[0.75, 0.25, 0.0], [0.5, 0.5, 0.0]])).tolist()
    [0.5, 1.0]
    """
    if probs.shape[1] < 2:
        return np.zeros(len(probs))
    two = np.partition(probs, -2, axis=1)[:, -2:]
    return 1 - (two[:, 1] - two[:, 0])


def entropy(probs: Float[Array, "items classes"]) -> Float[Array, "items"]:
    """Entropy over that of even probabilities.

    >>> entropy(np.array([[1.0, 0.0], [0.5, 0.5]])).tolist()
    [0.0, 1.0]
    """
    most = np.log(probs.shape[1])
    return nats(probs) / most if most else np.zeros(len(probs))


def nats(probs: Float[Array, "*items classes"]) -> Float[Array, "*items"]:
    """Entropy in nats, with 0 log 0 = 0."""
    return 0.0 - (probs * np.log(np.where(probs > 0, probs, 1.0))).sum(axis=-1)
