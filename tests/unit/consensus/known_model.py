"""A fitted model that knows everything but the truth: the reference for whatever judges agents by a posterior."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from quorate.consensus.estimator import Fit, HeldOut, Model
from quorate.consensus.posterior import Consensus, IndependentBelief, PeopleRows, Target
from quorate.data.encode import Coded
from quorate.schema import Schema


@dataclass(frozen=True)
class Families:
    """Models that copy, with probability `shared`, one common answer of their family; else answer on their own."""

    members: tuple[tuple[int, ...], ...]
    shared: float
    row: np.ndarray  # of the common answer and of their own: true class, answer

    def log_likelihood(self, answers: np.ndarray) -> np.ndarray:
        """Of all answers to an item, given each true class: the common answer is summed out."""
        total = np.zeros((len(answers), len(self.row)))
        for family in self.members:
            common = np.tile(self.row, (len(answers), 1, 1))  # items, true class, common answer
            for member in family:
                said = answers[:, member]
                copied = np.eye(len(self.row))[said][:, None, :]
                common *= self.shared * copied + (1 - self.shared) * self.row[:, said].T[:, :, None]
            total += np.log(np.maximum(common.sum(axis=2), 1e-300))
        return total


@dataclass(frozen=True)
class KnownModel(Model):
    """The exact posterior, people's confusion and the families of models being known; or, without them, from people."""

    schema: Schema
    annotators: tuple[str, ...]
    models: tuple[str, ...]
    prevalence: np.ndarray  # classes
    confusion: np.ndarray  # annotators, true class, label
    families: Families | None = None
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
            targets=(Target("latent"),) * data.n_tasks,
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
        answers = data.outputs[task].answer
        if self.families is not None and (answers >= 0).all():
            weights += self.families.log_likelihood(answers.astype(int))
        return weights

    @staticmethod
    def _posterior(log_weights: np.ndarray) -> np.ndarray:
        weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)
