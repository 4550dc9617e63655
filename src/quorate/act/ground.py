"""What the first step takes in: items, their labels by models, and the rubric that says what was asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from quorate.act.folder import ANNOTATED, CRITICISMS, LABELS, RUBRIC, ActFolder
from quorate.act.labels import MachineLabel, labels_table, machine_labels
from quorate.data.dataset import Dataset
from quorate.data.write import whole
from quorate.errors import SettingError
from quorate.llm.items import Items, read_items
from quorate.llm.rubric import Rubric
from quorate.llm.rubric_file import read_rubric
from quorate.schema import Schema


class Ground(NamedTuple):
    """What everything after the first step stands on."""

    labels: tuple[MachineLabel, ...]  # of the annotator
    items: Items
    rubric: Rubric
    annotator: str
    known: dict[tuple[str, str], str]  # what people knew before anything was reviewed, by item and task
    scores: pa.Table | None = None  # of models, where they gave some


def with_labels(items: Path, labels: Path | None) -> Dataset:
    """The items, with labels of models from a file (as `model_labels` or `scores`) or from the folder itself."""
    data = Dataset.read(items) if items.is_dir() else Dataset.from_raw([_raw("items", items)])
    if labels is None:
        return data
    names = _columns(labels)
    name = "scores" if "score" in names else "model_labels"
    found = Dataset.from_raw([_raw(name, labels)], schema=data.schema if len(data.schema) else None)
    schema = found.schema if not len(data.schema) else data.schema
    return Dataset(data.labels, found.scores, found.model_labels, data.gold, data.items, schema=schema)


def take_ground(
    folder: ActFolder, data: Dataset, source: Path, rubric: Path | None, shown: Sequence[str] | None = None, **said: Any
) -> list[str]:
    """Keep the labels in the folder and note the step; whose labels they are.

    Raises SettingError where there are none, or where the rubric asks none of their tasks.
    """
    models = _models(data)
    if not models:
        raise SettingError("there is no label of a model: give --models to ask, or --labels with what they said")
    schema = data.schema if rubric is None else read_rubric(rubric).schema
    rows = [row for model in models for row in machine_labels(data, model, list(schema.code_of))]
    if not rows:
        asked = ", ".join(schema.code_of)
        raise SettingError(f"no label answers what the rubric asks ({asked}): name the tasks of both alike")
    _check_classes(rows, schema)
    _keep_rubric(folder, rubric, schema, shown)
    if said.get("kept") is None:
        data.write(folder.file(ANNOTATED))
    folder.write(LABELS, labels_table(rows))
    if not folder.file(CRITICISMS).is_file():
        folder.forget(("criticize", "review", "train"))
    told = {key: value for key, value in said.items() if key != "kept"}
    folder.note("annotate", models=models, items=str(source.resolve()), labels=len(rows), **told)
    return models


def read_ground(folder: ActFolder, annotator: str | None = None, items: Path | None = None) -> Ground:
    """The labels of the annotator, the items as a model sees them, and what is asked of them.

    Raises SettingError where several models have labeled and none is named, or the items are not where they were.
    """
    record = folder.record("annotate") or {}
    before = (folder.record("criticize") or {}).get("annotator")
    rubric = read_rubric(folder.file(RUBRIC))
    rows = [MachineLabel(*row.values()) for row in folder.table(LABELS).to_pylist()]
    models = list(dict.fromkeys(row.model for row in rows))
    chosen = annotator or before or (models[0] if len(models) == 1 else None)
    if chosen not in models:
        raise SettingError(f"{', '.join(models)} have labeled: name the annotator with --annotator")
    source = items or Path(record["items"])
    if not source.exists():
        raise SettingError(f"the items are no longer at {source}: say where with --items")
    found = read_items(source, rubric.show)
    place = folder.file(ANNOTATED)
    data = Dataset.read(place) if place.is_dir() else None
    known, scores = (truth_of(data.gold), data.scores) if data is not None else ({}, None)
    return Ground(tuple(row for row in rows if row.model == chosen), found, rubric, chosen, known, scores)


def truth_of(table: pa.Table | None) -> dict[tuple[str, str], str]:
    """Item and task to the label of a table of gold."""
    if table is None:
        return {}
    return {(row["item"], row["task"]): row["label"] for row in table.select(["item", "task", "label"]).to_pylist()}


# ---- parts ----------------------------------------------------------------------------------------------------------
def _raw(name: Any, path: Path) -> Any:
    from quorate.data.files import read_file

    return read_file(name, path)


def _columns(path: Path) -> list[str]:
    return list(_raw("model_labels", path).columns)


def _models(data: Dataset) -> list[str]:
    names = [table["model"].to_pylist() for table in (data.model_labels, data.scores) if table is not None]
    return list(dict.fromkeys(name for column in names for name in column))


def _check_classes(rows: Sequence[MachineLabel], schema: Schema) -> None:
    strange = next((row for row in rows if row.label not in schema.task(row.task).code_of), None)
    if strange is not None:
        known = ", ".join(schema.task(strange.task).classes)
        raise SettingError(
            f"{strange.model} answered {strange.label!r} to {strange.task!r}, which has the classes {known}: "
            "name them alike in the rubric"
        )


def _keep_rubric(folder: ActFolder, rubric: Path | None, schema: Schema, shown: Sequence[str] | None) -> None:
    """The rubric as it is; without one, what the schema asks, in so few words."""
    if rubric is not None and rubric.resolve() == folder.file(RUBRIC).resolve():
        return
    with whole(folder.file(RUBRIC)) as part:
        text = rubric.read_bytes() if rubric is not None else _of_schema(schema, shown).encode()
        part.write_bytes(text)


def _of_schema(schema: Schema, shown: Sequence[str] | None) -> str:
    """A rubric in JSON, which is YAML too."""
    tasks = [
        {"name": task.name, "kind": "scale" if task.ordered else "one", "classes": list(task.classes)}
        for task in schema.tasks
    ]
    more = {"show": list(shown)} if shown else {}
    return json.dumps({"tasks": tasks, **more}, indent=1, ensure_ascii=False) + "\n"
