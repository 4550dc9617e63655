"""The review queue as a file for any tool: one row per label to be reviewed, with what a person must see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from quorate.act.review import Plan
from quorate.data.write import write_table
from quorate.errors import SettingError
from quorate.llm.items import Items
from quorate.llm.rubric import Rubric


def write_queue(plan: Plan, items: Items, rubric: Rubric, path: Path, *, show_label: bool = False) -> int:
    """Write item, task, annotator, label (both empty), question, classes, the contents [, machine_label]; the rows.

    People do not see what the machine said unless they are to: a label that stands there is easily agreed with.
    Raises SettingError for a name that is neither CSV nor JSONL nor Parquet.
    """
    if path.suffix.lower() not in {".csv", ".jsonl", ".parquet"}:
        raise SettingError(f"the queue {path.name!r} must end in .csv, .jsonl or .parquet")
    machine = dict(zip(plan.keys, (each.label for each in plan.labels), strict=True))
    questions = {question.task.name: question for question in rubric.questions}
    rows: list[dict[str, Any]] = []
    for item, task in plan.queue():
        at = items.place_of[item]
        shown = {name: column[at] for name, column in items.texts.items()}
        pictures = {name: _path(column[at]) for name, column in items.images.items()}
        asked = questions[task]
        row = {"item": item, "task": task, "annotator": "", "label": ""}
        told = {"question": asked.wording, "classes": " | ".join(asked.task.classes)}
        contents = {f"item_{k}" if k in row or k in told else k: v for k, v in {**shown, **pictures}.items()}
        rows.append({**row, **told, **contents, **({"machine_label": machine[item, task]} if show_label else {})})
    names = list(rows[0]) if rows else ["item", "task", "annotator", "label"]
    write_table(pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in names}), path)
    return len(rows)


def _path(path: Path | None) -> str:
    return "" if path is None else str(path)
