"""A student from labels that people have corrected in part: from the table of a review to a classifier [lin2025act].

The table has item, task, machine_label, label, reviewed and inclusion, as `quorate act review` writes it. λ, the share
of the machine's loss, is 1 under thresholding; for other rules it is tuned by the variance of the loss on items that
the student did not learn from (three folds), and no label weighs more than √N (see `correction`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64, Int64

from quorate.act.budget import Rule, correction
from quorate.act.images import Progress
from quorate.act.students import ImageStudent, Lesson, Student, TextStudent
from quorate.act.variance import tuned_lambda
from quorate.errors import DataError, SettingError

Array = np.ndarray
Kind = Literal["text", "image"]
Content = str | Path | Array  # a text; an image's file; an image
FOLDS = 3
LEAST_SCORE = 1e-6  # a loss is finite
COLUMNS = ("item", "task", "label", "machine_label", "reviewed", "inclusion")


class Trained(NamedTuple):
    """A student, and what it learned from."""

    student: Student
    lambda_: float
    items: int
    reviewed: int
    mended: int  # labels that people changed


def train(
    corrected: pa.Table,
    contents: Mapping[str, Content],
    classes: Sequence[str],
    *,
    task: str | None = None,
    rule: Rule = "thresholding",
    kind: Kind = "text",
    lambda_: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Trained:
    """A student of one task; items without contents are left out. lambda_: None tunes it.

    Raises DataError for a table that lacks a column, a class or all contents, SettingError where the task is not named.
    """
    table = _of_task(corrected, task)
    keep = [row for row, item in enumerate(table["item"].to_pylist()) if item in contents]
    if not keep:
        raise DataError("no item of the review has contents", mend="name the column of the texts or images")
    table = table.take(pa.array(keep, pa.int64()))
    shown = [contents[item] for item in table["item"].to_pylist()]
    reviewed = np.array(table["reviewed"].to_pylist(), bool)
    inclusion = np.array(table["inclusion"].to_pylist(), np.float64)
    machine = _codes(table, "machine_label", classes)
    human = np.where(reviewed, _codes(table, "label", classes), -1)
    lesson = Lesson(machine, human, correction(reviewed, inclusion, rule, truncated=True))
    if lambda_ is None:
        lambda_ = 1.0 if rule == "thresholding" else tuned(shown, lesson, classes, kind=kind, seed=seed)
    student = learned(shown, lesson._replace(lambda_=lambda_), classes, kind=kind, seed=seed, progress=progress)
    return Trained(student, lambda_, len(shown), int(reviewed.sum()), int((reviewed & (human != machine)).sum()))


def learned(
    contents: Sequence[Content],
    lesson: Lesson,
    classes: Sequence[str],
    *,
    kind: Kind = "text",
    seed: int = 0,
    progress: Progress | None = None,
) -> Student:
    """A student of this kind. Raises SettingError for contents of another kind."""
    strange = sum(isinstance(each, str) != (kind == "text") for each in contents)
    if strange:
        raise SettingError(f"{strange:,} of {len(contents):,} contents are no {kind}: name another column, or kind")
    if kind == "text":
        return TextStudent.fit([str(each) for each in contents], lesson, classes)
    images = [each for each in contents if not isinstance(each, str)]
    return ImageStudent.fit(images, lesson, classes, seed=seed, progress=progress)


def tuned(
    contents: Sequence[Content],
    lesson: Lesson,
    classes: Sequence[str],
    *,
    kind: Kind = "text",
    seed: int = 0,
) -> float:
    """λ of least variance of the loss on items that the student did not learn from; 1 where reviews were certain."""
    seen = lesson.weight > 0
    if not (lesson.weight > 1).any():
        return 1.0
    fold = np.random.default_rng(seed).permutation(len(contents)) % FOLDS
    machine, human = np.zeros(len(contents)), np.zeros(len(contents))
    for number in range(FOLDS):
        out, others = np.flatnonzero((fold == number) & seen), np.flatnonzero(fold != number)
        if not len(out):
            continue
        student = learned(_at(contents, others), lesson.of(others), classes, kind=kind, seed=seed)
        scores = student.scores(_at(contents, out))
        machine[out] = _losses(scores, lesson.machine[out])
        human[out] = _losses(scores, lesson.human[out])
    return tuned_lambda(machine, human, seen, 1.0 / np.where(seen, lesson.weight, 1.0))


def _at(contents: Sequence[Any], index: Int64[Array, "kept"]) -> list[Any]:
    return [contents[at] for at in index.tolist()]


def _losses(scores: Float64[Array, "items classes"], codes: Int64[Array, "items"]) -> Float64[Array, "items"]:
    return -np.log(np.maximum(scores[np.arange(len(codes)), codes], LEAST_SCORE))


def _of_task(corrected: pa.Table, task: str | None) -> pa.Table:
    missing = next((name for name in COLUMNS if name not in corrected.column_names), None)
    if missing is not None:
        raise DataError(
            "the table of the review lacks a column", mend="take `quorate act review` again", column=missing
        )
    tasks = sorted(set(corrected["task"].to_pylist()))
    if task is None and len(tasks) != 1:
        raise SettingError(
            f"the review has the tasks {', '.join(tasks) or 'of none'}: say which one the student learns"
        )
    if task is not None and task not in tasks:
        raise SettingError(f"the review has no task {task!r}; it has {', '.join(tasks)}")
    return corrected.filter(pc.equal(corrected["task"], task or tasks[0]))


def _codes(table: pa.Table, column: str, classes: Sequence[str]) -> Int64[Array, "items"]:
    code_of = {name: code for code, name in enumerate(classes)}
    labels = table[column].to_pylist()
    strange = next((label for label in labels if label not in code_of), None)
    if strange is not None:
        raise DataError(f"{strange!r} is no class", mend=f"use one of {', '.join(classes)}", column=column)
    return np.array([code_of[label] for label in labels], np.int64)
