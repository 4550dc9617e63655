"""Small crowds as coded data, for tests of what is measured on them."""

from __future__ import annotations

import numpy as np

from quorate.data.encode import Coded, Labels, ModelOutput
from quorate.schema import Schema, Task

CLASSES = "abcdefghijklmnopqrst"


def coded_from_matrix(
    labels: np.ndarray, answers: np.ndarray | None = None, *, n_classes: int, ordered: bool = False
) -> Coded:
    """One task "t" from class codes: items x annotators and items x models, -1 where nobody spoke."""
    answers = np.zeros((len(labels), 0), int) if answers is None else answers
    return coded_from_tasks({"t": (labels, answers)}, n_classes=n_classes, ordered=ordered)


def coded_from_tasks(
    tasks: dict[str, tuple[np.ndarray, np.ndarray]], *, n_classes: int, ordered: bool = False
) -> Coded:
    """Several tasks about the same items, people and models: by name the codes of labels and of answers."""
    labels = np.stack([said for said, _ in tasks.values()], axis=1)  # items, tasks, annotators
    n_items, n_tasks, n_annotators = labels.shape
    item, task, annotator = np.nonzero(labels >= 0)
    sizes = (labels >= 0).sum(axis=2).ravel()
    code = labels[item, task, annotator].astype(np.int16)
    start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    outputs = tuple(_output(answers.astype(np.int16), n_classes) for _, answers in tasks.values())
    return Coded(
        schema=Schema(tuple(Task(name, tuple(CLASSES[:n_classes]), ordered) for name in tasks)),
        items=tuple(f"i{i}" for i in range(n_items)),
        annotators=tuple(f"p{a}" for a in range(n_annotators)),
        models=tuple(f"m{m}" for m in range(outputs[0].answer.shape[1])),
        labels=Labels(start, annotator.astype(np.int32), code, np.arange(len(item))),
        outputs=outputs,
        gold=np.full((n_items, n_tasks), -1, np.int16),
        features=np.zeros((n_items, 0), np.float32),
        features_known=np.zeros(n_items, bool),
    )


def _output(answers: np.ndarray, n_classes: int) -> ModelOutput:
    said = answers >= 0
    scores = np.where(said[:, :, None], np.eye(n_classes)[answers], 0).astype(np.float32)
    return ModelOutput(np.where(said, 2, 0).astype(np.int8), scores, answers)


def noisy(truth: np.ndarray, accuracy: float, n_classes: int, rng: np.random.Generator) -> np.ndarray:
    """Answers that are right with this probability, else any other class."""
    other = (truth + rng.integers(1, n_classes, truth.shape)) % n_classes
    return np.where(rng.random(truth.shape) < accuracy, truth, other)


def assert_within(found: float, expected: float, *, se: float, sigmas: float = 4) -> None:
    """The figure is within so many of its own standard errors."""
    assert abs(found - expected) <= sigmas * se, f"{abs(found - expected) / se:.1f} standard errors away"
