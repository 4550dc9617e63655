"""Softmax scaling: temperature, vector and matrix calibrators, fitted by penalised maximum likelihood.

    q = softmax(W x + b),   x: centred log scores (logits less their mean)
    temperature  W = e^u I, b = 0                         [guo2017]
    vector       W = diag(e^(u + d_k))                    [guo2017]
    matrix       W_kj = off-diagonal terms as well        [kull2019]

Normal priors on u, d, b and the off-diagonal terms pull to the identity (see `prior`). Slopes stay positive, so a
temperature never changes the answer. Gauss-Newton steps: the second derivative of e^u beside the residual is left out,
which vanishes where the gradient does and keeps the curvature positive.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.calibrate.calibrators import Calibrator, Matrix, Temperature, Vector, centred
from quorate.calibrate.logits import log_softmax
from quorate.calibrate.prior import Gaussian, Prior, softened
from quorate.errors import SettingError

Array = np.ndarray
Family = Literal["temperature", "vector", "matrix"]
Status = Literal["converged", "step limit"]

MOST_STEPS, TOLERANCE = 100, 1e-9  # nats
MOST_CLASSES = 20  # of a matrix: its curvature has classes^4 entries
LOWEST_LOG, HIGHEST_LOG = -7.0, 7.0  # of a slope: temperatures from .001 to 1,000
SHORTEST = 2.0**-20  # share of a step that is still tried
LONGEST_STEP = 2.0  # in any parameter


class Scaled(NamedTuple):
    """A fitted calibrator with its parameters, their covariance under the posterior's curvature, and how it ended."""

    calibrator: Calibrator
    parameters: Float64[Array, "parameters"]
    covariance: Float64[Array, "parameters parameters"]
    log_likelihood: float  # nats, pseudo-labels included
    status: Status


class Examples(NamedTuple):
    """What a calibrator is fitted on; weights add up to what the labels are worth together."""

    x: Float64[Array, "shots classes"]  # centred log scores
    target: Float64[Array, "shots classes"]
    weights: Float64[Array, "shots"]


# ---- fit ------------------------------------------------------------------------------------------------------------
def scaled(
    family: Family,
    log_scores: Float64[Array, "shots classes"],
    truth: Int64[Array, "shots"],
    *,
    weights: Float64[Array, "shots"] | None = None,
    prior: Prior | Gaussian | None = None,
) -> Scaled:
    """The calibrator of a family that makes these labels likeliest under the prior.

    weights: of examples that were not drawn evenly (`sampling`). Raises SettingError where nothing can be fitted.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(4000, 3)) * 2
    >>> truth = np.argmax(0.5 * x + rng.gumbel(size=x.shape), axis=1)  # twice as sure as they should be
    >>> round(scaled("temperature", x, truth).calibrator.scale, 1)
    0.5
    """
    if family == "matrix" and log_scores.shape[1] > MOST_CLASSES:
        raise SettingError(
            f"matrix scaling takes at most {MOST_CLASSES} classes, not {log_scores.shape[1]}; use vector"
        )
    pull = prior if isinstance(prior, Gaussian) else gaussian(family, log_scores.shape[1], prior or Prior())
    return _climbed(family, examples_of(log_scores, truth, weights, pull.examples), pull)


def gaussian(family: Family, n_classes: int, prior: Prior) -> Gaussian:
    """The prior on the parameters of a family: u, then d and b by class, then rows of off-diagonal terms."""
    sds = [prior.scale_sd]
    if family != "temperature":
        sds += [prior.slope_sd] * n_classes + [prior.bias_sd] * n_classes
    if family == "matrix":
        sds += [prior.cross_sd] * (n_classes * (n_classes - 1))
    return Gaussian(np.zeros(len(sds)), np.diag(np.asarray(sds, np.float64) ** -2), prior.examples or 0.0)


def examples_of(
    log_scores: Float64[Array, "shots classes"],
    truth: Int64[Array, "shots"],
    weights: Float64[Array, "shots"] | None,
    pseudo: float,
) -> Examples:
    """Checked examples with their pseudo-labels; uneven weights are worth (Σw)² / Σw² labels [kish1965]."""
    n_shots, n_classes = log_scores.shape
    if not n_shots or n_classes < 2:
        raise SettingError(f"a calibrator needs at least one example and two classes, not {n_shots} and {n_classes}")
    if not np.isfinite(log_scores).all():
        raise SettingError("log scores must be finite: give zeros a floor (quorate.calibrate.logits.log_scores)")
    if truth.min() < 0 or truth.max() >= n_classes:
        raise SettingError("a calibrator needs a known class for every example")
    even = np.ones(n_shots) if weights is None else weights
    if not (np.isfinite(even).all() and (even >= 0).all() and even.sum() > 0):
        raise SettingError("weights of examples must be at least 0, and not all 0")
    worth = even.sum() ** 2 / (even**2).sum()
    scores = np.exp(log_softmax(log_scores))
    target, more = softened(np.eye(n_classes)[truth], scores, pseudo, worth)
    return Examples(centred(log_scores), target, even * (worth / even.sum() * more))


# ---- the climb ------------------------------------------------------------------------------------------------------
class _Place(NamedTuple):
    """Where the climb stands."""

    at: Float64[Array, "parameters"]
    value: float  # penalised log likelihood, nats
    log_likelihood: float
    probs: Float64[Array, "shots classes"]


