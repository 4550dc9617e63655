"""The exact search of [hovsepian2024]'s Algorithm 1 with its bin edges: values of nodes, from the leaves back."""

# Numba infers every type here from its first call; annotations would be comments that nobody checks.
# pyright: reportMissingParameterType=false, reportUnknownParameterType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import numpy as np
from numba import njit

LADDER, SKIP, ANY = 0, 1, 2


@njit(cache=True)
def allowed(called, agent, route):  # pragma: no cover
    """Whether this agent may be called next; called: a bit per agent, agents from the cheapest to the dearest."""
    if (called >> agent) & 1:
        return False
    if route == ANY:
        return True
    if route == SKIP:
        return (called >> agent) == 0
    return called == (1 << agent) - 1


@njit(cache=True)
def cells_of(values, n_cells, fewest):  # pragma: no cover
    """Places from the lowest value to the highest, and where each cell ends; ties share a cell, no cell is thin."""
    n = len(values)
    order = np.argsort(values, kind="mergesort")
    ends = np.empty(n_cells, np.int64)
    used, last = 0, 0
    for cell in range(1, n_cells):
        end = (n * cell + n_cells - 1) // n_cells
        while 0 < end < n and values[order[end]] == values[order[end - 1]]:
            end += 1
        if end - last >= fewest and n - end >= fewest:
            ends[used] = end
            used += 1
            last = end
    ends[used] = n
    return order, ends[: used + 1]


@njit(cache=True)
def stopped(hits, expected, n, smoothing):  # pragma: no cover
    """Right answers of the best strategy, each strategy's share pulled to what the scores let expect; and which."""
    best, which = -1.0, -1
    for strategy in range(len(hits)):
        worth = (n * hits[strategy] + smoothing * expected[strategy]) / (n + smoothing)
        if worth > best + 1e-9:
            best, which = worth, strategy
    return best, which


@njit(cache=True)
def best_bins(worth, most_bins, ends):  # pragma: no cover
    """The contiguous cells joined to at most `most_bins` bins of greatest total worth; worth[i, j]: cells i to j.

    Writes the number of bins and the last cell of each into `ends`; of equal totals the one of fewer bins.
    """
    n = len(worth)
    most = min(most_bins, n)
    total = np.full((most + 1, n + 1), -np.inf)
    back = np.zeros((most + 1, n + 1), np.int64)
    total[0, 0] = 0.0
    for bins in range(1, most + 1):
        for end in range(1, n + 1):
            for start in range(end):
                value = total[bins - 1, start] + worth[start, end - 1]
                if value > total[bins, end]:
                    total[bins, end], back[bins, end] = value, start
    best = 1
    for bins in range(2, most + 1):
        if total[bins, n] > total[best, n] + 1e-9:
            best = bins
    ends[0] = best
    end = n
    for bins in range(best, 0, -1):
        ends[bins] = end - 1
        end = back[bins, end]
    return total[best, n]


@njit(cache=True)
def kept_bins(worth, most_bins, ends):  # pragma: no cover
    """Every cell a bin, as for edges that are given; `ends` as in `best_bins`."""
    n = min(len(worth), most_bins)
    ends[0] = n
    total = 0.0
    for cell in range(n):
        ends[cell + 1] = cell
        total += worth[cell, cell]
    return total


@njit(cache=True)
def explore(items, called, depth, stop, found, ground):  # pragma: no cover
    """The best worth of these items, by stopping (`stop`) or by the best call; in right answers less weighed cost.

    found: of length 0, or filled with the agent to call (-1: none), the number of bins and the last cell of each.
    """
    best = stop
    if len(found):
        found[0] = -1
    if depth >= ground.most_calls:
        return best
    n = len(items)
    ends_of = np.empty(ground.most_bins + 1, np.int64)
    nothing = np.empty(0, np.int64)
    for agent in range(len(ground.prices)):
        price = ground.weight * ground.prices[agent] * n
        if not allowed(called, agent, ground.route) or n - price <= best + 1e-9:
            continue  # even if every answer were right
        after = called | (1 << agent)
        state = ground.state_of[after]
        signal = ground.signal[state] if ground.pooled else ground.signal[agent]
        order, ends = cells_of(signal[items], ground.cells[depth], ground.fewest)
        placed = items[order]
        n_cells, n_strategies = len(ends), ground.n_strategies[state]
        hits = np.zeros((n_cells, n_strategies))
        expected = np.zeros((n_cells, n_strategies))
        start = 0
        for cell in range(n_cells):
            for strategy in range(n_strategies):
                for place in range(start, ends[cell]):
                    hits[cell, strategy] += ground.hits[state, strategy, placed[place]]
                    expected[cell, strategy] += ground.expected[state, strategy, placed[place]]
            start = ends[cell]
        worth = np.full((n_cells, n_cells), -np.inf)
        for first in range(n_cells):
            begin = ends[first - 1] if first else 0
            hit, expect = np.zeros(n_strategies), np.zeros(n_strategies)
            for last in range(first, first + 1 if ground.fixed else n_cells):
                hit += hits[last]
                expect += expected[last]
                now, _ = stopped(hit, expect, ends[last] - begin, ground.smoothing)
                worth[first, last] = explore(placed[begin : ends[last]], after, depth + 1, now, nothing, ground)
        if ground.fixed:
            value = kept_bins(worth, ground.most_bins, ends_of) - price
        else:
            value = best_bins(worth, ground.most_bins, ends_of) - price
        if value > best + 1e-9:
            best = value
            if len(found):
                found[0] = agent
                found[1 : ground.most_bins + 2] = ends_of
    return best
