"""How many graded gate items would show what a gate asks for, if what was found of the judge so far holds.

The gate items are drawn again with replacement, so many as are asked about, and each time the gate's own test is made:
the number is the least at which it passes with the stated power. Items, people per item and level are as they are now.
Instead of drawing weights (see `bounds`), the probability that a sum of values with exponential weights is below 0 is
taken from the saddle point of its cumulant K(t) = -Σ log(1 - t z) [lugannani1980], which costs a thousandth.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.special import ndtr, ndtri, stdtrit

from quorate.errors import SettingError
from quorate.judge.bets import Claim, shown_above
from quorate.judge.bounds import Linear, Proof
from quorate.judge.questions import Question

Array = np.ndarray
POWER = 0.8
DRAWS = {"weights": 200, "student": 200, "exact": 60}
DRAWS_SEED = 13  # fixed: asking again says the same
FEWEST, MOST = 8, 1_000_000
FIRST = 400  # items that are tried first, at most
MOST_DRAWN = 2_000  # items; beyond it power grows as a normal value does
NEAR = 1.04  # of the number: as near as its own error allows
STEPS = 28  # halvings: the saddle point to eight digits


def enough_items(one: Question, level: float, proof: Proof = "weights", *, power: float = POWER) -> int | None:
    """Gate items that show the claim with this power, if the estimate holds, to two digits; None where none would.

    Raises SettingError for a power outside (0, 1).
    """
    if not 0 < power < 1:
        raise SettingError(f"power must lie between 0 and 1, not {power}")
    if one.estimate is None or not _holds(one):
        return None
    low, high = FEWEST, min(max(2 * FEWEST, len(one.of.own)), FIRST)
    found = power_of(one, high, level, proof)
    while found < power:
        low, high = high, 2 * high
        if high > MOST:
            return None
        if high > MOST_DRAWN:
            return _further(low, found, level, power)
        found = power_of(one, high, level, proof)
    while high > NEAR * low and high > low + 1:
        middle = round(math.sqrt(low * high))
        low, high = (low, middle) if power_of(one, middle, level, proof) >= power else (middle, high)
    return _two_digits(high)


def power_of(one: Question, n_items: int, level: float, proof: Proof = "weights") -> float:
    """P(the claim is shown by so many gate items like these)."""
    rng = np.random.default_rng(DRAWS_SEED)
    drawn = rng.integers(len(one.of.own), size=(DRAWS[proof], max(n_items, MOST_DRAWN)))[:, :n_items]  # nested
    passed = np.ones(len(drawn), bool)
    if proof == "exact":
        return float(np.mean([_by_bets(one, place, level, rng) for place in drawn]))
    for values in _values(one, drawn, rng):
        passed &= _by_student(values, level) if proof == "student" else below_zero(values) < level
    return float(passed.mean())


def below_zero(values: Float64[Array, "draws items"]) -> Float64[Array, "draws"]:
    """P(Σ E z < 0) of every row z, with E independent and standard exponential [lugannani1980].

    >>> bool(abs(below_zero(np.array([[3.0, -1.0]]))[0] - 0.25) < 0.03)
    True
    """
    lowest, highest = values.min(axis=1), values.max(axis=1)
    found = np.where(lowest >= 0, 0.0, 1.0)
    mixed = np.flatnonzero((lowest < 0) & (highest > 0) & (values.sum(axis=1) > 0))
    z = values[mixed]
    low, high = 1 / lowest[mixed], np.zeros(len(mixed))  # the mean is above 0, so the saddle point is below
    for _ in range(STEPS):
        middle = (low + high) / 2
        rises = (z / (1 - middle[:, None] * z)).sum(axis=1) > 0
        low, high = np.where(rises, low, middle), np.where(rises, middle, high)
    at = (low + high) / 2
    factor = 1 - at[:, None] * z
    w = -np.sqrt(np.maximum(2 * np.log(factor).sum(axis=1), 1e-300))
    u = at * np.sqrt(((z / factor) ** 2).sum(axis=1))
    tail = ndtr(w) + np.exp(-(w**2) / 2) / math.sqrt(2 * math.pi) * (1 / w - 1 / u)
    found[mixed] = np.clip(tail, 0.0, 0.5)
    return found


# ---- one drawing ----------------------------------------------------------------------------------------------------
def _values(
    one: Question, drawn: Int64[Array, "draws items"], rng: np.random.Generator
) -> list[Float64[Array, "draws values"]]:
    """Part - need · unit of every claim and drawing, with the worst there can be; short rows are filled with zeros."""
    rows = [[_at(claim, one.above) for claim in one.claims(one.of.select(place), rng)] for place in drawn]
    return [_filled([row[at] for row in rows]) for at in range(len(rows[0]))]


def _at(claim: Claim | Linear, above: float) -> Float64[Array, "values"]:
    assert isinstance(claim, Linear)
    return claim.part - above * claim.unit


def _filled(rows: list[Float64[Array, "values"]]) -> Float64[Array, "draws values"]:
    """A value of 0 adds nothing to a sum; the last place stays the worst."""
    longest = max(map(len, rows))
    return np.stack([np.concatenate([np.zeros(longest - len(row)), row]) for row in rows])


def _by_student(values: Float64[Array, "draws values"], level: float) -> Bool[Array, "draws"]:
    n = np.maximum((values[:, :-1] != 0).sum(axis=1), 2)
    total, squares = values[:, :-1].sum(axis=1), (values[:, :-1] ** 2).sum(axis=1)
    spread = np.maximum(squares - total**2 / n, 0.0) / (n - 1)
    return total / n > stdtrit(n - 1, 1 - level) * np.sqrt(spread / n)


def _by_bets(one: Question, place: Int64[Array, "items"], level: float, rng: np.random.Generator) -> bool:
    made = one.claims(one.of.select(place), rng)
    return all(isinstance(each, Claim) and shown_above(each, one.above, level, one.above) for each in made)


# ---- many items -----------------------------------------------------------------------------------------------------
def _holds(one: Question) -> bool:
    """Whether the estimate itself is better than what is needed."""
    assert one.estimate is not None
    sign = math.copysign(1.0, one.unit[1])
    return sign * (one.estimate - one.need) > 0


def _further(n_items: int, found: float, level: float, power: float) -> int | None:
    """From the power at so many items: a normal value's distance grows with the root of their number."""
    least = 0.5 / DRAWS["weights"]
    distance = (ndtri(max(found, least)) - ndtri(level)) / math.sqrt(n_items)
    if distance <= 0:
        return None
    needed = ((ndtri(power) - ndtri(level)) / distance) ** 2
    return _two_digits(math.ceil(needed)) if needed <= MOST else None


def _two_digits(n: int) -> int:
    """Rounded up.

    >>> _two_digits(8), _two_digits(231), _two_digits(1_201)
    (8, 240, 1300)
    """
    step = 10 ** max(math.floor(math.log10(max(n, 1))) - 1, 0)
    return math.ceil(n / step) * step
