"""How much can be proven at all: a ceiling on what any procedure that keeps its promise saves on average.

`certify` promises P(the chosen threshold breaks the floor) <= delta under every law of the items. Let W be the law at
hand, and W' one under which threshold k and all looser ones break the floor. To choose one of these has a probability
of at most delta under W', so that under W it has at most the power of the best test of W' against W at level delta
[neyman1933]. The W' that is hardest to tell from W is the nearest one,

    W'(item) ~ W(item) exp(-sum_j theta_j x_j(item)),   theta >= 0 on thresholds j >= k,   x_j = right - floor closed

with theta such that no mean of x_j, j >= k, is above 0 (the information projection [csiszar1975]), and the best test
sums theta . x over the items. With power_k, and s_k what threshold k saves, any procedure saves on average at most

    sum_k (s_k - s_(k-1)) min_(j <= k) power_j      up to the oracle's threshold, the loosest that holds under W

where a broken floor counts as no more than the oracle saves. No procedure need reach it: it takes all of the risk at
every threshold, knows W, and does not reckon with items that fail in all their tasks but were never seen.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.errors import SettingError

Array = np.ndarray
NEARLY = 1e-7  # mean scores up to it are not above 0
DIGITS = 9  # to which sums of scores are told apart


class Law(NamedTuple):
    """How items are drawn: kinds of items, thresholds strictest first."""

    chance: Float64[Array, "kinds"]  # sums to 1
    score: Float64[Array, "kinds thresholds"]  # right - floor closed, of the item-tasks that a threshold closes
    saved: Float64[Array, "thresholds"]  # what it saves on average, in any unit; rising


def ceiling(law: Law, n: int, delta: float, *, draws: int = 10_000, seed: int = 0) -> float:
    """The largest share of the oracle's saving that can be proven on n items; simulated on `draws` samples.

    Raises SettingError where every threshold breaks the floor, so that there is nothing to prove.

    >>> wrong = np.array([[-0.9], [0.1]])  # one threshold that closes all; right in 95 % of all cases, floor 90 %
    >>> round(ceiling(Law(np.array([0.05, 0.95]), wrong, np.ones(1)), 100, 0.1), 1)
    0.7
    """
    holds = np.flatnonzero(law.chance @ law.score >= 0)
    if not len(holds):
        raise SettingError("no threshold holds the floor, so that there is nothing to prove")
    oracle = int(holds[-1])
    rng = np.random.default_rng(seed)
    theta = np.zeros(len(law.saved))
    power = np.empty(oracle + 1)
    for k in range(oracle + 1):
        theta = _nearest(law, k, theta)
        power[k] = _power(law, theta, n, delta, draws, rng)
    gained = np.diff(law.saved[: oracle + 1], prepend=0.0)
    return float(gained @ np.minimum.accumulate(power) / law.saved[oracle])


def _nearest(law: Law, first: int, start: Float64[Array, "thresholds"]) -> Float64[Array, "thresholds"]:
    """The tilt of the nearest law under which all thresholds from `first` on break the floor.

    Thresholds join, most above 0 first, until none is above 0. start: the tilt of a threshold close by.
    """
    theta = np.where(np.arange(len(start)) >= first, start, 0.0)
    joined = [int(each) for each in np.flatnonzero(theta)] or [first]
    for _ in range(len(theta)):
        theta[joined] = _tilt(law.chance, law.score[:, joined], theta[joined])
        mean = _tilted(law, theta) @ law.score
        mean[:first] = -np.inf
        worst = int(mean.argmax())
        if mean[worst] <= NEARLY or worst in joined:
            break
        joined.append(worst)
    return theta


def _tilt(
    chance: Float64[Array, "kinds"], score: Float64[Array, "kinds joined"], start: Float64[Array, "joined"]
) -> Float64[Array, "joined"]:
    """Minimizes log E exp(-theta . x), the dual of the projection."""
    from scipy.optimize import minimize  # heavy

    def value(theta: Float64[Array, "joined"]) -> tuple[float, Float64[Array, "joined"]]:
        exponent = -score @ theta
        weight = chance * np.exp(exponent - exponent.max())
        return float(exponent.max() + np.log(weight.sum())), -(weight @ score) / weight.sum()

    options = {"ftol": 1e-14, "gtol": 1e-9}
    return minimize(value, start, jac=True, bounds=[(0, None)] * len(start), method="L-BFGS-B", options=options).x


def _tilted(law: Law, theta: Float64[Array, "thresholds"]) -> Float64[Array, "kinds"]:
    exponent = -law.score @ theta
    weight = law.chance * np.exp(exponent - exponent.max())
    return weight / weight.sum()


def _power(
    law: Law, theta: Float64[Array, "thresholds"], n: int, delta: float, draws: int, rng: np.random.Generator
) -> float:
    """Of the best test of the tilted law against the law, a tie at its limit decided by a coin."""
    value, kind = np.unique(np.round(law.score @ theta, DIGITS), return_inverse=True)
    under = [
        np.round(rng.multinomial(n, np.bincount(kind, chance), draws) @ value, DIGITS - 3)
        for chance in (law.chance, _tilted(law, theta))
    ]
    limit = np.quantile(under[1], 1.0 - delta, method="higher")
    above, at = (under[1] > limit).mean(), (under[1] == limit).mean()
    coin = (delta - above) / at
    return float((under[0] > limit).mean() + coin * (under[0] == limit).mean())
