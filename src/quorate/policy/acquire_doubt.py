"""What is open about one task of every item, ready for looking ahead: latent posterior, votes, and their readouts.

With a panel as target a label is also a vote: after it the readout is that of the votes so far and one more. So every
item has a table per *increment*, the answers that may be added; with other targets all tables are one.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int32, Int64

from quorate.consensus.posterior import Consensus, PeopleRows, Target, readout_of

Array = np.ndarray
MOST_NODES = 1_000  # of a tree; two classes are looked 8 labels ahead, three 5, four and five 4, ten 2


class Doubt(NamedTuple):
    """One task; the last axis of `table_of` is that of `Tree.added`."""

    latent: Float64[Array, "items latent"]
    counts: Int32[Array, "items classes"]
    size: Int64[Array, "items"]  # of the panel; 0 where the target is none
    tables: Float64[Array, "tables latent classes"]  # P(target | latent)
    table_of: Int64[Array, "items increments"]


class Tree(NamedTuple):
    """All sequences of up to so many answers, breadth first; the first increments are none, then each class once."""

    increment: Int64[Array, "nodes"]
    added: Int64[Array, "increments classes"]


def farthest(n_classes: int) -> int:
    """The labels ahead that a tree of MOST_NODES reaches, 1 at least.

    >>> [farthest(k) for k in (2, 3, 5, 10, 100)]
    [8, 5, 4, 2, 1]
    """
    ahead, nodes = 1, 1 + n_classes
    while nodes + n_classes ** (ahead + 1) <= MOST_NODES and ahead < 8:
        ahead += 1
        nodes += n_classes**ahead
    return ahead


@lru_cache(maxsize=64)
def tree(n_classes: int, ahead: int) -> Tree:
    """The sequences of up to `ahead` answers.

    >>> tree(2, 2).added.tolist()
    [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]]
    """
    added = [
        np.bincount(np.array(each, np.int64), minlength=n_classes)
        for length in range(ahead + 1)
        for each in combinations_with_replacement(range(n_classes), length)
    ]
    place = {tuple(each): j for j, each in enumerate(added)}
    level, nodes = [np.zeros(n_classes, np.int64)], [0]
    for _ in range(ahead):
        level = [counts + one for counts in level for one in np.eye(n_classes, dtype=np.int64)]
        nodes += [place[tuple(counts)] for counts in level]
    return Tree(np.array(nodes, np.int64), np.array(added, np.int64))


def doubts(consensus: Consensus, ahead: tuple[int, ...]) -> tuple[Doubt, ...]:
    """Of every task, for trees of so many labels."""
    parts = zip(consensus.people, consensus.targets, consensus.counts, ahead, strict=True)
    return tuple(
        doubt(np.asarray(consensus.belief.marginal(t), np.float64), counts, rows, target, steps)
        for t, (rows, target, counts, steps) in enumerate(parts)
    )


def doubt(
    latent: Float64[Array, "items latent"],
    counts: Int32[Array, "items classes"],
    rows: PeopleRows,
    target: Target,
    ahead: int,
) -> Doubt:
    """Of one task."""
    latent = np.ascontiguousarray(latent / latent.sum(axis=1, keepdims=True))
    if target.kind != "panel":
        tables = readout_of(rows, target, counts[:0]).tables
        added = tree(counts.shape[1], ahead).added
        return Doubt(latent, counts, np.zeros(len(counts), np.int64), tables, np.zeros((len(counts), len(added)), int))
    assert target.n is not None
    size = np.maximum(np.broadcast_to(np.asarray(target.n, np.int64), len(counts)), counts.sum(axis=1))
    states, state_of = np.unique(np.column_stack([counts, size]), axis=0, return_inverse=True)
    added = tree(counts.shape[1], ahead).added
    votes = (states[:, None, :-1] + added).reshape(-1, counts.shape[1]).astype(np.int32)
    sizes = np.repeat(states[:, -1], len(added)).astype(np.int32)
    readout = readout_of(rows, target._replace(n=sizes), votes)
    table_of = readout.table_of.reshape(len(states), len(added))[state_of.ravel()]
    return Doubt(latent, counts, size, np.ascontiguousarray(readout.tables), table_of)
