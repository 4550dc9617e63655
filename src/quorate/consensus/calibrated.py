"""Calibrated Dawid-Skene: people's confusion rows times the models' calibrated probabilities, task by task.

Assumes that people a answer independently of each other and of the models, given the true class y [kerrigan2021]:

    P(y | answers, scores) ~ q_y prod_a psi_a[y, l_a]
    q_k ~ exp(sum_m beta_m log s_m[k] + b_k)              beta_m = 1 / T_m, one temperature per model

No class prior is divided out: calibrated scores are p(y | x) already. The paper has one model and no bias b; here the
temperatures of several models and the bias are learned together on one soft cross-entropy, so that correlated models
share a vote. A model that is missing on an item drops out; where none spoke, q is the class shares. A hard answer
enters as smoothed one-hot scores.

Priors: a row's pseudo-counts start from the paper's (accuracy .75, strength 1), are learned from the expected counts of
all people ([minka2000]: the rows of a crowd are draws from one Dirichlet) and then held, so that whoever has few labels
is near the population; T ~ log-normal(.5, .5) times the number of models, counted once and not once per item; and
b ~ N(0, 1).

Fitted by semi-supervised expectation maximisation: the truth of items with gold is known, that of others expected; see
`calibrated_em` for how temperatures are kept honest when labels are few. What an expert would say is read off a row
that is learned last, from what the fitted model makes of the items with gold; prediction never reads gold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, get_args

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from quorate.consensus.apart import consensus_of, held_out_of, strangers, whole_fit
from quorate.consensus.calibrated_em import Calibrate, Prior
from quorate.consensus.calibrated_scores import Calibration, log_probs, models_of
from quorate.consensus.calibrated_task import TaskEnd, Taught, fit_task
from quorate.consensus.dawid_skene_em import Answers, count_answers, gathered, shares
from quorate.consensus.door import Answered, Scores, class_code, coded_of, default_targets
from quorate.consensus.estimator import Fit, Given, HeldOut, Model, Session
from quorate.consensus.kept import kept, kept_targets, restored, restored_targets
from quorate.consensus.one_item import one_item
from quorate.consensus.posterior import Consensus, Target
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import SettingError
from quorate.schema import Schema

Array = np.ndarray


@dataclass(frozen=True)
class CalibratedDawidSkene:
    """Calibrated Dawid-Skene.

    bias: whether classes have a bias beside the temperatures; prior: "map", or "flat" for the maximum likelihood of all
    parameters at once; calibrate: by posteriors that leave an item out of its own rows, or "joint" with the rows in one
    expectation maximisation; tolerance: share of the objective below which a pass counts as no gain.

    >>> from quorate.consensus.calibrated import CalibratedDawidSkene
    >>> CalibratedDawidSkene(calibrate="joint").bias
    True
    """

    bias: bool = True
    prior: Prior = "map"
    calibrate: Calibrate = "left out"
    use_gold: bool = True
    tolerance: float = 1e-7
    max_iterations: int = 500

    def __post_init__(self) -> None:
        for name, said, known in (("prior", self.prior, Prior), ("calibrate", self.calibrate, Calibrate)):
            if said not in get_args(known):
                raise SettingError(f"{name} must be one of {', '.join(get_args(known))}, not {said!r}")
        if not 0 <= self.tolerance < 1:
            raise SettingError(f"tolerance is a share, from 0 to below 1, not {self.tolerance}")
        if self.max_iterations < 1:
            raise SettingError(f"max_iterations must be at least 1, not {self.max_iterations}")

    def fit(self, data: Dataset | Coded, *, progress: Callable[[float, str], None] | None = None) -> CalibratedModel:
        """Rows, temperatures and biases of every task. Raises DataError for more rows than memory should hold."""
        coded = coded_of(data)
        answered = count_answers(coded)
        ends: list[TaskEnd] = []
        for t, task in enumerate(coded.schema.tasks):
            if progress is not None:
                progress(t / coded.n_tasks, f"calibrated-dawid-skene: {task.name}")
            n_answers = answered[t, : len(coded.annotators)]
            ends.append(
                fit_task(
                    coded,
                    t,
                    n_answers,
                    prior=self.prior,
                    calibrate=self.calibrate,
                    bias=self.bias,
                    use_gold=self.use_gold,
                    tolerance=self.tolerance,
                    max_iterations=self.max_iterations,
                )
            )
        return CalibratedModel(
            schema=coded.schema,
            annotators=coded.annotators,
            models=coded.models,
            fit=whole_fit(ends),
            options=self,
            tasks=tuple(end.taught for end in ends),
            targets=default_targets(coded, use_gold=self.use_gold),
        )


class _Heard(NamedTuple):
    """What was said about one task: people's labels, and the log probabilities of the models."""

    answers: Answers
    spoken: Bool[Array, "items"]
    log_q: Float64[Array, "items latent"]


