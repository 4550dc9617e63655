"""A distribution over grades with a given mean: of all of them the one closest to a base distribution."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

Array = np.ndarray
EDGE = 1e-6  # of the range: how near to its end a mean is still met
STEPS = 60  # halvings: the tilt is then exact to the last digits


def tilted(
    base: Float64[Array, "classes"], values: Float64[Array, "classes"], mean: Float64[Array, "items"]
) -> Float64[Array, "items classes"]:
    """p_k = base_k e^(t v_k) / sum, with t such that Σ p_k v_k = mean: least information from the base [csiszar1975].

    >>> tilted(np.full(3, 1 / 3), np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.5])).round(3).tolist()
    [[0.333, 0.333, 0.333], [0.116, 0.268, 0.616]]
    """
    if len(values) == 1:
        return np.ones((len(mean), 1))
    unit = (values - values[0]) / (values[-1] - values[0])
    wanted, back = np.unique((mean - values[0]) / (values[-1] - values[0]), return_inverse=True)
    wanted = np.clip(wanted, EDGE, 1 - EDGE)
    logs = np.log(np.maximum(base, EDGE))

    def probs(tilt: np.ndarray) -> np.ndarray:
        heights = logs + tilt[:, None] * unit
        powers = np.exp(heights - heights.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    reach = 2 * (np.ptp(logs) - np.log(EDGE)) / np.diff(unit).min()
    low, high = np.full(len(wanted), -reach), np.full(len(wanted), reach)
    for _ in range(STEPS):
        middle = (low + high) / 2
        below = probs(middle) @ unit < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return probs((low + high) / 2)[back]
