"""Items unlike those that are labeled, and unlike each other: batches that cover the space."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.select.points import Points

Array = np.ndarray


class Nearest:
    """Squared distances to the nearest item that is taken; infinite while there is none."""

    def __init__(self, points: Points, taken: Int64[Array, "taken"]) -> None:
        self._points = points
        self.squared: Float64[Array, "items"] = points.nearest(taken)

    def take(self, place: int) -> None:
        """Another item is taken."""
        np.minimum(self.squared, self._points.squared_to(place), out=self.squared)


def k_center(
    points: Points, free: Bool[Array, "items"], taken: Int64[Array, "taken"], n: int, rng: np.random.Generator
) -> Int64[Array, "n"]:
    """Items, each the farthest from all before it and from those taken: the core-set [sener2018].

    The largest distance that is left is at most twice the least possible [gonzalez1985]. Where nothing is taken yet,
    the first is drawn.
    """
    near, free = Nearest(points, taken), free.copy()
    chosen: list[int] = []
    for _ in range(min(n, int(free.sum()))):
        away = np.where(free, near.squared, -1.0)
        first = not chosen and not len(taken)
        place = int(rng.choice(np.flatnonzero(free))) if first else int(away.argmax())
        chosen.append(place)
        free[place] = False
        near.take(place)
    return np.array(chosen, np.int64)


def k_means_pp(
    points: Points,
    free: Bool[Array, "items"],
    taken: Int64[Array, "taken"],
    n: int,
    rng: np.random.Generator,
    *,
    weights: Float64[Array, "items"] | None = None,
    longest_first: bool = False,
) -> Int64[Array, "n"]:
    """Items drawn with chances as their squared distance to the nearest before, times their weights [arthur2007].

    `longest_first` begins with the item farthest from the origin, as BADGE does; else the first is drawn by weight.
    """
    near, free = Nearest(points, taken), free.copy()
    weight = np.ones(len(points)) if weights is None else weights
    chosen: list[int] = []
    for _ in range(min(n, int(free.sum()))):
        if np.isinf(near.squared).all():
            place = (
                int(np.where(free, points.squared(), -1.0).argmax())
                if longest_first
                else _drawn(free * weight, free, rng)
            )
        else:
            place = _drawn(np.where(free, near.squared, 0.0) * weight, free, rng)
        chosen.append(place)
        free[place] = False
        near.take(place)
    return np.array(chosen, np.int64)


def _drawn(chances: Float64[Array, "items"], free: Bool[Array, "items"], rng: np.random.Generator) -> int:
    """One item by its chance; where all free ones have none (copies of what is taken), any of them."""
    total = np.cumsum(chances)
    if not total[-1] > 0:
        return int(rng.choice(np.flatnonzero(free)))
    return int(np.searchsorted(total, rng.uniform(0.0, total[-1]), side="right").clip(0, len(total) - 1))
