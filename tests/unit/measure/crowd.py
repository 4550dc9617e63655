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
    n_items, n_annotators = labels.shape
    answers = np.zeros((n_items, 0), np.int16) - 1 if answers is None else answers.astype(np.int16)
    item, annotator = np.nonzero(labels >= 0)
    starts = np.concatenate([[0], np.cumsum((labels >= 0).sum(axis=1))]).astype(np.int64)
    scores = np.where((answers >= 0)[:, :, None], np.eye(n_classes)[answers], 0).astype(np.float32)
    return Coded(
        schema=Schema((Task("t", tuple(CLASSES[:n_classes]), ordered),)),
        items=tuple(f"i{i}" for i in range(n_items)),
        annotators=tuple(f"p{a}" for a in range(n_annotators)),
        models=tuple(f"m{m}" for m in range(answers.shape[1])),
        labels=Labels(
            starts, annotator.astype(np.int32), labels[item, annotator].astype(np.int16), np.arange(len(item))
        ),
        outputs=(ModelOutput(np.where(answers >= 0, 2, 0).astype(np.int8), scores, answers),),
        gold=np.full((n_items, 1), -1, np.int16),
        features=np.zeros((n_items, 0), np.float32),
        features_known=np.zeros(n_items, bool),
    )


def noisy(truth: np.ndarray, accuracy: float, n_classes: int, rng: np.random.Generator) -> np.ndarray:
    """Answers that are right with this probability, else any other class."""
    other = (truth + rng.integers(1, n_classes, truth.shape)) % n_classes
    return np.where(rng.random(truth.shape) < accuracy, truth, other)


def assert_within(found: float, expected: float, *, se: float, sigmas: float = 4) -> None:
    """The figure is within so many of its own standard errors."""
    assert abs(found - expected) <= sigmas * se, f"{abs(found - expected) / se:.1f} standard errors away"
