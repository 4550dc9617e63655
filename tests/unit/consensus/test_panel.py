"""Laws of the panel target."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from quorate.consensus.panel import panel_readout
from unit.consensus.build import assert_within


def by_enumeration(row: np.ndarray, seen: np.ndarray, n: int, *, exclude_ties: bool) -> np.ndarray:
    """Sum over every sequence of the votes still to come."""
    wins = np.zeros(len(row))
    for votes in itertools.product(range(len(row)), repeat=max(n - seen.sum(), 0)):
        final = seen + np.bincount(votes, minlength=len(row)) if votes else seen
        best = np.flatnonzero(final == final.max())
        if len(best) == 1 or not exclude_ties:
            wins[best] += np.prod(row[list(votes)]) / len(best)
    return wins


@pytest.mark.parametrize("n_classes", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("exclude_ties", [False, True])
def test_the_winner_is_that_of_enumeration(n_classes: int, n: int, exclude_ties: bool) -> None:
    """Exact, to rounding, for every small state of the votes."""
    rng = np.random.default_rng(n_classes * 10 + n)
    population = rng.dirichlet(np.ones(n_classes), 3)
    counts = rng.integers(0, 2, (6, n_classes)).astype(np.int32)
    tables, table_of = panel_readout(population, counts, n, exclude_ties=exclude_ties)
    for i, c in itertools.product(range(6), range(3)):
        expected = by_enumeration(population[c], counts[i], n, exclude_ties=exclude_ties)
        np.testing.assert_allclose(tables[table_of[i], c], expected, atol=1e-12)


def test_shared_ties_leave_nothing_over() -> None:
    """Rows sum to one, also for a large panel."""
    population = np.random.default_rng(0).dirichlet(np.ones(5), 4)
    tables, _ = panel_readout(population, np.array([[0, 2, 1, 0, 0]], np.int32), 60)
    np.testing.assert_allclose(tables.sum(axis=2), 1.0, atol=1e-10)


def test_a_full_panel_is_certain() -> None:
    """With all votes in, the winner has won, whatever the population is."""
    tables, table_of = panel_readout(np.full((2, 3), 1 / 3), np.array([[3, 1, 1], [2, 2, 1]], np.int32), 5)
    np.testing.assert_array_equal(tables[table_of[0], 0], [1, 0, 0])
    np.testing.assert_allclose(tables[table_of[1], 0], [0.5, 0.5, 0])


def test_a_panel_is_never_smaller_than_the_labels_that_came() -> None:
    """A size below the labels seen is raised to them."""
    small, _ = panel_readout(np.full((1, 2), 0.5), np.array([[3, 0]], np.int32), 1)
    np.testing.assert_array_equal(small[0, 0], [1, 0])


def test_a_panel_of_one_is_the_population_row() -> None:
    """One person's answer is drawn from the row itself."""
    population = np.array([[0.7, 0.2, 0.1]])
    tables, _ = panel_readout(population, np.zeros((1, 3), np.int32), 1)
    np.testing.assert_allclose(tables[0], population)


def test_the_winner_agrees_with_simulated_panels() -> None:
    """Thirty voters, two of them known: within four standard errors of 20,000 draws."""
    row, seen, draws = np.array([0.4, 0.35, 0.25]), np.array([0, 2, 0]), 20_000
    tables, _ = panel_readout(row[None], seen[None].astype(np.int32), 30, exclude_ties=True)
    votes = np.random.default_rng(0).multinomial(28, row, draws) + seen
    alone = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) == 1
    share = np.bincount(votes.argmax(axis=1)[alone], minlength=3) / draws
    assert_within(share, tables[0, 0], se=np.sqrt(tables[0, 0] * (1 - tables[0, 0]) / draws))