def _climbed(family: Family, examples: Examples, pull: Gaussian) -> Scaled:
    place = _place(family, examples, pull, pull.mean)
    status: Status = "step limit"
    for _ in range(MOST_STEPS):
        gradient, curvature = _slope(family, examples, place)
        gradient -= pull.precision @ (place.at - pull.mean)
        step = np.linalg.solve(curvature + pull.precision, gradient)
        after = _stepped(family, examples, pull, place, step)
        gain, place = after.value - place.value, after
        if gain < TOLERANCE:
            status = "converged"
            break
    covariance = np.linalg.inv(_slope(family, examples, place)[1] + pull.precision)
    calibrator = calibrator_of(family, place.at, examples.x.shape[1])
    return Scaled(calibrator, place.at, covariance, place.log_likelihood, status)


def _stepped(
    family: Family, examples: Examples, pull: Gaussian, place: _Place, step: Float64[Array, "parameters"]
) -> _Place:
    """The first of ever shorter steps that does not fall; where there is none, the same place."""
    share = min(1.0, LONGEST_STEP / max(float(np.abs(step).max()), TOLERANCE))
    while share > SHORTEST:
        after = _place(family, examples, pull, place.at + share * step)
        if after.value >= place.value:
            return after
        share /= 2
    return place


def _place(family: Family, examples: Examples, pull: Gaussian, at: Float64[Array, "parameters"]) -> _Place:
    weights, bias = affine(family, at, examples.x.shape[1])
    log_probs = log_softmax(examples.x @ weights.T + bias)
    likelihood = float(examples.weights @ (examples.target * log_probs).sum(axis=1))
    away = at - pull.mean
    return _Place(at, likelihood - 0.5 * float(away @ pull.precision @ away), likelihood, np.exp(log_probs))


def _slope(
    family: Family, examples: Examples, place: _Place
) -> tuple[Float64[Array, "parameters"], Float64[Array, "parameters parameters"]]:
    """Gradient and curvature of the log likelihood: in slopes and biases of the classes first, then by the chain rule.

    With residuals r = target - q: gradient Σ w r_k f_k, curvature Σ w (q_k δ_kl - q_k q_l) f_k f_l over features f.
    """
    x, target, weight = examples
    n_classes = x.shape[1]
    slopes = np.diag(affine(family, place.at, n_classes)[0])
    feature = x * slopes
    moved, of_class = _features(family, feature, x)
    residual, q = (target - place.probs) * weight[:, None], place.probs
    gradient = (residual[:, of_class] * moved).sum(axis=0)
    pulled = q[:, of_class] * moved
    same = of_class[:, None] == of_class
    within = (pulled * weight[:, None]).T @ moved
    curvature = np.where(same, within, 0.0) - (pulled * weight[:, None]).T @ pulled
    chain = _chain(family, n_classes)
    return chain.T @ gradient, chain.T @ curvature @ chain


def _features(
    family: Family, feature: Float64[Array, "shots classes"], x: Float64[Array, "shots classes"]
) -> tuple[Float64[Array, "shots features"], Int64[Array, "features"]]:
    """What the logits are linear in around a place, and the class of each feature."""
    n_shots, n_classes = x.shape
    each = np.arange(n_classes)
    if family == "temperature":
        return feature, each
    parts, of_class = [feature, np.ones((n_shots, n_classes))], [each, each]
    if family == "matrix":
        row, column = _off_diagonal(n_classes)
        parts.append(x[:, column])
        of_class.append(row)
    return np.hstack(parts), np.concatenate(of_class)


def _chain(family: Family, n_classes: int) -> Float64[Array, "features parameters"]:
    """Features by parameters: u moves the slope of every class."""
    if family == "temperature":
        return np.ones((n_classes, 1))
    width = 2 * n_classes + (n_classes * (n_classes - 1) if family == "matrix" else 0)
    common = (np.arange(width) < n_classes).astype(np.float64)
    return np.column_stack([common, np.eye(width)])


# ---- parameters and what they mean ----------------------------------------------------------------------------------
def affine(
    family: Family, at: Float64[Array, "parameters"], n_classes: int
) -> tuple[Float64[Array, "classes classes"], Float64[Array, "classes"]]:
    """W and b of softmax(W x + b)."""
    bias, own = np.zeros(n_classes), np.zeros(n_classes)
    if family != "temperature":
        own, bias = at[1 : n_classes + 1], at[n_classes + 1 : 2 * n_classes + 1]
    weights = np.diag(np.exp(np.clip(at[0] + own, LOWEST_LOG, HIGHEST_LOG)))
    if family == "matrix":
        weights[_off_diagonal(n_classes)] = at[2 * n_classes + 1 :]
    return weights, bias


def calibrator_of(family: Family, at: Float64[Array, "parameters"], n_classes: int) -> Calibrator:
    """The calibrator with these parameters."""
    weights, bias = affine(family, at, n_classes)
    if family == "temperature":
        return Temperature(float(weights[0, 0]))
    return Vector(np.diag(weights), bias) if family == "vector" else Matrix(weights, bias)


def _off_diagonal(n_classes: int) -> tuple[Int64[Array, "pairs"], Int64[Array, "pairs"]]:
    row, column = np.nonzero(~np.eye(n_classes, dtype=bool))
    return row, column
