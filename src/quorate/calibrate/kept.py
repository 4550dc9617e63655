"""Calibrators of a data set as JSON, and the scores table that they make of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from quorate.calibrate.calibrators import Calibrator, from_json
from quorate.calibrate.logits import log_scores
from quorate.calibrate.per_model import SCORES, Found
from quorate.data.encode import Coded
from quorate.data.write import whole
from quorate.errors import DataError, QuorateError, SchemaError
from quorate.schema import Schema

VERSION = 1
MEND = "give a file that `quorate calibrate` wrote"


class Entry(NamedTuple):
    """The calibrator of one model on one task, the classes it knows, and what it takes a score of 0 for."""

    calibrator: Calibrator
    classes: tuple[str, ...]
    floor: float


Entries = Mapping[tuple[str, str], Entry]  # by task and model


def entries_of(found: Found, schema: Schema) -> Entries:
    """The calibrators that were fitted."""
    return {
        (each.case.task, each.case.model): Entry(each.calibrator, schema.task(each.case.task).classes, each.case.floor)
        for each in found.judged
    }


def to_json(entries: Entries) -> dict[str, Any]:
    """Everything, for `from_file`."""
    kept = [
        {
            "task": task,
            "model": model,
            "classes": list(entry.classes),
            "floor": entry.floor,
            "calibrator": entry.calibrator.to_json(),
        }
        for (task, model), entry in entries.items()
    ]
    return {"version": VERSION, "calibrators": kept}


def to_file(entries: Entries, path: Path) -> None:
    """Write them as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as unfinished:
        unfinished.write_text(json.dumps(to_json(entries), indent=1, allow_nan=False) + "\n", "utf-8")


def from_file(path: Path) -> Entries:
    """Read them. Raises DataError for a file that holds none."""
    try:
        value = json.loads(path.read_text("utf-8"))
        if value["version"] != VERSION:
            raise DataError(f"version {value['version']} is unknown here", mend=MEND, source=str(path))
        return {
            (each["task"], each["model"]): Entry(
                from_json(each["calibrator"]), tuple(each["classes"]), float(each["floor"])
            )
            for each in value["calibrators"]
        }
    except QuorateError:
        raise
    except (ValueError, KeyError, TypeError):
        raise DataError("this file holds no calibrators", mend=MEND, source=str(path)) from None


def calibrated_scores(coded: Coded, entries: Entries) -> pa.Table:
    """The scores table with calibrated scores; models and tasks without a calibrator keep theirs.

    Raises SchemaError where a calibrator knows other classes than the task has.
    """
    parts = [
        _rows(coded, task, model, entries.get((coded.schema.tasks[task].name, coded.models[model])))
        for task in range(coded.n_tasks)
        for model in range(len(coded.models))
    ]
    return pa.concat_tables(parts) if parts else pa.table({})


def _rows(coded: Coded, task: int, model: int, entry: Entry | None) -> pa.Table:
    of, output = coded.schema.tasks[task], coded.outputs[task]
    items = np.flatnonzero(output.kind[:, model] == SCORES)
    scores = output.scores[items, model].astype(np.float64)
    if entry is not None:
        if entry.classes != of.classes:
            raise SchemaError(
                f"the calibrator of {coded.models[model]!r} knows other classes of task {of.name!r}",
                mend="calibrate again on data with these classes",
            )
        scores = entry.calibrator.apply(log_scores(scores, entry.floor))
    n_rows, n_classes = scores.shape
    return pa.table({
        "item": pa.array(np.repeat(np.array(coded.items, object)[items], n_classes), pa.string()),
        "task": pa.array([of.name] * (n_rows * n_classes), pa.string()),
        "model": pa.array([coded.models[model]] * (n_rows * n_classes), pa.string()),
        "label": pa.array(list(of.classes) * n_rows, pa.string()),
        "score": pa.array(scores.ravel()),
    })  # fmt: skip
