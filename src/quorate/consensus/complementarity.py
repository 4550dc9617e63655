"""Human-AI complementarity: people's labels and models' scores drawn together, so that no shared error counts twice.

Assumes, for every task apart, one true class z ~ prevalence, and for every class j apart, given whether j is the truth,
that the scores x_j of all models and the latent score u_j of a person are jointly normal [steyvers2022]:

    mean (muM1, muH1) if j = z, else (muM0, 0);  sd (sM, 1);  correlation R, one of them between a model and people

A person says the class whose latent score is largest. Given the scores and the truth the latent scores are normal
again, and P(label | x, z) is one integral, taken by a 24-point Gauss-Hermite rule. A model that is silent drops out of
the joint normal exactly.

The paper has one model and one person, uniform classes, and samples the posterior; its ratings of people's own
confidence are not used here. Several models get a full correlation matrix. Several people have a skill muH1 of their
own, normal around the population's (a stranger has that), with a spread learned from the data; they are taken as
independent of one another given the scores and the truth. Scores are on the log scale; a hard answer is a score of one,
with a variance for what it hides.

Maximised by L-BFGS with exact gradients, in nats, is the log posterior: the log likelihood of scores and labels, the
truth summed over (known where gold is), and priors: d' = (muM1 - muM0) / sM and muH1 ~ N(1, 1), log sM ~ N(log 1.5, 1),
R ~ LKJ(2) [lewandowski2009], one pseudo-count per class. The joint likelihood lets the truth drift to what models have
in common when they agree more than people do; `joint=False` fits the labels given the scores instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from quorate.consensus.apart import consensus_of, held_out_of, strangers, whole_fit
from quorate.consensus.complementarity_fit import TaskEnd, Taught, fit_task
from quorate.consensus.complementarity_parameters import Parameters, conditioned
from quorate.consensus.complementarity_scores import (
    Evidence,
    Scale,
    evidence_of,
    item_logits,
    label_logits,
    normalised,
    person_rows,
    votes_of,
)
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
Prevalence = Literal["learned", "uniform"]


@dataclass(frozen=True)
class Haic:
    """Human-AI complementarity.

    scale: `centred` log scores, which is all that scores summing to one tell of the paper's x, one dimension less than
    classes; or `log-odds` of every class, taken as that many dimensions. floor: a score of zero counts as this much.
    joint: whether the scores' own likelihood counts. tolerance: share of the objective below which a step is no gain.

    >>> from quorate.consensus.complementarity import Haic
    >>> Haic(prevalence="uniform").scale
    'centred'
    """

    scale: Scale = "centred"
    floor: float = 1e-2
    prevalence: Prevalence = "learned"
    joint: bool = True
    use_gold: bool = True
    tolerance: float = 1e-9
    max_iterations: int = 200

    def __post_init__(self) -> None:
        for name, value, known in (("scale", self.scale, Scale), ("prevalence", self.prevalence, Prevalence)):
            if value not in get_args(known):
                raise SettingError(f"{name} must be one of {', '.join(get_args(known))}, not {value!r}")
        if not 0 < self.floor < 1e-1:
            raise SettingError(f"floor is a probability, above 0 and below .1, not {self.floor}")
        if not 0 <= self.tolerance < 1:
            raise SettingError(f"tolerance is a share, from 0 to below 1, not {self.tolerance}")
        if self.max_iterations < 1:
            raise SettingError(f"max_iterations must be at least 1, not {self.max_iterations}")

    def fit(self, data: Dataset | Coded, *, progress: Callable[[float, str], None] | None = None) -> HaicModel:
        """The parameters of every task."""
        coded, ends = coded_of(data), list[TaskEnd]()
        for t, task in enumerate(coded.schema.tasks):
            if progress is not None:
                progress(t / coded.n_tasks, f"haic: {task.name}")
            end = fit_task(
                coded,
                t,
                scale=self.scale,
                floor=self.floor,
                joint=self.joint,
                learn_shares=self.prevalence == "learned",
                use_gold=self.use_gold,
                tolerance=self.tolerance,
                max_iterations=self.max_iterations,
            )
            ends.append(end)
        return HaicModel(
            schema=coded.schema,
            annotators=coded.annotators,
            models=coded.models,
            fit=whole_fit(ends),
            options=self,
            tasks=tuple(end.taught for end in ends),
            targets=default_targets(coded, use_gold=self.use_gold),
        )


@dataclass(frozen=True)
class HaicModel(Model):
    """The joint normal of people and models, task by task."""

    schema: Schema
    annotators: tuple[str, ...]
    models: tuple[str, ...]
    fit: Fit
    options: Haic
    tasks: tuple[Taught, ...]
    targets: tuple[Target, ...]
    name: str = "haic"

    def predict(self, data: Dataset | Coded) -> Consensus:
        """The consensus; an annotator whom a task never saw has the population's skill, a silent model drops out."""
        coded = coded_of(data).aligned(self.schema, self.annotators, self.models)
        latent = [normalised(self.logits(coded, t)) for t in range(coded.n_tasks)]
        counts = [coded.counts(t) for t in range(coded.n_tasks)]
        spoke = [(output.kind > 0).any(axis=1) for output in coded.outputs]
        answered = [n.any(axis=1) | model for n, model in zip(counts, spoke, strict=True)]
        seen = np.array(answered, bool).reshape(coded.n_tasks, coded.n_items).T
        return self.consensus(coded.items, counts, latent, seen, strangers(coded))

    def held_out(self, data: Dataset | Coded, positions: Int64[Array, "held"], given: Given) -> HeldOut:
        """Labels predicted without themselves: P(label) = sum_k P(k | the others, x) P(label | x, k) of that person."""
        return held_out_of(self, data, positions, lambda coded, t, place: self._held_out(coded, t, place, given))

    def session(
        self,
        scores: Scores | None = None,
        *,
        features: Float64[Array, "features"] | None = None,  # noqa: ARG002  scores and labels are all it reads
        item: str = "item",
    ) -> HaicSession:
        """One item, online."""
        return HaicSession(self, one_item(self, scores, None, item, n_features=0))

    def parameters(self, task: str) -> Parameters:
        """The parameters of this task, models in the order of `models`; the last skill is the population's."""
        return self.tasks[self.schema.code_of[self.schema.task(task).name]].parameters

    def skills(self, task: str) -> Mapping[str, float]:
        """The skill muH1 of every annotator who answered this task in the fit data, in sds of their latent scores."""
        taught = self.tasks[self.schema.code_of[self.schema.task(task).name]]
        stranger = len(taught.parameters.skill) - 1
        pairs = zip(self.annotators, taught.place, strict=False)
        return {name: float(taught.parameters.skill[place]) for name, place in pairs if place != stranger}

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """What every task taught as arrays; everything else as settings."""
        arrays: dict[str, Array] = {}
        for t, taught in enumerate(self.tasks):
            arrays |= {f"{name}/{t}": value for name, value in taught.parameters._asdict().items()}
            arrays |= {f"place/{t}": taught.place, f"population/{t}": taught.population}
            arrays |= {f"gold/{t}": taught.gold} if taught.gold is not None else {}
        settings = {
            **kept(self),
            "options": asdict(self.options),
            "targets": kept_targets(self.targets),
            "spread": [taught.spread for taught in self.tasks],
        }
        return arrays, settings

    @classmethod
    def from_state(cls, arrays: dict[str, Array], settings: dict[str, Any]) -> HaicModel:
        """The model whose `state` this is."""
        head = restored(settings)
        return cls(
            *head,
            Haic(**settings["options"]),
            tuple(_restored(arrays, t, spread) for t, spread in enumerate(settings["spread"])),
            restored_targets(settings),
        )

    def evidence(self, coded: Coded, task: int) -> Evidence:
        """What the models said on one task, on the score scale."""
        return evidence_of(coded.outputs[task], self.options.scale, self.options.floor)

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

    def logits(self, coded: Coded, task: int) -> Float64[Array, "items latent"]:
        """Log P(truth, labels | scores) up to a constant of the item."""
        taught = self.tasks[task]
        return item_logits(self.evidence(coded, task), votes_of(coded, task, taught.place), taught.parameters)

    def _held_out(
        self, coded: Coded, task: int, place: Int64[Array, "asked"], given: Given
    ) -> tuple[Float64[Array, "asked latent"], Float64[Array, "asked classes"]]:
        taught, labels, evidence = self.tasks[task], coded.labels, self.evidence(coded, task)
        item = (np.searchsorted(labels.start, place, side="right") - 1) // coded.n_tasks
        person, code = taught.place[labels.annotator[place]], labels.code[place].astype(np.int64)
        logits = self.logits(coded if given == "others" else coded.without_labels(), task)[item]
        if given == "others":
            at = conditioned(taught.parameters, evidence.patterns)
            logits -= label_logits(evidence, at, taught.parameters, item, person, code)
        latent = normalised(logits)
        rows = person_rows(evidence, taught.parameters, item, person)
        return latent, np.einsum("hk,hkc->hc", latent, rows)


