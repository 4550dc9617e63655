"""Bets against a claim: lower bounds that hold their level for every sample size and every distribution.

To show E[h] > 0 of bounded values h >= low, money is staked against E[h] <= 0: e = Π_i (1 + λ_i h_i), where λ_i looks
at earlier values only and 0 <= λ_i < 1/|low|. While the claim is false the money is expected not to grow, so that
P(e >= 1/level) <= level [ville1939, waudbysmith2024, grunwald2024]. A mean of such e over orders of the items is one
again, whatever joins them, and takes the luck of one order away [vovk2021].
Kappa is no mean, yet "kappa > t" says E[(1 - t) · chance disagreement - disagreement] > 0, and chance disagreement is a
mean over two independent items: blocks of items give values h, and no limit theorem is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import betaincinv, logsumexp

Array = np.ndarray

ORDERS = 64  # of the items; the level holds for one as for many
MOST_STAKED = 0.75  # of the money, on one value


class Claim(NamedTuple):
    """A number is above t: E[part - t · unit] > 0, of values from `low(t)` to `high(t)`, in blocks of items."""

    part: Float64[Array, "orders blocks"]
    unit: Float64[Array, "orders blocks"]
    low: Callable[[float], float]
    high: Callable[[float], float]


def orders(n_items: int, block: int, rng: np.random.Generator) -> Int64[Array, "orders blocks block"]:
    """The items in random orders, cut into blocks; what is left over is left out."""
    n_blocks = n_items // block
    place = rng.permuted(np.tile(np.arange(n_items), (ORDERS, 1)), axis=1)
    return place[:, : n_blocks * block].reshape(ORDERS, n_blocks, block)


def log_e(claim: Claim, above: float, level: float, need: float | None = None) -> float:
    """Log of the evidence that the number is above `above`, in nats; above log(1/level) it is shown.

    Stakes are λ_i = sqrt(2 log(1/level) / (n v_i)) with v_i the variance so far [waudbysmith2024, section 3]. They are
    set for the claim at `need`, whatever else is asked, so that the evidence falls as `above` rises.
    """
    n, low = claim.part.shape[1], claim.low(above)
    if n == 0:
        return 0.0
    if low >= 0:  # nothing can be lost: the claim is true of every value
        return np.inf if claim.high(above) > low else 0.0
    at = above if need is None else need
    variance = _variance_so_far(claim.part - at * claim.unit, claim.high(at) - claim.low(at))
    stake = np.minimum(np.sqrt(2 * math.log(1 / level) / (n * variance)), MOST_STAKED / -low)
    money = np.log1p(stake * (claim.part - above * claim.unit)).sum(axis=1)
    return float(logsumexp(money) - math.log(len(money)))


def _variance_so_far(values: Float64[Array, "orders blocks"], span: float) -> Float64[Array, "orders blocks"]:
    """The variance of the values before each; at first that of a value that lies anywhere in its range."""
    before, count = np.cumsum(values, axis=1) - values, np.arange(values.shape[1])
    squares = np.cumsum(values**2, axis=1) - values**2
    spread = np.maximum(squares - before**2 / np.maximum(count, 1), 0.0)
    return (span**2 / 12 + spread) / (count + 1)


def shown_above(claim: Claim, above: float, level: float, need: float) -> bool:
    """Whether the bets show that the number is above `above`."""
    return log_e(claim, above, level, need) >= math.log(1 / level)


def share_bound(successes: float, n: int, level: float) -> float:
    """The exact lower bound of a share from independent answers, each right or wrong [clopper1934].

    >>> round(share_bound(10.0, 10, 0.05), 3)
    0.741
    """
    return float(betaincinv(successes, n - successes + 1, level)) if successes > 0 else 0.0
