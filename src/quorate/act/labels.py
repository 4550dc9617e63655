"""The labels that are doubted: what one model, or several, answered, with its confidence and its reasoning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from quorate.data.dataset import Dataset
from quorate.errors import DataError, SettingError


class MachineLabel(NamedTuple):
    """What a model answered to one question about one item."""

    item: str
    task: str
    model: str
    label: str
    confidence: float | None = None  # that the annotator has in it, from 0 to 1
    reasoning: str = ""


def machine_labels(
    data: Dataset, annotator: str | None = None, tasks: Sequence[str] | None = None
) -> list[MachineLabel]:
    """The answers of the annotator, from `model_labels`, else the likeliest classes of `scores`; in the tables' order.

    Raises SettingError where nobody says whose answers are meant, or where there are none.
    """
    said = _said(data.model_labels) or _likeliest(data.scores)
    models = list(dict.fromkeys(each.model for each in said))
    if not models:
        raise SettingError("there is no label of a model to doubt: `model_labels` or `scores` are needed")
    if annotator is None and len(models) > 1:
        raise SettingError(f"labels of {', '.join(models)}: say which one is the annotator")
    chosen = annotator or models[0]
    if chosen not in models:
        raise SettingError(f"there is no label of {chosen!r}; there are labels of {', '.join(models)}")
    scored = {(each.item, each.task): each.confidence for each in _likeliest(data.scores) if each.model == chosen}
    wanted = set(data.schema.code_of if tasks is None else tasks)
    return [
        each._replace(confidence=scored.get((each.item, each.task)) if each.confidence is None else each.confidence)
        for each in said
        if each.model == chosen and each.task in wanted
    ]


def labels_table(labels: Iterable[MachineLabel]) -> pa.Table:
    """item, task, model, label, confidence, reasoning."""
    rows = list(labels)
    kinds = (pa.string(), pa.string(), pa.string(), pa.string(), pa.float64(), pa.string())
    columns = zip(*rows, strict=True) if rows else ((),) * len(kinds)
    return pa.table(
        {name: pa.array(list(c), kind) for name, c, kind in zip(MachineLabel._fields, columns, kinds, strict=True)}
    )


def _said(table: pa.Table | None) -> list[MachineLabel]:
    if table is None:
        return []
    return [_label(row, number) for number, row in enumerate(table.to_pylist(), start=1)]


def _label(row: dict[str, Any], number: int) -> MachineLabel:
    confidence = row.get("confidence")
    if confidence is not None and not 0.0 <= float(confidence) <= 1.0:
        mend = "give it as a share from 0 to 1, or leave it empty"
        problem = f"a confidence of {confidence}"
        raise DataError(problem, mend=mend, source="model_labels", row=number, column="confidence")
    return MachineLabel(
        str(row["item"]), str(row["task"]), str(row["model"]), str(row["label"]),
        None if confidence is None else float(confidence), row.get("reasoning") or "",
    )  # fmt: skip


def _likeliest(table: pa.Table | None) -> list[MachineLabel]:
    """The class with the largest score of every vector, the first of equals, with that score as its confidence."""
    best: dict[tuple[str, str, str], tuple[str, float]] = {}
    if table is not None:
        for row in table.select(["item", "task", "model", "label", "score"]).to_pylist():
            key = (str(row["item"]), str(row["task"]), str(row["model"]))
            if key not in best or row["score"] > best[key][1]:
                best[key] = (str(row["label"]), float(row["score"]))
    return [MachineLabel(*key, label, min(score, 1.0)) for key, (label, score) in best.items()]
