"""What the models' scores are worth: calibrated probabilities, their prior, a Newton step on the soft cross-entropy.

    log q_ik = sum_m beta_m x_imk + b_k - const,   x_im centred log scores, beta_m = 1 / T_m

The model and its sources stand in `calibrated`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from quorate.consensus.hybrid.evidence import log_scores
from quorate.data.encode import ModelOutput

Array = np.ndarray

LOG_T_MEAN, LOG_T_SD = 0.5, 0.5  # of the log temperature of a single model [kerrigan2021]
BIAS_SD = 1.0  # nats
LOG_WEIGHT_BOUNDS = (-np.log(1e4), np.log(1e2))  # temperatures from .01 to 10,000
BIAS_BOUND = 30.0  # nats
LONGEST_STEP = 1.0  # nats, of a log weight or a bias in one pass
WIDEST = 32  # classes up to which products of two biases are summed item by item
ROUNDING = 1e-13


class Models(NamedTuple):
    """What the models said: centred log scores, 0 where a model said nothing; and whether any spoke at all."""

    x: Float32[Array, "items speakers classes"]
    spoken: Bool[Array, "items"]


class Calibration(NamedTuple):
    """One weight per model and one bias per class; class shares where no model spoke."""

    weights: Float64[Array, "speakers"]  # one over temperature
    bias: Float64[Array, "classes"]
    shares: Float64[Array, "classes"]


class Freedom(NamedTuple):
    """What of a calibration may move, and whether a prior pulls it."""

    pulled: bool
    bias: bool
    moving: bool = True


class Slope(NamedTuple):
    """Gradient and curvature (negative Hessian) by models, then classes."""

    gradient: Float64[Array, "entries"]
    curvature: Float64[Array, "entries entries"]


def models_of(output: ModelOutput, speakers: Int64[Array, "speakers"]) -> Models:
    """Centred log scores of these models, and where any of them spoke."""
    spoken: Bool[Array, "items"] = np.any(output.kind[:, speakers] > 0, axis=1)
    return Models(log_scores(output, speakers), spoken)


def starting_calibration(n_speakers: int, n_classes: int) -> Calibration:
    """The mode of the prior of the temperatures; no bias, even shares."""
    mode = np.exp(LOG_T_SD**2 - _log_t_mean(n_speakers))
    return Calibration(np.full(n_speakers, mode), np.zeros(n_classes), np.full(n_classes, 1.0 / n_classes))


def _log_t_mean(n_speakers: int) -> float:
    """Several models share the weight of one: their geometric mean has the prior of a single model."""
    return LOG_T_MEAN + float(np.log(max(n_speakers, 1)))


def log_density(calibration: Calibration) -> float:
    """Of temperatures (log-normal in T) and biases (normal), in nats, up to a constant."""
    u = np.log(calibration.weights)
    temperatures = u - (u + _log_t_mean(len(u))) ** 2 / (2 * LOG_T_SD**2)
    return float(temperatures.sum() - (calibration.bias**2).sum() / (2 * BIAS_SD**2))


def log_probs(models: Models, calibration: Calibration) -> Float64[Array, "items latent"]:
    """The log of P(latent class | what the models said)."""
    logits = np.einsum("imk,m->ik", models.x, calibration.weights) + calibration.bias
    logits -= logits.max(axis=1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    with np.errstate(divide="ignore"):  # under a flat prior a class may have no share
        logits[~models.spoken] = np.log(calibration.shares)
    return logits


def stepped(
    models: Models,
    log_q: Float64[Array, "items latent"],
    posterior: Float64[Array, "items latent"],
    at: Calibration,
    freedom: Freedom,
) -> Calibration:
    """A Newton step of the expected log posterior from `at`, whose log probabilities are `log_q`; shares stay."""
    n_speakers = len(at.weights)
    if not (n_speakers and freedom.moving):
        return at
    gradient, curvature = _log_slope(slope(models, log_q, posterior), at, pulled=freedom.pulled)
    free = n_speakers + (len(at.bias) if freedom.bias else 0)
    ridge = 1e-9 * np.trace(curvature) + ROUNDING  # a bias common to all classes has no slope and no curvature
    step = np.zeros(len(gradient))
    step[:free] = np.linalg.solve(curvature[:free, :free] + ridge * np.eye(free), gradient[:free])
    step *= min(1.0, LONGEST_STEP / max(float(np.abs(step).max()), ROUNDING))
    weights = np.exp(np.clip(np.log(at.weights) + step[:n_speakers], *LOG_WEIGHT_BOUNDS))
    return at._replace(weights=weights, bias=np.clip(at.bias + step[n_speakers:], -BIAS_BOUND, BIAS_BOUND))


def between(before: Calibration, after: Calibration, share: float) -> Calibration:
    """This share of the way, weights on the log scale; the class shares are those after."""
    weights = before.weights * (after.weights / before.weights) ** share
    return Calibration(weights, (1 - share) * before.bias + share * after.bias, after.shares)


def distance(one: Calibration, other: Calibration) -> float:
    """The largest difference of a log weight, a bias (nats) or a share."""
    weights = np.abs(np.log(one.weights / other.weights)).max(initial=0.0)
    return float(max(weights, np.abs(one.bias - other.bias).max(), np.abs(one.shares - other.shares).max()))


def _log_slope(plain: Slope, at: Calibration, *, pulled: bool) -> Slope:
    """The slope in (log weights, biases), with that of the prior.

    With u = log beta the second derivative of the likelihood is -beta^2 h + beta g: the last term vanishes where the
    gradient does and is left out, so that the curvature stays positive.
    """
    n_speakers, n_classes = len(at.weights), len(at.bias)
    scale = np.append(at.weights, np.ones(n_classes))
    gradient, curvature = plain.gradient * scale, plain.curvature * np.outer(scale, scale)
    if pulled:
        pull = 1.0 - (np.log(at.weights) + _log_t_mean(n_speakers)) / LOG_T_SD**2
        gradient += np.append(pull, -at.bias / BIAS_SD**2)
        curvature += np.diag(np.repeat([LOG_T_SD**-2, BIAS_SD**-2], [n_speakers, n_classes]))
    return Slope(gradient, curvature)


def slope(models: Models, log_q: Float64[Array, "items latent"], posterior: Float64[Array, "items latent"]) -> Slope:
    """Of the soft cross-entropy sum_i sum_k r_ik log q_ik in (weights, biases); r: the posterior.

    With many classes sum_i q_i q_i' is replaced by S S' / n, S = sum_i q_i: the curvature is then too large rather than
    too small (Jensen), so a step is too short rather than too long.
    """
    from quorate.consensus import calibrated_kernels as kernels

    _, n_speakers, n_classes = models.x.shape
    width, within = n_speakers + n_classes, n_classes <= WIDEST
    gradient, lower = np.zeros(width), np.zeros((width, width))
    kernels.slope_pass(*models, log_q, posterior, gradient, lower, within)
    if not within:
        total = np.diag(lower)[n_speakers:].copy()
        lower[n_speakers:, n_speakers:] -= np.tril(np.outer(total, total)) / max(int(models.spoken.sum()), 1)
    return Slope(gradient, lower + np.tril(lower, -1).T)
