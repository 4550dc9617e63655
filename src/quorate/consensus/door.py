"""What comes in at the door of every estimator, checked and coded, and the target that a fit sets by default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Int16, Int64

from quorate.consensus.posterior import Target
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import DataError, SchemaError
from quorate.schema import Schema, Task

Array = np.ndarray
Said = Mapping[str, float] | str  # a score per class, or a hard answer
Scores = Mapping[str, Mapping[str, Said]]  # task -> model -> what it said


def coded_of(data: Dataset | Coded) -> Coded:
    """The data in codes."""
    return data if isinstance(data, Coded) else data.encode()


def default_targets(coded: Coded, *, use_gold: bool = True) -> tuple[Target, ...]:
    """Gold where the task has gold labels, else the panel of as many people as a labeled cell has on average."""
    n_labels = np.diff(coded.labels.start).reshape(coded.n_items, coded.n_tasks)
    mean = n_labels.sum(axis=0) / np.maximum((n_labels > 0).sum(axis=0), 1)
    gold = coded.gold.max(axis=0, initial=-1) >= 0
    return tuple(
        Target("gold") if use_gold and gold[t] else Target("panel", max(1, round(float(mean[t]))))
        for t in range(coded.n_tasks)
    )


def class_code(task: Task, label: str) -> int:
    """The place of a class. Raises SchemaError for a class that the task does not have."""
    if label not in task.code_of:
        known = ", ".join(repr(name) for name in task.classes)
        raise SchemaError(f"task {task.name!r} has no class {label!r}", mend=f"use one of {known}")
    return task.code_of[label]


class Answered:
    """Who has answered which task of one item: a second answer would count one person twice."""

    def __init__(self) -> None:
        self._pairs: set[tuple[str, str]] = set()

    def add(self, task: str, annotator: str) -> None:
        """Note an answer. Raises DataError for a second one by the same person."""
        if (task, annotator) in self._pairs:
            raise DataError(
                f"annotator {annotator!r} has already answered task {task!r} of this item",
                mend="send every answer once, or begin a new session to replace one",
            )
        self._pairs.add((task, annotator))


def hard_answers(
    schema: Schema, models: tuple[str, ...], scores: Scores | None
) -> tuple[Int16[Array, "1 models"], ...]:
    """Every known model's hard answer on one item, one array per task: the largest score, first of ties; -1: none."""
    answers = tuple(np.full((1, len(models)), -1, np.int16) for _ in schema.tasks)
    place = {name: code for code, name in enumerate(models)}
    for task_name, said in (scores or {}).items():
        task = schema.task(task_name)
        for model, output in said.items():
            if model in place:
                answers[schema.code_of[task_name]][0, place[model]] = _hard_answer(task, output)
    return answers


def _hard_answer(task: Task, said: Said) -> int:
    if isinstance(said, str):
        return class_code(task, said)
    score = {class_code(task, label): value for label, value in said.items()}
    return min(score, key=lambda code: (-score[code], code)) if score else -1


def positions_by_task(
    coded: Coded, aligned: Coded, positions: Int64[Array, "held"]
) -> tuple[tuple[Int64[Array, "_"], Int64[Array, "_"]], ...]:
    """Per task of `aligned`: the asked places in the labels of `coded`, and the same labels' places in `aligned`."""
    there = np.full(len(coded.labels.code), -1, np.int64)
    there[_origin(coded, aligned)] = np.arange(len(aligned.labels.code))
    place = there[positions]
    task = (np.searchsorted(aligned.labels.start, place, side="right") - 1) % max(aligned.n_tasks, 1)
    return tuple((positions[task == t], place[task == t]) for t in range(aligned.n_tasks))


def _origin(coded: Coded, aligned: Coded) -> Int64[Array, "labels"]:
    """Where every label of `aligned` lies in `coded`: tasks may have changed their order."""
    if aligned is coded:
        return np.arange(len(coded.labels.code))
    numbered = replace(coded, labels=coded.labels._replace(row=np.arange(len(coded.labels.row))))
    return numbered.aligned(aligned.schema, aligned.annotators, aligned.models).labels.row
