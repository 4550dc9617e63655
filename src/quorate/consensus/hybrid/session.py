"""One item of `hybrid`, online: a label replaces one factor of the product over tasks, at every quadrature point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64

from quorate.consensus.door import Answered, Scores, class_code
from quorate.consensus.estimator import Session
from quorate.consensus.hybrid.belief import FactorBelief
from quorate.consensus.hybrid.evidence import Evidence, evidence_of_one
from quorate.consensus.hybrid.objective import evidence_logits
from quorate.consensus.one_item import check_features, heard
from quorate.consensus.posterior import Consensus, read, readout_of

if TYPE_CHECKING:
    from quorate.consensus.hybrid.model import HybridModel

Array = np.ndarray


class HybridSession(Session):
    """Keeps log sum_c theta_tcs exp(logit_tc) of every task and point: an update touches one task's S numbers."""

    def __init__(
        self, model: HybridModel, scores: Scores | None, features: Float64[Array, "features"] | None, item: str
    ) -> None:
        self._model, self._answered = model, Answered()
        evidence = _evidence(model, scores or {}, features)
        self._item, self._online = item, model.online
        self._logits = evidence_logits(evidence, model.tables.weights, 0, 1)[0]
        self._active = np.array([[part.spoken[0] for part in evidence]], np.int8)
        self._log_total = np.array([self._log_factor(t) for t in range(len(model.schema))])
        self._counts = [np.zeros((1, len(task.classes)), np.int32) for task in model.schema.tasks]

    def update(self, task: str, annotator: str, label: str) -> None:
        """Take in one label. Raises SchemaError for an unknown task or class, DataError for a second answer."""
        schema = self._model.schema
        code = class_code(schema.task(task), label)
        t = schema.code_of[task]
        self._answered.add(task, annotator)
        row = self._model.vocabulary.places.local[t][self._online.place.get(annotator, -1)]
        self._logits[self._online.columns[t]] += self._online.log_rows[t][row, :, code]
        self._log_total[t] = self._log_factor(t)
        self._active[0, t] = 1
        self._counts[t][0, code] += 1

    def probs(self, task: str) -> Float64[Array, "classes"]:
        """P(target label | all so far)."""
        t = self._model.schema.code_of[self._model.schema.task(task).name]
        others = self._log_total.sum(axis=0) - self._log_total[t]
        logits = self._logits[self._online.columns[t]]
        latent = np.exp(logits - logits.max()) * (self._online.theta[t] @ np.exp(others - others.max()))
        remembered, counts = self._model.readouts, self._counts[t]
        readout = (
            readout_of(self._model.people[t], self._model.targets[t], counts)
            if remembered is None
            else remembered.of(t, counts)
        )
        return read((latent / latent.sum())[None], readout)[0]

    def consensus(self) -> Consensus:
        """The consensus for this one item, as a batch prediction would give it."""
        model = self._model
        belief = FactorBelief(model.tables.theta, model.vocabulary.off, self._logits[None].copy(), self._active.copy())
        counts = tuple(count.copy() for count in self._counts)
        seen: Bool[Array, "one tasks"] = self._active > 0
        people, targets, remembered = model.people, model.targets, model.readouts
        return Consensus(model.schema, (self._item,), counts, belief, people, targets, seen, remembered=remembered)

    def _log_factor(self, t: int) -> Float64[Array, "points"]:
        logits = self._logits[self._online.columns[t]]
        top = logits.max()
        return np.log(np.exp(logits - top) @ self._online.theta[t])


def _evidence(model: HybridModel, scores: Scores, features: Float64[Array, "features"] | None) -> tuple[Evidence, ...]:
    """What the models and features say of the one item. Raises as `one_item` does."""
    design = model.vocabulary.design
    check_features(features, len(design.feature_mean))
    unknown = np.zeros(len(design.feature_mean))
    item = unknown if features is None else (features - design.feature_mean) / design.feature_scale
    for name in scores:
        model.schema.task(name)
    found = list[Evidence]()
    for task, speakers in zip(model.schema.tasks, design.speakers, strict=True):
        of_task = {name: heard(task, said) for name, said in scores.get(task.name, {}).items() if name in model.models}
        said = [of_task.get(model.models[m]) for m in speakers.tolist()]
        found.append(evidence_of_one(said, len(task.classes), item.tolist(), item_known=features is not None))
    return tuple(found)
