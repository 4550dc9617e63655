"""From codes to fitted tables: L-BFGS on the penalised conditional log-likelihood."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.consensus.estimator import Status
from quorate.consensus.hybrid.curvature import curvature
from quorate.consensus.hybrid.evidence import Design, design_of, evidence_of
from quorate.consensus.hybrid.habits import Habits, habits_of
from quorate.consensus.hybrid.labels import (
    RowPlaces,
    active_cells,
    columns_of,
    row_places,
    seen_annotators,
    votes_of,
)
from quorate.consensus.hybrid.objective import Objective, Problem, Tables, tables_of
from quorate.consensus.hybrid.options import FIXED, Settings
from quorate.consensus.hybrid.parameters import Shape, prior_of, start_vector, views
from quorate.data.encode import Coded

Array = np.ndarray
MEMORY = 12  # past steps that L-BFGS keeps
SMALL_GAIN = 3e-7  # converged: the objective gains less than this share in a step
SMALL_STEP = 0.1  # converged too: no parameter is farther from the summit, in its own standard errors, to first order


class Vocabulary(NamedTuple):
    """What a fit has met: columns, annotators per task, sizes."""

    design: Design
    seen: tuple[Int64[Array, "_seen"], ...]
    shapes: tuple[Shape, ...]
    places: RowPlaces
    off: Int64[Array, "tasks_plus_1"]


class Ended(NamedTuple):
    """A finished fit."""

    vector: Float64[Array, "parameters"]
    status: Status
    objective: tuple[float, ...]


def vocabulary_of(coded: Coded, settings: Settings) -> Vocabulary:
    """Sizes and places that this data calls for."""
    design, seen = design_of(coded), seen_annotators(coded)
    shapes = tuple(
        Shape(
            classes=len(task.classes),
            subtypes=settings.subtypes if len(task.classes) > 1 else 1,
            features=coded.features.shape[1],
            speakers=len(speakers),
            annotators=len(annotators),
            factors=settings.factors,
            ordered=task.ordered,
        )
        for task, speakers, annotators in zip(coded.schema.tasks, design.speakers, seen, strict=True)
    )
    return Vocabulary(design, seen, shapes, row_places(seen, shapes, len(coded.annotators)), columns_of(shapes))


def problem_of(
    coded: Coded,
    vocabulary: Vocabulary,
    habits: tuple[Habits, ...],
    points: Float64[Array, "points factors"],
) -> Problem:
    """The labeled items of this data (people or gold), as a fit reads them."""
    labeled = (np.diff(coded.labels.start).reshape(coded.n_items, -1).sum(axis=1) > 0) | (coded.gold >= 0).any(axis=1)
    kept = coded if labeled.all() else coded.select(np.flatnonzero(labeled))
    evidence = evidence_of(kept, vocabulary.design)
    shapes = vocabulary.shapes
    return Problem(
        shapes=shapes,
        priors=tuple(map(prior_of, coded.schema.tasks, shapes, habits)),
        evidence=evidence,
        votes=votes_of(kept, shapes, vocabulary.places, with_gold=True),
        active=active_cells(kept, evidence, with_gold=True),
        places=vocabulary.places,
        off=vocabulary.off,
        points=points,
    )


def maximise(
    objective: Objective,
    start: Float64[Array, "parameters"],
    max_iterations: int,
    progress: Callable[[float], None] | None = None,
    *,
    small_gain: float = SMALL_GAIN,
) -> Ended:
    """Climb from `start`, stepping on the scale of every parameter's curvature there. progress(share of the iterations
    allowed) is called at every step.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    n_votes = max(len(objective.problem.votes.item), 1)
    scale = curvature(objective, start) ** -0.5
    trace: list[float] = []

    def descend(scaled: Float64[Array, "parameters"]) -> tuple[float, Float64[Array, "parameters"]]:
        value, gradient = objective.value(scaled * scale)
        return -value / n_votes, -gradient * scale / n_votes

    def step(intermediate_result: object) -> None:
        trace.append(-float(intermediate_result.fun) * n_votes)  # pyright: ignore[reportAttributeAccessIssue]
        if progress is not None:
            progress(len(trace) / max_iterations)

    with threadpool_limits(1, user_api="blas"):  # the matrices are small: waking BLAS threads costs more than it brings
        end = minimize(
            descend,
            start / scale,
            jac=True,
            method="L-BFGS-B",
            callback=step,
            options={"maxiter": max_iterations, "maxcor": MEMORY, "ftol": small_gain, "gtol": SMALL_STEP / n_votes},
        )
    # L-BFGS-B also stops when rounding leaves no better step: at this tolerance that is the summit
    status: Status = "iteration limit" if end.nit >= max_iterations else "converged"
    return Ended(end.x * scale, status, tuple(trace))


def fit_tables(
    coded: Coded,
    settings: Settings,
    *,
    points: Float64[Array, "points factors"],
    max_iterations: int,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> tuple[Vocabulary, Tables, Ended]:
    """One fit under given settings; without any label the prior itself."""
    vocabulary, habits = vocabulary_of(coded, settings), habits_of(coded)
    problem = problem_of(coded, vocabulary, habits, points)
    start = start_vector(vocabulary.shapes, problem.priors, strength=FIXED.strength, seed=seed)
    if len(problem.votes.item):
        ended = maximise(Objective(problem, settings), start, max_iterations, progress)
    else:
        for part in views(start, vocabulary.shapes).tasks:
            part.loading[:] = 0.0
        ended = Ended(start, "prior only", ())
    tables = tables_of(views(ended.vector, vocabulary.shapes), problem)
    return vocabulary, with_population(coded, vocabulary, tables), ended


def with_population(coded: Coded, vocabulary: Vocabulary, tables: Tables) -> Tables:
    """The population row as a random label meets it: the mean of annotators' rows, weighted by their labels."""
    rows, flat = [], []
    task = coded.cell_of_label() % coded.n_tasks
    for t, (seen, own) in enumerate(zip(vocabulary.seen, tables.rows, strict=True)):
        chosen = coded.labels.annotator[task == t]
        weight = np.bincount(chosen[chosen >= 0], minlength=len(coded.annotators))[seen].astype(float)
        mixed = np.append(weight, FIXED.mixed) / (weight.sum() + FIXED.mixed)
        updated = own.copy()
        updated[-2] = np.tensordot(mixed, own[:-1], axes=1)
        rows.append(updated)
        flat.append(np.log(updated).transpose(0, 2, 1).ravel())
    return tables._replace(rows=tuple(rows), log_rows=np.concatenate(flat))


def quadrature_points(factors: int, n_points: int, seed: int) -> Float64[Array, "points factors"]:
    """Standard normal points of equal weight: a scrambled Sobol set and its mirror image, whitened [owen1998]."""
    if factors == 0:
        return np.zeros((1, 0))
    from scipy.special import ndtri
    from scipy.stats import qmc

    uniform = qmc.Sobol(factors, scramble=True, rng=np.random.default_rng(seed)).random(max(n_points // 2, 2 * factors))
    half = ndtri(np.clip(uniform, 1e-9, 1 - 1e-9))
    both = np.concatenate([half, -half])
    root = np.linalg.cholesky(both.T @ both / len(both))
    return np.linalg.solve(root, both.T).T
