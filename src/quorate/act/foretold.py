"""What reviewing is worth: how many labels are wrong, how many of them a budget finds, and what the next ones would.

    P(wrong | e) = sigmoid(b + w logit(e))      learned from reviewed labels; e itself before there are 10 of them
    AQG(B) = sum_i pi_i(B) P_i / sum_i P_i      the share of all errors that B reviews are expected to mend: equation 4
                                                of [lin2025act], people's labels taken for right
    ABS = integral of AQG over B / N            equation 5

Where every label had a chance to be reviewed, each reviewed one counts 1 / chance times: then the expected number of
errors is right whatever the true curve is, since the sum of weighted residuals is 0. Intervals are percentiles over
bootstrap draws of the reviewed labels, with the chance that each other label is wrong played out.

Thresholds leave the labels below unseen, and how many of them are wrong is an extrapolation. Its interval then takes in
all that a falling curve allows: from none, to as many as the least doubtful quarter of the reviewed suggests (Wilson).
An order (levels, perplexity) is no probability: of it nothing is foretold before people have reviewed some.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.special import expit, logit

from quorate.act.answers import Key
from quorate.act.budget import Rule, inclusion
from quorate.act.combine import BIAS_SD, FLOOR, LEAST, WEIGHT_SD
from quorate.act.review import Plan, corrected
from quorate.measure.intervals import wilson

Array = np.ndarray
DRAWS, LEVEL = 200, 0.95
GRID = 51  # budgets of a curve, from none to all
NEXT = 0.05  # share of the labels that is looked ahead
STEPS, LONGEST = 25, 2.0  # of Newton, and in any parameter
LEAST_CHANCE = 1e-3  # of a reviewed label: one alone does not outweigh a thousand


class Range(NamedTuple):
    """An estimate and its 95 % interval; without bounds where nobody has reviewed yet."""

    estimate: float
    low: float | None = None
    high: float | None = None


class Curve(NamedTuple):
    """The expected AQG at each budget (share of the labels), with its interval where there is one."""

    budget: Float64[Array, "budgets"]
    gain: Float64[Array, "budgets"]
    low: Float64[Array, "budgets"] | None
    high: Float64[Array, "budgets"] | None
    abs: Range


class Foretold(NamedTuple):
    """The state of a review; numbers of labels are counts of the labels that people may review."""

    n: int  # labels that people may review
    reviewed: int  # of these
    found: int  # of these, wrong: true positives of the critic
    errors: Range  # of these, wrong at first
    next: int  # reviews that are looked ahead
    next_found: Range  # errors that they would find
    at_first: Range  # share of all labels that were right as the machine gave them; people's are taken for right
    now: Range  # share of all labels that are right now
    chance: Float64[Array, "labels"]  # P(wrong at first) of every label of the plan
    learned: bool  # from reviewed labels, not as the criticizers say
    guessed: bool  # most labels lie below all that were reviewed: what is said of them is an extrapolation

    @property
    def ideal(self) -> int:
        """The ideal budget: as many reviews as there are errors [lin2025act], section 5.2."""
        return round(self.errors.estimate)

    @property
    def buffer(self) -> int:
        """How many reviews more cover the upper end of the interval."""
        return 0 if self.errors.high is None else max(0, round(self.errors.high) - self.ideal)


def foretell(plan: Plan, truth: Mapping[Key, str], *, is_order: bool = False, seed: int = 0) -> Foretold | None:
    """What is expected of a review as it stands; None where nothing can be said yet: an order, and too few answers."""
    of = _state(plan, truth)
    chances = _chances(of, seed)
    if chances is None and is_order:
        return None
    rows = np.flatnonzero(plan.open)
    seen, found = int(of.reviewed[rows].sum()), int((of.wrong & plan.open).sum())
    ahead = _ahead(plan, of, rows)
    groups = (rows[~of.reviewed[rows]], ahead, np.flatnonzero(~of.reviewed))
    say = _as_said(plan) if chances is None else chances.best
    unseen, following, everywhere = (_range(group, plan, of, chances, seed) for group in groups)
    n_all, mended = len(plan.labels), int(of.wrong.sum())
    return Foretold(
        len(rows), seen, found, _shifted(unseen, found), len(ahead), following,
        _share_right(_shifted(everywhere, mended), n_all), _share_right(everywhere, n_all),
        np.where(of.reviewed, of.wrong, say), chances is not None, chances is not None and _is_guess(of, groups[0]),
    )  # fmt: skip


def curve(
    plan: Plan, truth: Mapping[Key, str], rule: Rule = "thresholding", *, is_order: bool = False, seed: int = 0
) -> Curve | None:
    """The expected AQG over all budgets; None where nothing can be said yet."""
    of = _state(plan, truth)
    chances = _chances(of, seed)
    rows = np.flatnonzero(plan.open)
    if not len(rows) or (chances is None and is_order):
        return None
    counts = np.unique(np.linspace(0, len(rows), min(GRID, len(rows) + 1)).round().astype(np.int64))
    ways = np.stack([inclusion(plan.errors[rows], int(n), rule) for n in counts])
    seen, wrong = of.reviewed[rows], of.wrong[rows]

    def gains(p: Float64[Array, "labels"]) -> Float64[Array, "budgets"]:
        chance = np.where(seen, wrong, p[rows])
        return ways @ chance / max(float(chance.sum()), 1e-300)

    shares = counts / len(rows)
    best = gains(_as_said(plan) if chances is None else chances.best)
    if chances is None:
        return Curve(shares, best, None, None, Range(_area(shares, best)))
    drawn = np.stack([gains(p) for p in chances.drawn(of.heights)])
    low, high = np.quantile(drawn, TAILS, axis=0)
    areas = np.array([_area(shares, each) for each in drawn])
    area = Range(_area(shares, best), *map(float, np.quantile(areas, TAILS)))
    return Curve(shares, best, low, high, area)


# ---- parts ----------------------------------------------------------------------------------------------------------
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


class _State(NamedTuple):
    """What is known of every label."""

    heights: Float64[Array, "labels"]  # logit of the combined error
    reviewed: Bool[Array, "labels"]
    wrong: Bool[Array, "labels"]
    weight: Float64[Array, "labels"]  # of the reviewed: 1 / chance where everyone had one


class _Chances(NamedTuple):
    """P(wrong) of every label, and the curves of other draws of the reviewed ones."""

    best: Float64[Array, "labels"]
    biases: Float64[Array, "draws"]
    slopes: Float64[Array, "draws"]

    def drawn(self, heights: Float64[Array, "labels"]) -> Iterator[Float64[Array, "labels"]]:
        """P(wrong) of these labels, draw by draw."""
        for bias, slope in zip(self.biases.tolist(), self.slopes.tolist(), strict=True):
            yield expit(bias + slope * heights)


def _state(plan: Plan, truth: Mapping[Key, str]) -> _State:
    found = corrected(plan, truth)
    weight = review_weights(plan)
    heights = logit(np.clip(plan.errors, FLOOR, 1 - FLOOR))
    return _State(heights, found.reviewed, found.wrong, np.where(found.reviewed, weight, 0.0))


def review_weights(plan: Plan) -> Float64[Array, "labels"]:
    """How many labels each one stands for when it is reviewed: 1 / its chance, where everyone had one; else 1."""
    everyone = bool((plan.chance[plan.open] > 0).all())
    drawn_once = np.where(plan.known | (plan.chance <= 0), 1.0, plan.chance)
    return 1.0 / np.maximum(drawn_once, LEAST_CHANCE) if everyone else np.ones(len(plan.labels))


def _as_said(plan: Plan) -> Float64[Array, "labels"]:
    return np.clip(plan.errors, FLOOR, 1 - FLOOR)


def _chances(of: _State, seed: int) -> _Chances | None:
    """Learned from the reviewed labels; None for fewer than 10."""
    rows = np.flatnonzero(of.reviewed)
    n = len(rows)
    if n < LEAST:
        return None
    rng = np.random.default_rng(seed)
    counts = np.vstack([np.ones(n), rng.multinomial(n, np.full(n, 1 / n), DRAWS)])
    weights = counts * of.weight[rows]
    biases, slopes = _fitted(of.heights[rows], of.wrong[rows], weights * (n / weights.sum(axis=1, keepdims=True)))
    return _Chances(expit(biases[0] + slopes[0] * of.heights), biases[1:], slopes[1:])


def _fitted(
    heights: Float64[Array, "reviewed"], wrong: Bool[Array, "reviewed"], weights: Float64[Array, "draws reviewed"]
) -> tuple[Float64[Array, "draws"], Float64[Array, "draws"]]:
    """Bias and slope (0 and up) at the top of the posterior, of every draw at once, by Newton's steps."""
    theta = np.tile([0.0, 1.0], (len(weights), 1))
    centre, precision = np.array([0.0, 1.0]), np.array([BIAS_SD**-2, WEIGHT_SD**-2])
    x = np.column_stack([np.ones(len(heights)), heights])
    for _ in range(STEPS):
        p = expit(theta @ x.T)
        slope = (weights * (wrong - p)) @ x - precision * (theta - centre)
        curved = np.einsum("dr,ri,rj->dij", weights * p * (1 - p), x, x) + np.diag(precision)
        step = np.linalg.solve(curved, slope[..., None])[..., 0]
        theta += step * np.minimum(1.0, LONGEST / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-300))
    backwards = theta[:, 1] < 0  # a doubt that speaks for a label: then it says nothing
    share = ((weights * wrong).sum(axis=1) + 0.5) / (weights.sum(axis=1) + 1.0)
    return np.where(backwards, logit(share), theta[:, 0]), np.maximum(theta[:, 1], 0.0)


