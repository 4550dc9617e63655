"""The fit of one task by expectation maximisation; the model and its sources stand in `dawid_skene`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Int8, Int16, Int64, UInt32, UInt64

from quorate.consensus.estimator import Status
from quorate.data.encode import Coded
from quorate.errors import DataError
from quorate.schema import Task

Array = np.ndarray
Prior = Literal["hierarchical", "diagonal", "flat"]
PEOPLE, MODELS, GOLD = 0, 1, 2  # groups of agents

PRIOR_PASSES = 10  # that learn pseudo-counts; 20 move hidden-label log loss by at most .01 on recorded sets
PRIOR_STEPS = 3  # fixed-point steps per such pass
PRIOR_WEIGHT = 1.0  # of the start against the agents of a group: rate of a Gamma hyperprior whose mode is the start
GOLD_COUNTS = 10.0  # on the diagonal of the gold row: classes keep their names unless many gold labels object
MAX_ENTRIES = 2**28  # of one task's confusion rows: 2 GiB
COMPILE_FOR = 100_000  # answers from which a pass compiled for its number of classes is worth the compilation


class Answers(NamedTuple):
    """All answers on one task, item after item; `dawid_skene_kernels` says how an answer is coded."""

    begin: UInt64[Array, "items_plus_1"]
    code: UInt32[Array, "answers"]


@dataclass(frozen=True)
class Problem:
    """One task to be fitted: answers, gold labels that are among them (-1: none), the group of every row."""

    answers: Answers
    gold: Int16[Array, "items"]
    group: Int8[Array, "rows"]
    n_classes: int


class Expected(NamedTuple):
    """Expected counts given all answers, and the log likelihood of the parameters they were expected under, in nats."""

    rows: Float64[Array, "rows labels latent"]
    classes: Float64[Array, "latent"]
    log_likelihood: float


class Pseudo(NamedTuple):
    """Pseudo-counts of the rows of every group, and of every class."""

    rows: Float64[Array, "groups labels latent"]
    classes: float


class Parameters(NamedTuple):
    """P(label | latent class) of every row, and P(latent class)."""

    rows: Float64[Array, "rows labels latent"]
    classes: Float64[Array, "latent"]


class Learned(NamedTuple):
    """How the fit of one task ended. Its parameters are those that maximise these counts plus pseudo-counts."""

    expected: Expected
    pseudo: Pseudo
    status: Status
    objective: tuple[float, ...]  # log posterior, nats, up to a constant


class Taught(NamedTuple):
    """What one task taught. Rows of agents are kept as Dirichlet parameters: expected counts plus pseudo-counts."""

    place: Int64[Array, "agents"]  # row of every annotator, then of every model; -1: never answered
    n_answers: Int64[Array, "rows"]
    rows: Float64[Array, "rows latent classes"]
    population: Float64[Array, "latent classes"]  # P(label | latent) of an annotator nobody has seen
    gold: Float64[Array, "latent classes"] | None  # P(gold label | latent)
    prevalence: Float64[Array, "latent"]


class TaskEnd(NamedTuple):
    """How the fit of one task ended."""

    taught: Taught
    status: Status
    objective: tuple[float, ...]
    notes: tuple[str, ...]


def fit_task(
    coded: Coded,
    task: int,
    n_answers: Int64[Array, "agents"],
    *,
    prior: Prior,
    use_gold: bool,
    tolerance: float,
    max_iterations: int,
) -> TaskEnd:
    """Confusion rows and prevalence of one task. Raises DataError for more rows than memory should hold."""
    agents = np.flatnonzero(n_answers)
    _refuse_too_many(coded.schema.tasks[task], len(agents))
    gold = np.ascontiguousarray(coded.gold[:, task]) if use_gold else np.full(coded.n_items, -1, np.int16)
    group = np.where(agents < len(coded.annotators), PEOPLE, MODELS).astype(np.int8)
    if (gold >= 0).any():
        group = np.append(group, np.int8(GOLD))
    place = np.full(len(n_answers) + 2, -1, np.int64)  # nobody is a stranger in the fit
    place[agents] = np.arange(len(agents))
    place[-1] = len(agents)
    problem = Problem(gathered(coded, task, place, gold), gold, group, len(coded.schema.tasks[task].classes))
    learned = maximise_posterior(problem, prior, tolerance=tolerance, max_iterations=max_iterations)
    return TaskEnd(
        _taught(learned, place[:-2], n_answers[agents], group),
        learned.status if len(problem.answers.code) else "prior only",
        learned.objective,
        tuple(_silence_notes(coded.schema.tasks[task].name, group)),
    )


def _taught(
    learned: Learned, place: Int64[Array, "agents"], n_answers: Int64[Array, "agents_here"], group: Int8[Array, "rows"]
) -> Taught:
    """Rows as (latent, label); the population is all people's counts on top of their pseudo-counts."""
    pseudo, counts = learned.pseudo.rows, learned.expected.rows
    rows = (counts + pseudo[group]).transpose(0, 2, 1)
    people = counts[group == PEOPLE].sum(axis=0) + pseudo[PEOPLE]
    if not people.any():  # a flat prior without any person: what is not known is taken from the usual start
        people = starting_counts(len(people), "diagonal").rows[PEOPLE]
    prevalence = learned.expected.classes + learned.pseudo.classes
    return Taught(
        place=place,
        n_answers=n_answers,
        rows=np.ascontiguousarray(rows[group != GOLD]),
        population=shares(people.T),
        gold=shares(rows[-1]) if (group == GOLD).any() else None,
        prevalence=shares(prevalence),
    )


