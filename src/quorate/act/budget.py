"""Which machine labels people review: chances from estimated error probabilities, that never cost more than the budget.

With estimated error probabilities ε_i and a budget of B reviews, rules give each item its inclusion probability π_i:

    normalization   π_i = min(1, c ε_i)                           [lin2025act], section 2; [zrnic2024]
    exponential     π_i = 1 / (1 + exp(-β (ε_i - α)))             [lin2025act], section 2
    thresholding    1 above τ, 0 below, ties at τ alike           [lin2025act], section 2
    optimal         π_i = min(1, c √(ε_i m_i))                    ours: [neyman1934] under equation 9 of [lin2025act]

c, α and τ are such that Σ π_i = B; what the cap at 1 cuts off goes to the items below it, in proportion. The optimal
rule minimizes the variance that review adds to the loss, Σ E[(ℓ_i - ℓ^m_i)²] (1/π_i - 1), where a right label adds
nothing and a wrong one m_i, the mean square of the difference of its losses (1 where nothing is known): by Lagrange,
ε_i m_i / π_i² is the same for all items with π_i < 1. The sample has exactly B items and each item exactly its chance:
systematic draws in random order [madow1949]. The chances are kept with it: who trains on the labels needs them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64
from scipy.optimize import brentq
from scipy.special import expit, logit

from quorate.errors import SettingError

Array = np.ndarray
Rule = Literal["normalization", "exponential", "thresholding", "optimal"]
RULES: tuple[Rule, ...] = ("normalization", "exponential", "thresholding", "optimal")
Budget = int | float  # reviews, or a share of the items
BETA = 100.0  # sharpness of the exponential rule; the source takes 10 or 100
CERTAIN = 1.0 - 1e-12
ROUNDING = 1e-9


class Sample(NamedTuple):
    """Which items are reviewed, and the chance that each had."""

    rule: Rule
    budget: int  # reviews
    inclusion: Float64[Array, "items"]
    reviewed: Bool[Array, "items"]

    def correction(self, *, truncated: bool = False) -> Float64[Array, "items"]:
        """What each human label weighs in the ACT loss; 0 where there is none."""
        return correction(self.reviewed, self.inclusion, self.rule, truncated=truncated)

    def table(self, items: Sequence[str]) -> pa.Table:
        """item, inclusion, reviewed; one row per item."""
        return pa.table({"item": pa.array(items, pa.string()), "inclusion": self.inclusion, "reviewed": self.reviewed})


def sample(
    errors: Float64[Array, "items"],
    budget: Budget,
    rule: Rule = "thresholding",
    *,
    rng: np.random.Generator,
    beta: float = BETA,
    moments: Float64[Array, "items"] | None = None,
    even: float = 0.0,
) -> Sample:
    """Exactly `budget` items to review, drawn with the chances of `inclusion`.

    >>> drawn = sample(np.array([0.9, 0.1, 0.5, 0.1]), 2, rng=np.random.default_rng(0))
    >>> drawn.reviewed.tolist(), drawn.budget
    ([True, False, True, False], 2)
    """
    chance = inclusion(errors, budget, rule, beta=beta, moments=moments, even=even)
    return Sample(rule, reviews(budget, len(errors)), chance, fixed_size(chance, rng))


def reviews(budget: Budget, n_items: int) -> int:
    """A budget as a number of reviews: a whole number is one, a fraction below 1 is a share of the items, ⌊b N⌋.

    1 is one review and 1.0 all items. Raises SettingError for a budget that is negative, or more than there are items.

    >>> reviews(30, 100), reviews(0.29, 100), reviews(1, 100), reviews(1.0, 100)
    (30, 29, 1, 100)
    """
    if isinstance(budget, float) and 0.0 <= budget <= 1.0:
        return math.floor(budget * n_items + ROUNDING)
    if isinstance(budget, bool) or not (math.isfinite(budget) and budget == int(budget) and 0 <= budget <= n_items):
        raise SettingError(
            f"budget {budget}: give a number of reviews from 0 to {n_items:,}, or a share from 0.0 to 1.0"
        )
    return int(budget)


def correction(
    reviewed: Bool[Array, "items"], inclusion: Float64[Array, "items"], rule: Rule, *, truncated: bool = False
) -> Float64[Array, "items"]:
    """What each human label weighs in the ACT loss: δ_i / π_i, by thresholds δ_i [lin2025act], equations 21 to 23.

    truncated: no weight exceeds √N [ionides2008], so that one label of an item with hardly a chance cannot outweigh all
    others; the loss is then no longer unbiased, by little where such items are few. Raises SettingError for an item
    that was reviewed without a chance.

    >>> correction(np.array([True, False]), np.array([0.5, 0.5]), "optimal").tolist()
    [2.0, 0.0]
    """
    strange = np.flatnonzero(reviewed & ~((inclusion > 0) & (inclusion <= 1)))
    if len(strange):
        raise SettingError(f"item {strange[0]} (from 0) was reviewed with a chance of {inclusion[strange[0]]}")
    chance = np.ones_like(inclusion) if rule == "thresholding" else inclusion
    weight = np.where(reviewed, 1.0 / np.where(reviewed, chance, 1.0), 0.0)
    return np.minimum(weight, max(len(weight), 1) ** 0.5) if truncated else weight


# ---- chances --------------------------------------------------------------------------------------------------------
def inclusion(
    errors: Float64[Array, "items"],
    budget: Budget,
    rule: Rule = "thresholding",
    *,
    beta: float = BETA,
    moments: Float64[Array, "items"] | None = None,
    even: float = 0.0,
) -> Float64[Array, "items"]:
    """The chance of each item to be reviewed; they add up to the budget.

    beta: sharpness of the exponential rule, at infinity thresholding. moments: m_i of the optimal rule. even: share of
    the budget that is spread over all items alike, so that no item is without a chance, however sure the criticizer.
    Raises SettingError for errors outside [0, 1], an unknown rule or a setting outside its range.

    >>> inclusion(np.array([0.8, 0.2, 0.2, 0.0]), 2, "normalization").tolist()
    [1.0, 0.5, 0.5, 0.0]
    """
    n_reviews = reviews(budget, len(errors))
    _check(errors, moments, beta, even)
    if rule == "normalization":
        chance = proportional(errors, n_reviews)
    elif rule == "exponential":
        chance = _exponential(errors, n_reviews, beta)
    elif rule == "thresholding":
        chance = _thresholding(errors, n_reviews)
    elif rule == "optimal":
        chance = proportional(np.sqrt(errors * (1.0 if moments is None else moments)), n_reviews)
    else:
        raise SettingError(f"there is no sampling rule {rule!r}; use one of {', '.join(RULES)}")
    return (1.0 - even) * chance + even * n_reviews / max(len(errors), 1)


def proportional(mass: Float64[Array, "items"], n: int) -> Float64[Array, "items"]:
    """min(1, c · mass) that adds up to n; where too few items have any mass, the others share the rest alike.

    >>> proportional(np.array([4.0, 1.0, 1.0, 0.0]), 3).tolist()
    [1.0, 1.0, 1.0, 0.0]
    """
    positive = int((mass > 0).sum())
    if n >= positive:
        rest = (n - positive) / max(len(mass) - positive, 1)
        return np.where(mass > 0, 1.0, rest)
    ordered = np.sort(mass)[::-1]
    left = np.cumsum(ordered[::-1])[::-1]  # mass of an item and of all that have less
    certain = int(np.argmax(ordered * (n - np.arange(len(mass))) <= left))  # the first that the cap does not reach
    return np.minimum(mass * ((n - certain) / left[certain]), 1.0) if n else np.zeros(len(mass))


def alpha_of(errors: Float64[Array, "items"], budget: Budget, beta: float = BETA) -> float:
    """The α at which exponential weighting is expected to review as many items as the budget says.

    It may leave [0, 1] where the budget is near none or all. Raises SettingError for a budget of none or all.

    >>> round(alpha_of(np.array([0.2, 0.4, 0.6, 0.8]), 2, beta=10.0), 6)
    0.5
    """
    n = reviews(budget, len(errors))
    if not 0 < n < len(errors):
        raise SettingError(f"of {len(errors)} items, α is finite for 1 to {len(errors) - 1} reviews, not for {n}")
    shift = _shift(errors, n, beta)
    return shift.middle + shift.offset / beta


class _Shift(NamedTuple):
    """α = middle + offset / β: two parts, so that a large β loses no digits."""

    middle: float
    offset: float


def _shift(errors: Array, n: int, beta: float) -> _Shift:
    """The root lies where the largest and the smallest height would give every item the chance n / N."""
    middle = float(np.partition(errors, len(errors) - n)[len(errors) - n])
    heights = beta * (errors - middle)
    even = float(logit(n / len(errors)))
    low, high = float(heights.min()) - even - 1.0, float(heights.max()) - even + 1.0
    found: Any = brentq(lambda t: float(expit(heights - t).sum()) - n, low, high, xtol=1e-14, maxiter=1_000)
    return _Shift(middle, float(found))


def _exponential(errors: Array, n: int, beta: float) -> Float64[Array, "items"]:
    if not 0 < n < len(errors):
        return np.full(len(errors), float(n > 0))
    if math.isinf(beta):
        return _thresholding(errors, n)
    shift = _shift(errors, n, beta)
    return expit(beta * (errors - shift.middle) - shift.offset)


def _thresholding(errors: Array, n: int) -> Float64[Array, "items"]:
    if not 0 < n < len(errors):
        return np.full(len(errors), float(n > 0))
    tau = np.partition(errors, len(errors) - n)[len(errors) - n]
    above, ties = errors > tau, errors == tau
    return np.where(ties, (n - above.sum()) / ties.sum(), above.astype(np.float64))


# ---- draws ----------------------------------------------------------------------------------------------------------
def fixed_size(inclusion: Float64[Array, "items"], rng: np.random.Generator) -> Bool[Array, "items"]:
    """A draw of as many items as the chances add up to, each with exactly its chance [madow1949].

    Items lie end to end in random order, each as long as its chance; those that hold the points u, u + 1, u + 2, ...
    are drawn. Where the sum is no whole number, it is rounded down or up at random.

    >>> int(fixed_size(np.full(10, 0.3), np.random.default_rng(0)).sum())
    3
    """
    drawn = inclusion >= CERTAIN
    order = rng.permutation(np.flatnonzero((inclusion > 0) & ~drawn))
    total = float(inclusion[order].sum())
    whole = round(total)
    length = float(whole) if abs(total - whole) < 1e-6 else total
    points = np.arange(math.ceil(length)) + rng.random()
    if len(order) and length > 0:
        reached = np.cumsum(inclusion[order])
        reached *= length / reached[-1]
        drawn[order[np.searchsorted(reached, points[points < length], side="right")]] = True
    return drawn


def independent(inclusion: Float64[Array, "items"], rng: np.random.Generator) -> Bool[Array, "items"]:
    """A draw of each item by itself, as the source draws: the budget is met in expectation, and may be exceeded."""
    return rng.random(len(inclusion)) < inclusion


def _check(errors: Array, moments: Array | None, beta: float, even: float) -> None:
    bad = np.flatnonzero(~((errors >= 0) & (errors <= 1)))
    if len(bad):
        raise SettingError(f"error probability {errors[bad[0]]} of item {bad[0]} (from 0): it must lie in [0, 1]")
    if moments is not None and not (
        moments.shape == errors.shape and bool(((moments >= 0) & (moments < np.inf)).all())
    ):
        raise SettingError("moments must be finite and 0 or more, one per item")
    if not beta > 0:
        raise SettingError(f"beta must be above 0, not {beta}")
    if not 0 <= even <= 1:
        raise SettingError(f"even must lie in [0, 1], not {even}")
