"""Which examples are labeled for a calibrator: evenly, or where a surrogate expects error [hovsepian2024].

The surrogate error of an item is the distance between its raw confidence and that of a calibrator fitted on other
tasks (`transfer`). Examples that were not drawn evenly carry weights, one over the chance that they had, so that a
weighted mean over them is unbiased for the pool [horvitz1952].
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.errors import SettingError

Array = np.ndarray
Strategy = Literal["uniform", "stratified", "importance"]
STRATEGIES: tuple[Strategy, ...] = ("uniform", "stratified", "importance")
N_STRATA = 5
EVEN_SHARE = 0.25  # of importance draws that fall evenly, so that no weight exceeds 4 [hesterberg1995]
ROUNDING = 1e-9


class Selection(NamedTuple):
    """Places in the pool, and what each stands for; weights add up to about the number selected."""

    places: Int64[Array, "shots"]
    weights: Float64[Array, "shots"]


def select(strategy: str, n: int, rng: np.random.Generator, *, surrogate_error: Float64[Array, "pool"]) -> Selection:
    """So many examples of a pool, none twice; uniform looks at the length of the errors only.

    Raises SettingError for an unknown strategy, or for more examples than the pool holds.

    >>> chosen = select("importance", 3, np.random.default_rng(0), surrogate_error=np.array([0.0, 0.0, 0.2, 0.4, 0.4]))
    >>> len(set(chosen.places.tolist()))
    3
    """
    if not 1 <= n <= len(surrogate_error):
        raise SettingError(
            f"from a pool of {len(surrogate_error)} items 1 to {len(surrogate_error)} can be selected, not {n}"
        )
    if strategy == "uniform":
        return Selection(rng.permutation(len(surrogate_error))[:n].astype(np.int64), np.ones(n))
    if strategy == "stratified":
        return stratified(surrogate_error, n, rng)
    if strategy == "importance":
        return importance(surrogate_error, n, rng)
    raise SettingError(f"there is no selection {strategy!r}; use one of {', '.join(STRATEGIES)}")


def stratified(
    surrogate_error: Float64[Array, "pool"], n: int, rng: np.random.Generator, *, n_strata: int = N_STRATA
) -> Selection:
    """As many examples from every stratum of the surrogate error (strata of equal size; ties at random) [SE].

    Weights are the size of a stratum over the number drawn from it. A remainder falls on strata at random.
    """
    n_strata = min(n_strata, n)
    order = np.lexsort((rng.random(len(surrogate_error)), surrogate_error))
    strata = np.array_split(order, n_strata)
    extra = rng.permutation(n_strata) < n % n_strata
    drawn = [rng.permutation(part)[: n // n_strata + more] for part, more in zip(strata, extra, strict=True)]
    if any(len(part) == 0 for part in drawn) or sum(map(len, drawn)) < n:
        return select("uniform", n, rng, surrogate_error=surrogate_error)  # almost the whole pool: strata run out
    share = n / len(surrogate_error)
    weights = [np.full(len(got), share * len(part) / len(got)) for got, part in zip(drawn, strata, strict=True)]
    return Selection(np.concatenate(drawn).astype(np.int64), np.concatenate(weights))


def importance(
    surrogate_error: Float64[Array, "pool"], n: int, rng: np.random.Generator, *, even_share: float = EVEN_SHARE
) -> Selection:
    """Examples with a chance in proportion to their surrogate error, a share of them evenly [IE].

    Systematic draws in random order: every item has exactly the chance `inclusion` and is drawn at most once.
    """
    chance = inclusion(surrogate_error, n, even_share)
    order = rng.permutation(len(chance))
    reached = np.cumsum(chance[order])
    reached *= n / reached[-1]  # rounding
    place = np.minimum(np.searchsorted(reached, np.arange(n) + rng.random(), side="right"), len(order) - 1)
    index = order[place].astype(np.int64)
    return Selection(index, n / len(chance) / chance[index])


def inclusion(
    surrogate_error: Float64[Array, "pool"], n: int, even_share: float = EVEN_SHARE
) -> Float64[Array, "pool"]:
    """The chance of each item to be among n: even_share · n / pool, the rest in proportion to its error, at most 1.

    >>> inclusion(np.array([0.1, 0.3, 0.0, 0.0]), 1, even_share=0.2).round(2).tolist()
    [0.25, 0.65, 0.05, 0.05]
    """
    mass = np.maximum(surrogate_error, 0.0) + ROUNDING
    mass = even_share / len(mass) + (1 - even_share) * mass / mass.sum()
    certain = np.zeros(len(mass), bool)
    while True:  # what exceeds 1 is shared out among the others
        left = n - certain.sum()
        chance = np.where(certain, 1.0, mass * (left / max(mass[~certain].sum(), np.finfo(float).tiny)))
        over = (chance > 1.0) & ~certain
        if not over.any():
            return np.minimum(chance, 1.0)
        certain |= over


def surrogate_errors(
    raw: Float64[Array, "items classes"], surrogate: Float64[Array, "items classes"]
) -> Float64[Array, "items"]:
    """|raw - surrogate| of the class that the model answers, from 0 to 1 [hovsepian2024].

    >>> surrogate_errors(np.array([[0.9, 0.1]]), np.array([[0.7, 0.3]])).round(2).tolist()
    [0.2]
    """
    answer = raw.argmax(axis=1)[:, None]
    return np.abs(np.take_along_axis(raw - surrogate, answer, axis=1))[:, 0]
