"""Lower bounds of a judge's figures, in one of two ways.

*studentized*: a figure above t is a mean above 0. For kappa, (1 - t) · chance disagreement - disagreement is a
U-statistic, and its projection on single items has a variance that can be told [hoeffding1948]; Student's quantile then
bounds the mean. Tested is the linear statement, not the ratio, so that a small denominator does no harm, and
`CHANCE_ITEMS` items that are graded by mere chance are added, as Agresti and Coull add failures: thirty items without a
fault do not prove that faults are unknown [agresti1998]. It keeps its level in simulation, from 30 items on and with
skewed classes too (benchmarks/gate.py).
*exact*: bets (see `bets`), for every number of items and every distribution; it asks for several times as many items.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy.special import stdtrit

from quorate.judge.bets import Claim, shown_above

Array = np.ndarray
Proof = Literal["studentized", "exact"]

CHANCE_ITEMS = 2
STEPS = 24  # of the bisection: the range over 16 million


class Linear(NamedTuple):
    """A number is above t: the mean of part - t · unit over items is above 0."""

    part: Float64[Array, "items"]
    unit: Float64[Array, "items"]


def linear(part: Float64[Array, "items"], unit: Float64[Array, "items"], by_chance: tuple[float, float]) -> Linear:
    """The items, and those graded by chance, whose part and unit are given."""
    part_of_chance, unit_of_chance = by_chance
    more = np.ones(CHANCE_ITEMS)
    return Linear(np.append(part, part_of_chance * more), np.append(unit, unit_of_chance * more))


def lower_bound(claim: Claim | Linear, level: float, span: tuple[float, float], need: float) -> tuple[float, bool]:
    """The largest number in `span` that the claim is shown above, and whether that reaches `need`."""
    passed = _shown(claim, need, level, need)
    low, high = (max(need, span[0]), span[1]) if passed else (span[0], min(need, span[1]))
    for _ in range(STEPS if low < high else 0):
        middle = (low + high) / 2
        low, high = (middle, high) if _shown(claim, middle, level, need) else (low, middle)
    return low, passed


def _shown(claim: Claim | Linear, above: float, level: float, need: float) -> bool:
    if isinstance(claim, Claim):
        return shown_above(claim, above, level, need)
    values = claim.part - above * claim.unit
    n = len(values)
    if n < 2 + CHANCE_ITEMS:
        return False
    reach = float(stdtrit(n - 1, 1 - level)) * float(values.std(ddof=1)) / n**0.5
    return float(values.mean()) > reach
