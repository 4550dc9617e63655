"""How much review gains: AQG, its area over all budgets (ABS), and what a criticizer finds at a budget [lin2025act].

Items are reviewed from the largest estimated error down, and a review mends a wrong label. Items of equal error come
in random order; every figure here is the exact mean over those orders. With W wrong labels among N,

    AQG(B) = E[wrong labels among the first B] / W                          equation 4, of accuracy
    ABS    = ∫ AQG(⌊b N⌋) db = (1/N) Σ_{B<N} AQG(B) = 1 - mean place of a wrong label / N       equation 5

where places count from 1 and ties share the mean of theirs. So ABS is a rank statistic: of an order with area AUC
under its ROC curve it is 1 - ((W + 1)/2 + (N - W)(1 - AUC)) / N; at random (N - 1) / 2N, at best 1 - (W + 1) / 2N. It
cannot be compared between annotators of different accuracy; `quality`, the mean share of right labels over all budgets,
can. The source's sum also counts B = N and is 1/N larger.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped
from scipy.stats import rankdata

from quorate.act.budget import Budget, Rule, inclusion, reviews
from quorate.errors import SettingError
from quorate.measure.intervals import Interval, normal_quantile

Array = np.ndarray
POINTS = 101  # budgets of a curve, from none to all


class Found(NamedTuple):
    """What a criticizer finds at a budget: expected numbers of items, and shares."""

    budget: float  # reviews; of one class, an expected number
    true_positives: float  # wrong labels among those reviewed
    false_positives: float  # right labels among those reviewed: reviews in vain
    missed: float  # wrong labels that stay
    accuracy: float  # share of right labels after review

    @property
    def precision(self) -> float | None:
        """Share of reviews that mend something; None without reviews."""
        return self.true_positives / self.budget if self.budget else None


class Curve(NamedTuple):
    """AQG against the budget, with pointwise intervals."""

    share: Float64[Array, "points"]  # of all items
    gain: Float64[Array, "points"]
    low: Float64[Array, "points"]
    high: Float64[Array, "points"]

    def share_for(self, gain: float) -> float:
        """The smallest share of items whose review mends this share of the wrong labels.

        >>> Curve(np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.8, 1.0]), np.zeros(3), np.ones(3)).share_for(0.9)
        0.75
        """
        at = int(np.searchsorted(self.gain, min(gain, float(self.gain[-1])), side="left"))
        if at == 0:
            return float(self.share[0])
        rise = (min(gain, float(self.gain[-1])) - self.gain[at - 1]) / (self.gain[at] - self.gain[at - 1])
        return float(self.share[at - 1] + rise * (self.share[at] - self.share[at - 1]))


class OfClass(NamedTuple):
    """One class: its labels, its wrong ones, its ABS by itself, and what is found of it at the budget of all."""

    code: int
    n: int
    area: Interval | None  # None where no label is wrong
    found: Found


# ---- figures --------------------------------------------------------------------------------------------------------
def aqg(errors: Float64[Array, "items"], wrong: Bool[Array, "items"], budget: Budget) -> float | None:
    """AQG, the expected share of wrong labels that the budget mends, from 0 to 1; None where none is wrong.

    >>> aqg(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False]), 2)
    0.75
    """
    _check(errors, wrong)
    return _share(float(_mended(errors, wrong)[reviews(budget, len(errors))]), wrong)


def gains(errors: Float64[Array, "items"], wrong: Bool[Array, "items"]) -> Float64[Array, "budgets"] | None:
    """AQG at every budget from 0 to N; None where no label is wrong."""
    _check(errors, wrong)
    return _mended(errors, wrong) / wrong.sum() if wrong.any() else None


def area(errors: Float64[Array, "items"], wrong: Bool[Array, "items"], level: float = 0.95) -> Interval | None:
    """ABS with its interval and standard error; None where no label is wrong.

    Its error is that of its influence function, as if the items were drawn from endlessly many.

    >>> round(area(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False])).estimate, 4)
    0.5625
    """
    _check(errors, wrong)
    if not wrong.any():
        return None
    estimate, pull = float(_area(errors, wrong)), influence(errors, wrong)
    se = float(pull.std()) / max(len(pull) - 1, 1) ** 0.5
    reach = normal_quantile(level) * se
    return Interval(estimate, max(estimate - reach, 0.0), min(estimate + reach, 1.0), se)


def random_area(n_items: int) -> float:
    """ABS of review in random order: (N - 1) / 2N.

    >>> random_area(4)
    0.375
    """
    return (n_items - 1) / (2 * n_items)


def quality(errors: Float64[Array, "items"], wrong: Bool[Array, "items"]) -> float:
    """Mean share of right labels over all budgets, 1 - p (1 - ABS) with a share p wrong: comparable between annotators.

    >>> round(quality(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False])), 4)
    0.7812
    """
    _check(errors, wrong)
    return 1.0 - float(wrong.mean()) * (1.0 - float(_area(errors, wrong))) if wrong.any() else 1.0


def rule_gains(
    errors: Float64[Array, "items"], wrong: Bool[Array, "items"], rule: Rule, budgets: Int64[Array, "budgets"]
) -> Float64[Array, "budgets"] | None:
    """Expected AQG of another sampling rule at these numbers of reviews, Σ π_i over wrong labels / W."""
    _check(errors, wrong)
    if not wrong.any():
        return None
    mended = [float(inclusion(errors, n, rule)[wrong].sum()) for n in budgets.tolist()]
    return np.array(mended) / wrong.sum()


def found(errors: Float64[Array, "items"], wrong: Bool[Array, "items"], budget: Budget) -> Found:
    """True and false positives of the criticizer at a budget: expected numbers.

    >>> found(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False]), 2)
    Found(budget=2.0, true_positives=1.5, false_positives=0.5, missed=0.5, accuracy=0.875)
    """
    _check(errors, wrong)
    n = reviews(budget, len(errors))
    return _found(n, float(_mended(errors, wrong)[n]), wrong)


def by_class(
    errors: Float64[Array, "items"], wrong: Bool[Array, "items"], codes: Shaped[Array, "items"], budget: Budget
) -> list[OfClass]:
    """The same for the items of each class: ABS of their own queue, and what the common queue finds of them."""
    _check(errors, wrong)
    chance = inclusion(_ranks(errors), budget)  # exact chances under random ties; errors may be any order
    found_of: list[OfClass] = []
    for code in np.unique(codes).tolist():
        own = codes == code
        spent, mended = float(chance[own].sum()), float(chance[own & wrong].sum())
        n, n_wrong = int(own.sum()), int((own & wrong).sum())
        here = Found(spent, mended, spent - mended, n_wrong - mended, 1 - (n_wrong - mended) / n)
        found_of.append(OfClass(code, n, area(errors[own], wrong[own]), here))
    return found_of


# ---- errors of the figures ------------------------------------------------------------------------------------------
def influence(errors: Float64[Array, "items"], wrong: Bool[Array, "items"]) -> Float64[Array, "items"]:
    """What each item adds to ABS, to first order: mean 0, and ABS has the variance of their mean.

    ABS = E[w S(ε)] / E[w] with S the share of items of smaller error, half of the equal ones. An item moves the
    numerator through its own w S and through the S of all others [hampel1974]. Differences of influences on the same
    items give the error of a paired difference.
    """
    n, share_wrong = len(errors), wrong.mean()
    below = (rankdata(errors) - 0.5) / n
    numerator = float((wrong * below).mean())
    above = _wrong_above(errors, wrong) / n
    pull = wrong * below + above - 2 * numerator
    return (pull - numerator / share_wrong * (wrong - share_wrong)) / share_wrong


def curve(
    errors: Float64[Array, "items"],
    wrong: Bool[Array, "items"],
    *,
    points: int = POINTS,
    resamples: int = 400,
    level: float = 0.95,
    seed: int = 0,
) -> Curve | None:
    """AQG at evenly spaced shares of items, with bootstrap intervals over items [efron1979]; None: none is wrong."""
    _check(errors, wrong)
    if not wrong.any():
        return None
    share = np.linspace(0.0, 1.0, points)
    starts = _groups(errors)
    order = np.argsort(-errors, kind="stable")
    n, rng = len(errors), np.random.default_rng(seed)
    draws: list[Float64[Array, "points"]] = []
    for _ in range(resamples):
        weight = np.bincount(rng.integers(n, size=n), minlength=n)[order].astype(np.float64)
        if weight @ wrong[order] > 0:
            draws.append(_traced(weight, wrong[order], starts, share))
    tail = (1 - level) / 2
    normal_quantile(level)  # checks the level
    low, high = np.quantile(np.array(draws), [tail, 1 - tail], axis=0)
    gain = _traced(np.ones(n), wrong[order], starts, share)
    return Curve(share, gain, np.minimum(low, gain), np.maximum(high, gain))


# ---- inside ---------------------------------------------------------------------------------------------------------
def _ranks(errors: Array) -> Float64[Array, "items"]:
    """The order of the errors as numbers in (0, 1): a criticizer may give an order only."""
    return (rankdata(errors) - 0.5) / len(errors)


def _groups(errors: Array) -> Int64[Array, "groups"]:
    """Where each run of equal errors begins, in falling order."""
    falling = np.sort(errors)[::-1]
    return np.flatnonzero(np.append(True, np.diff(falling) != 0))


def _mended(errors: Array, wrong: Array) -> Float64[Array, "budgets"]:
    """Expected wrong labels among the first B, at B = 0, ..., N: straight lines within ties."""
    order = np.argsort(-errors, kind="stable")
    ends = np.append(_groups(errors), len(errors))
    reached = np.append(0.0, np.cumsum(wrong[order]))[ends]
    return np.interp(np.arange(len(errors) + 1), ends, reached)


def _traced(weight: Array, wrong: Array, starts: Array, share: Array) -> Float64[Array, "points"]:
    """The curve of weighted items in their order: ties are straight lines."""
    count = np.append(0.0, np.cumsum(np.add.reduceat(weight, starts)))
    mended = np.append(0.0, np.cumsum(np.add.reduceat(weight * wrong, starts)))
    return np.interp(share * count[-1], count, mended) / mended[-1]


def _wrong_above(errors: Array, wrong: Array) -> Float64[Array, "items"]:
    """How many wrong labels have a larger error, and half of those with the same."""
    wrongs = np.sort(errors[wrong])
    more = len(wrongs) - np.searchsorted(wrongs, errors, side="right")
    return more + 0.5 * (len(wrongs) - more - np.searchsorted(wrongs, errors, side="left"))


def _area(errors: Array, wrong: Array) -> float:
    return float(1.0 - rankdata(-errors)[wrong].mean() / len(errors))


def _share(mended: float, wrong: Array) -> float | None:
    return mended / float(wrong.sum()) if wrong.any() else None


def _found(n: int, mended: float, wrong: Array) -> Found:
    missed = float(wrong.sum()) - mended
    return Found(float(n), mended, n - mended, missed, 1 - missed / len(wrong))


def _check(errors: Array, wrong: Array) -> None:
    if not (errors.shape == wrong.shape and len(errors)):
        raise SettingError(
            f"{len(errors)} errors and {len(wrong)} marks of wrong labels: one of each per item is needed"
        )
    if not np.isfinite(errors).all():
        raise SettingError(f"the error of item {int(np.flatnonzero(~np.isfinite(errors))[0])} (from 0) is not finite")
