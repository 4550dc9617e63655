"""Tests of "what is closed is right often enough": p-values of one threshold, and rules for testing many.

The hypothesis of a threshold is that what it closes is right less often than the floor; a small p-value speaks
against it. With n closed, of which x are right:

    binomial             P(Bin(n, floor) >= x)                              exact; answers right or wrong
    randomized-binomial  P(Bin(n, floor) > x) + u P(Bin(n, floor) = x)      u uniform: nothing lost to whole numbers
    hoeffding-bentkus    min(exp(-n KL(loss, 1 - floor)), e P(Bin(n, 1 - floor) <= ceil(n loss)))
                         loss = 1 - mean, in KL at most 1 - floor; any credits from 0 to 1

    betting              see `floor_betting`: any credits, any dependence within items

They hold given n, whatever n came out, since what a threshold closes is an independent draw from all it would close.
Sources: [clopper1934]; [stevens1950]; [hoeffding1963] and [bentkus2004], joined as in [angelopoulos2021ltt]; the rules
[holm1979] and [wiens2003].
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.special import betainc, rel_entr

Array = np.ndarray
Floor = float | Float64[Array, "thresholds"]
Rule = Literal["fixed-sequence", "bonferroni-holm"]
Tail = Literal["binomial", "randomized-binomial", "hoeffding-bentkus", "betting"]


# ---- one threshold --------------------------------------------------------------------------------------------------
def binomial_p(
    right: Float64[Array, "thresholds"], closed: Int64[Array, "thresholds"], floor: Floor
) -> Float64[Array, "thresholds"]:
    """P(Bin(closed, floor) >= right), from 0 to 1; 1 where nothing is closed [clopper1934].

    >>> binomial_p(np.array([2.0, 0.0]), np.array([2, 0]), 0.9).round(2).tolist()
    [0.81, 1.0]
    """
    tail = betainc(np.maximum(right, 1.0), closed - right + 1.0, floor)
    return np.where(right > 0, tail, 1.0)


def randomized_binomial_p(
    right: Float64[Array, "thresholds"], closed: Int64[Array, "thresholds"], floor: Floor, coin: float
) -> Float64[Array, "thresholds"]:
    """Uniform at the floor where coin is uniform on 0 to 1, never above the `binomial_p` [stevens1950].

    One coin for all thresholds, so that their p-values rise and fall together.

    >>> randomized_binomial_p(np.array([2.0, 0.0]), np.array([2, 0]), 0.9, 0.5).round(3).tolist()
    [0.405, 1.0]
    """
    more = np.where(right < closed, binomial_p(np.minimum(right + 1.0, closed), closed, floor), 0.0)
    return np.where(closed > 0, more + coin * (binomial_p(right, closed, floor) - more), 1.0)


def hoeffding_bentkus_p(
    mean: Float64[Array, "thresholds"], n: Int64[Array, "thresholds"], floor: Floor
) -> Float64[Array, "thresholds"]:
    """The p-value of a mean of n independent credits from 0 to 1, at most 1 [hoeffding1963, bentkus2004].

    >>> hoeffding_bentkus_p(np.array([1.0, 0.8]), np.array([50, 50]), 0.9).round(4).tolist()
    [0.0052, 1.0]
    """
    worst = 1.0 - floor
    loss = np.minimum(1.0 - mean, worst)
    hoeffding = np.exp(-n * (rel_entr(loss, worst) + rel_entr(1.0 - loss, floor)))
    lost = np.ceil(n * (1.0 - mean) - 1e-9)  # 3.0000000000000004 losses are 3
    bentkus = np.where(lost < n, np.e * betainc(np.maximum(n - lost, 1.0), lost + 1.0, floor), 1.0)
    return np.minimum(np.minimum(hoeffding, bentkus), 1.0)


# ---- many thresholds ------------------------------------------------------------------------------------------------
def rejected(
    p_values: Float64[Array, "thresholds"], weights: Float64[Array, "thresholds"], delta: float, rule: Rule
) -> Bool[Array, "thresholds"]:
    """The hypotheses that are rejected; with probability at most delta is a true one among them.

    weights: how much of delta each hypothesis has to begin with, fixed beforehand, in all at most 1.
    """
    return (_in_sequence if rule == "fixed-sequence" else _by_holm)(p_values, weights * delta)


def _in_sequence(
    p_values: Float64[Array, "thresholds"], own: Float64[Array, "thresholds"]
) -> Bool[Array, "thresholds"]:
    """One after the other: who is rejected hands its level on to the next [wiens2003].

    With all of delta on the first it is plain fixed-sequence testing; with several starts a stop is not the end.
    """
    found = np.zeros(len(p_values), bool)
    level = 0.0
    for each, p_value in enumerate(p_values):
        level += own[each]
        found[each] = p_value <= level and level > 0
        level = level if found[each] else 0.0
    return found


def _by_holm(p_values: Float64[Array, "thresholds"], own: Float64[Array, "thresholds"]) -> Bool[Array, "thresholds"]:
    """The smallest p per level first; what is rejected leaves its level to all that are left [holm1979]."""
    found = np.zeros(len(p_values), bool)
    heavy = np.flatnonzero(own > 0)
    order = heavy[np.argsort(p_values[heavy] / own[heavy], kind="stable")]
    left = own[order][::-1].cumsum()[::-1]
    passed = p_values[order] * left <= own[order] * own.sum()
    found[order[np.cumprod(passed).astype(bool)]] = True
    return found
