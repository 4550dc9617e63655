"""The parameters of `haic`: as the paper names them, as one vector without bounds, and given the models present."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

Array = np.ndarray

USUAL_SKILL = 1.0  # mean and sd of the prior of d' = (muM1 - muM0) / sM and of muH1: an agent is better than chance
USUAL_SD = 1.5  # nats; centre of the prior of sM, whose log has sd one
OFFSET_SD = 10.0  # nats, of the mean of muM1 and (classes - 1) times muM0, where the scale knows it
SHRINKAGE = 1.0  # times log det R: the density of an LKJ(2) prior [lewandowski2009]; keeps R positive definite


class Parameters(NamedTuple):
    """One task: what is drawn for every item and class, in nats of the score scale and sds of a person's latent score.

    Scores of the models are normal around `right` for the true class, around `wrong` for all others; a person's latent
    scores around skill and 0. Agents of the correlation are the models, then a person.
    """

    prevalence: Float64[Array, "classes"]
    right: Float64[Array, "models"]  # muM1
    wrong: Float64[Array, "models"]  # muM0
    sd: Float64[Array, "models"]  # sM
    skill: Float64[Array, "people_plus_1"]  # muH1 of everybody; the last one is the population's
    correlation: Float64[Array, "agents agents"]


class Sources(NamedTuple):
    """The same without bounds: the vector that is optimised, in parts."""

    shares: Float64[Array, "classes"]  # logits of the prevalence
    contrast: Float64[Array, "models"]  # d' = (muM1 - muM0) / sM
    offset: Float64[Array, "models"]  # (muM1 + (classes - 1) muM0) / classes
    log_sd: Float64[Array, "models"]
    partial: Float64[Array, "pairs"]  # rows of the Cholesky factor below a diagonal of ones, before they get length one
    usual: Float64[Array, "one"]  # the population's skill
    deviation: Float64[Array, "people"]  # of everybody's skill from it, in units of the spread

    def joined(self) -> Float64[Array, "parameters"]:
        """All parts in one vector."""
        return np.concatenate(self)


class Layout(NamedTuple):
    """What the vector is made of, and which parts of it stay at their start."""

    n_classes: int
    n_models: int
    n_people: int
    spread: float  # sd of people's skills around the population's
    learn_shares: bool
    learn_offset: bool

    def sources(self, vector: Float64[Array, "parameters"]) -> Sources:
        """The parts of the vector."""
        agents, m = self.n_models + 1, self.n_models
        sizes = (self.n_classes, m, m, m, agents * (agents - 1) // 2, 1, self.n_people)
        return Sources(*np.split(vector, np.cumsum(sizes)[:-1]))

    def parameters(self, sources: Sources) -> Parameters:
        """The parameters that these sources stand for."""
        sd = np.exp(sources.log_sd)
        distance = sources.contrast * sd
        wrong = sources.offset - distance / self.n_classes
        factor, _ = cholesky(sources.partial, self.n_models + 1)
        return Parameters(
            prevalence=_softmax(sources.shares),
            right=wrong + distance,
            wrong=wrong,
            sd=sd,
            skill=np.append(sources.usual + self.spread * sources.deviation, sources.usual),
            correlation=factor @ factor.T,
        )

    def free(self, gradient: Sources) -> Sources:
        """The gradient with zeros where a part stays."""
        return gradient._replace(shares=gradient.shares * self.learn_shares, offset=gradient.offset * self.learn_offset)

    def log_prior(self, sources: Sources) -> tuple[float, Sources]:
        """Log prior density of the parameters up to a constant, in nats, and its gradient in the sources."""
        n_agents = self.n_models + 1
        _, length = cholesky(sources.partial, n_agents)
        row = np.tril_indices(n_agents, -1)[0]
        prevalence = _softmax(sources.shares)
        log_sd = sources.log_sd - np.log(USUAL_SD)
        squares = (
            ((sources.contrast - USUAL_SKILL) ** 2).sum()
            + ((sources.usual - USUAL_SKILL) ** 2).sum()
            + (sources.offset**2).sum() / OFFSET_SD**2
            + (log_sd**2).sum()
            + (sources.deviation**2).sum()
        )
        value = -0.5 * squares + np.log(prevalence).sum() - 2.0 * SHRINKAGE * np.log(length).sum()
        gradient = Sources(
            shares=1.0 - self.n_classes * prevalence,
            contrast=USUAL_SKILL - sources.contrast,
            offset=-sources.offset / OFFSET_SD**2,
            log_sd=-log_sd,
            partial=-2.0 * SHRINKAGE * sources.partial / length[row] ** 2,
            usual=USUAL_SKILL - sources.usual,
            deviation=-sources.deviation,
        )
        return float(value), gradient


def cholesky(
    partial: Float64[Array, "pairs"], n_agents: int
) -> tuple[Float64[Array, "agents agents"], Float64[Array, "agents"]]:
    """The factor L of a correlation matrix R = L L', rows of length one; and the lengths they had.

    log det R = -2 sum log length. Any real vector is a positive definite R, and the reverse.

    >>> factor, _ = cholesky(np.array([0.75]), 2)
    >>> (factor @ factor.T).round(3).tolist()
    [[1.0, 0.6], [0.6, 1.0]]
    """
    rows = np.eye(n_agents)
    rows[np.tril_indices(n_agents, -1)] = partial
    length = np.sqrt((rows**2).sum(axis=1))
    return rows / length[:, None], length


def partial_of(correlation: Float64[Array, "agents agents"]) -> Float64[Array, "pairs"]:
    """The vector whose correlation matrix this is."""
    factor = np.linalg.cholesky(correlation)
    rows = factor / np.diag(factor)[:, None]
    return rows[np.tril_indices(len(rows), -1)]


# ---- conditioned on the models that spoke --------------------------------------------------------------------------
class Patterns(NamedTuple):
    """Which models spoke, one row per way that occurs; and the variance that their answers hide."""

    present: Bool[Array, "patterns models"]
    hidden: Float64[Array, "patterns models"]  # squared nats; 0 but for hard answers


class Conditioned(NamedTuple):
    """What a pattern makes of scores x: evidence weight . x_k, and a person's latent scores given them.

    With S and c the covariance of the present models and theirs with a person, P = S^-1, d = muM1 - muM0: weight = P d,
    b = P c, variance = 1 - c' b; slope = b / sd, shift = b' d / sd.
    """

    precision: Float64[Array, "patterns models models"]
    log_det: Float64[Array, "patterns"]  # of S
    regression: Float64[Array, "patterns models"]  # b
    weight: Float64[Array, "patterns models"]
    slope: Float64[Array, "patterns models"]
    inv_sd: Float64[Array, "patterns"]
    shift: Float64[Array, "patterns"]


class Pull(NamedTuple):
    """Derivatives of an objective in a pattern's parts: what is pulled back to the parameters."""

    weight: Float64[Array, "patterns models"]
    slope: Float64[Array, "patterns models"]
    inv_sd: Float64[Array, "patterns"]
    shift: Float64[Array, "patterns"]
    precision: Float64[Array, "patterns models models"]
    covariance: Float64[Array, "patterns models models"]  # beside what goes through the precision


