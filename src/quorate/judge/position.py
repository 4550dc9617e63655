"""How often what stands at a position is looked at, told from clicks: the position-based model by EM.

P(click on a cell at position p) = θ_p γ_cell: it is looked at, and then found good [craswell2008]. EM fills in what a
missing click means, not looked at or not good [wang2018]. A cell seldom shown tells little of its γ, so γ has a Beta
prior around the mean of cells that the judge graded alike: without it the model explains every rare cell by itself and
takes positions for equal. Only θ γ is known; θ is 1 at the most looked at position.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

Array = np.ndarray
ROUNDS, NEAR = 500, 1e-5
PSEUDO = 5.0  # looks that the prior of a cell is worth
ALIKE = 10  # groups of grades
FLOOR = 1e-6


class Shown(NamedTuple):
    """Cells at positions: how often they were shown there and clicked."""

    cell: Int64[Array, "places"]
    position: Int64[Array, "places"]
    times: Float64[Array, "places"]
    clicks: Float64[Array, "places"]


def shown(
    cell: Int64[Array, "rows"],
    position: Int64[Array, "rows"],
    times: Float64[Array, "rows"],
    clicks: Float64[Array, "rows"],
) -> Shown:
    """Rows of the same cell and position as one."""
    n_positions = int(position.max()) + 1
    keys, at = np.unique(cell * n_positions + position, return_inverse=True)
    return Shown(keys // n_positions, keys % n_positions, np.bincount(at, times), np.bincount(at, times * clicks))


def looked_at(of: Shown, grade: Float64[Array, "cells"]) -> Float64[Array, "positions"]:
    """θ: the probability that a position is looked at, over that of the position looked at most.

    >>> rng = np.random.default_rng(0)
    >>> position = np.tile(np.arange(3), 20_000)
    >>> cell = rng.integers(0, 500, len(position))
    >>> clicks = rng.random(len(position)) < (0.2 + cell / 1_000) * np.array([1.0, 0.6, 0.3])[position]
    >>> looked_at(shown(cell, position, np.ones(len(cell)), clicks.astype(float)), np.arange(500.0)).round(1).tolist()
    [1.0, 0.6, 0.3]
    """
    n_cells, n_positions = len(grade), int(of.position.max()) + 1
    group = _groups(grade)
    per_cell = np.bincount(of.cell, of.times, n_cells)
    per_position = np.bincount(of.position, of.times, n_positions)
    missed = of.times - of.clicks
    theta = np.bincount(of.position, of.clicks, n_positions) / np.maximum(per_position, 1.0)
    theta = np.clip(theta / max(theta.max(), FLOOR), 0.05, 1.0)
    gamma = np.full(n_cells, np.clip(of.clicks.sum() / max((of.times * theta[of.position]).sum(), 1.0), 0.01, 0.99))
    for _ in range(ROUNDS):
        look, good = theta[of.position], gamma[of.cell]
        neither = np.maximum(1 - look * good, FLOOR)
        found_good = of.clicks + missed * good * (1 - look) / neither
        looked = of.clicks + missed * look * (1 - good) / neither
        total = np.bincount(of.cell, found_good, n_cells)
        mean = np.bincount(group, total) / np.maximum(np.bincount(group, per_cell), FLOOR)
        gamma = np.clip((total + PSEUDO * mean[group]) / (per_cell + PSEUDO), FLOOR, 1 - FLOOR)
        before, theta = theta, np.bincount(of.position, looked, n_positions) / np.maximum(per_position, FLOOR)
        theta = np.clip(theta, FLOOR, 1.0)
        if np.abs(theta / theta.max() - before / before.max()).max() < NEAR:
            break
    return theta / theta.max()


def _groups(grade: Float64[Array, "cells"]) -> Int64[Array, "cells"]:
    """Cells of like grades, about as many in each group."""
    edges = np.unique(np.quantile(grade, np.arange(1, ALIKE) / ALIKE))
    return np.searchsorted(edges, grade, side="right").astype(np.int64)