@dataclass(frozen=True)
class CalibratedModel(Model):
    """Confusion rows of people, temperatures of models and biases of classes, task by task."""

    schema: Schema
    annotators: tuple[str, ...]
    models: tuple[str, ...]
    fit: Fit
    options: CalibratedDawidSkene
    tasks: tuple[Taught, ...]
    targets: tuple[Target, ...]
    name: str = "calibrated-dawid-skene"

    def predict(self, data: Dataset | Coded) -> Consensus:
        """The consensus; an annotator whom a task never saw gets the population's row."""
        from quorate.consensus import calibrated_kernels as kernels

        coded = coded_of(data).aligned(self.schema, self.annotators, self.models)
        heard = [self._heard(coded, t) for t in range(coded.n_tasks)]
        every, none = np.arange(coded.n_items), np.full(coded.n_items, _NOBODY)
        latent = [
            kernels.posteriors(*each.answers, self.table(t).ravel(), each.log_q, every, none)
            for t, each in enumerate(heard)
        ]
        seen = np.array([(np.diff(each.answers.begin) > 0) | each.spoken for each in heard], bool)
        counts = [coded.counts(t) for t in range(coded.n_tasks)]
        seen = seen.reshape(coded.n_tasks, coded.n_items).T
        return self.consensus(coded.items, counts, latent, seen, strangers(coded))

    def held_out(self, data: Dataset | Coded, positions: Int64[Array, "held"], given: Given) -> HeldOut:
        """Labels predicted without themselves: from the item's other labels and its models, or from models alone."""
        return held_out_of(self, data, positions, lambda coded, t, place: self._held_out(coded, t, place, given))

    def session(
        self,
        scores: Scores | None = None,
        *,
        features: Float64[Array, "features"] | None = None,  # noqa: ARG002  scores and labels are all it reads
        item: str = "item",
    ) -> CalibratedSession:
        """One item, online."""
        return CalibratedSession(self, one_item(self, scores, None, item, n_features=0))

    def temperatures(self, task: str) -> dict[str, float]:
        """T of every model that spoke on this task in the fit data: above 1 its scores are too sure."""
        taught = self._taught(task)
        weights = taught.calibration.weights
        return {self.models[m]: float(1.0 / beta) for m, beta in zip(taught.speakers, weights, strict=True)}

    def bias(self, task: str) -> Float64[Array, "classes"]:
        """What is added to the log scores of every class, in nats."""
        return self._taught(task).calibration.bias

    def class_shares(self, task: str) -> Float64[Array, "classes"]:
        """P(class) of an item on which no model spoke."""
        return self._taught(task).calibration.shares

    def confusion(self, task: str) -> Mapping[str, Float64[Array, "_latent _classes"]]:
        """P(label | latent class) of every annotator who answered this task in the fit data."""
        taught = self._taught(task)
        people = np.flatnonzero(taught.place >= 0)
        return {self.annotators[a]: row for a, row in zip(people, shares(taught.rows), strict=True)}

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """What every task taught as arrays; everything else as settings."""
        arrays = {
            f"{field}/{t}": value
            for t, taught in enumerate(self.tasks)
            for field, value in {**taught._asdict(), **taught.calibration._asdict()}.items()
            if field != "calibration" and value is not None
        }
        settings = {
            **kept(self),
            "options": asdict(self.options),
            "targets": kept_targets(self.targets),
        }
        return arrays, settings

    @classmethod
    def from_state(cls, arrays: dict[str, Array], settings: dict[str, Any]) -> CalibratedModel:
        """The model whose `state` this is."""
        head = restored(settings)
        return cls(
            *head,
            CalibratedDawidSkene(**settings["options"]),
            tuple(_restored(arrays, t) for t in range(len(head.schema))),
            restored_targets(settings),
        )

    def table(self, task: int) -> Float64[Array, "rows labels latent"]:
        """P(label | latent class) of everybody, the population last."""
        taught = self.tasks[task]
        rows = np.concatenate([shares(taught.rows), taught.population[None]])
        return np.ascontiguousarray(rows.transpose(0, 2, 1))

    def log_q(self, coded: Coded, task: int) -> tuple[Float64[Array, "items latent"], Bool[Array, "items"]]:
        """The log of P(latent class | scores) of every item, and whether a model spoke."""
        taught = self.tasks[task]
        said = models_of(coded.outputs[task], taught.speakers)
        return log_probs(said, taught.calibration), said.spoken

    def row_of(self, task: int, annotator: Int32[Array, "asked"]) -> Int64[Array, "asked"]:
        """The row of every annotator in `table`; the population's for one whom the task never saw."""
        taught = self.tasks[task]
        row = np.append(taught.place, -1)[annotator]
        return np.where((annotator >= 0) & (row >= 0), row, len(taught.rows))

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

    def _taught(self, task: str) -> Taught:
        return self.tasks[self.schema.code_of[self.schema.task(task).name]]

    def _heard(self, coded: Coded, task: int) -> _Heard:
        taught = self.tasks[task]
        silent = np.full(len(coded.models), -1)
        answers = gathered(coded, task, np.concatenate([taught.place, silent, [len(taught.rows), -1]]))
        log_q, spoken = self.log_q(coded, task)
        return _Heard(answers, spoken, log_q)

    def _held_out(
        self, coded: Coded, task: int, place: Int64[Array, "asked"], given: Given
    ) -> tuple[Float64[Array, "asked latent"], Float64[Array, "asked classes"]]:
        from quorate.consensus import calibrated_kernels as kernels
        from quorate.consensus.dawid_skene_kernels import next_label

        labels, table = coded.labels, self.table(task).ravel()
        cell = np.searchsorted(labels.start, place, side="right") - 1
        item = cell // coded.n_tasks
        heard = self._heard(coded if given == "others" else coded.without_labels(), task)
        own = place - labels.start[cell] + heard.answers.begin[item].astype(np.int64)
        left_out = own.astype(np.uint64) if given == "others" else np.full(len(place), _NOBODY)
        latent = kernels.posteriors(*heard.answers, table, heard.log_q, item, left_out)
        return latent, next_label(latent, table, self.row_of(task, labels.annotator[place]))


