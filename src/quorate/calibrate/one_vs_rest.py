"""Rivals of softmax scaling that calibrate one class against the rest: Platt, beta and isotonic.

Each class has a binary problem of its own; the claims of the classes are then shared out [zadrozny2002]. Their prior is
the Dirichlet's: pseudo-labels spread as the scores say, so that few examples change little.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64
from scipy.optimize import isotonic_regression
from scipy.special import expit

from quorate.calibrate.calibrators import Beta, Isotonic, Platt, log_odds_parts
from quorate.calibrate.logits import log_softmax
from quorate.calibrate.prior import Prior
from quorate.calibrate.scaling import Examples, examples_of

Array = np.ndarray
PSEUDO = 40.0  # pseudo-examples where the prior names none; chosen with the other defaults, see `prior`
MOST_STEPS, TOLERANCE, LONGEST_STEP = 100, 1e-9, 4.0
SAME = 1e-9  # two scores that are nearer than this are one
RIDGE = 1e-6  # per label, around the identity: a class that was never right has no slope of its own


def platt(
    log_scores: Float64[Array, "shots classes"],
    truth: Int64[Array, "shots"],
    *,
    weights: Float64[Array, "shots"] | None = None,
    prior: Prior | None = None,
) -> Platt:
    """A sigmoid per class on the log odds of its score [platt1999], with pseudo-labels of our own kind.

    >>> rng = np.random.default_rng(0)
    >>> odds = rng.normal(size=4000) * 3
    >>> truth = (rng.random(4000) < 1 / (1 + np.exp(-odds / 2))).astype(int)
    >>> platt(np.stack([-odds / 2, odds / 2], axis=1), truth).slopes.round(1).tolist()
    [0.5, 0.5]
    """
    examples = _examples(log_scores, truth, weights, prior)
    log_p, log_rest = log_odds_parts(log_scores)
    found = [
        _logistic(np.column_stack([log_p[:, k] - log_rest[:, k], np.ones(len(truth))]), examples, k, np.array([1.0, 0]))
        for k in range(log_p.shape[1])
    ]
    slopes, bias = np.array(found).T
    return Platt(slopes, bias)


def beta(
    log_scores: Float64[Array, "shots classes"],
    truth: Int64[Array, "shots"],
    *,
    weights: Float64[Array, "shots"] | None = None,
    prior: Prior | None = None,
) -> Beta:
    """Beta calibration per class; a slope that would turn negative is 0, and the other is fitted alone [kull2017].

    >>> beta(np.log(np.tile([[0.8, 0.2]], (50, 1))), np.repeat([0, 1], [40, 10])).apply(np.log([[0.8, 0.2]])).round(2)
    array([[0.8, 0.2]])
    """
    examples = _examples(log_scores, truth, weights, prior)
    log_p, log_rest = log_odds_parts(log_scores)
    found = [_beta_of_class(log_p[:, k], log_rest[:, k], examples, k) for k in range(log_p.shape[1])]
    yes, no, bias = np.array(found).T
    return Beta(yes, no, bias)


def isotonic(
    log_scores: Float64[Array, "shots classes"],
    truth: Int64[Array, "shots"],
    *,
    weights: Float64[Array, "shots"] | None = None,
    prior: Prior | None = None,
) -> Isotonic:
    """The rising curve per class that is nearest to labels and pseudo-labels, in squares [zadrozny2002].

    >>> made = isotonic(np.log([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]), prior=Prior(examples=2.0))
    >>> made.shares[0].round(2).tolist()  # halfway from the scores to the labels
    [0.3, 0.95]
    """
    examples = _examples(log_scores, truth, weights, prior)
    p = np.exp(log_softmax(log_scores))
    curves = [_curve(p[:, k], examples.target[:, k], examples.weights) for k in range(p.shape[1])]
    return Isotonic(tuple(at for at, _ in curves), tuple(share for _, share in curves))


# ---- parts ----------------------------------------------------------------------------------------------------------
def _examples(
    log_scores: Float64[Array, "shots classes"],
    truth: Int64[Array, "shots"],
    weights: Float64[Array, "shots"] | None,
    prior: Prior | None,
) -> Examples:
    asked = None if prior is None else prior.examples
    return examples_of(log_scores, truth, weights, PSEUDO if asked is None else asked)


def _beta_of_class(
    log_p: Float64[Array, "shots"], log_rest: Float64[Array, "shots"], examples: Examples, code: int
) -> Float64[Array, "3"]:
    columns = np.column_stack([log_p, -log_rest, np.ones(len(log_p))])
    start = np.array([1.0, 1.0, 0.0])
    found = _logistic(columns, examples, code, start)
    if found[:2].min() >= 0:
        return found
    kept = np.array([found[0] >= found[1], found[1] > found[0], True])
    found = np.zeros(3)
    found[kept] = _logistic(columns[:, kept], examples, code, start[kept])
    return np.append(np.maximum(found[:2], 0.0), found[2])


def _logistic(
    columns: Float64[Array, "shots columns"], examples: Examples, code: int, start: Float64[Array, "columns"]
) -> Float64[Array, "columns"]:
    """Newton steps of a logistic regression of one class on soft targets, from the identity."""
    target, weight, at = examples.target[:, code], examples.weights, start
    ridge = RIDGE * weight.sum()
    value = _likelihood(columns, target, weight, at) - ridge * ((at - start) ** 2).sum() / 2
    for _ in range(MOST_STEPS):
        q = expit(columns @ at)
        gradient = columns.T @ (weight * (target - q)) - ridge * (at - start)
        curvature = (columns * (weight * q * (1 - q))[:, None]).T @ columns + ridge * np.eye(len(at))
        step = np.linalg.solve(curvature, gradient)
        step *= min(1.0, LONGEST_STEP / max(float(np.abs(step).max()), TOLERANCE))
        after = -np.inf
        while after < value and np.abs(step).max() > TOLERANCE:
            after = _likelihood(columns, target, weight, at + step) - ridge * ((at + step - start) ** 2).sum() / 2
            step = step if after >= value else step / 2
        if after < value + TOLERANCE:
            break
        at, value = at + step, after
    return at


def _likelihood(
    columns: Float64[Array, "shots columns"],
    target: Float64[Array, "shots"],
    weight: Float64[Array, "shots"],
    at: Float64[Array, "columns"],
) -> float:
    logit = columns @ at
    return float(weight @ (target * logit - np.logaddexp(0.0, logit)))


def _curve(
    score: Float64[Array, "shots"], target: Float64[Array, "shots"], weight: Float64[Array, "shots"]
) -> tuple[Float64[Array, "knots"], Float64[Array, "knots"]]:
    """Knots at the distinct scores; the shares of equal scores are pooled first."""
    distinct, place = np.unique(score, return_inverse=True)
    group = np.cumsum(np.diff(distinct, prepend=-1.0) > SAME) - 1  # equal but for rounding
    at, place = distinct[np.flatnonzero(np.diff(group, prepend=-1))], group[place]
    mass = np.bincount(place, weight)
    mean = np.bincount(place, weight * target) / np.maximum(mass, np.finfo(float).tiny)
    weighed = mass > 0
    return at[weighed], np.asarray(isotonic_regression(mean[weighed], weights=mass[weighed]).x, np.float64)
