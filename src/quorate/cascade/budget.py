"""The cost weight that a budget asks for: trees along the hull of right answers over cost, one search each.

The worth of the best tree is convex and piecewise linear in the cost weight λ, so its cost falls as λ rises. Between a
tree within the budget and one above it, the λ at which both are worth the same finds a tree between them, or shows that
there is none on the hull [everett1963].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.cascade.tree import Node, Worth, worth
from quorate.errors import SettingError

Array = np.ndarray
MOST_SEARCHES = 40
SAME = 1e-9
WORTHLESS = 2e-4  # of right answers: the search for more ends


class Found(NamedTuple):
    """A tree and the cost weight it is best for."""

    tree: Node
    weight: float
    worth: Worth


def within(grow: Callable[[float], Node], prices: Float64[Array, "agents"], budget: float) -> Found:
    """The tree of most right answers on the hull that costs at most `budget` per item.

    Raises SettingError where not even the cheapest agent is within it.
    """
    cheapest = float(prices.min())
    if budget < cheapest * (1 - SAME):
        raise SettingError(f"a budget of {budget:g} per item is less than the cheapest call costs, {cheapest:g}")

    def at(weight: float) -> Found:
        tree = grow(weight)
        return Found(tree, weight, worth(tree, prices))

    above = at(0.0)
    if above.worth.cost <= budget * (1 + SAME) + SAME:
        return above
    below = at(_dear(prices))
    for _ in range(MOST_SEARCHES):
        if above.worth.right - below.worth.right < WORTHLESS:
            break
        weight = (above.worth.right - below.worth.right) / (above.worth.cost - below.worth.cost)
        if not below.weight > weight > above.weight:
            break
        middle = at(weight)
        gain = middle.worth.right - below.worth.right - weight * (middle.worth.cost - below.worth.cost)
        if gain <= SAME:
            break
        if middle.worth.cost <= budget * (1 + SAME):
            below = middle
        else:
            above = middle
    return below


def _dear(prices: Float64[Array, "agents"]) -> float:
    """A cost weight at which no second call pays: the smallest difference of prices is worth every answer."""
    steps = np.diff(np.unique(np.append(prices, 0.0)))
    return float(2.0 / steps.min())
