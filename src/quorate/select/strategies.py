"""Which items a person should see next: strategies by name, over one pool.

    pool = Pool(probs=probs, rows=embeddings, labeled=mask)
    select("hybrid", pool, 50)

Every strategy gives places in the pool, the first to be seen first: never one that is labeled, never one twice; fewer
than asked where there are no more. With the same seed the same places come out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from quorate.errors import SettingError
from quorate.select.change import expected_gradient_length
from quorate.select.committee import jensen_shannon, vote_entropy
from quorate.select.diversity import k_center, k_means_pp
from quorate.select.hybrid import WEIGHT, hybrid
from quorate.select.names import HYBRID, STRATEGIES
from quorate.select.points import Embedded, Gradients, Points
from quorate.select.uncertainty import entropy, least_confidence, margin

Array = np.ndarray
NARROW = 10  # of a spread batch: so many times its size are looked at


@dataclass(frozen=True)
class Pool:
    """Items to choose from, with what is known of them; a strategy says what it needs."""

    probs: Float[Array, "items classes"] | None = None  # of the model that is trained, or a consensus
    rows: Float[Array, "_ dimensions"] | None = None  # embeddings
    committee: Float[Array, "members _ _"] | None = None
    worth: Float[Array, "_"] | None = None  # by a criterion of one's own
    labeled: Bool[Array, "_"] | None = None
    cosine: bool = True  # embeddings are compared by direction
    approximate: bool = False  # distances to many labeled items, by an index (extra `near`)

    def __post_init__(self) -> None:
        sizes = {name: size for name, size in self._sizes().items() if size is not None}
        if not sizes:
            raise SettingError("a pool needs probabilities, embeddings, a committee or a worth of its items")
        if len(set(sizes.values())) > 1:
            raise SettingError(f"these are not of the same items: {sizes}")
        for name, probs in (("probs", self.probs), ("committee", self.committee)):
            if probs is not None and not _are_probabilities(probs):
                raise SettingError(f"{name} are no probabilities: each row is 0 or more and sums to 1")
        if self.worth is not None and not np.isfinite(self.worth).all():
            raise SettingError("worth holds something that is no number")

    def __len__(self) -> int:
        return next(size for size in self._sizes().values() if size is not None)

    @cached_property
    def free(self) -> Bool[Array, "items"]:
        """Which items may be chosen."""
        return np.ones(len(self), bool) if self.labeled is None else ~self.labeled

    @cached_property
    def taken(self) -> Int64[Array, "taken"]:
        """The places of those that are labeled."""
        return np.flatnonzero(~self.free)

    @cached_property
    def points(self) -> Points:
        """Where the items lie. Raises SettingError without embeddings."""
        return Embedded(self.need("rows"), cosine=self.cosine, approximate=self.approximate)

    def need(self, name: str) -> Array:
        """What a strategy needs. Raises SettingError where it is not there."""
        found = getattr(self, name)
        if found is None:
            words = {"probs": "probabilities", "rows": "embeddings", "committee": "the scores of several models"}
            raise SettingError(f"this strategy needs {words.get(name, name)} of the items")
        return found

    def _sizes(self) -> dict[str, int | None]:
        named = {"probs": self.probs, "embeddings": self.rows, "worth": self.worth, "labeled": self.labeled}
        sizes = {name: None if each is None else len(each) for name, each in named.items()}
        return {**sizes, "committee": None if self.committee is None else self.committee.shape[1]}


class Picked(NamedTuple):
    """A batch: places in the pool in their order, and by what each was chosen (NaN where a batch was drawn)."""

    places: Int64[Array, "n"]
    criterion: Float64[Array, "n"]


Scores = Callable[[Pool], Float[Array, "items"]]
Draws = Callable[[Pool, int, np.random.Generator], Int64[Array, "n"]]


def _codes(pool: Pool) -> Int64[Array, "members items"]:
    return pool.need("committee").argmax(axis=2)


BY_SCORE: Mapping[str, Scores] = {
    "least-confidence": lambda pool: least_confidence(pool.need("probs")),
    "margin": lambda pool: margin(pool.need("probs")),
    "entropy": lambda pool: entropy(pool.need("probs")),
    "vote-entropy": lambda pool: vote_entropy(_codes(pool), pool.need("committee").shape[2]),
    "jensen-shannon": lambda pool: jensen_shannon(pool.need("committee")),
    "gradient-length": lambda pool: expected_gradient_length(pool.need("probs"), pool.rows),
    "worth": lambda pool: pool.need("worth"),
}
BY_BATCH: Mapping[str, Draws] = {
    "random": lambda pool, n, rng: rng.permutation(np.flatnonzero(pool.free))[:n],
    "core-set": lambda pool, n, rng: k_center(pool.points, pool.free, pool.taken, n, rng),
    "k-means++": lambda pool, n, rng: k_means_pp(pool.points, pool.free, pool.taken, n, rng),
    "badge": lambda pool, n, rng: k_means_pp(
        Gradients(pool.need("probs"), pool.need("rows")), pool.free, np.zeros(0, np.int64), n, rng, longest_first=True
    ),
}


def select(strategy: str, pool: Pool, n: int, *, seed: int = 0, weight: float = WEIGHT, spread: bool = False) -> Picked:
    """The next `n` items by a strategy of `STRATEGIES`.

    `weight` is that of uncertainty in the hybrid. With `spread` a batch by score is drawn from the ten times `n` best
    by k-means++ seeding, weighted by the score [zhdanov2019], so that it does not ask the same thing n times.

    Raises SettingError for an unknown strategy, or a pool without what it needs.
    """
    if n < 1 or not 0 <= weight <= 1:
        raise SettingError("a batch has one item or more, and a weight is from 0 to 1")
    rng = np.random.default_rng(seed)
    if strategy == HYBRID:
        unsure = np.asarray(entropy(pool.need("probs")), np.float64)
        chosen = hybrid(unsure, pool.points, pool.free, pool.taken, n, weight=weight)
        return Picked(chosen, unsure[chosen])
    if strategy in BY_BATCH:
        places = BY_BATCH[strategy](pool, n, rng)
        return Picked(places, np.full(len(places), np.nan))
    if strategy not in BY_SCORE:
        raise SettingError(f"there is no strategy {strategy!r}; use one of {', '.join(STRATEGIES)}")
    worth = np.asarray(BY_SCORE[strategy](pool), np.float64)
    best = _best(worth, pool.free, NARROW * n if spread else n, rng)
    if spread and len(best) > n:
        best = _spread(worth, pool, best, n, rng)
    return Picked(best, worth[best])


def _best(
    worth: Float64[Array, "items"], free: Bool[Array, "items"], n: int, rng: np.random.Generator
) -> Int64[Array, "n"]:
    """The free items of most worth, ties in random order."""
    places = rng.permutation(np.flatnonzero(free))
    return places[np.argsort(-worth[places], kind="stable")[:n]]


def _spread(
    worth: Float64[Array, "items"], pool: Pool, best: Int64[Array, "some"], n: int, rng: np.random.Generator
) -> Int64[Array, "n"]:
    among = Embedded(pool.need("rows")[best], cosine=pool.cosine)
    weights = np.maximum(worth[best] - worth[best].min(), 0.0) + np.finfo(float).tiny
    nothing = np.zeros(0, np.int64)
    return best[k_means_pp(among, np.ones(len(best), bool), nothing, n, rng, weights=weights)]


def _are_probabilities(probs: Float[Array, "*items classes"]) -> bool:
    return bool((probs >= 0).all() and np.allclose(probs.sum(axis=-1), 1.0, atol=1e-3))
