"""Unsure and unlike the rest: a weighted sum of entropy and distance, chosen one by one so that a batch spreads too."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.select.diversity import Nearest
from quorate.select.points import Points

Array = np.ndarray
WEIGHT = 0.6  # of uncertainty, as the source has it


def hybrid(
    unsure: Float64[Array, "items"],
    points: Points,
    free: Bool[Array, "items"],
    taken: Int64[Array, "taken"],
    n: int,
    *,
    weight: float = WEIGHT,
) -> Int64[Array, "n"]:
    """Items with the largest `weight` x uncertainty + (1 - weight) x distance to the nearest item taken.

    Uncertainty is from 0 to 1; distances are squared, over the largest of the free items. What is chosen counts as
    taken for the next, so that a batch of one item at a time is the weighted sum itself.
    """
    near, free = Nearest(points, taken), free.copy()
    away = np.where(free, near.squared, 0.0)
    most = away.max(initial=0.0) if len(taken) else 0.0
    chosen: list[int] = []
    for _ in range(min(n, int(free.sum()))):
        spread = near.squared / most if most > 0 and np.isfinite(most) else np.ones(len(unsure))
        place = int(np.where(free, weight * unsure + (1 - weight) * np.minimum(spread, 1.0), -np.inf).argmax())
        chosen.append(place)
        free[place] = False
        near.take(place)
        most = most or float(np.where(free, near.squared, 0.0).max(initial=0.0))
    return np.array(chosen, np.int64)
