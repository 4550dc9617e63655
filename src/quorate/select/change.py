"""How much an item's label would change the model that is trained on it [settles2008]."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

Array = np.ndarray


def expected_gradient_length(
    probs: Float[Array, "items classes"], rows: Float[Array, "items dimensions"] | None = None
) -> Float64[Array, "items"]:
    """Length of the gradient of the log loss in a softmax layer, in expectation over the labels that may come.

    With label k the gradient is the outer product of (p - e_k) and (x, 1), as long as |p - e_k| |(x, 1)|; without
    embeddings all items are as long.

    >>> expected_gradient_length(np.array([[0.5, 0.5], [1.0, 0.0]])).round(3).tolist()
    [0.707, 0.0]
    """
    squares = (probs * probs).sum(axis=1, keepdims=True)
    lengths = np.sqrt(np.maximum(squares - 2 * probs + 1, 0.0))  # |p - e_k|^2 = |p|^2 - 2 p_k + 1
    expected = (probs * lengths).sum(axis=1)
    return expected if rows is None else expected * np.sqrt((np.asarray(rows, np.float64) ** 2).sum(axis=1) + 1)
