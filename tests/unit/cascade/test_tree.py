"""The exact search: equal to trying everything, and the laws of a cost-aware policy."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.cascade.fit import Options, ground, prepared
from quorate.cascade.tree import Node, cells_for, grown, nodes_of, walked, worth
from quorate.cascade.tuned import induced
from unit.cascade.simulated import said
from unit.cascade.tiny import brute_force, tiny


@settings(max_examples=60, derandomize=True)
@given(
    n=st.integers(1, 9),
    n_agents=st.integers(1, 3),
    seed=st.integers(0, 10_000),
    route=st.sampled_from(["ladder", "skip", "any"]),
    most_bins=st.integers(1, 3),
    smoothing=st.sampled_from([0.0, 3.0]),
    weight=st.sampled_from([0.0, 0.2, 1.0]),
    fewest=st.integers(1, 3),
)
def test_the_exact_search_finds_what_trying_everything_finds(
    n, n_agents, seed, route, most_bins, smoothing, weight, fewest
) -> None:
    """Over every call, every joining of cells and every answer, at any cost weight and smoothing."""
    cells = (3, 2, 2)[:n_agents]
    of, strategies = tiny(
        n, n_agents, seed=seed, route=route, cells=cells, most_bins=most_bins, smoothing=smoothing, fewest=fewest
    )
    found = worth(grown(of, strategies, weight), of.prices)
    value = (found.right - weight * found.cost) * n
    assert value == pytest.approx(brute_force(of._replace(weight=weight)), abs=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_with_given_edges_two_ways_of_backward_induction_agree(seed: int) -> None:
    """The kernel with every cell a bin, and the plain recursion with bins at equal shares."""
    of, strategies = tiny(40, 3, seed=seed, cells=(3, 3, 3), most_bins=3, fixed=True, levels=1000)
    of = of._replace(weight=0.3)
    one, other = grown(of, strategies, 0.3), induced(np.arange(40), of, strategies, lambda _way: (1 / 3, 2 / 3))
    assert worth(one, of.prices) == pytest.approx(worth(other, of.prices))


@pytest.mark.parametrize("seed", range(20))
def test_without_cost_it_is_never_worse_than_the_best_fixed_strategy(seed: int) -> None:
    """On its own items: any strategy after any set of calls is a tree of single bins."""
    of, strategies = tiny(60, 3, seed=seed, cells=(4, 3, 2))
    best = of.hits.sum(axis=2).max()
    right, _ = walked(grown(of, strategies, 0.0), np.arange(60), of, strategies)
    assert right.sum() >= best


@pytest.mark.parametrize("seed", range(10))
def test_cost_and_right_answers_fall_as_the_cost_weight_rises(seed: int) -> None:
    """A higher λ never buys more."""
    of, strategies = tiny(80, 3, seed=seed, cells=(6, 4, 2), smoothing=5.0)
    found = [worth(grown(of, strategies, weight), of.prices) for weight in np.linspace(0, 2, 15)]
    costs, right = [each.cost for each in found], [each.right for each in found]
    assert all(after <= before + 1e-9 for before, after in pairwise(costs))
    assert all(after <= before + 1e-9 for before, after in pairwise(right))


@pytest.mark.parametrize("smoothing", [0.0, 20.0])
@pytest.mark.parametrize("route", ["ladder", "skip", "any"])
def test_a_further_agent_never_worsens_the_objective(route, smoothing: float) -> None:
    """On its own items, with the same cells: whoever need not be called cannot harm."""
    answers = said(300, seed=1)
    options = Options(route=route, smoothing=smoothing)
    of = prepared(answers, options, np.random.default_rng(0))
    walk = ground(answers, of, options)
    for weight in (0.0, 0.01, 0.05):
        values = []
        for most in (1, 2, 3):
            kept = walk._replace(cells=walk.cells[:most], most_calls=most)
            found = worth(grown(kept, of.strategies, weight), walk.prices)
            values.append(found.right - weight * found.cost)
        assert values == sorted(values)


def test_more_bins_never_worsen_the_objective() -> None:
    """At most so many: fewer are among the choices."""
    of, strategies = tiny(120, 2, seed=3, cells=(8, 4), most_bins=1)
    found = [grown(of._replace(most_bins=bins), strategies, 0.1) for bins in range(1, 6)]
    values = [worth(tree, of.prices).right - 0.1 * worth(tree, of.prices).cost for tree in found]
    assert values == sorted(values)


def test_a_walk_down_the_tree_gives_what_it_promised() -> None:
    """Without smoothing, right answers and cost on the items that grew it are those of its leaves."""
    of, strategies = tiny(100, 3, seed=5, cells=(5, 3, 2))
    tree = grown(of, strategies, 0.2)
    right, cost = walked(tree, np.arange(100), of, strategies)
    assert worth(tree, of.prices) == pytest.approx((right.mean(), cost.mean()))


def test_a_node_reads_back_from_json_the_same() -> None:
    """Every edge to its last digit."""
    of, strategies = tiny(100, 3, seed=7, cells=(5, 3, 2), smoothing=3.0)
    tree = grown(of, strategies, 0.1)
    assert Node.from_json(json.loads(json.dumps(tree.to_json()))) == tree


def test_cells_get_coarser_until_the_search_is_small_enough() -> None:
    """Never finer than allowed, never below two cells."""
    for n_agents in (2, 3, 5, 8):
        cells = cells_for(n_agents, n_agents, 1, most_nodes=500)
        assert nodes_of(cells, n_agents, 1) <= 500 or cells.max() == 2
        assert cells.min() >= 2


def test_smoothing_pulls_thin_bins_to_what_scores_let_expect() -> None:
    """With much smoothing the promised share is the expected one, whatever happened."""
    answers = said(200, seed=2)
    options = replace(Options(), smoothing=1e9)
    of = prepared(answers, options, np.random.default_rng(0))
    walk = ground(answers, of, options)
    tree = grown(walk._replace(hits=walk.hits * 0), of.strategies, 0.0)
    assert worth(tree, walk.prices).right > 0.6
