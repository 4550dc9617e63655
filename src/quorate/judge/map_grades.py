"""Maps of ordered tasks, fitted by least squares on people's grades, and cut points by quadratic kappa.

    identity   the grade as the judge says it            expected   Σ p_k v_k of its probabilities
    shift      s + b                                     linear     a + b s
    grades     the mean of people's grades, grade by grade, shrunken to the line (empirical Bayes [morris1983])
    isotonic   the best rising curve [barlow1972]
    expected linear, expected isotonic                   the same curves over the expected grade

Every item weighs 1, however many people graded it: a fit aims at a random person of a random item.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy.optimize import isotonic_regression

from quorate.judge.graded import Graded
from quorate.judge.maps import Curve, ScoreMap, rounding

Array = np.ndarray
PSEUDO = 1.0  # persons spread over the classes, so that no class is impossible
MOST_ROUNDS = 50


class Points(NamedTuple):
    """What a curve is fitted to: distinct grades said, how many items, and people's mean grade on them."""

    x: Float64[Array, "knots"]
    n: Float64[Array, "knots"]
    y: Float64[Array, "knots"]
    spread: float  # of items' mean grades around those of their knot: the sum of squares


Knots = tuple[Float64[Array, "knots"], Float64[Array, "knots"]]


def grade_map(kind: str, graded: Graded) -> ScoreMap:
    """A map of an ordered task, fitted on the items that people and the judge graded."""
    expects = kind.startswith("expected")
    values = graded.values
    points = points_of(graded, expects=expects)
    x, y = CURVES[kind](points, values)
    raw = kind in {"identity", "expected"}
    base = () if raw else tuple(marginal(graded).tolist())
    knots = tuple(x.tolist()), tuple(np.clip(y, values[0], values[-1]).tolist())
    return ScoreMap(graded.task, kind, Curve(expects, *knots, rounding(values), base))


def with_cuts(score_map: ScoreMap, graded: Graded) -> ScoreMap:
    """The same curve with the cut points that maximise quadratic kappa with a random person of the item."""
    curve = score_map.shape
    assert isinstance(curve, Curve)
    known = graded.select(graded.known)
    if not known.items:
        return score_map
    grades = score_map.apply(known.said, known.probs).grades
    cuts = best_cuts(grades, shares(known), known.values)
    return ScoreMap(score_map.task, score_map.kind, curve._replace(cuts=cuts))


def shares(graded: Graded) -> Float64[Array, "items classes"]:
    """The classes of a random person, item by item; zeros where nobody graded."""
    return graded.people / np.maximum(graded.people.sum(axis=1, keepdims=True), 1)


def marginal(graded: Graded) -> Float64[Array, "classes"]:
    """The classes of a random person of a random item, with a little of every class."""
    total = shares(graded).sum(axis=0) + PSEUDO / len(graded.task.classes)
    return total / total.sum()


def points_of(graded: Graded, *, expects: bool) -> Points:
    """People's mean grades by what the judge said."""
    known = graded.select(graded.known)
    signal = known.probs @ known.values if expects else known.values[known.said]
    x, at = np.unique(signal.round(9), return_inverse=True)
    n = np.bincount(at, minlength=len(x)).astype(np.float64)
    y = np.bincount(at, known.human, len(x)) / np.maximum(n, 1)
    return Points(x, n, y, float(((known.human - y[at]) ** 2).sum()) if len(x) else 0.0)


# ---- curves ---------------------------------------------------------------------------------------------------------
def _identity(_points: Points, values: Float64[Array, "classes"]) -> Knots:
    return values, values


def _shift(points: Points, values: Float64[Array, "classes"]) -> Knots:
    by = points.n @ (points.y - points.x) / max(points.n.sum(), 1.0)
    return values, values + by


def _linear(points: Points, values: Float64[Array, "classes"]) -> Knots:
    return values, _line(points, values)


def _grades(points: Points, values: Float64[Array, "classes"]) -> Knots:
    """Means of grades, each weighed by its own error against how far means lie off the line at all."""
    line, n_items = _line(points, points.x), points.n.sum()
    everywhere = _line(points, values)
    free = len(points.x) - 2
    if free <= 0 or n_items <= len(points.x):
        return values, everywhere
    within = points.spread / (n_items - len(points.x))
    off = float(points.n @ (points.y - line) ** 2)
    between = max(0.0, off - free * within) / (n_items * free / len(points.x))
    trust = points.n * between / np.maximum(points.n * between + within, 1e-12)
    everywhere[np.searchsorted(values, points.x - 1e-6)] = line + trust * (points.y - line)
    return values, everywhere


