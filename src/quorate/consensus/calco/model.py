"""`calco` fitted: prediction, labels held out, one item online, and what is saved. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.consensus.calco.belief import GuidedBelief, posterior_given_q
from quorate.consensus.calco.learned import Encoder, Learned, Rows, located, row_means
from quorate.consensus.calco.problem import Scaling, encoder_input, first_components, log_scores
from quorate.consensus.door import Scores, coded_of, positions_by_task
from quorate.consensus.estimator import Fit, Given, HeldOut, Model
from quorate.consensus.hybrid import kernels
from quorate.consensus.hybrid.belief import FactorBelief
from quorate.consensus.kept import kept, kept_targets, restored, restored_targets
from quorate.consensus.posterior import Belief, Consensus, PeopleRows, Target
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.schema import Schema

if TYPE_CHECKING:
    from quorate.consensus.calco import Calco
    from quorate.consensus.calco.session import CalcoSession

Array = np.ndarray
PRIOR_PERSON = 5.0  # labels that an unheard-of person's row, the mean of the known ones, is shrunk by


class Heard(NamedTuple):
    """What was said of a batch of items: log-likelihood given each class, per task, and whether anybody spoke."""

    models: tuple[Float64[Array, "items _classes"], ...]
    people: tuple[Float64[Array, "items _classes"], ...]
    spoken: Bool[Array, "items tasks"]
    inputs: Float64[Array, "items inputs"]  # of the encoder


@dataclass(frozen=True)
class CalcoModel(Model):
    """The paper's model with learned parameters."""

    schema: Schema
    annotators: tuple[str, ...]
    models: tuple[str, ...]
    fit: Fit
    options: Calco
    learned: Learned
    targets: tuple[Target, ...]
    gold_seen: tuple[bool, ...]
    name: str = "calco"

    def predict(self, data: Dataset | Coded) -> Consensus:
        """The consensus; an annotator whom the fit never met has the mean row, a missing model says nothing."""
        coded = coded_of(data).aligned(self.schema, self.annotators, self.models)
        counts = tuple(coded.counts(t) for t in range(coded.n_tasks))
        return self.consensus(coded.items, counts, self.heard(coded))

    def held_out(self, data: Dataset | Coded, positions: Int64[Array, "held"], given: Given) -> HeldOut:
        """Labels predicted without themselves: from the item's other labels and models, or from models alone."""
        coded = coded_of(data)
        aligned = coded.aligned(self.schema, self.annotators, self.models)
        asked = positions_by_task(coded, aligned, positions)
        heard = self.heard(aligned if given == "others" else aligned.without_labels())
        both = [self._held_out(aligned, heard, t, place, given) for t, (_, place) in enumerate(asked)]
        return HeldOut(tuple(a for a, _ in asked), tuple(q for q, _ in both), tuple(p for _, p in both))

    def session(
        self,
        scores: Scores | None = None,
        *,
        features: Float64[Array, "features"] | None = None,
        item: str = "item",
    ) -> CalcoSession:
        """One item, online."""
        from quorate.consensus.calco.session import CalcoSession

        return CalcoSession(self, scores, features, item)

    # ---- what it learned ----------------------------------------------------------------------------------------
    @cached_property
    def people(self) -> tuple[PeopleRows, ...]:
        """Per task, how classes show in a person's label and in gold."""
        return tuple(
            PeopleRows(np.eye(len(task.classes)), rows[-2], rows[-1] if gold else None)
            for task, rows, gold in zip(self.schema.tasks, self.rows, self.gold_seen, strict=True)
        )

    @cached_property
    def rows(self) -> tuple[Float64[Array, "_agents _classes _classes"], ...]:
        """P(label | class) per task: annotators, then the mean person, then the expert."""
        return tuple(map(_with_mean_person, self.learned.rows.people))

    @cached_property
    def model_rows(self) -> tuple[Float64[Array, "models _classes _classes"], ...]:
        """Mean score given the class, per task."""
        return tuple(map(row_means, self.learned.rows.models))

    def confusion(self, task: str) -> Mapping[str, Float64[Array, "_classes _classes"]]:
        """Rows of every annotator and model on a task: P(label | class), and the mean score given the class."""
        t = self.schema.code_of[self.schema.task(task).name]
        return {
            **dict(zip(self.annotators, self.rows[t], strict=False)),
            **dict(zip(self.models, self.model_rows[t], strict=False)),
        }

    def archetypes(self) -> Mapping[str, Float64[Array, "archetypes"]]:
        """P(archetype) of every model."""
        return dict(zip(self.models, self.learned.membership, strict=True))

    @property
    def correlation(self) -> Float64[Array, "components components"]:
        """Of the log-odds of prevalence: how tasks go together."""
        covariance = self.learned.root @ self.learned.root.T
        scale = np.sqrt(np.diag(covariance))
        return covariance / np.outer(scale, scale)

    # ---- prediction ---------------------------------------------------------------------------------------------
    def heard(self, coded: Coded) -> Heard:
        """What models and people say of items in this model's vocabulary."""
        labeled = np.diff(coded.labels.start).reshape(coded.n_items, coded.n_tasks) > 0
        tasks = range(coded.n_tasks)
        spoken = np.column_stack([(output.kind > 0).any(axis=1) for output in coded.outputs])
        return Heard(
            tuple(self._said_by_models(coded, t) for t in tasks),
            tuple(self._said_by_people(coded, t) for t in tasks),
            spoken | labeled,
            encoder_input(coded, self.learned.scaling),
        )

    def consensus(self, items: tuple[str, ...], counts: tuple[Array, ...], heard: Heard) -> Consensus:
        """The consensus of what was heard, under the default target."""
        return Consensus(self.schema, items, counts, self.belief(heard), self.people, self.targets, heard.spoken)

    def belief(self, heard: Heard) -> Belief:
        """The posterior: under the guide, or on points of the prior of q."""
        logits = tuple(m + p for m, p in zip(heard.models, heard.people, strict=True))
        if self.options.guide == "scores":
            return GuidedBelief(located(self.learned, heard.inputs), self._spread, self._first, logits)
        side_by_side = np.concatenate(logits, axis=1)
        return FactorBelief(self._theta, self._off, side_by_side, heard.spoken.astype(np.int8))

    def _held_out(
        self, coded: Coded, heard: Heard, t: int, place: Int64[Array, "asked"], given: Given
    ) -> tuple[Float64[Array, "asked classes"], Float64[Array, "asked classes"]]:
        rows = self.rows[t]
        item = (np.searchsorted(coded.labels.start, place, side="right") - 1) // coded.n_tasks
        agent = self._agent(coded.labels.annotator[place])
        label = coded.labels.code[place].astype(np.int64)
        own = np.log(rows[agent, :, label]) if given == "others" else np.zeros((len(place), rows.shape[1]))
        latent = self._without(heard, t, item.astype(np.int64), own)
        return latent, np.einsum("hc,hck->hk", latent, rows[agent])

    def _without(
        self, heard: Heard, t: int, item: Int64[Array, "asked"], own: Float64[Array, "asked classes"]
    ) -> Float64[Array, "asked classes"]:
        """P(class) of these cells, each without what `own` says."""
        if self.options.guide == "scores":
            logits = (heard.models[t] + heard.people[t])[item] - own
            located_at = located(self.learned, heard.inputs)[item]
            return GuidedBelief(located_at, self._spread, self._first, _only(self.schema, t, logits)).marginal(t)
        logits = np.concatenate([m + p for m, p in zip(heard.models, heard.people, strict=True)], axis=1)
        task = np.full(len(item), t, np.int64)
        return kernels.cavities(self._theta, self._off, logits, heard.spoken.astype(np.int8), item, task, own)

    def _said_by_models(self, coded: Coded, t: int) -> Float64[Array, "items classes"]:
        """Dirichlet log densities of the scores given each class, equation 15, in nats."""
        from scipy.special import gammaln

        weight = self.learned.concentration * self.model_rows[t]
        output = coded.outputs[t]
        norm = gammaln(weight.sum(axis=2)) - gammaln(weight).sum(axis=2)
        fit = np.einsum("imk,mck->ic", log_scores(output), weight - 1.0)
        return fit + (output.kind > 0).astype(np.float64) @ norm

    def _said_by_people(self, coded: Coded, t: int) -> Float64[Array, "items classes"]:
        """Log-likelihood of people's labels given each class, equation 14, in nats."""
        item, task = np.divmod(coded.cell_of_label(), coded.n_tasks)
        mine = task == t
        said = np.log(self.rows[t])[self._agent(coded.labels.annotator[mine]), :, coded.labels.code[mine]]
        out = np.zeros((coded.n_items, self.rows[t].shape[1]))
        np.add.at(out, item[mine], said)
        return out

    def _agent(self, annotator: Array) -> Int64[Array, "labels"]:
        """The row of every annotator; the mean person's for one whom the fit never met."""
        return np.where(annotator >= 0, annotator, len(self.annotators)).astype(np.int64)

    @cached_property
    def _first(self) -> Int64[Array, "tasks_plus_1"]:
        return first_components(tuple(len(task.classes) for task in self.schema.tasks))

    @cached_property
    def _off(self) -> Int64[Array, "tasks_plus_1"]:
        return np.concatenate([[0], np.cumsum([len(task.classes) for task in self.schema.tasks])]).astype(np.int64)

    @cached_property
    def _spread(self) -> Float64[Array, "points components"]:
        """Quasi-random deviations of q from its mean, the most even axes along the widest directions."""
        from scipy.special import ndtri
        from scipy.stats import qmc

        covariance = self.learned.root @ self.learned.root.T
        values, vectors = np.linalg.eigh(covariance)
        sobol = qmc.Sobol(len(values), rng=np.random.default_rng(self.options.seed)).random(self.options.points)
        standard = ndtri(np.clip(sobol, 1e-9, 1 - 1e-9))[:, ::-1]
        return standard @ (vectors * np.sqrt(np.maximum(values, 0.0))).T

    @cached_property
    def _theta(self) -> Float64[Array, "latent points"]:
        """Prevalences at points of the prior of q, all tasks side by side."""
        q = self.learned.mean + self._spread
        parts = [
            posterior_given_q(np.zeros((1, hi - lo)), q[:, lo:hi], np.zeros((1, hi - lo + 1)))[0].T
            for lo, hi in zip(self._first[:-1], self._first[1:], strict=True)
        ]
        return np.ascontiguousarray(np.concatenate(parts))

    # ---- in and out ---------------------------------------------------------------------------------------------
    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Learned parameters as arrays; everything else as settings."""
        learned = self.learned
        arrays: dict[str, Array] = {
            "mean": learned.mean,
            "root": learned.root,
            "membership": learned.membership,
            **{f"encoder/{name}": value for name, value in learned.encoder._asdict().items()},
            "scaling/mean": learned.scaling.mean,
            "scaling/scale": learned.scaling.scale,
        }
        for kind, per_task in learned.rows._asdict().items():
            arrays |= {f"{kind}/{t}": rows for t, rows in enumerate(per_task)}
        settings = {
            **kept(self),
            "options": asdict(self.options),
            "concentration": learned.concentration,
            "feature_names": list(learned.scaling.names),
            "targets": kept_targets(self.targets),
            "gold_seen": list(self.gold_seen),
        }
        return arrays, settings

    @classmethod
    def from_state(cls, arrays: dict[str, Array], settings: dict[str, Any]) -> CalcoModel:
        """The model whose `state` this is."""
        from quorate.consensus.calco import Calco

        head = restored(settings)
        tasks = range(len(head.schema))
        rows = Rows(*(tuple(arrays[f"{kind}/{t}"] for t in tasks) for kind in Rows._fields))
        learned = Learned(
            mean=arrays["mean"],
            root=arrays["root"],
            concentration=float(settings["concentration"]),
            rows=rows,
            membership=arrays["membership"],
            encoder=Encoder(*(arrays[f"encoder/{name}"] for name in Encoder._fields)),
            scaling=Scaling(arrays["scaling/mean"], arrays["scaling/scale"], tuple(settings["feature_names"])),
        )
        return cls(
            **head._asdict(),
            options=Calco(**settings["options"]),
            learned=learned,
            targets=restored_targets(settings),
            gold_seen=tuple(settings["gold_seen"]),
        )


def _with_mean_person(weights: Float64[Array, "people classes classes"]) -> Float64[Array, "agents classes classes"]:
    """Mean rows, the mean person put before the expert: a random label is from whoever labels much."""
    rows = row_means(weights)
    n_classes = rows.shape[1]
    prior = row_means((np.ones((n_classes, n_classes)) + 2.0 * np.eye(n_classes))[None])[0]
    labels = np.maximum(weights[:-1].sum(axis=(1, 2)) - (n_classes + 2.0) * n_classes, 0.0)
    mean = (np.tensordot(labels, rows[:-1], axes=1) + PRIOR_PERSON * prior) / (labels.sum() + PRIOR_PERSON)
    return np.concatenate([rows[:-1], mean[None], rows[-1:]])


def _only(schema: Schema, t: int, logits: Float64[Array, "asked classes"]) -> tuple[Float64[Array, "asked _"], ...]:
    """Of one task; nothing of the others, which say nothing of it under the guide."""
    return tuple(
        logits if other == t else np.zeros((len(logits), len(task.classes))) for other, task in enumerate(schema.tasks)
    )
