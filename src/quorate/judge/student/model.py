"""A student: a linear model over texts, one head per task, that says what its teacher would say of items it never saw.

What is learned of the texts is in `words`, how the heads are fitted in `regression`. Of an ordered task the student has
a mean grade too: Σ_k p_k v_k, in grades.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Float64
from scipy.sparse import csr_array

from quorate.data.dataset import Dataset
from quorate.errors import DataError, SettingError
from quorate.judge.graded import grade_values
from quorate.judge.student.contents import Contents
from quorate.judge.student.lesson import Lesson
from quorate.judge.student.regression import Linear, chosen, coordinates, folds_of, probs_of
from quorate.judge.student.words import Words, learned
from quorate.schema import Schema, Task

Array = np.ndarray
Progress = Callable[[float, str], None]
NAME = "student"
BLOCK = 10_000  # items that are predicted at once: their rows are let go before the next


class Options(NamedTuple):
    """How a student learns."""

    letters: bool = True  # runs of letters beside words: better for short texts, names and misspellings
    most_terms: int = 50_000  # of each column, words and letters apart
    folds: int = 5
    seed: int = 0


@dataclass(frozen=True)
class Head:
    """What is said of one task."""

    task: Task
    slopes: Float32[Array, "features classes"]
    bias: Float32[Array, "classes"]
    penalty: float  # infinite: the texts taught nothing, and every item gets the same probabilities
    losses: dict[float, float]  # by penalty, on held-out items of the teacher's, in nats

    def probs(self, rows: csr_array) -> Float64[Array, "items classes"]:
        """The probabilities of the classes."""
        return probs_of(rows, Linear(self.slopes.astype(np.float64), self.bias.astype(np.float64)))


@dataclass(frozen=True)
class Student:
    """A fitted student."""

    schema: Schema
    words: Words
    heads: tuple[Head, ...]
    teacher: str
    n_taught: int  # items

    def predict(self, contents: Contents) -> dict[str, Float64[Array, "items _classes"]]:
        """Probabilities by task. Raises SchemaError where the items lack what the student reads."""
        parts = [self.words.matrix(part) for part in _blocks(contents)]
        return {head.task.name: np.concatenate([head.probs(rows) for rows in parts]) for head in self.heads}

    def label(self, contents: Contents, name: str = NAME) -> Dataset:
        """The student's word as a data set: scores, and labels with confidence and, of ordered tasks, a mean grade."""
        probs = self.predict(contents)
        scores = pa.concat_tables([_scores(contents.ids, self.schema.task(t), p, name) for t, p in probs.items()])
        labels = pa.concat_tables([_labels(contents.ids, self.schema.task(t), p, name) for t, p in probs.items()])
        return Dataset(scores=scores, model_labels=labels, schema=self.schema)


def taught(
    contents: Contents,
    lesson: Lesson,
    options: Options | None = None,
    *,
    groups: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Student:
    """A student that heard this lesson about these items; items of a group are in one fold of cross-validation.

    Raises DataError where fewer than two items are taught, MissingExtraError without scikit-learn.
    """
    options = options or Options()
    if options.folds < 2 or options.most_terms < 1:
        raise SettingError("cross-validation needs 2 folds or more, and a block 1 term or more")
    heard = np.flatnonzero(lesson.heard())
    if len(heard) < options.folds:
        mend = f"label at least {options.folds} (50 teach little, some thousands a fair student)"
        raise DataError(f"only {len(heard)} items are taught", mend=mend)
    told = progress or (lambda _share, _what: None)
    told(0.0, "reading")
    contents, lesson = contents.select(heard), lesson.select(heard)
    words = learned(contents, letters=options.letters, most_terms=options.most_terms)
    matrix = words.matrix(contents)
    space = coordinates(matrix)
    kept = None if groups is None else [groups[place] for place in heard.tolist()]
    fold = folds_of(kept, len(heard), options.folds, options.seed)
    heads = list[Head]()
    for number, (task, of) in enumerate(zip(lesson.schema.tasks, lesson.of, strict=True)):
        told((number + 1) / (len(lesson.of) + 1), task.name)
        if not of.weight.any():
            continue
        found = chosen(space.rows, of, fold)
        slopes = space.back(found.linear.slopes).astype(np.float32)
        heads.append(Head(task, slopes, found.linear.bias.astype(np.float32), found.penalty, found.losses))
    schema = Schema(tuple(head.task for head in heads))
    return Student(schema, words, tuple(heads), lesson.teacher, len(heard))


def mean_grades(task: Task, probs: Float64[Array, "items classes"]) -> Float64[Array, "items"] | None:
    """The mean grade of every item; None where the classes are no scale."""
    return probs @ grade_values(task) if task.ordered else None


def _blocks(contents: Contents) -> list[Contents]:
    starts = range(0, max(len(contents), 1), BLOCK)
    return [contents.select(np.arange(start, min(start + BLOCK, len(contents)))) for start in starts]


def _scores(ids: Sequence[str], task: Task, probs: Float64[Array, "items classes"], name: str) -> pa.Table:
    n_items, n_classes = probs.shape
    repeated = pa.array(np.repeat(np.arange(n_items), n_classes))
    return pa.table({
        "item": pa.array(ids, pa.string()).take(repeated),
        "task": pa.array([task.name] * (n_items * n_classes), pa.string()),
        "model": pa.array([name] * (n_items * n_classes), pa.string()),
        "label": pa.array(list(task.classes) * n_items, pa.string()),
        "score": pa.array(probs.ravel()),
    })  # fmt: skip


def _labels(ids: Sequence[str], task: Task, probs: Float64[Array, "items classes"], name: str) -> pa.Table:
    grades = mean_grades(task, probs)
    return pa.table({
        "item": pa.array(ids, pa.string()),
        "task": pa.array([task.name] * len(ids), pa.string()),
        "model": pa.array([name] * len(ids), pa.string()),
        "label": pa.array(task.classes, pa.string()).take(pa.array(probs.argmax(axis=1))),
        "confidence": pa.array(probs.max(axis=1)),
        "grade": pa.array([None] * len(ids) if grades is None else grades, pa.float64()),
    })  # fmt: skip
