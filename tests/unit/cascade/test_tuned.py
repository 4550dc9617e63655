"""Bin edges by Optuna: never worse than where it begins, and the same again."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.cascade.fit import Options, fit, ground, prepared
from quorate.cascade.tree import grown, walked, worth
from quorate.cascade.tuned import edges_at, tuned
from unit.cascade.simulated import said

OPTIONS = Options(edges="optuna", trials=12, most_bins=2, route="ladder", fewest=20, cost_weight=0.02)


def test_the_same_seed_finds_the_same_tree() -> None:
    """Nothing else decides."""
    answers = said(300, seed=0)
    assert fit(answers, OPTIONS).cascade.tree == fit(answers, OPTIONS).cascade.tree


def test_edges_differ_from_bin_to_bin() -> None:
    """The space is conditional: a stage has edges of its own in each bin before it."""
    tree = fit(said(800, seed=1), OPTIONS).cascade.tree
    inner = [then.edges for then in tree.then if then.call is not None]
    assert len(set(inner)) == len(inner)


def test_in_a_small_space_it_finds_no_more_than_the_exact_search_on_the_same_items() -> None:
    """Within the coarseness of the cells, on the items that both grew on."""
    answers = said(500, seed=2)
    of = prepared(answers, OPTIONS, np.random.default_rng(0))
    walk = ground(answers, of, OPTIONS)
    exact, found = grown(walk, of.strategies, 0.02), tuned(answers, of, OPTIONS, 0.02)
    values = [worth(tree, walk.prices).right - 0.02 * worth(tree, walk.prices).cost for tree in (exact, found)]
    assert values[0] >= values[1] - 0.01
    assert walked(found, np.arange(500), walk, of.strategies)[1].mean() == pytest.approx(worth(found, walk.prices).cost)


def test_edges_leave_no_thin_bin_and_split_no_tie() -> None:
    """Shares that would are moved or left out."""
    assert edges_at(np.array([0.5] * 10), (0.3, 0.6), 1) == ()
    assert edges_at(np.arange(10) / 10, (0.05, 0.5, 0.95), 3) == (0.45,)
    assert edges_at(np.array([1.0, 1.0, 1.0, 2.0]), (0.25,), 1) == (1.5,)
