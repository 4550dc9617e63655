"""How much a person's label would tell about the truth, under a consensus [lindley1956, houlsby2011].

A person errs: of what a label leaves open, part is the model's doubt, which the label takes away, and part is people's
own disagreement, which no label does. Entropy counts both; information counts the first alone.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from quorate.select.uncertainty import nats

Array = np.ndarray


def information(probs: Float[Array, "items classes"], rows: Float[Array, "classes answers"]) -> Float[Array, "items"]:
    """Nats that one answer tells of the truth: entropy of the answer, less what is left of it once the truth is known.

    `rows` are a person's chances of each answer by the true class.

    >>> even, sure = np.array([[0.5, 0.5]]), np.eye(2)
    >>> information(even, sure).round(3).tolist(), information(even, np.full((2, 2), 0.5)).round(3).tolist()
    ([0.693], [0.0])
    """
    return np.maximum(nats(probs @ rows) - probs @ nats(rows), 0.0)
