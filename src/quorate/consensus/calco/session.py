"""One item of `calco`, online: a label adds a row's logarithm to its task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from quorate.consensus.door import Answered, Scores, class_code
from quorate.consensus.estimator import Session
from quorate.consensus.one_item import one_item
from quorate.consensus.posterior import Consensus

if TYPE_CHECKING:
    from quorate.consensus.calco.model import CalcoModel

Array = np.ndarray


class CalcoSession(Session):
    """Keeps what was heard of the item; every answer is read off the posterior anew."""

    def __init__(
        self, model: CalcoModel, scores: Scores | None, features: Float64[Array, "features"] | None, item: str
    ) -> None:
        self._model, self._item, self._answered = model, item, Answered()
        width = len(model.learned.scaling.mean) or (0 if features is None else len(features))
        self._heard = model.heard(one_item(model, scores, features, item, n_features=width))
        self._counts = tuple(np.zeros((1, len(task.classes)), np.int32) for task in model.schema.tasks)
        self._agent = {name: a for a, name in enumerate(model.annotators)}

    def update(self, task: str, annotator: str, label: str) -> None:
        """Take in one label. Raises SchemaError for an unknown task or class, DataError for a second answer."""
        model = self._model
        code = class_code(model.schema.task(task), label)
        t = model.schema.code_of[task]
        self._answered.add(task, annotator)
        agent = self._agent.get(annotator, len(model.annotators))
        self._heard.people[t][0] += np.log(model.rows[t][agent, :, code])
        self._heard.spoken[0, t] = True
        self._counts[t][0, code] += 1

    def probs(self, task: str) -> Float64[Array, "classes"]:
        """P(target label | all so far)."""
        return self.consensus().probs(task)[0]

    def consensus(self) -> Consensus:
        """The consensus for this one item, as a batch prediction would give it."""
        heard = self._heard
        frozen = heard._replace(people=tuple(part.copy() for part in heard.people), spoken=heard.spoken.copy())
        return self._model.consensus((self._item,), tuple(count.copy() for count in self._counts), frozen)
