"""Crowds whose people and models are known, and the posterior of one who knows the people."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from quorate.data.encode import Coded
from unit.consensus.known_model import Families, KnownModel
from unit.measure.crowd import coded_from_matrix, coded_from_tasks

PREVALENCE = np.array([0.5, 0.3, 0.2])


def row(accuracy: float) -> np.ndarray:
    """Right with this probability, wrong classes alike."""
    return np.where(np.eye(3, dtype=bool), accuracy, (1 - accuracy) / 2)


def said(truth: np.ndarray, confusion: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One answer per true class."""
    return (rng.random(len(truth))[:, None] > confusion[truth].cumsum(axis=1)).sum(axis=1)


def families_of_models(truth: np.ndarray, sizes: list[int], shared: float, accuracy: float, rng: np.random.Generator):
    """Models whose errors are, with probability `shared`, those of their family: the correlation inside is shared²."""
    columns = []
    for size in sizes:
        common = rng.random(len(truth)) > accuracy
        step = rng.integers(1, 3, len(truth))
        for _ in range(size):
            own = rng.random(len(truth)) < shared
            wrong = np.where(own, common, rng.random(len(truth)) > accuracy)
            columns.append(np.where(wrong, (truth + np.where(own, step, rng.integers(1, 3, len(truth)))) % 3, truth))
    return np.stack(columns, axis=1)


@dataclass(frozen=True)
class Crowd:
    """One task "t" (or several about the same items) and its people, with the truth behind."""

    coded: Coded
    model: KnownModel
    truth: np.ndarray
    confusion: np.ndarray

    @classmethod
    def drawn(
        cls,
        seed: int,
        *,
        n_items: int = 400,
        accuracies: tuple[float, ...] = (0.6, 0.7, 0.8, 0.9, 0.75, 0.65),
        asked: float = 0.6,
        models: list[int] | None = None,
        shared: float = 0.0,
        model_accuracy: float = 0.75,
        tasks: int = 1,
    ) -> Crowd:
        """People of these accuracies, each asked a part of the items; models in families of these sizes."""
        rng = np.random.default_rng(seed)
        confusion = np.stack([row(accuracy) for accuracy in accuracies])
        drawn, truths = {}, []
        for t in range(tasks):
            truth = rng.choice(3, n_items, p=PREVALENCE)
            labels = np.stack([said(truth, one, rng) for one in confusion], axis=1)
            labels[rng.random(labels.shape) > asked] = -1
            drawn[f"t{t}" if tasks > 1 else "t"] = (
                labels,
                families_of_models(truth, models or [], shared, model_accuracy, rng)
                if models
                else np.zeros((n_items, 0), int),
            )
            truths.append(truth)
        coded = coded_from_tasks(drawn, n_classes=3)
        places = np.split(np.arange(sum(models or [])), np.cumsum(models or [])[:-1])
        families = Families(tuple(tuple(place.tolist()) for place in places), shared, row(model_accuracy))
        model = replace(known(coded, confusion), families=families if models else None)
        return cls(coded, model, np.stack(truths, axis=1), confusion)

    @classmethod
    def of(
        cls,
        labels: np.ndarray,
        answers: np.ndarray | None,
        confusion: np.ndarray,
        truth: np.ndarray,
        prevalence: np.ndarray = PREVALENCE,
    ) -> Crowd:
        """These labels of one task."""
        coded = coded_from_matrix(labels, answers, n_classes=3)
        return cls(coded, known(coded, confusion, prevalence), truth[:, None], confusion)


def known(coded: Coded, confusion: np.ndarray, prevalence: np.ndarray = PREVALENCE) -> KnownModel:
    """The model that knows these people."""
    return KnownModel(coded.schema, coded.annotators, coded.models, prevalence, confusion)
