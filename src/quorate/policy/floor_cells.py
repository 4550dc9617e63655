"""The item-tasks under test, and what every threshold closes of every item."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from quorate.policy.stopping import DIGITS

Array = np.ndarray


class Cells(NamedTuple):
    """The item-tasks under test."""

    sureness: Float64[Array, "cells steps"]
    right: Float64[Array, "cells steps"]
    item: Int64[Array, "cells"]

    def those(self, kept: Bool[Array, "cells"] | Int64[Array, "_kept"]) -> Cells:
        """Some of them."""
        return Cells(self.sureness[kept], self.right[kept], self.item[kept])


class Tally(NamedTuple):
    """What each threshold closes of each item; float32 holds the counts exactly."""

    closed: Float32[Array, "items thresholds"]  # item-tasks
    right: Float32[Array, "items thresholds"]  # credit of these
    most: int  # item-tasks of one item

    def at(self, thresholds: Int64[Array, "_kept"]) -> Tally:
        """Of some thresholds."""
        return Tally(self.closed[:, thresholds], self.right[:, thresholds], self.most)


class Counts(NamedTuple):
    """What each threshold closes in all."""

    closed: Int64[Array, "thresholds"]  # item-tasks
    right: Float64[Array, "thresholds"]  # credit of these
    items: Int64[Array, "thresholds"]  # with anything closed


def counts_of(tally: Tally) -> Counts:
    """Summed over items."""
    closed = tally.closed.sum(axis=0, dtype=float).astype(np.int64)
    return Counts(closed, tally.right.sum(axis=0, dtype=float), (tally.closed > 0).sum(axis=0).astype(np.int64))


def tally_of(cells: Cells, grid: Float64[Array, "thresholds"]) -> Tally:
    """A cell closes at its first step that is sure enough. grid: strictest first.

    With g_j the first threshold that step j, or one before it, is sure enough for, step j is the one that counts from
    g_j up to g_(j-1): one addition where this begins, one subtraction where it ends, and a running sum.
    """
    _, item = np.unique(cells.item, return_inverse=True)
    n_items, n_grid = int(item.max()) + 1, len(grid)
    reached = np.searchsorted(-grid, -np.maximum.accumulate(cells.sureness, axis=1), side="left")  # looser ones too
    until = np.column_stack([np.full(len(item), n_grid), reached[:, :-1]])
    rows = item[:, None] * (n_grid + 1)
    width = n_items * (n_grid + 1)
    right = np.bincount((rows + reached).ravel(), cells.right.ravel(), width)
    right -= np.bincount((rows + until).ravel(), cells.right.ravel(), width)
    closed = np.bincount(rows[:, 0] + reached[:, -1], minlength=width)
    return Tally(_running(closed, n_items), _running(right, n_items), int(np.bincount(item).max()))


def _running(steps: Array, n_items: int) -> Float32[Array, "items thresholds"]:
    return steps.reshape(n_items, -1)[:, :-1].cumsum(axis=1).astype(np.float32)


def one_task_each(cells: Cells, rng: np.random.Generator) -> Cells:
    """Of every item one row, at random and blind to its sureness: a row drawn for being sure would not be typical."""
    order = rng.permutation(len(cells.item))
    _, first = np.unique(cells.item[order], return_index=True)
    return cells.those(order[first])


def surest(sureness: Float64[Array, "cells *steps"]) -> Float64[Array, "cells"]:
    """The highest sureness that each item-task reaches, rounded as policies round it."""
    return np.round(sureness, DIGITS).reshape(len(sureness), -1).max(axis=1)
