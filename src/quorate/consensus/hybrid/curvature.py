"""How sharply the objective bends along each parameter: the scale on which a fit steps.

A row of people bends with the labels counted in it, a weight with the squares of what it multiplies: the two differ a
thousandfold. In parameters divided by the root of their curvature L-BFGS needs a third of the steps [nocedal2006].
Along the diagonal, at one point, the curvature is the prior's precision and of the data

    rows                                 n_c p_ck (1 - p_ck), n_c the expected labels of a row: complete data
    prevalence, loadings, weights        sum_i (P(c | r, s) - P(c | s))^2 x_i^2, x_i = 1 for the first two: empirical
    strengths                            sum_i (sum_c (P(c | r, s) - P(c | s)) x_ic)^2

which need not be exact: it changes the way up, never the summit.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64

from quorate.consensus.hybrid import kernels
from quorate.consensus.hybrid.objective import Objective, Problem, Tables, chunks, passed, structured
from quorate.consensus.hybrid.options import FIXED
from quorate.consensus.hybrid.parameters import Parameters, Prior, Shape, TaskParameters, views

Array = np.ndarray
LEAST = 0.1  # a parameter that neither data nor prior hold still has a scale


def curvature(objective: Objective, vector: Float64[Array, "parameters"]) -> Float64[Array, "parameters"]:
    """Minus the second derivative of the objective along every parameter, roughly; in nats, at least `LEAST`."""
    problem, tables = objective.problem, objective.tables(vector)
    found = objective.precision_of_prior.copy()
    bends = views(found, problem.shapes)
    counts = _bend_truth(problem, tables, objective.precision, bends)
    for t, shape in enumerate(problem.shapes):
        of_task = counts[problem.places.start[t] : problem.places.start[t + 1]]
        own = of_task.reshape(-1, shape.classes, shape.latent).sum(axis=1)
        _bend_rows(problem.priors[t], tables.rows[t], own, objective.settings.people, bends.tasks[t])
    return np.maximum(found, LEAST)


def _bend_truth(
    problem: Problem, tables: Tables, precision: type[np.float32 | np.float64], bends: Parameters
) -> Float64[Array, "rows"]:
    """Everything but rows, added to `bends`; returns the expected labels of every entry of the rows."""
    theta, counts = tables.theta.astype(precision), np.zeros_like(tables.log_rows)
    for lo, hi in chunks(len(problem.active)):
        found = passed(problem, tables, theta, lo, hi)
        kernels.count_labels(found.after, *found.votes, counts)
        slope = found.after - found.before
        for t, (shape, prior) in enumerate(zip(problem.shapes, problem.priors, strict=True)):
            of_task = slope[:, problem.off[t] : problem.off[t + 1]]
            bends.strength_all[0] += _bend_task(
                shape, prior, of_task, problem.evidence[t].columns[lo:hi], bends.tasks[t]
            )
    return counts


def _bend_task(
    shape: Shape,
    prior: Prior,
    slope: Float64[Array, "chunk latent_t"],
    columns: Float32[Array, "chunk columns"],
    part: TaskParameters,
) -> float:
    """One task's share of the truth's parameters; returns that of its strength."""
    squares = slope**2
    part.prevalence[:] += squares.sum(axis=0)
    part.loading[:] += squares.sum(axis=0)[:, None]  # the factors have variance one
    bent = squares.T @ columns.astype(np.float64) ** 2
    part.weights[:] += structured(bent, (prior.over_latent**2).T, (prior.over_classes**2).T, shape.blocks)
    of_strength = float((((columns @ prior.match.T) * slope).sum(axis=1) ** 2).sum())
    part.strength[0] += of_strength
    return of_strength


def _bend_rows(
    prior: Prior,
    rows: Float64[Array, "agents latent classes"],
    n_labels: Float64[Array, "agents latent"],
    people: float,
    part: TaskParameters,
) -> None:
    bent = n_labels[:, :, None] * rows * (1 - rows)
    part.people[:] += bent[:-1].sum(axis=0) + _bend_pseudo(people * prior.people, rows[-2])
    part.gold[:] += bent[-1] + _bend_pseudo(FIXED.gold * prior.gold, rows[-1])
    across = prior.over_classes**2
    part.leniency[:] += bent[:-2].sum(axis=1) @ across
    part.rows[:] += (prior.over_latent**2).T @ bent[:-2] @ across


def _bend_pseudo(
    pseudo: Float64[Array, "latent classes"], row: Float64[Array, "latent classes"]
) -> Float64[Array, "latent classes"]:
    return pseudo.sum(axis=1, keepdims=True) * row * (1 - row)