def covariances(parameters: Parameters) -> tuple[Float64[Array, "models models"], Float64[Array, "models"]]:
    """Of the models' scores, and of theirs with a person's latent score."""
    sd, correlation = parameters.sd, parameters.correlation
    return np.outer(sd, sd) * correlation[:-1, :-1], sd * correlation[:-1, -1]


def conditioned(parameters: Parameters, patterns: Patterns) -> Conditioned:
    """Every pattern's regression by the Schur complement; a model that is absent drops out exactly."""
    both = patterns.present[:, :, None] & patterns.present[:, None, :]
    own, cross = covariances(parameters)
    outside = np.where(patterns.present, patterns.hidden, 1.0)  # a one on the diagonal: no part in the determinant
    whole = np.where(both, own, 0.0) + outside[:, :, None] * np.eye(len(own))
    precision = np.where(both, np.linalg.inv(whole), 0.0)
    distance = parameters.right - parameters.wrong
    regression = precision @ cross
    inv_sd = 1.0 / np.sqrt(1.0 - regression @ cross)
    return Conditioned(
        precision=precision,
        log_det=np.linalg.slogdet(whole)[1],
        regression=regression,
        weight=precision @ distance,
        slope=regression * inv_sd[:, None],
        inv_sd=inv_sd,
        shift=regression @ distance * inv_sd,
    )


