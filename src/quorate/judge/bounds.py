"""Lower bounds of a judge's figures, in one of three ways.

*weights*: a figure above t is a mean above 0. For kappa, (1 - t) · chance disagreement - disagreement is a
U-statistic, and its projection on single items is a mean [hoeffding1948]; tested is this linear statement, not the
ratio, so that a small denominator does no harm. To the n values comes the worst one that there can be, and all get
random weights that are uniform on the simplex; the bound is the level's quantile of the weighted mean [gaffke2005]. For
answers that are right or wrong this is the exact binomial bound [clopper1934]; for other bounded values no case is
known in which it fails, and no proof that there is none [learnedmiller2019]. For kappas the projection is estimated, so
their level rests on simulation: benchmarks/gate.py.
*student*: the same values without the worst one, and Student's quantile. It shows more from as many items, and breaks
its level where faults are rare: thirty items without a fault do not prove that faults are unknown. Where
classes are skewed 95 to 5 it lets through several times its level of bad judges, and no number of items is given from
which it can be trusted (benchmarks/gate.py --proof student).
*exact*: bets (see `bets`), proved for every number of items and every distribution; it asks for more items.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy.special import stdtrit

from quorate.judge.bets import Claim, shown_above

Array = np.ndarray
Proof = Literal["weights", "exact", "student"]

STEPS = 24  # of the bisection: the range over 16 million
FEWEST_DRAWS, DRAWS_BELOW = 8_000, 200  # of weights: as many that this many lie below the level
BLOCK_ENTRIES = 2**21
WEIGHTS_SEED = 11  # fixed, or asking again would be another try


class Linear(NamedTuple):
    """A number is above t: the mean of part - t · unit over items is above 0; the last place is the worst case."""

    part: Float64[Array, "items"]
    unit: Float64[Array, "items"]


def linear(part: Float64[Array, "items"], unit: Float64[Array, "items"], worst: tuple[float, float]) -> Linear:
    """The items, and the worst that there can be, whose part and unit are given."""
    return Linear(np.append(part, worst[0]), np.append(unit, worst[1]))


def lower_bound(
    claim: Claim | Linear, level: float, span: tuple[float, float], need: float, proof: Proof = "weights"
) -> tuple[float, bool]:
    """The largest number in `span` that the claim is shown above, and whether that is above `need`.

    The number itself is below this bound with at most the probability `level`.
    """
    if isinstance(claim, Linear) and proof != "student":
        bound = weighted_bounds([claim], level)[0]
        return min(max(bound, span[0]), span[1]), bound > need
    passed = _shown(claim, need, level, need)
    low, high = (max(need, span[0]), span[1]) if passed else (span[0], min(need, span[1]))
    for _ in range(STEPS if low < high else 0):
        middle = (low + high) / 2
        low, high = (middle, high) if _shown(claim, middle, level, need) else (low, middle)
    return low, passed


def _shown(claim: Claim | Linear, above: float, level: float, need: float) -> bool:
    if isinstance(claim, Claim):
        return shown_above(claim, above, level, need)
    values = (claim.part - above * claim.unit)[:-1]
    n = len(values)
    if n < 2:
        return False
    return float(values.mean()) > float(stdtrit(n - 1, 1 - level)) * float(values.std(ddof=1)) / n**0.5


def weighted_bounds(claims: Sequence[Linear], level: float) -> list[float]:
    """Lower bounds by random weights of many numbers of the same items, each at the level, which share their weights.

    The quantile of Σ w part / Σ w unit; -inf where a denominator is not above 0 [gaffke2005].
    """
    n_draws = max(FEWEST_DRAWS, math.ceil(DRAWS_BELOW / level))
    both = np.column_stack([column for claim in claims for column in claim])
    sums = np.vstack([weights @ both for weights in _weights(len(both), n_draws)])
    part, unit = sums[:, ::2], sums[:, 1::2]
    known = unit > 0
    roots = np.where(known, part / np.where(known, unit, 1.0), -np.inf)
    place = int(level * n_draws)
    return np.partition(roots, place, axis=0)[place].tolist()


def _weights(n: int, n_draws: int) -> Iterator[Float64[Array, "draws items"]]:
    """Uniform on the simplex, up to their sum, which a ratio does not see."""
    rng = np.random.default_rng(WEIGHTS_SEED)
    block = max(1, BLOCK_ENTRIES // n)
    for start in range(0, n_draws, block):
        yield rng.standard_exponential((min(block, n_draws - start), n))
