"""`hybrid` fitted: prediction, labels held out, one item online, and what is saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int8, Int64

from quorate.consensus.door import Scores, coded_of, positions_by_task
from quorate.consensus.estimator import Fit, Given, HeldOut, Model
from quorate.consensus.hybrid import kernels
from quorate.consensus.hybrid.belief import FactorBelief
from quorate.consensus.hybrid.evidence import Design, evidence_of
from quorate.consensus.hybrid.fitting import Vocabulary
from quorate.consensus.hybrid.labels import Votes, active_cells, columns_of, row_places, votes_of
from quorate.consensus.hybrid.objective import Tables, evidence_logits
from quorate.consensus.hybrid.options import Settings
from quorate.consensus.hybrid.parameters import Shape, named_rows
from quorate.consensus.kept import kept, kept_targets, restored, restored_targets
from quorate.consensus.posterior import Consensus, PeopleRows, Readouts, Target
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.schema import Schema

if TYPE_CHECKING:
    from quorate.consensus.hybrid.session import HybridSession

Array = np.ndarray


class _Batch(NamedTuple):
    """Items in the model's vocabulary."""

    coded: Coded
    votes: Votes
    active: Int8[Array, "items tasks"]
    evidence: Float64[Array, "items latent"]
    labeled: Float64[Array, "items latent"]


class Online(NamedTuple):
    """Constants of a model that every answer to an item needs, by task, and the place of every annotator."""

    columns: tuple[slice, ...]  # of the latent classes, all tasks side by side
    theta: tuple[Float64[Array, "_latent points"], ...]
    log_rows: tuple[Float64[Array, "rows _latent _classes"], ...]
    place: Mapping[str, int]


