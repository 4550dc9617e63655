"""A test of a floor by betting, for items of several tasks: capital that can hardly grow unless the floor holds.

A gambler with capital 1 meets the items one by one. Of item i a threshold closes k_i tasks, of which r_i are right; the
bet b_i is laid before i is seen:

    capital = prod_i (1 + b_i (r_i - floor k_i)),  0 <= b_i <= 1 / (floor T),  T the most tasks of an item

Where the closed answers are right less often than the floor, r_i - floor k_i has a mean of at most 0, so capital is a
nonnegative supermartingale, P(it ever reaches 1 / u) <= u, and 1 / (its maximum) is a p-value: for any n, any
dependence between the tasks of an item, any bets [waudbysmith2024]. The bets decide the power only. They aim at
1 / level after the last item, and at nothing beyond, by what is left to gain and the items that are left
[voracek2025]. Were the sum of the scores to come normal with mean 0 and variance V, then

    level * capital = Phi(z)

would be the fair price of a ticket that pays 1 where the normal test of this level rejects, so that the bet which
keeps pace with it makes the test by betting as strong as that one. It is the ticket's slope between the next answer
being right and the next item being all wrong, so that no single item ruins:

    b = (Phi(z + (1 - floor) / s) - Phi(z - floor T / s)) / (1 - floor + floor T) / Phi(z),   s = sqrt(V)

V is the number of items left that close anything (known at no cost: the scores of these are independent draws too)
times the mean square of the scores so far. That all tasks of an item fail at once, in items too rare to have been seen,
can be ruled out by the number of items only, however many tasks they have: this is what the limit of b_i costs, and no
valid test is spared it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64

from quorate.policy.floor_kernels import highest_wealth

Array = np.ndarray


def betting_p(
    closed: Float32[Array, "items columns"],
    right: Float32[Array, "items columns"],
    floor: Float64[Array, "columns"],
    most: int,
    level: Float64[Array, "columns"],
    expected: Float64[Array, "columns"],
) -> Float64[Array, "columns"]:
    """P-values of columns, each a threshold with a floor; items in the order in which they are bet on.

    most: tasks of an item; level: at which the p-value will be tested; expected: closed tasks of an item that closes
    any, as far as can be said without these data. The last two may be wrong at the price of power alone.

    >>> ones = np.ones((100, 1), np.float32)
    >>> betting_p(ones, ones, np.array([0.95]), 1, np.array([0.1]), np.ones(1)).round(3).tolist()
    [0.1]
    """
    by_column = np.ascontiguousarray(closed.T, np.float64), np.ascontiguousarray(right.T, np.float64)
    highest = highest_wealth(by_column[0], by_column[1], floor, most, level, expected)
    return np.minimum(level / highest, 1.0)
