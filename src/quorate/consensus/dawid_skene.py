"""Dawid and Skene's model with hierarchical priors: who is right is learned from who agrees with whom.

Assumes, for every task apart, that an item has one true class z ~ pi, and that every agent a, person or model by its
hard answer, answers independently of the others given that class: P(label = l | z = k) = theta_a[k, l] [dawid1979].

Maximised over theta and pi is the log posterior, in nats and up to a constant,

    sum_i log sum_k pi_k prod_(a, l answered) theta_a[k, l]
    + sum_(a, k, l) beta_g(a)[k, l] log theta_a[k, l]  +  sum_k log pi_k

by expectation maximisation from vote shares, maximisation first. The pseudo-counts beta are those of a group g, people
or models: the rows of its agents are taken as draws from one Dirichlet, whose parameters are learned from the expected
counts in the first passes ([minka2000]: a fixed point that never lowers their likelihood) and then held. So an agent
with few answers is judged by its group. They start from 1 + 3 [k = l], the prior of iBCC [kim2012]; prior "diagonal"
keeps that start, and "flat" has no pseudo-counts at all: the maximum likelihood of 1979. Gold labels, where the fit
data has them, are one more agent with a strong diagonal prior; what an expert says is read off its row. Prediction
never reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, get_args

import numpy as np
from jaxtyping import Bool, Float64, Int16, Int32, Int64

from quorate.consensus.apart import consensus_of, held_out_of, strangers, whole_fit
from quorate.consensus.dawid_skene_em import (
    Answers,
    Parameters,
    Prior,
    TaskEnd,
    Taught,
    count_answers,
    fit_task,
    gathered,
    latent_posteriors,
    shares,
)
from quorate.consensus.door import (
    Answered,
    Scores,
    class_code,
    coded_of,
    default_targets,
    hard_answers,
)
from quorate.consensus.estimator import Fit, Given, HeldOut, Model, Session
from quorate.consensus.kept import kept, kept_targets, restored, restored_targets
from quorate.consensus.posterior import Consensus, Target
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import SettingError
from quorate.schema import Schema

Array = np.ndarray


@dataclass(frozen=True)
class DawidSkene:
    """Dawid-Skene. tolerance: share of the objective below which a pass counts as no gain.

    >>> from quorate.consensus.dawid_skene import DawidSkene
    >>> DawidSkene(prior="flat").max_iterations
    500
    """

    prior: Prior = "hierarchical"
    use_gold: bool = True
    tolerance: float = 1e-7
    max_iterations: int = 500

    def __post_init__(self) -> None:
        if self.prior not in get_args(Prior):
            raise SettingError(f"prior must be one of {', '.join(get_args(Prior))}, not {self.prior!r}")
        if not 0 <= self.tolerance < 1:
            raise SettingError(f"tolerance is a share, from 0 to below 1, not {self.tolerance}")
        if self.max_iterations < 1:
            raise SettingError(f"max_iterations must be at least 1, not {self.max_iterations}")

    def fit(self, data: Dataset | Coded, *, progress: Callable[[float, str], None] | None = None) -> DawidSkeneModel:
        """Rows and prevalence of every task. Raises DataError for more confusion rows than memory should hold."""
        coded = coded_of(data)
        answered = count_answers(coded)
        ends: list[TaskEnd] = []
        for t, task in enumerate(coded.schema.tasks):
            if progress is not None:
                progress(t / coded.n_tasks, f"dawid-skene: {task.name}")
            end = fit_task(
                coded,
                t,
                answered[t],
                prior=self.prior,
                use_gold=self.use_gold,
                tolerance=self.tolerance,
                max_iterations=self.max_iterations,
            )
            ends.append(end)
        return DawidSkeneModel(
            schema=coded.schema,
            annotators=coded.annotators,
            models=coded.models,
            fit=whole_fit(ends),
            options=self,
            tasks=tuple(end.taught for end in ends),
            targets=default_targets(coded, use_gold=self.use_gold),
        )


class Confusion(NamedTuple):
    """Who answers what on one task: agents that answered it in the fit data, annotators first."""

    agents: tuple[str, ...]
    is_person: Bool[Array, "agents"]
    n_answers: Int64[Array, "agents"]
    rows: Float64[Array, "agents latent classes"]  # P(label | latent class)
    parameters: Float64[Array, "agents latent classes"]  # of the Dirichlet posterior of every row, for intervals


@dataclass(frozen=True)
class DawidSkeneModel(Model):
    """Confusion rows of people and models, task by task."""

    schema: Schema
    annotators: tuple[str, ...]
    models: tuple[str, ...]
    fit: Fit
    options: DawidSkene
    tasks: tuple[Taught, ...]
    targets: tuple[Target, ...]
    name: str = "dawid-skene"

    def predict(self, data: Dataset | Coded) -> Consensus:
        """The consensus by the learned rows; an annotator whom a task never saw gets the population's."""
        coded = coded_of(data).aligned(self.schema, self.annotators, self.models)
        answers = [self._answers(coded, t) for t in range(coded.n_tasks)]
        latent = [latent_posteriors(a, self.parameters(t)) for t, a in enumerate(answers)]
        seen = np.array([np.diff(a.begin) > 0 for a in answers], bool).reshape(coded.n_tasks, coded.n_items).T
        counts = [coded.counts(t) for t in range(coded.n_tasks)]
        return self.consensus(coded.items, counts, latent, seen, strangers(coded))

    def held_out(self, data: Dataset | Coded, positions: Int64[Array, "held"], given: Given) -> HeldOut:
        """Labels predicted without themselves: from the item's other answers, or from its models' answers alone."""
        return held_out_of(self, data, positions, lambda coded, t, place: self._held_out(coded, t, place, given))

    def session(
        self,
        scores: Scores | None = None,
        *,
        features: Float64[Array, "features"] | None = None,  # noqa: ARG002  answers are all it reads
        item: str = "item",
    ) -> DawidSkeneSession:
        """One item, online."""
        return DawidSkeneSession(self, hard_answers(self.schema, self.models, scores), item)

    def confusion(self, task: str) -> Confusion:
        """The rows of every agent that answered this task in the fit data."""
        self.schema.task(task)
        taught = self.tasks[self.schema.code_of[task]]
        agents = np.flatnonzero(taught.place >= 0)
        names = (*self.annotators, *self.models)
        is_person = agents < len(self.annotators)
        return Confusion(tuple(names[a] for a in agents), is_person, taught.n_answers, shares(taught.rows), taught.rows)

    def prevalence(self, task: str) -> Float64[Array, "latent"]:
        """P(latent class) before any answer."""
        self.schema.task(task)
        return self.tasks[self.schema.code_of[task]].prevalence

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """What every task taught as arrays; everything else as settings."""
        arrays = {
            f"{field}/{t}": value
            for t, taught in enumerate(self.tasks)
            for field, value in taught._asdict().items()
            if value is not None
        }
        settings = {
            **kept(self),
            "options": asdict(self.options),
            "targets": kept_targets(self.targets),
        }
        return arrays, settings

    @classmethod
    def from_state(cls, arrays: dict[str, Array], settings: dict[str, Any]) -> DawidSkeneModel:
        """The model whose `state` this is."""
        head = restored(settings)
        return cls(
            *head,
            DawidSkene(**settings["options"]),
            tuple(_restored(arrays, t) for t in range(len(head.schema))),
            restored_targets(settings),
        )

    def parameters(self, task: int) -> Parameters:
        """P(label | latent class) as (label, latent), the population's rows last, and the prevalence."""
        taught = self.tasks[task]
        rows = np.concatenate([shares(taught.rows), taught.population[None]])
        return Parameters(np.ascontiguousarray(rows.transpose(0, 2, 1)), taught.prevalence)

    def consensus(
        self,
        items: tuple[str, ...],
        counts: Sequence[Int32[Array, "items _"]],
        latent: Sequence[Float64[Array, "items _"]],
        seen: Bool[Array, "items tasks"],
        notes: tuple[str, ...] = (),
    ) -> Consensus:
        """The consensus of these posteriors, under the default target."""
        return consensus_of(self.schema, self.tasks, self.targets, items, counts, latent, seen, notes)

    def _answers(self, coded: Coded, task: int) -> Answers:
        taught = self.tasks[task]
        return gathered(coded, task, np.concatenate([taught.place, [len(taught.rows), -1]]))

    def _held_out(
        self, coded: Coded, task: int, place: Int64[Array, "asked"], given: Given
    ) -> tuple[Float64[Array, "asked latent"], Float64[Array, "asked classes"]]:
        from quorate.consensus import dawid_skene_kernels as kernels

        parameters, labels = self.parameters(task), coded.labels
        cell = np.searchsorted(labels.start, place, side="right") - 1
        item = cell // coded.n_tasks
        answers = self._answers(coded if given == "others" else coded.without_labels(), task)
        own = place - labels.start[cell] + answers.begin[item].astype(np.int64)
        left_out = own if given == "others" else np.full(len(place), len(answers.code))
        table = parameters.rows.ravel()
        latent = kernels.posteriors_without(*answers, table, parameters.classes, item, left_out.astype(np.uint64))
        return latent, kernels.next_label(latent, table, self._rows_of(task, labels.annotator[place]))

    def _rows_of(self, task: int, annotator: Int32[Array, "asked"]) -> Int64[Array, "asked"]:
        """The row of every annotator; the population's for one whom the task never saw."""
        taught = self.tasks[task]
        row = np.append(taught.place, -1)[annotator]
        return np.where((annotator >= 0) & (row >= 0), row, len(taught.rows))