class HaicSession(Session):
    """One item, online: a label adds its log likelihood under every class."""

    def __init__(self, model: HaicModel, coded: Coded) -> None:
        self._model, self._item, self._answered = model, coded.items[0], Answered()
        tasks = range(len(model.schema))
        self._evidence = [model.evidence(coded, t) for t in tasks]
        self._at = [conditioned(model.tasks[t].parameters, self._evidence[t].patterns) for t in tasks]
        self._logits = [model.logits(coded, t) for t in tasks]
        self._place = {name: a for a, name in enumerate(model.annotators)}
        self._counts = [np.zeros((1, len(task.classes)), np.int32) for task in model.schema.tasks]
        self._seen = np.array([[(output.kind > 0).any() for output in coded.outputs]], bool).reshape(1, len(tasks))

    def update(self, task: str, annotator: str, label: str) -> None:
        """Take in one label. Raises SchemaError for an unknown task or class, DataError for a second answer."""
        code = class_code(self._model.schema.task(task), label)
        t = self._model.schema.code_of[task]
        self._answered.add(task, annotator)
        taught = self._model.tasks[t]
        person = taught.place[[self._place.get(annotator, -1)]]
        first = np.zeros(1, np.int64)
        self._logits[t] = self._logits[t] + label_logits(
            self._evidence[t], self._at[t], taught.parameters, first, person, np.full(1, code, np.int64)
        )
        self._counts[t][0, code] += 1
        self._seen[0, t] = True

    def probs(self, task: str) -> Float64[Array, "classes"]:
        """P(target label | all so far)."""
        return self.consensus().probs(task)[0]

    def consensus(self) -> Consensus:
        """The consensus for this one item."""
        counts, latent = [n.copy() for n in self._counts], [normalised(logits) for logits in self._logits]
        return self._model.consensus((self._item,), counts, latent, self._seen.copy())


def _restored(arrays: dict[str, Array], task: int, spread: float) -> Taught:
    parameters = Parameters(*(arrays[f"{name}/{task}"] for name in Parameters._fields))
    own = arrays[f"place/{task}"], parameters, spread
    return Taught(*own, arrays[f"population/{task}"], arrays.get(f"gold/{task}"))
