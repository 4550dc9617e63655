"""The penalised conditional log-likelihood of people's labels given what the models said, and its gradient.

For an item, with E the evidence, L the log-likelihood of its labels per latent class, and quadrature points f_s of
weight 1/S:

    log p(r | s) = log sum_s prod_t sum_c theta_tcs exp(E_tc + L_tc) - log sum_s prod_t sum_c theta_tcs exp(E_tc)

with the gradients: in E, P(latent | r, s) - P(latent | s); in L, P(latent | r, s); in the logits of theta, per point,
the same difference minus theta times its sum over the task's classes. The latent truth is thereby what people mean by
it, and models that err together share one vote, since their weights are fitted jointly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int8, Int64

from quorate.consensus.hybrid import kernels
from quorate.consensus.hybrid.evidence import Evidence
from quorate.consensus.hybrid.labels import RowPlaces, Votes
from quorate.consensus.hybrid.options import FIXED, Settings
from quorate.consensus.hybrid.parameters import Parameters, Prior, Shape, TaskParameters, n_parameters, views

Array = np.ndarray
CHUNK = 8_192  # items per pass: bounds the memory beside the data


class Problem(NamedTuple):
    """Everything a fit reads, in arrays."""

    shapes: tuple[Shape, ...]
    priors: tuple[Prior, ...]
    evidence: tuple[Evidence, ...]
    votes: Votes
    active: Int8[Array, "items tasks"]
    places: RowPlaces
    off: Int64[Array, "tasks_plus_1"]
    points: Float64[Array, "points factors"]


class Tables(NamedTuple):
    """Parameters as probabilities."""

    theta: Float64[Array, "latent points"]
    weights: tuple[Float64[Array, "_latent _columns"], ...]
    log_rows: Float64[Array, "rows"]  # flat, see labels.py
    rows: tuple[Float64[Array, "_agents _latent _classes"], ...]  # probabilities; annotators, population, gold


@dataclass(frozen=True)
class Objective:
    """`value(vector)`: penalised log-likelihood (nats, up is better) and its gradient; sums over items in chunks."""

    problem: Problem
    settings: Settings
    precision: type[np.float32 | np.float64] = np.float32

    def value(self, vector: Float64[Array, "parameters"]) -> tuple[float, Float64[Array, "parameters"]]:
        """The objective and its gradient."""
        problem, tables = self.problem, self.tables(vector)
        gradient = np.zeros_like(vector)
        slopes = views(gradient, problem.shapes)
        sums = _sums(problem, tables, self.precision)
        _chain_theta(problem, tables, sums.gain, slopes)
        for t, shape in enumerate(problem.shapes):
            _chain_weights(shape, problem.priors[t], sums.weights[t], slopes, t)
            counts = sums.counts[problem.places.start[t] : problem.places.start[t + 1]]
            _chain_rows(shape, problem.priors[t], tables.rows[t], counts, slopes.tasks[t])
        log_prior = sum(
            _pseudo_labels(prior, self.settings.people, rows, slope)
            for prior, rows, slope in zip(problem.priors, tables.rows, slopes.tasks, strict=True)
        )
        pulled = self.precision_of_prior * (vector - self._centre)
        gradient -= pulled
        return sums.log_likelihood + log_prior - 0.5 * float(pulled @ (vector - self._centre)), gradient

    def tables(self, vector: Float64[Array, "parameters"]) -> Tables:
        """The parameters as probabilities."""
        return tables_of(views(vector, self.problem.shapes), self.problem)

    @cached_property
    def precision_of_prior(self) -> Float64[Array, "parameters"]:
        """Of the Gaussian prior of every parameter; 0 where pseudo-labels are the prior instead."""
        vector = np.zeros(n_parameters(self.problem.shapes))
        parameters = views(vector, self.problem.shapes)
        parameters.strength_all[:] = FIXED.strength_all
        for part, shape in zip(parameters.tasks, self.problem.shapes, strict=True):
            part.strength[:] = FIXED.strength_task
            part.weights[:] = weight_precision(shape, self.settings)
            part.loading[:] = FIXED.loading
            part.prevalence[:] = FIXED.prevalence
            part.leniency[:] = self.settings.annotator * FIXED.leniency
            part.rows[:] = self.settings.annotator
        return vector

    @cached_property
    def _centre(self) -> Float64[Array, "parameters"]:
        """Of the same prior."""
        vector = np.zeros(n_parameters(self.problem.shapes))
        parameters = views(vector, self.problem.shapes)
        parameters.strength_all[:] = FIXED.strength
        for part, prior in zip(parameters.tasks, self.problem.priors, strict=True):
            part.prevalence[:] = prior.prevalence
        return vector

    def log_likelihood(self, vector: Float64[Array, "parameters"]) -> Float64[Array, "items"]:
        """Per item, log p(labels | scores) without penalty, in nats."""
        problem, tables = self.problem, self.tables(vector)
        theta = tables.theta.astype(self.precision)
        parts = [passed(problem, tables, theta, lo, hi).log_likelihood for lo, hi in chunks(len(problem.active))]
        return np.concatenate(parts) if parts else np.zeros(0)


class Passed(NamedTuple):
    """What one pass over some items finds, and their votes."""

    log_likelihood: Float64[Array, "items"]
    after: Float64[Array, "items latent"]
    before: Float64[Array, "items latent"]
    gain: Float64[Array, "latent points"]
    votes: Votes


class _Sums(NamedTuple):
    log_likelihood: float
    gain: Float64[Array, "latent points"]
    weights: tuple[Float64[Array, "_latent _columns"], ...]
    counts: Float64[Array, "rows"]


def tables_of(parameters: Parameters, problem: Problem) -> Tables:
    """Parameters as probabilities."""
    theta, weights, rows, flat = [], [], [], []
    for part, prior, shape in zip(parameters.tasks, problem.priors, problem.shapes, strict=True):
        theta.append(_softmax((part.prevalence[:, None] + part.loading @ problem.points.T).T).T)
        weights.append(_weights(part, prior, shape) + (parameters.strength_all[0] + part.strength[0]) * prior.match)
        log_rows = _log_softmax(_row_logits(part, prior))
        rows.append(np.exp(log_rows))
        flat.append(log_rows.transpose(0, 2, 1).ravel())
    return Tables(np.concatenate(theta), tuple(weights), np.concatenate(flat), tuple(rows))


def evidence_logits(
    evidence: tuple[Evidence, ...], weights: tuple[Float64[Array, "_latent _columns"], ...], lo: int, hi: int
) -> Float64[Array, "chunk latent"]:
    """E of these items, all tasks side by side."""
    parts = [part.columns[lo:hi].astype(np.float64) @ w.T for part, w in zip(evidence, weights, strict=True)]
    return np.concatenate(parts, axis=1)


def chunks(n_items: int) -> list[tuple[int, int]]:
    """The items of every pass, from and to."""
    return [(lo, min(lo + CHUNK, n_items)) for lo in range(0, n_items, CHUNK)]


def passed(problem: Problem, tables: Tables, theta: Float[Array, "latent points"], lo: int, hi: int) -> Passed:
    """The pass over these items."""
    first, last = np.searchsorted(problem.votes.item, [lo, hi])
    votes = Votes(*(part[first:last] for part in problem.votes))
    votes = votes._replace(item=votes.item - lo)
    evidence = evidence_logits(problem.evidence, tables.weights, lo, hi)
    labeled = evidence.copy()
    kernels.add_labels(labeled, *votes, tables.log_rows)
    return Passed(*kernels.score_pass(theta, problem.off, evidence, labeled, problem.active[lo:hi]), votes)


def _sums(problem: Problem, tables: Tables, precision: type[np.float32 | np.float64]) -> _Sums:
    total, gain, theta = 0.0, np.zeros_like(tables.theta), tables.theta.astype(precision)
    weights = tuple(np.zeros_like(w) for w in tables.weights)
    counts = np.zeros_like(tables.log_rows)
    for lo, hi in chunks(len(problem.active)):
        log_likelihood, after, before, more, votes = passed(problem, tables, theta, lo, hi)
        total += float(log_likelihood.sum())
        gain += more
        kernels.count_labels(after, *votes, counts)
        slope = after - before
        for t, part in enumerate(problem.evidence):
            weights[t][:] += slope[:, problem.off[t] : problem.off[t + 1]].T @ part.columns[lo:hi]
    return _Sums(total, gain, weights, counts)


def _chain_theta(problem: Problem, tables: Tables, gain: Float64[Array, "latent points"], slopes: Parameters) -> None:
    for t, part in enumerate(slopes.tasks):
        lo, hi = problem.off[t], problem.off[t + 1]
        slope = gain[lo:hi] - tables.theta[lo:hi] * gain[lo:hi].sum(axis=0)
        part.prevalence[:] = slope.sum(axis=1)
        part.loading[:] = slope @ problem.points


def _chain_weights(
    shape: Shape, prior: Prior, slope: Float64[Array, "latent_t columns"], slopes: Parameters, t: int
) -> None:
    part = slopes.tasks[t]
    part.strength[0] = float((slope * prior.match).sum())
    slopes.strength_all[0] += part.strength[0]
    part.weights[:] = (
        structured(slope, prior.over_latent.T, prior.over_classes.T, shape.blocks) if prior.structured else slope
    )


def _chain_rows(
    shape: Shape,
    prior: Prior,
    rows: Float64[Array, "agents latent classes"],
    flat_counts: Float64[Array, "table"],
    part: TaskParameters,
) -> None:
    counts = flat_counts.reshape(-1, shape.classes, shape.latent).transpose(0, 2, 1)
    slope = counts - counts.sum(axis=2, keepdims=True) * rows
    people = slope[:-1]  # the population's own entry serves annotators unseen by the fit
    part.people[:] = people.sum(axis=0)
    part.gold[:] = slope[-1]
    part.leniency[:] = people[:-1].sum(axis=1) @ prior.over_classes
    part.rows[:] = prior.over_latent.T @ people[:-1] @ prior.over_classes if prior.structured else people[:-1]


def _pseudo_labels(
    prior: Prior, people: float, rows: Float64[Array, "agents latent classes"], slope: TaskParameters
) -> float:
    """The log prior of the population's and the expert's rows up to a constant; its gradient is added to `slope`."""
    log_prior = 0.0
    for pseudo, row, gradient in (
        (people * prior.people, rows[-2], slope.people),
        (FIXED.gold * prior.gold, rows[-1], slope.gold),
    ):
        np.add(gradient, pseudo - pseudo.sum(axis=1, keepdims=True) * row, out=gradient)
        log_prior += float((pseudo * np.log(row)).sum())
    return log_prior


def weight_precision(shape: Shape, settings: Settings) -> Float64[Array, "columns"]:
    """Prior precision of every evidence column's weights."""
    precision = np.full(shape.columns, FIXED.feature)
    precision[: shape.blocks * shape.classes] = settings.apart
    precision[: min(shape.blocks, 1) * shape.classes] = settings.apart * FIXED.pooled
    return precision