def _silence_notes(task: str, group: Int8[Array, "rows"]) -> Iterable[str]:
    if not len(group):
        yield f"Task {task!r} had no labels: its answers rest on the prior alone."
    elif PEOPLE not in group:
        yield f"Task {task!r} had no labels from people: what a person would say rests on the prior."


def _refuse_too_many(task: Task, n_agents: int) -> None:
    n_classes = len(task.classes)
    if (n_agents + 1) * n_classes**2 > MAX_ENTRIES:
        raise DataError(
            f"task {task.name!r} has {n_agents} agents and {n_classes} classes: their confusion rows would take "
            f"{n_agents * n_classes**2 * 8 / 2**30:.1f} GiB",
            mend="merge rare classes, or use the estimator 'majority'",
        )


def count_answers(coded: Coded) -> Int64[Array, "tasks agents"]:
    """How many answers every annotator, then every model, gave to every task."""
    from quorate.consensus import dawid_skene_kernels as kernels

    labels = coded.labels
    people = kernels.count_labels(labels.start, labels.annotator, coded.n_tasks, len(coded.annotators))
    models = [(output.answer >= 0).sum(axis=0) for output in coded.outputs]
    return np.concatenate([people, np.array(models, np.int64).reshape(coded.n_tasks, len(coded.models))], axis=1)


def gathered(
    coded: Coded, task: int, place: Int64[Array, "agents_plus_2"], gold: Int16[Array, "items"] | None = None
) -> Answers:
    """The answers of one task. place: the row of every annotator, every model, of strangers and of gold (-1: none)."""
    from quorate.consensus import dawid_skene_kernels as kernels

    labels, n_classes = coded.labels, len(coded.schema.tasks[task].classes)
    gold = np.full(coded.n_items, -1, np.int16) if gold is None else np.ascontiguousarray(gold)
    answer = coded.outputs[task].answer
    return Answers(*kernels.gather(labels.start, labels.annotator, labels.code, answer, gold, place, task, n_classes))


def maximise_posterior(problem: Problem, prior: Prior, *, tolerance: float, max_iterations: int) -> Learned:
    """Maximisation first, from vote shares; stops when a pass adds less than `tolerance` of the objective."""
    pseudo, expected = starting_counts(problem.n_classes, prior), from_votes(problem)
    for _ in range(PRIOR_PASSES if prior == "hierarchical" else 0):
        pseudo = _learned_pseudo(expected, problem.group, pseudo)
        expected = expect(problem, maximised(expected, pseudo, problem.group))
    objective: list[float] = []
    while len(objective) < max_iterations:
        parameters = maximised(expected, pseudo, problem.group)
        expected = expect(problem, parameters)
        objective.append(expected.log_likelihood + log_prior(parameters, pseudo, problem.group))
        if len(objective) > 1 and objective[-1] - objective[-2] <= tolerance * abs(objective[-1]):
            return Learned(expected, pseudo, "converged", tuple(objective))
    return Learned(expected, pseudo, "iteration limit", tuple(objective))


def starting_counts(n_classes: int, prior: Prior) -> Pseudo:
    """1 + 3 [k = l] [kim2012] and one per class, or none; the gold row is tied to the classes' names either way."""
    diagonal = 1.0 + 3.0 * np.eye(n_classes) if prior != "flat" else np.zeros((n_classes, n_classes))
    gold = 1.0 / n_classes + GOLD_COUNTS * np.eye(n_classes)
    return Pseudo(np.array([diagonal, diagonal, gold]), 1.0 if prior != "flat" else 0.0)


