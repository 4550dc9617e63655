"""One task of `calibrated`: from a data set to the problem that is maximised, and what it taught."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int16, Int64

from quorate.consensus.calibrated_em import (
    Calibrate,
    Learned,
    Prior,
    Problem,
    learned_gold_row,
    maximise_posterior,
    maximised_rows,
    starting_rules,
)
from quorate.consensus.calibrated_scores import Calibration, log_probs, models_of
from quorate.consensus.dawid_skene_em import GOLD, MAX_ENTRIES, Answers, gathered, shares, starting_counts
from quorate.consensus.estimator import Status
from quorate.data.encode import Coded
from quorate.errors import DataError
from quorate.schema import Task

Array = np.ndarray


class Taught(NamedTuple):
    """What one task taught. Rows are kept as Dirichlet parameters: expected counts plus pseudo-counts."""

    place: Int64[Array, "annotators"]  # row of every annotator; -1: never answered
    n_answers: Int64[Array, "rows"]
    rows: Float64[Array, "rows latent classes"]
    population: Float64[Array, "latent classes"]  # P(label | latent) of an annotator nobody has seen
    gold: Float64[Array, "latent classes"] | None  # P(gold label | latent)
    speakers: Int64[Array, "speakers"]  # models that spoke
    calibration: Calibration


class TaskEnd(NamedTuple):
    """How the fit of one task ended."""

    taught: Taught
    status: Status
    objective: tuple[float, ...]
    notes: tuple[str, ...]


def fit_task(
    coded: Coded,
    task: int,
    n_answers: Int64[Array, "annotators"],
    *,
    prior: Prior,
    calibrate: Calibrate,
    bias: bool,
    use_gold: bool,
    tolerance: float,
    max_iterations: int,
) -> TaskEnd:
    """Rows, temperatures and biases of one task. Raises DataError for more rows than memory should hold."""
    people = np.flatnonzero(n_answers)
    _refuse_too_many(coded.schema.tasks[task], len(people))
    place = np.full(len(n_answers), -1, np.int64)
    place[people] = np.arange(len(people))
    speakers = np.flatnonzero((coded.outputs[task].kind > 0).any(axis=0))
    problem = _problem(coded, task, place, speakers, use_gold=use_gold)
    learned = maximise_posterior(
        problem, prior, calibrate, bias=bias, tolerance=tolerance, max_iterations=max_iterations
    )
    gold = _gold_row(problem, learned) if (problem.gold >= 0).any() else None
    taught = Taught(place, n_answers[people], *_rows(learned), gold, speakers, _shared(problem, learned))
    told = len(problem.gold) > 0
    notes = _silence_notes(coded.schema.tasks[task].name, len(people), told=told)
    return TaskEnd(taught, learned.status if told else "prior only", learned.objective if told else (), tuple(notes))


def _problem(
    coded: Coded, task: int, place: Int64[Array, "annotators"], speakers: Int64[Array, "speakers"], *, use_gold: bool
) -> Problem:
    """Items without label and gold say nothing of any parameter, and are left aside."""
    begin, code = gathered(coded, task, np.concatenate([place, np.full(len(coded.models) + 2, -1)]))
    gold = coded.gold[:, task] if use_gold else np.full(coded.n_items, -1, np.int16)
    kept = np.flatnonzero((np.diff(begin) > 0) | (gold >= 0))
    known: Int16[Array, "items"] = np.ascontiguousarray(gold[kept])
    models = models_of(coded.outputs[task].select(kept), speakers)
    return Problem(Answers(begin[np.append(kept, len(gold))], code), known, models, int((place >= 0).sum()))


def _rows(
    learned: Learned,
) -> tuple[Float64[Array, "rows latent classes"], Float64[Array, "latent classes"]]:
    """Everybody's Dirichlet parameters, and the population's row: all people's counts on top of their pseudo-counts."""
    pseudo, counts = learned.rules.rows, learned.expected.rows
    together = counts.sum(axis=0) + pseudo
    if not together.any():  # a flat prior without any person: what is not known is taken from the usual start
        together = starting_rules(len(pseudo), "map", bias=False).rows
    return np.ascontiguousarray((counts + pseudo).transpose(0, 2, 1)), shares(together.T)


def _shared(problem: Problem, learned: Learned) -> Calibration:
    """The calibration; where a model spoke on every item, the shares are those of all items."""
    if not problem.models.spoken.all() or not len(problem.gold):
        return learned.calibration
    return learned.calibration._replace(shares=shares(learned.expected.posterior.sum(axis=0) + learned.rules.shares))


def _gold_row(problem: Problem, learned: Learned) -> Float64[Array, "latent classes"]:
    from quorate.consensus import calibrated_kernels as kernels

    known = np.flatnonzero(problem.gold >= 0)
    table = np.ascontiguousarray(maximised_rows(learned.expected, learned.rules)).ravel()
    log_q = log_probs(problem.models, learned.calibration)
    nobody = np.full(len(known), len(problem.answers.code), np.uint64)
    latent = kernels.posteriors(*problem.answers, table, log_q, known, nobody)
    pseudo = starting_counts(latent.shape[1], "diagonal").rows[GOLD]
    return learned_gold_row(latent, problem.gold[known], pseudo)


def _silence_notes(task: str, n_people: int, *, told: bool) -> Iterable[str]:
    if not told:
        yield f"Task {task!r} had no labels: its answers rest on the prior, and on its models as they are."
    elif not n_people:
        yield f"Task {task!r} had no labels from people: what a person would say rests on the prior."


def _refuse_too_many(task: Task, n_people: int) -> None:
    n_classes = len(task.classes)
    if (n_people + 1) * n_classes**2 > MAX_ENTRIES:
        raise DataError(
            f"task {task.name!r} has {n_people} people and {n_classes} classes: their confusion rows would take "
            f"{n_people * n_classes**2 * 8 / 2**30:.1f} GiB",
            mend="merge rare classes, or use the estimator 'majority'",
        )
