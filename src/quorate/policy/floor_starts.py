"""Where testing in sequence begins, and with how much of the risk: fixed by how many item-tasks thresholds close.

Too strict a start closes too few to prove anything; too loose a one closes what is wrong. What can be said beforehand
is how many must close for a test to forgive k wrong answers: lambda / (1 - floor), with lambda wrong expected at the
floor, where P(Poisson(lambda) <= k) is the level. The first start forgives FIRST, which is enough where the surest are
the rightest. A second start, far enough down to forgive SECOND, stands by for sureness that misleads at the top. It
has half of the risk, unless it would close nearly all: a floor that so few items can barely show gets one start, with
all of the risk. A sequence that ends begins anew at the second start; one that does not end brings its own risk along
[wiens2003].
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from scipy.special import gammainccinv

Array = np.ndarray

FIRST, SECOND = 2, 16  # wrong answers forgiven
FIRST_LATEST = 0.5  # share closed at which the first start is; where that is too little, it forgives fewer
SECOND_EARLIEST, SECOND_LATEST = 0.35, 0.6
SECOND_RISK = 0.5


def starts(share: Float64[Array, "thresholds"], n: int, floor: float, delta: float) -> Float64[Array, "thresholds"]:
    """The share of delta with which each threshold begins; in all 1.

    share: of the item-tasks that each closes, strictest first, told without the items under test; n: items of these.

    >>> starts(np.linspace(0.1, 1.0, 10), 1000, 0.95, 0.1).round(2).tolist()
    [0.0, 0.5, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    expected = n * (1.0 - floor)  # wrong answers at the floor if all closed
    second = max(_for_forgiving(SECOND, SECOND_RISK * delta) / expected, SECOND_EARLIEST)
    own = np.array([1.0 - SECOND_RISK, SECOND_RISK]) if second <= SECOND_LATEST else np.ones(1)
    needed = [_for_forgiving(k, own[0] * delta) / expected for k in range(FIRST, -1, -1)]
    first = next((each for each in needed if each <= FIRST_LATEST), needed[-1])
    at = np.minimum(np.searchsorted(share, np.array([first, second])[: len(own)] - 1e-9), len(share) - 1)
    return np.bincount(at, own, len(share))


def _for_forgiving(k: int, level: float) -> float:
    """The mean of a Poisson count that is at most k with this probability."""
    return float(gammainccinv(k + 1, level))
