"""Answers with an uncertain truth whose every parameter is known: true classes, witnesses, and agents to be judged."""

from __future__ import annotations

import numpy as np

from quorate.measure.mixture import Rows


def pattern(accuracy: float, n_classes: int) -> np.ndarray:
    """A confusion matrix: right with this probability, wrong classes alike."""
    return np.where(np.eye(n_classes, dtype=bool), accuracy, (1 - accuracy) / max(n_classes - 1, 1))


def answers(truth: np.ndarray, confusion: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One answer per true class."""
    return (rng.random(len(truth))[:, None] > confusion[truth].cumsum(axis=1)).sum(axis=1)


def truths(n: int, prevalence: np.ndarray, witness: np.ndarray, n_witnesses: int, rng: np.random.Generator):
    """True classes, and their posterior given the answers of some witnesses of known confusion."""
    truth = rng.choice(len(prevalence), n, p=prevalence)
    log_weight = np.tile(np.log(prevalence), (n, 1))
    for _ in range(n_witnesses):
        log_weight += np.log(witness[:, answers(truth, witness, rng)]).T
    weight = np.exp(log_weight)
    return truth, weight / weight.sum(axis=1, keepdims=True)


def judged_together(parts: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]) -> Rows:
    """Groups of (posterior, answers of one agent, answers of the other or None) as rows."""
    sizes = [len(first) for _, first, _ in parts]
    second = [np.full(n, -1) if other is None else other for (_, _, other), n in zip(parts, sizes, strict=True)]
    return Rows(
        np.vstack([posterior for posterior, _, _ in parts]),
        np.arange(sum(sizes)),
        np.concatenate([first for _, first, _ in parts]).astype(np.int64),
        np.concatenate(second).astype(np.int64),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
    )