_NOBODY = np.uint64(2**63)  # a place that no answer has


class CalibratedSession(Session):
    """One item, online: a label adds its annotator's log row to the log posterior of its task."""

    def __init__(self, model: CalibratedModel, coded: Coded) -> None:
        self._model, self._items, self._answered = model, coded.items, Answered()
        tasks = range(len(model.schema))
        priors = [model.log_q(coded, t) for t in tasks]
        self._prior = [log_q[0] for log_q, _ in priors]
        self._logits = [log_q.copy() for log_q in self._prior]
        self._seen = np.array([[bool(spoken[0]) for _, spoken in priors]], bool).reshape(1, len(model.schema))
        with np.errstate(divide="ignore"):  # under a flat prior a label may be impossible
            self._log_rows = [np.log(model.table(t)) for t in tasks]
        self._counts = [coded.counts(t) for t in tasks]
        self._place = {name: a for a, name in enumerate(model.annotators)}

    def update(self, task: str, annotator: str, label: str) -> None:
        """Take in one label. Raises SchemaError for an unknown task or class, DataError for a second answer."""
        schema = self._model.schema
        code = class_code(schema.task(task), label)
        t = schema.code_of[task]
        self._answered.add(task, annotator)
        row = self._model.row_of(t, np.array([self._place.get(annotator, -1)], np.int32))[0]
        self._logits[t] = self._logits[t] + self._log_rows[t][row, code]
        self._counts[t][0, code] += 1
        self._seen[0, t] = True

    def probs(self, task: str) -> Float64[Array, "classes"]:
        """P(target label | all so far)."""
        return self.consensus().probs(task)[0]

    def consensus(self) -> Consensus:
        """The consensus for this one item."""
        latent = [_posterior(*pair)[None] for pair in zip(self._logits, self._prior, strict=True)]
        return self._model.consensus(self._items, [n.copy() for n in self._counts], latent, self._seen.copy())


def _posterior(logits: Float64[Array, "latent"], prior: Float64[Array, "latent"]) -> Float64[Array, "latent"]:
    """Normalised; the prior where no class is possible."""
    chosen = logits if logits.max() > -np.inf else prior
    weight = np.exp(chosen - chosen.max())
    return weight / weight.sum()


def _restored(arrays: dict[str, Array], task: int) -> Taught:
    fields: dict[str, Any] = {field: arrays.get(f"{field}/{task}") for field in Taught._fields}
    fields["calibration"] = Calibration(*(arrays[f"{field}/{task}"] for field in Calibration._fields))
    return Taught(**fields)
