"""A fitted model that knows the truth about people: the reference for whatever judges agents by a posterior."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from quorate.consensus.estimator import Fit, HeldOut, Model
from quorate.consensus.posterior import Consensus, IndependentBelief, PeopleRows, Target
from quorate.data.encode import Coded
from quorate.schema import Schema


@dataclass(frozen=True)
class KnownModel(Model):
    """Posterior from people alone, with their true confusion; models are not listened to."""

    schema: Schema
    annotators: tuple[str, ...]
    models: tuple[str, ...]
    prevalence: np.ndarray  # classes
    confusion: np.ndarray  # annotators, true class, label
    kind: str = "latent"
    name: str = "known"
    fit: Fit = field(default_factory=lambda: Fit("converged", 1, (0.0,)))

    def predict(self, data: Coded) -> Consensus:
        """By Bayes' rule."""
        beliefs = tuple(self._posterior(self._log_weights(data, t)) for t in range(data.n_tasks))
        eye = np.eye(len(self.prevalence))
        return Consensus(
            schema=self.schema,
            items=data.items,
            counts=tuple(data.counts(t) for t in range(data.n_tasks)),
            belief=IndependentBelief(beliefs),
            people=(PeopleRows(eye, eye, eye),) * data.n_tasks,
            targets=(Target(self.kind, 3 if self.kind == "panel" else None),) * data.n_tasks,
        )

    def held_out(self, data: Coded, positions: np.ndarray, given: str) -> HeldOut:
        """The same without one label."""
        item, task = np.divmod(data.cell_of_label(), data.n_tasks)
        asked = [positions[task[positions] == t] for t in range(data.n_tasks)]
        latent = []
        for t, place in enumerate(asked):
            weights = self._log_weights(data, t) if given == "others" else self._log_weights(data.without_labels(), t)
            own = self._log_likelihood(data)[place] if given == "others" else 0.0
            latent.append(self._posterior(weights[item[place]] - own))
        labels = [
            np.einsum("rc,rck->rk", probs, self.confusion[data.labels.annotator[p]])
            for probs, p in zip(latent, asked, strict=True)
        ]
        return HeldOut(tuple(asked), tuple(latent), tuple(labels))

    def session(self, *_: object, **__: object):
        """Not asked of this model."""
        raise NotImplementedError

    def state(self):
        """Not asked of this model."""
        raise NotImplementedError

    def _log_likelihood(self, data: Coded) -> np.ndarray:
        rows = self.confusion[data.labels.annotator, :, data.labels.code]
        return np.log(np.maximum(rows, 1e-12))

    def _log_weights(self, data: Coded, task: int) -> np.ndarray:
        item, of_task = np.divmod(data.cell_of_label(), data.n_tasks)
        weights = np.tile(np.log(self.prevalence), (data.n_items, 1))
        chosen = of_task == task
        np.add.at(weights, item[chosen], self._log_likelihood(data)[chosen])
        return weights

    @staticmethod
    def _posterior(log_weights: np.ndarray) -> np.ndarray:
        weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)