def maximised(expected: Expected, pseudo: Pseudo, group: Int8[Array, "rows"]) -> Parameters:
    """(counts + pseudo-counts) / total; evenly where nothing was counted."""
    rows = expected.rows + pseudo.rows[group]
    return Parameters(shares(rows, axis=1), shares(expected.classes + pseudo.classes, axis=0))


def latent_posteriors(answers: Answers, parameters: Parameters) -> Float64[Array, "items latent"]:
    """P(latent class | the item's answers)."""
    from quorate.consensus import dawid_skene_kernels as kernels

    return kernels.posteriors(*answers, parameters.rows.ravel(), _for_compiler(parameters.classes, answers))


def shares(counts: Float64[Array, "*axes"], axis: int = -1) -> Float64[Array, "*axes"]:
    """Counts over their total; evenly where nothing was counted."""
    total = counts.sum(axis=axis, keepdims=True)
    return np.where(total > 0, counts / np.where(total > 0, total, 1.0), 1.0 / counts.shape[axis])


def from_votes(problem: Problem) -> Expected:
    """Counts when every item's truth is its gold label, or else its vote shares."""
    from quorate.consensus import dawid_skene_kernels as kernels

    expected = _nothing(problem)
    kernels.first_pass(*problem.answers, problem.gold, expected.rows.ravel(), expected.classes)
    return expected


def expect(problem: Problem, parameters: Parameters) -> Expected:
    """Counts expected under these parameters."""
    from quorate.consensus import dawid_skene_kernels as kernels

    expected, classes = _nothing(problem), _for_compiler(parameters.classes, problem.answers)
    log_likelihood = kernels.em_pass(
        *problem.answers, parameters.rows.ravel(), classes, expected.rows.ravel(), expected.classes
    )
    return expected._replace(log_likelihood=log_likelihood)


def _nothing(problem: Problem) -> Expected:
    n = problem.n_classes
    return Expected(np.zeros((len(problem.group), n, n)), np.zeros(n), 0.0)


def _for_compiler(classes: Float64[Array, "latent"], answers: Answers) -> tuple[float, ...] | Float64[Array, "latent"]:
    """As a tuple its length is known to the compiler; compiling takes two seconds for each new length."""
    many = len(answers.code) >= COMPILE_FOR and len(classes) <= 8
    return tuple(classes.tolist()) if many else classes


def log_prior(parameters: Parameters, pseudo: Pseudo, group: Int8[Array, "rows"]) -> float:
    """Sum of pseudo-counts times log parameters, in nats, with 0 log 0 = 0."""
    from scipy.special import xlogy

    rows = xlogy(pseudo.rows[group], parameters.rows).sum()
    return float(rows + xlogy(pseudo.classes, parameters.classes).sum())


def _learned_pseudo(expected: Expected, group: Int8[Array, "rows"], pseudo: Pseudo) -> Pseudo:
    """Every group's pseudo-counts from its agents' expected counts; gold keeps its own."""
    start = starting_counts(len(expected.classes), "diagonal").rows
    rows = pseudo.rows.copy()
    for g in (PEOPLE, MODELS):
        if (group == g).any():
            rows[g] = learned_dirichlet(expected.rows[group == g], rows[g], start[g])
    return pseudo._replace(rows=rows)


def learned_dirichlet(
    counts: Float64[Array, "agents labels latent"],
    parameters: Float64[Array, "labels latent"],
    start: Float64[Array, "labels latent"],
) -> Float64[Array, "labels latent"]:
    """Steps of Minka's fixed point for a Dirichlet-multinomial [minka2000], with a Gamma(1 + w start, w) hyperprior.

    b <- (b sum_a [psi(n_a + b) - psi(b)] + w start) / (sum_a [psi(sum n_a + sum b) - psi(sum b)] + w)
    """
    from scipy.special import digamma

    totals = counts.sum(axis=1)
    for _ in range(PRIOR_STEPS):
        gain = (digamma(counts + parameters) - digamma(parameters)).sum(axis=0)
        total = parameters.sum(axis=0)
        cost = (digamma(totals + total) - digamma(total)).sum(axis=0)
        parameters = (parameters * gain + PRIOR_WEIGHT * start) / (cost + PRIOR_WEIGHT)
    return parameters