def _weights(part: TaskParameters, prior: Prior, shape: Shape) -> Float64[Array, "latent columns"]:
    if not prior.structured:
        return part.weights
    return structured(part.weights, prior.over_latent, prior.over_classes, shape.blocks)


def structured(
    weights: Float64[Array, "latent columns"],
    left: Float64[Array, "latent latent"],
    right: Float64[Array, "classes classes"],
    blocks: int,
) -> Float64[Array, "latent columns"]:
    """The product left @ W with every block of class columns multiplied by right'."""
    n_latent, width = len(weights), blocks * len(right)
    out = left @ weights
    out[:, :width] = (out[:, :width].reshape(n_latent, blocks, len(right)) @ right.T).reshape(n_latent, width)
    return out


def _row_logits(part: TaskParameters, prior: Prior) -> Float64[Array, "agents latent classes"]:
    own = prior.over_latent @ part.rows @ prior.over_classes.T if prior.structured else part.rows
    own = own + (part.leniency @ prior.over_classes.T)[:, None]
    return np.concatenate([part.people + own, part.people[None], part.gold[None]])


def _softmax(logits: Float64[Array, "rows classes"]) -> Float64[Array, "rows classes"]:
    return np.exp(_log_softmax(logits))


def _log_softmax(logits: Float64[Array, "... classes"]) -> Float64[Array, "... classes"]:
    top = logits.max(axis=-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))
