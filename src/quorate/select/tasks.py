"""Several tasks at once: an item is shown once for all of its tasks, so its worth is the mean over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64, Int64

from quorate.errors import SettingError
from quorate.select.diversity import k_means_pp
from quorate.select.hybrid import WEIGHT, hybrid
from quorate.select.names import HYBRID
from quorate.select.points import Gradients, Points, nearest_one_by_one
from quorate.select.strategies import BY_SCORE, Picked, Pool, select
from quorate.select.uncertainty import entropy

Array = np.ndarray


class Summed:
    """Items by several things at once: the gradients of all heads of a model that shares its embedding."""

    def __init__(self, parts: Sequence[Points]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return len(self._parts[0])

    def squared_to(self, place: int) -> Float64[Array, "items"]:
        """Squared distances of all items to the one at that place."""
        return np.sum([part.squared_to(place) for part in self._parts], axis=0)

    def squared(self) -> Float64[Array, "items"]:
        """Squared distances of all items to the origin."""
        return np.sum([part.squared() for part in self._parts], axis=0)

    def nearest(self, places: Int64[Array, "some"]) -> Float64[Array, "items"]:
        """Squared distances of all items to the nearest of those places; infinite where there are none."""
        return nearest_one_by_one(self, places)


def select_all(
    strategy: str,
    pools: Sequence[Pool],
    n: int,
    *,
    seed: int = 0,
    weight: float = WEIGHT,
    spread: bool = False,
) -> Picked:
    """The next `n` items by a strategy, over one pool per task, of the same items with the same embeddings.

    With one pool it is `select`. Raises SettingError as that does, and without a pool.
    """
    if not pools:
        raise SettingError("there is no task to select for")
    first = pools[0]
    if len(pools) == 1:
        return select(strategy, first, n, seed=seed, weight=weight, spread=spread)
    if strategy in BY_SCORE:
        worth = np.mean([BY_SCORE[strategy](pool) for pool in pools], axis=0)
        return select("worth", replace(first, worth=worth), n, seed=seed, weight=weight, spread=spread)
    if strategy == HYBRID:
        unsure = np.mean([entropy(pool.need("probs")) for pool in pools], axis=0)
        chosen = hybrid(unsure, first.points, first.free, first.taken, n, weight=weight)
        return Picked(chosen, unsure[chosen])
    if strategy == "badge":
        points = Summed([Gradients(pool.need("probs"), pool.need("rows")) for pool in pools])
        rng, nothing = np.random.default_rng(seed), np.zeros(0, np.int64)
        places = k_means_pp(points, first.free, nothing, n, rng, longest_first=True)
        return Picked(places, np.full(len(places), np.nan))
    return select(strategy, first, n, seed=seed, weight=weight, spread=spread)
