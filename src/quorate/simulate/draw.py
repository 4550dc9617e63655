"""Random draws that both simulated worlds share; the generator always comes in."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int16, Int32, Int64

Array = np.ndarray
TINY = 1e-30  # a share that would be 0 in a small float: its logarithm must stay finite
BLOCK = 65_536  # items whose panels are drawn at once: bounds memory


def categorical(rng: np.random.Generator, probs: Float64[Array, "*shape classes"]) -> Int16[Array, "*shape"]:
    """One class from every row of probabilities."""
    point = rng.random(probs.shape[:-1])[..., None]
    return (point > probs.cumsum(axis=-1)[..., :-1]).sum(axis=-1).astype(np.int16)


def dirichlet(rng: np.random.Generator, weight: Float64[Array, "*shape classes"]) -> Float64[Array, "*shape classes"]:
    """Shares that sum to 1, one vector for every vector of weights."""
    share = np.maximum(rng.standard_gamma(weight), TINY)
    return share / share.sum(axis=-1, keepdims=True)


def panels(
    rng: np.random.Generator,
    size: Int64[Array, "items"],
    n_annotators: int,
    weight: Float64[Array, "annotators"] | None = None,
) -> Int32[Array, "items seats"]:
    """Who labels each item: a random subset of this size in random order; -1 where a seat is empty.

    With weights seat after seat is taken in proportion to them [efraimidis2006].
    """
    most = int(size.max(initial=0))
    seats = np.empty((len(size), most), np.int32)
    for first in range(0, len(size), BLOCK):
        block = slice(first, min(first + BLOCK, len(size)))
        key = rng.random((block.stop - first, n_annotators))
        if weight is not None:
            key = -np.log1p(-key) / weight  # who waits shortest: exponential times with these rates
        seats[block] = key.argsort(axis=1)[:, :most]
    seats[np.arange(most) >= size[:, None]] = -1
    return seats


def answers(
    rng: np.random.Generator,
    rows: tuple[Float64[Array, "annotators _classes _classes"], ...],
    truth: Int16[Array, "items tasks"],
    panel: Int32[Array, "items seats"],
) -> Int16[Array, "items tasks seats"]:
    """What everyone on the panel says of every task, by the rows of their confusion matrices; -1: empty seat."""
    said = np.empty((*truth.shape, panel.shape[1]), np.int16)
    for t, of_task in enumerate(rows):
        said[:, t] = categorical(rng, of_task[panel, truth[:, t, None]])
    return np.where(panel[:, None, :] >= 0, said, np.int16(-1))
