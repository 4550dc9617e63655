"""The fit of one task of `haic`: a start from moments, L-BFGS, the spread of skills, how people and experts answer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.consensus.complementarity_objective import Problem, height, moments_of, steps
from quorate.consensus.complementarity_parameters import USUAL_SKILL, Layout, Parameters, Sources, partial_of
from quorate.consensus.complementarity_scores import (
    Evidence,
    Scale,
    evidence_of,
    latent_posteriors,
    person_rows,
    silence,
    votes_of,
)
from quorate.consensus.estimator import Status
from quorate.data.encode import Coded

Array = np.ndarray

FIRST_ITEMS = 1_500  # the fit begins on so many items, chosen with seed 0
FIRST_TOLERANCE = 1e-6
FIRST_SPREAD = 0.5  # sd of people's skills until it is learned, and the median of its log-normal prior
LOG_SPREAD_SD = 0.5
SPREADS = (0.02, 3.0)
GOLD_COUNTS = 10.0  # on the diagonal of the expert's rows: classes keep their names unless many gold labels object
EXPERT_PASSES = 50


# ---- the fit -------------------------------------------------------------------------------------------------------
class Learned(NamedTuple):
    """How the fit of one task ended."""

    parameters: Parameters
    spread: float  # sd of people's skills around the population's
    status: Status
    objective: tuple[float, ...]  # log posterior, nats, up to a constant


def maximised(problem: Problem, n_people: int, *, learn_shares: bool, tolerance: float, max_iterations: int) -> Learned:
    """First on some items, where the spread of skills is learned, then on all of them."""
    n_items, n_classes, n_models = problem.evidence.x.shape
    layout = Layout(n_classes, n_models, n_people, FIRST_SPREAD, learn_shares, not problem.centred)
    vector = start(problem, layout).joined()
    if problem.votes.begin.size:
        order = np.random.default_rng(0).permutation(n_items)
        few = problem.select(np.sort(order[:FIRST_ITEMS]))
        vector, _, _ = _climbed(few, layout, vector, FIRST_TOLERANCE, max_iterations)
        found = height(few, moments_of(few.evidence), layout, vector)
        spread = learned_spread(layout.sources(vector).deviation, found.information[:-1], layout.spread)
        vector = layout.sources(vector)._replace(deviation=layout.sources(vector).deviation * layout.spread / spread)
        layout, vector = layout._replace(spread=spread), vector.joined()
    vector, status, objective = _climbed(problem, layout, vector, tolerance, max_iterations)
    return Learned(layout.parameters(layout.sources(vector)), layout.spread, status, objective)


def _climbed(
    problem: Problem, layout: Layout, vector: Float64[Array, "parameters"], tolerance: float, max_iterations: int
) -> tuple[Float64[Array, "parameters"], Status, tuple[float, ...]]:
    from scipy.optimize import minimize

    moments, step = moments_of(problem.evidence), steps(problem, layout)
    path = [height(problem, moments, layout, vector).value]

    def below(at: Float64[Array, "parameters"]) -> tuple[float, Float64[Array, "parameters"]]:
        found = height(problem, moments, layout, at * step)
        return -found.value, -found.gradient * step

    def noted(intermediate_result: Any) -> None:  # the name tells scipy what to hand over
        path.append(-float(intermediate_result.fun))

    end: Any = minimize(
        below,
        vector / step,
        jac=True,
        method="L-BFGS-B",
        callback=noted,
        options={
            "maxiter": max_iterations,
            "maxfun": 10 * max_iterations,
            "ftol": tolerance,
            "gtol": 1e-6,
            "maxcor": 20,
        },
    )
    # A line search that finds nothing higher (status 2) has met the rounding of the table of Phi: that is the top.
    return end.x * step, "iteration limit" if end.status == 1 else "converged", tuple(path)


def start(problem: Problem, layout: Layout) -> Sources:
    """Moments of the scores when the truth is as people voted, or as the models said where nobody did."""
    truth = _first_truth(problem)
    x, present = problem.evidence.x, problem.evidence.patterns.present[problem.evidence.pattern]
    weight = np.einsum("ik,im->m", truth, present.astype(float))
    rest = np.maximum((layout.n_classes - 1) * weight, 1e-9)
    right = np.einsum("ik,ikm->m", truth, x) / np.maximum(weight, 1e-9)
    wrong = np.einsum("ik,ikm->m", 1.0 - truth, x) / rest
    residual = (x - wrong - truth[:, :, None] * (right - wrong)) * present[:, None, :]
    both = np.einsum("im,in->mn", present.astype(float), present.astype(float)) * layout.n_classes
    covariance = np.einsum("ikm,ikn->mn", residual, residual) / np.maximum(both, 1.0)
    sd = np.sqrt(np.maximum(np.diag(covariance), 0.25))
    whole = np.eye(layout.n_models + 1)
    whole[:-1, :-1] = _firm(covariance / np.outer(sd, sd))
    contrast = np.clip((right - wrong) / sd, 0.1, 5.0)
    offset = (right + (layout.n_classes - 1) * wrong) / layout.n_classes * layout.learn_offset
    shares = np.log(truth.sum(axis=0) + 1.0) * layout.learn_shares
    usual, deviation = np.full(1, USUAL_SKILL), np.zeros(layout.n_people)
    return Sources(shares, contrast, offset, np.log(sd), partial_of(whole), usual, deviation)


def _first_truth(problem: Problem) -> Float64[Array, "items classes"]:
    votes, x = problem.votes, problem.evidence.x
    n_items, n_classes, n_models = x.shape
    item, place = votes.flat()
    counts = np.zeros((n_items, n_classes))
    np.add.at(counts, (item, votes.code[place]), 1.0)
    said = x.sum(axis=2) / max(n_models, 1)
    said = np.exp(said - said.max(axis=1, keepdims=True, initial=-np.inf))
    counts += 0.5 * said / said.sum(axis=1, keepdims=True)
    truth = counts / counts.sum(axis=1, keepdims=True)
    known = np.flatnonzero(problem.gold >= 0)
    truth[known] = np.eye(n_classes)[problem.gold[known]]
    return truth


def _firm(correlation: Float64[Array, "models models"]) -> Float64[Array, "models models"]:
    """Pulled to independence as far as it takes to be positive definite: pairs were counted on different items."""
    if not len(correlation):
        return correlation
    np.fill_diagonal(correlation, 1.0)
    lowest = float(np.linalg.eigvalsh(correlation)[0])
    share = 1.0 if lowest > 0.05 else 0.95 / (1.0 - lowest)
    return share * correlation + (1.0 - share) * np.eye(len(correlation))


def learned_spread(deviation: Float64[Array, "people"], information: Float64[Array, "people"], spread: float) -> float:
    """The sd of skills under which the people's own estimates are most likely, with a log-normal prior.

    The posterior mode under `spread` is undone: what the labels alone say of a person is deviation * spread *
    (information + 1 / spread²) / information, with variance 1 / information, so it is normal with variance tau² more.
    """
    from scipy.optimize import minimize_scalar

    heard = information > 1e-3
    known = information[heard]
    alone = deviation[heard] * spread * (1.0 + 1.0 / (known * spread**2))

    def below(log_tau: float) -> float:
        variance = np.exp(2.0 * log_tau) + 1.0 / known
        prior = ((log_tau - np.log(FIRST_SPREAD)) / LOG_SPREAD_SD) ** 2
        return float(0.5 * (np.log(variance) + alone**2 / variance).sum() + 0.5 * prior)

    found: Any = minimize_scalar(below, bounds=np.log(SPREADS), method="bounded")
    return float(np.exp(found.x))


# ---- one task ------------------------------------------------------------------------------------------------------
class Taught(NamedTuple):
    """What one task taught."""

    place: Int64[Array, "annotators_plus_1"]  # of everybody's skill; the last one, and who never answered: population
    parameters: Parameters
    spread: float  # sd of people's skills around the population's
    population: Float64[Array, "latent classes"]  # P(label | latent) of an annotator nobody has seen
    gold: Float64[Array, "latent classes"] | None  # P(gold label | latent)


class TaskEnd(NamedTuple):
    """How the fit of one task ended."""

    taught: Taught
    status: Status
    objective: tuple[float, ...]
    notes: tuple[str, ...]


def fit_task(
    coded: Coded,
    task: int,
    *,
    scale: Scale,
    floor: float,
    joint: bool,
    learn_shares: bool,
    use_gold: bool,
    tolerance: float,
    max_iterations: int,
) -> TaskEnd:
    """Parameters of one task, and how its classes show in people's and the expert's labels."""
    place, n_people = _places(coded, task)
    evidence, votes = evidence_of(coded.outputs[task], scale, floor), votes_of(coded, task, place)
    gold = np.where(use_gold, coded.gold[:, task], -1).astype(np.int64)
    problem = Problem(evidence, votes, gold, joint, scale == "centred")
    learned = maximised(
        problem, n_people, learn_shares=learn_shares, tolerance=tolerance, max_iterations=max_iterations
    )
    unaided = latent_posteriors(evidence, votes, learned.parameters)
    known = np.flatnonzero(gold >= 0)
    told = unaided.copy()
    told[known] = np.eye(unaided.shape[1])[gold[known]]
    taught = Taught(
        place,
        learned.parameters,
        learned.spread,
        population_rows(evidence, learned.parameters, told),
        expert_rows(unaided[known], gold[known]) if len(known) else None,
    )
    name, answered = (
        coded.schema.tasks[task].name,
        n_people > 0 or bool(evidence.patterns.present[evidence.pattern].any()),
    )
    notes = _silence_notes(name, n_people=n_people, answered=answered)
    return TaskEnd(taught, learned.status if answered else "prior only", learned.objective, notes)


def _places(coded: Coded, task: int) -> tuple[Int64[Array, "annotators_plus_1"], int]:
    of_task = coded.cell_of_label() % max(coded.n_tasks, 1) == task
    seen = np.unique(coded.labels.annotator[of_task])
    seen = seen[seen >= 0]
    place = np.full(len(coded.annotators) + 1, len(seen), np.int64)
    place[seen] = np.arange(len(seen))
    return place, len(seen)


def _silence_notes(task: str, *, n_people: int, answered: bool) -> tuple[str, ...]:
    if not answered:
        return (f"Task {task!r} had no labels: its answers rest on the prior alone.",)
    if not n_people:
        return (f"Task {task!r} had no labels from people: what a person would say rests on the prior.",)
    return ()


def population_rows(
    evidence: Evidence, parameters: Parameters, latent: Float64[Array, "items latent"]
) -> Float64[Array, "latent classes"]:
    """P(label | truth) of a person of the population: the mean over items, weighed by P(truth), of P(label | x, truth).

    One more item, of which nothing is known, keeps a row where no item has that truth.
    """
    n_models, n_classes = evidence.x.shape[2], evidence.x.shape[1]
    stranger = np.full(1, len(parameters.skill) - 1, np.int64)
    alone = person_rows(silence(n_classes, n_models), parameters, np.zeros(1, np.int64), stranger)
    rows = person_rows(evidence, parameters, np.arange(len(latent)), np.repeat(stranger, len(latent)))
    total = alone[0] + np.einsum("ik,ikh->kh", latent, rows)
    return total / total.sum(axis=1, keepdims=True)


def expert_rows(
    latent: Float64[Array, "golden latent"], gold: Int64[Array, "golden"]
) -> Float64[Array, "latent classes"]:
    """P(gold label | truth) by expectation maximisation, the truth's posterior being that without gold."""
    n_classes = latent.shape[1]
    pseudo = 1.0 / n_classes + GOLD_COUNTS * np.eye(n_classes)
    rows, said = pseudo / pseudo.sum(axis=1, keepdims=True), np.eye(n_classes)[gold]
    for _ in range(EXPERT_PASSES):
        share = latent * rows[:, gold].T
        counts = pseudo + (share / share.sum(axis=1, keepdims=True)).T @ said
        rows = counts / counts.sum(axis=1, keepdims=True)
    return rows