@dataclass(frozen=True)
class HybridModel(Model):
    """People and correlated models over several tasks in one posterior."""

    schema: Schema
    annotators: tuple[str, ...]
    models: tuple[str, ...]
    fit: Fit
    settings: Settings
    vocabulary: Vocabulary
    tables: Tables
    targets: tuple[Target, ...]
    gold_seen: tuple[bool, ...]
    name: str = "hybrid"

    def predict(self, data: Dataset | Coded) -> Consensus:
        """The consensus; tasks of an item inform each other, and an annotator whom a task never saw is the
        population.
        """
        batch = self._batch(coded_of(data))
        belief = FactorBelief(self.tables.theta, self.vocabulary.off, batch.labeled, batch.active)
        coded = batch.coded
        counts = tuple(coded.counts(t) for t in range(coded.n_tasks))
        people = self.people
        return Consensus(self.schema, coded.items, counts, belief, people, self.targets, batch.active > 0)

    def held_out(self, data: Dataset | Coded, positions: Int64[Array, "held"], given: Given) -> HeldOut:
        """Labels predicted without themselves: from the item's other labels and models, or from models alone."""
        coded = coded_of(data)
        aligned = coded.aligned(self.schema, self.annotators, self.models)
        asked = positions_by_task(coded, aligned, positions)
        own_batch = self._batch(aligned)
        batch = own_batch if given == "others" else self._batch(aligned.without_labels())
        both = [self._held_out(own_batch, batch, t, place, given) for t, (_, place) in enumerate(asked)]
        return HeldOut(tuple(a for a, _ in asked), tuple(q for q, _ in both), tuple(p for _, p in both))

    def session(
        self,
        scores: Scores | None = None,
        *,
        features: Float64[Array, "features"] | None = None,
        item: str = "item",
    ) -> HybridSession:
        """One item, online."""
        from quorate.consensus.hybrid.session import HybridSession

        return HybridSession(self, scores, features, item)

    @cached_property
    def people(self) -> tuple[PeopleRows, ...]:
        """Per task, how latent classes show in a person's label and in gold."""
        return tuple(
            PeopleRows(named_rows(shape), rows[-2], rows[-1] if gold else None)
            for shape, rows, gold in zip(self.vocabulary.shapes, self.tables.rows, self.gold_seen, strict=True)
        )

    @cached_property
    def online(self) -> Online:
        """What all sessions share."""
        off, tables = self.vocabulary.off, self.tables
        columns = tuple(slice(int(off[t]), int(off[t + 1])) for t in range(len(self.schema)))
        return Online(
            columns=columns,
            theta=tuple(tables.theta[each] for each in columns),
            log_rows=tuple(np.log(rows) for rows in tables.rows),
            place={name: a for a, name in enumerate(self.annotators)},
        )

    @cached_property
    def readouts(self) -> Readouts | None:
        """What sessions read their items through; None where the panel's size differs from item to item."""
        fixed = all(target.n is None or np.ndim(target.n) == 0 for target in self.targets)
        return Readouts(self.people, self.targets) if fixed else None

    def confusion(self, task: str) -> Mapping[str, Float64[Array, "_latent _classes"]]:
        """P(label | latent class) of every annotator seen on a task; latent classes of one class lie side by side."""
        t = self.schema.code_of[self.schema.task(task).name]
        names = [self.annotators[a] for a in self.vocabulary.seen[t]]
        return dict(zip(names, self.tables.rows[t], strict=False))

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Tables and vocabulary as arrays; everything else as settings."""
        design = self.vocabulary.design
        arrays: dict[str, Array] = {
            "theta": self.tables.theta,
            "feature_mean": design.feature_mean,
            "feature_scale": design.feature_scale,
        }
        for t in range(len(self.schema)):
            arrays[f"weights/{t}"] = self.tables.weights[t]
            arrays[f"rows/{t}"] = self.tables.rows[t]
            arrays[f"seen/{t}"] = self.vocabulary.seen[t]
            arrays[f"speakers/{t}"] = design.speakers[t]
        settings = {
            **kept(self),
            "settings": self.settings._asdict(),
            "feature_names": list(design.feature_names),
            "shapes": [shape._asdict() for shape in self.vocabulary.shapes],
            "targets": kept_targets(self.targets),
            "gold_seen": list(self.gold_seen),
        }
        return arrays, settings

    @classmethod
    def from_state(cls, arrays: dict[str, Array], settings: dict[str, Any]) -> HybridModel:
        """The model whose `state` this is."""
        head = restored(settings)
        tasks = range(len(head.schema))
        shapes = tuple(Shape(**shape) for shape in settings["shapes"])
        seen = tuple(arrays[f"seen/{t}"] for t in tasks)
        rows = tuple(arrays[f"rows/{t}"] for t in tasks)
        speakers = tuple(arrays[f"speakers/{t}"] for t in tasks)
        places = row_places(seen, shapes, len(head.annotators))
        design = Design(speakers, arrays["feature_mean"], arrays["feature_scale"], tuple(settings["feature_names"]))
        return cls(
            **head._asdict(),
            settings=Settings(**settings["settings"]),
            vocabulary=Vocabulary(design, seen, shapes, places, columns_of(shapes)),
            tables=Tables(arrays["theta"], tuple(arrays[f"weights/{t}"] for t in tasks), flat_log_rows(rows), rows),
            targets=restored_targets(settings),
            gold_seen=tuple(settings["gold_seen"]),
        )

    @classmethod
    def trial(cls, coded: Coded, settings: Settings, vocabulary: Vocabulary, tables: Tables) -> HybridModel:
        """A model to be judged by the labels it predicts, and by nothing else."""
        n_tasks = coded.n_tasks
        unsaid = (Target("latent"),) * n_tasks
        fit, gold_seen = Fit("iteration limit", 0, ()), (False,) * n_tasks
        names = coded.schema, coded.annotators, coded.models
        return cls(*names, fit, settings, vocabulary, tables, unsaid, gold_seen)

    def _batch(self, data: Coded) -> _Batch:
        vocabulary, design = self.vocabulary, self.vocabulary.design
        coded = data.aligned(self.schema, self.annotators, self.models)
        coded = coded.with_features(design.feature_names, len(design.feature_mean))
        evidence = evidence_of(coded, design)
        votes = votes_of(coded, vocabulary.shapes, vocabulary.places, with_gold=False)
        logits = evidence_logits(evidence, self.tables.weights, 0, coded.n_items)
        labeled = logits.copy()
        kernels.add_labels(labeled, *votes, self.tables.log_rows)
        return _Batch(coded, votes, active_cells(coded, evidence, with_gold=False), logits, labeled)

    def _held_out(
        self, own_batch: _Batch, batch: _Batch, task: int, place: Int64[Array, "asked"], given: Given
    ) -> tuple[Float64[Array, "asked latent"], Float64[Array, "asked classes"]]:
        coded, rows = own_batch.coded, self.tables.rows[task]
        local = self.vocabulary.places.local[task][coded.labels.annotator[place]]
        label = coded.labels.code[place].astype(np.int64)
        own = np.log(rows[local, :, label]) if given == "others" else np.zeros((len(place), rows.shape[1]))
        task_of = np.full(len(place), task, np.int64)
        item = own_batch.votes.item[place]
        latent = kernels.cavities(
            self.tables.theta, self.vocabulary.off, batch.labeled, batch.active, item, task_of, own
        )
        return latent, np.einsum("hc,hck->hk", latent, rows[local])


def flat_log_rows(rows: tuple[Float64[Array, "_agents _latent _classes"], ...]) -> Float64[Array, "rows"]:
    """Log rows of all tasks in one vector, (agents, classes, latent) within a task."""
    return np.concatenate([np.log(part).transpose(0, 2, 1).ravel() for part in rows])