def _ahead(plan: Plan, of: _State, rows: Int64[Array, "open"]) -> Int64[Array, "next"]:
    """The labels that would be reviewed next: the rest of the queue, then the most doubtful."""
    left = rows[~of.reviewed[rows]]
    order = np.lexsort((-plan.errors[left], ~plan.drawn[left]))
    return left[order][: max(1, round(NEXT * len(rows)))]


def _range(group: Int64[Array, "_group"], plan: Plan, of: _State, chances: _Chances | None, seed: int) -> Range:
    """How many of a group are wrong; in every draw as many as its chances let happen (normal approximation)."""
    if chances is None:
        return Range(float(_as_said(plan)[group].sum()))
    estimate = float(chances.best[group].sum())
    rng = np.random.default_rng((seed, len(group)))
    sums = np.array([[p.sum(), (p * (1 - p)).sum()] for p in chances.drawn(of.heights[group])])
    played = np.clip(sums[:, 0] + np.sqrt(sums[:, 1]) * rng.normal(size=len(sums)), 0, len(group))
    low, high = np.quantile(played, TAILS).tolist()
    if _is_guess(of, group):
        low, high = 0.0, max(high, len(group) * _least_doubtful(of))
    return Range(estimate, min(low, estimate), max(high, estimate))


def _is_guess(of: _State, group: Int64[Array, "_group"]) -> bool:
    """Whether most of a group is less doubtful than all that people have reviewed."""
    lowest = of.heights[of.reviewed].min(initial=np.inf)
    return len(group) > 0 and float((of.heights[group] < lowest).mean()) > 0.5


def _least_doubtful(of: _State) -> float:
    """The upper bound of the share of wrong labels in the least doubtful quarter of the reviewed."""
    rows = np.flatnonzero(of.reviewed)
    quarter = rows[np.argsort(of.heights[rows], kind="stable")][: max(LEAST, len(rows) // 4)]
    return wilson(np.array([of.wrong[quarter].sum()]), np.array([len(quarter)])).at(0).high


def _shifted(of: Range, by: int) -> Range:
    low, high = (None if bound is None else bound + by for bound in (of.low, of.high))
    return Range(of.estimate + by, low, high)


def _area(x: Float64[Array, "budgets"], y: Float64[Array, "budgets"]) -> float:
    return float(np.trapezoid(y, x))


def _share_right(wrong: Range, n: int) -> Range:
    if wrong.low is None or wrong.high is None:
        return Range(1 - wrong.estimate / n)
    return Range(1 - wrong.estimate / n, 1 - wrong.high / n, 1 - wrong.low / n)