def _isotonic(points: Points, values: Float64[Array, "classes"]) -> Knots:
    if not len(points.x):
        return values, values
    return points.x, np.asarray(isotonic_regression(points.y, weights=points.n).x, np.float64)


CURVES: Mapping[str, Callable[[Points, Float64[Array, "classes"]], Knots]] = {  # the simpler first: it wins a tie
    "identity": _identity,
    "shift": _shift,
    "linear": _linear,
    "isotonic": _isotonic,
    "grades": _grades,
    "expected": _identity,
    "expected linear": _linear,
    "expected isotonic": _isotonic,
}


def _line(points: Points, at: Float64[Array, "places"]) -> Float64[Array, "places"]:
    """The least squares line; level where only one grade was said, the diagonal where none was."""
    total = points.n.sum()
    if not total:
        return np.array(at)
    mean_x, mean_y = points.n @ points.x / total, points.n @ points.y / total
    spread = points.n @ (points.x - mean_x) ** 2
    slope = points.n @ ((points.x - mean_x) * points.y) / spread if spread > 0 else 0.0
    return mean_y + slope * (at - mean_x)


# ---- cut points -----------------------------------------------------------------------------------------------------
def best_cuts(
    grades: Float64[Array, "items"], people: Float64[Array, "items classes"], values: Float64[Array, "classes"]
) -> tuple[float, ...]:
    """The cut points with the largest quadratic kappa, exactly.

    1 - kappa = D / E is a ratio of sums over items: D of Σ_j P_ij (v - v_j)², E of v² - 2 v m + q, with m and q the
    mean and mean square of people's grades. Dinkelbach's steps [dinkelbach1967] minimise D - λ E, each of them over
    all rising assignments of distinct grades to classes at once.
    """
    x, at = np.unique(grades, return_inverse=True)
    mean, square = people @ values, people @ values**2
    apart = values**2 - 2 * mean[:, None] * values + square[:, None]
    chance = values**2 - 2 * mean.mean() * values + square.mean()
    apart_of = np.stack([np.bincount(at, column, len(x)) for column in apart.T], axis=1)
    chance_of = np.bincount(at, minlength=len(x))[:, None] * chance
    ratio = 1.0
    codes = np.zeros(len(x), np.int64)
    for _ in range(MOST_ROUNDS):
        codes = _rising(apart_of - ratio * chance_of)
        each = np.arange(len(x)), codes
        expected = chance_of[each].sum()
        after = apart_of[each].sum() / expected if expected > 0 else ratio
        if after >= ratio - 1e-12:
            break
        ratio = after
    return _between(x, codes, len(values))


def _rising(cost: Float64[Array, "knots classes"]) -> np.ndarray:
    """The class of every knot, never falling, with the least sum of costs."""
    n_knots, n_classes = cost.shape
    total = np.zeros((n_knots, n_classes))
    came = np.zeros((n_knots, n_classes), np.int64)
    before = np.zeros(n_classes)
    for knot in range(n_knots):
        least = np.minimum.accumulate(before)
        came[knot] = np.maximum.accumulate(np.where(before <= least, np.arange(n_classes), 0))
        total[knot] = before = least + cost[knot]
    codes = np.zeros(n_knots, np.int64)
    code = int(np.argmin(before))
    for knot in range(n_knots - 1, -1, -1):
        codes[knot] = code
        code = int(came[knot, code])
    return codes


def _between(x: Float64[Array, "knots"], codes: np.ndarray, n_classes: int) -> tuple[float, ...]:
    """Cut points half way between neighbors of different classes; one of a class that nobody gets is its neighbor's."""
    cuts: list[float] = []
    for code in range(1, n_classes):
        above = int(np.searchsorted(codes, code))
        if above == 0:
            cuts.append(float(x[0]) - 1.0)
        elif above == len(x):
            cuts.append(float(x[-1]) + 1.0)
        else:
            cuts.append(float(x[above] + x[above - 1]) / 2)
    return tuple(cuts)
