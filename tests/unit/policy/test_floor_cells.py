"""Laws of the tally: what each threshold closes of each item."""

from __future__ import annotations

import numpy as np

from quorate.policy.floor_cells import Cells, counts_of, one_task_each, tally_of


def some_cells(seed=0, steps=4):
    rng = np.random.default_rng(seed)
    sure = rng.random((60, steps)).round(1)
    sure[rng.random((60, steps)) < 0.2] = -np.inf  # missing steps
    return Cells(sure, rng.random((60, steps)).round(2), rng.integers(0, 15, 60))


def test_the_tally_is_what_a_walk_through_the_steps_finds():
    """A cell closes at its first step that is sure enough, for every threshold, item by item."""
    cells, grid = some_cells(), np.array([1.0, 0.9, 0.55, 0.3, 0.0])
    tally = tally_of(cells, grid)
    names = np.unique(cells.item)
    closed, right = np.zeros((len(names), 5)), np.zeros((len(names), 5))
    for sure, credit, item in zip(*cells, strict=True):
        for g, threshold in enumerate(grid):
            passed = np.flatnonzero(sure >= threshold)
            if len(passed):
                closed[names == item, g] += 1
                right[names == item, g] += credit[passed[0]]
    assert np.array_equal(tally.closed, closed)
    assert np.allclose(tally.right, right, atol=1e-5)
    assert tally.most == np.bincount(cells.item).max()
    counts = counts_of(tally)
    assert np.array_equal(counts.closed, closed.sum(axis=0))
    assert np.array_equal(counts.items, (closed > 0).sum(axis=0))


def test_one_task_of_each_item_is_drawn_alike():
    """Every item once; over many draws every row of an item about equally often."""
    cells = Cells(np.zeros((6, 1)), np.arange(6.0)[:, None], np.array([0, 0, 0, 1, 1, 2]))
    rng = np.random.default_rng(0)
    drawn = [one_task_each(cells, rng) for _ in range(900)]
    assert all(each.item.tolist() == [0, 1, 2] for each in drawn)
    often = np.bincount([int(each.right[0, 0]) for each in drawn], minlength=3)
    assert (abs(often - 300) < 4 * (900 / 3 * 2 / 3) ** 0.5).all()
