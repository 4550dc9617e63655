"""The walk of `floor_betting` over the items, one column after the other."""

# Numba infers every type here from its first call; annotations would be comments that nobody checks.
# pyright: reportMissingParameterType=false, reportUnknownParameterType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from math import erfc, log, sqrt

import numpy as np
from numba import njit

HEARSAY = 20.0  # items that the variance told beforehand counts for
LOWEST = 1e-12  # wealth below it bets as if it were this much
ROOT_2 = sqrt(2.0)


@njit(cache=True)
def normal(z):  # pragma: no cover
    """Phi(z)."""
    return 0.5 * erfc(-z / ROOT_2)


@njit(cache=True)
def normal_quantile(share):  # pragma: no cover
    """Its inverse within 5e-4, formula 26.2.23 of [abramowitz1964]: a bet need not be exact, only fixed in time."""
    t = sqrt(-2.0 * log(min(share, 1.0 - share)))
    above = 2.515517 + t * (0.802853 + t * 0.010328)
    below = 1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    z = t - above / below
    return -z if share < 0.5 else z


@njit(cache=True)
def highest_wealth(closed, right, floor, most, level, expected):  # pragma: no cover
    """The most that level times capital ever was, column by column; columns are rows here, for speed."""
    found = np.empty(len(level))
    for column in range(len(level)):
        own_floor, wealth, highest = floor[column], level[column], level[column]
        worst, left = own_floor * most, 0
        for k in closed[column]:
            left += k > 0
        square, n = HEARSAY * expected[column] * own_floor * (1.0 - own_floor), HEARSAY
        for i in range(closed.shape[1]):
            if closed[column, i] > 0 and highest < 1.0:
                score = right[column, i] - own_floor * closed[column, i]
                spread = sqrt(left * square / n)
                price = min(max(wealth, LOWEST), 1.0 - LOWEST)
                z = normal_quantile(price)
                bet = (normal(z + (1.0 - own_floor) / spread) - normal(z - worst / spread)) / price
                wealth = max(wealth * (1.0 + min(bet / (1.0 - own_floor + worst), 1.0 / worst) * score), 0.0)
                highest = max(highest, wealth)
                square, n, left = square + score**2, n + 1.0, left - 1
        found[column] = highest
    return found