class DawidSkeneSession(Session):
    """One item, online: a label multiplies the posterior of its task by its annotator's row."""

    def __init__(self, model: DawidSkeneModel, answers: tuple[Int16[Array, "1 models"], ...], item: str) -> None:
        self._model, self._item = model, item
        self._parameters = [model.parameters(t) for t in range(len(model.schema))]
        self._place = {name: a for a, name in enumerate(model.annotators)}
        self._counts = [np.zeros((1, len(task.classes)), np.int32) for task in model.schema.tasks]
        self._latent = [parameters.classes.copy() for parameters in self._parameters]
        self._seen = np.zeros((1, len(model.schema)), bool)
        self._answered = Answered()
        for t, answer in enumerate(answers):
            for m in np.flatnonzero(answer[0] >= 0):
                self._take(t, int(model.tasks[t].place[len(model.annotators) + m]), int(answer[0, m]))

    def update(self, task: str, annotator: str, label: str) -> None:
        """Take in one label. Raises SchemaError for an unknown task or class, DataError for a second answer."""
        code = class_code(self._model.schema.task(task), label)
        t = self._model.schema.code_of[task]
        self._answered.add(task, annotator)
        place = self._place.get(annotator)
        row = -1 if place is None else int(self._model.tasks[t].place[place])
        self._take(t, row if row >= 0 else len(self._model.tasks[t].rows), code)
        self._counts[t][0, code] += 1

    def probs(self, task: str) -> Float64[Array, "classes"]:
        """P(target label | all so far)."""
        return self.consensus().probs(task)[0]

    def consensus(self) -> Consensus:
        """The consensus for this one item."""
        counts = [n.copy() for n in self._counts]
        return self._model.consensus((self._item,), counts, [q[None] for q in self._latent], self._seen.copy())

    def _take(self, task: int, row: int, code: int) -> None:
        """Multiply and normalise; a model that the task never saw (row -1) says nothing."""
        if row < 0:
            return
        self._seen[0, task] = True
        product = self._latent[task] * self._parameters[task].rows[row, code]
        total = product.sum()
        self._latent[task] = product / total if total > 0 else self._parameters[task].classes


def _restored(arrays: dict[str, Array], task: int) -> Taught:
    fields: dict[str, Any] = {field: arrays.get(f"{field}/{task}") for field in Taught._fields}
    return Taught(**fields)