def pulled_back(
    pull: Pull, at: Conditioned, parameters: Parameters
) -> tuple[Float64[Array, "models"], Float64[Array, "models models"], Float64[Array, "models"]]:
    """Derivatives in d = muM1 - muM0, in the models' covariance, and in theirs with a person."""
    _, cross = covariances(parameters)
    distance = parameters.right - parameters.wrong
    along = (pull.slope * at.regression).sum(axis=1) + pull.shift * (at.regression @ distance)
    half = 0.5 * (pull.inv_sd + along) * at.inv_sd**3  # the variance moves by -d(c' b)
    g_regression = pull.slope * at.inv_sd[:, None] + np.outer(pull.shift * at.inv_sd, distance)
    g_regression += half[:, None] * cross
    g_cross = (half[:, None] * at.regression).sum(axis=0) + np.einsum("pij,pj->i", at.precision, g_regression)
    g_distance = np.einsum("pij,pj->i", at.precision, pull.weight)
    g_distance += (pull.shift * at.inv_sd) @ at.regression
    g_precision = pull.precision + g_regression[:, :, None] * cross + pull.weight[:, :, None] * distance
    through = at.precision @ g_precision @ at.precision
    return g_distance, (pull.covariance - through).sum(axis=0), g_cross


class Moved(NamedTuple):
    """Derivatives of an objective in the parameters."""

    distance: Float64[Array, "models"]  # muM1 - muM0, muM0 staying
    wrong: Float64[Array, "models"]  # both, their distance staying
    own: Float64[Array, "models models"]  # covariance of the models
    cross: Float64[Array, "models"]  # theirs with a person
    skill: Float64[Array, "people_plus_1"]
    log_prevalence: Float64[Array, "classes"]


def to_sources(layout: Layout, sources: Sources, parameters: Parameters, moved: Moved) -> Sources:
    """The gradient in the sources from that in the parameters."""
    sd, n_models = parameters.sd, layout.n_models
    own, cross = covariances(parameters)
    g_moved = moved.distance - moved.wrong / layout.n_classes
    g_correlation = np.zeros((n_models + 1, n_models + 1))
    g_correlation[:-1, :-1] = moved.own * np.outer(sd, sd)
    g_correlation[:-1, -1] = moved.cross * sd
    factor, length = cholesky(sources.partial, n_models + 1)
    g_factor = (g_correlation + g_correlation.T) @ factor
    g_rows = (g_factor - factor * (factor * g_factor).sum(axis=1, keepdims=True)) / length[:, None]
    g_scale = ((moved.own + moved.own.T) * own).sum(axis=1) + moved.cross * cross
    return Sources(
        shares=moved.log_prevalence - parameters.prevalence * moved.log_prevalence.sum(),
        contrast=g_moved * sd,
        offset=moved.wrong,
        log_sd=g_moved * sources.contrast * sd + g_scale,
        partial=g_rows[np.tril_indices(n_models + 1, -1)],
        usual=moved.skill.sum(keepdims=True),
        deviation=layout.spread * moved.skill[:-1],
    )


def _softmax(logits: Float64[Array, "classes"]) -> Float64[Array, "classes"]:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()
