"""A data set as Prodigy reads it: lines for its choice interface.

Prodigy knows one question in a line and no scores; which question it is, and what the models said, stand in each line
under `quorate`, which Prodigy passes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from quorate.data.dataset import Dataset
from quorate.data.formats.multi_select import NO, YES
from quorate.data.formats.our_own import OURS, Guess, contents_of, extras_of, grouped, hash_of, open_guesses
from quorate.data.formats.prodigy import OWN
from quorate.schema import Schema, Task


def to_prodigy(
    data: Dataset, consensus: pa.Table | None = None, *, sure: float = 0.95, labels: bool = True
) -> list[dict[str, Any]]:
    """Lines for the choice interface.

    consensus: a table with item, task, label, confidence; then one line for each question of which it is less than
    `sure`, with its answer chosen beforehand. Without it, one line for each decision of a person, as `prodigy db-in`
    takes them, and one without an answer where nobody answered. Raises SettingError for a `sure` outside [0, 1].
    """
    contents, extras, questions = contents_of(data), extras_of(data), _questions(data.schema)
    open_ = None if consensus is None else open_guesses(consensus, data.schema, sure)
    given = _given(data) if labels else {}
    lines: list[dict[str, Any]] = []
    for item, content in contents.items():
        extra = extras.get(item, {})  # once for each item
        for name, tasks in questions.items():
            blank = _blank(item, content, name, tasks)
            made = (
                _decided(blank, tasks, given.get(item, {}))
                if open_ is None
                else _open(blank, tasks, open_.get(item, {}))
            )
            for line in made:
                line[OURS] |= extra
                extra = {}
            lines += made
    return lines


def _questions(schema: Schema) -> dict[str, tuple[Task, ...]]:
    found: dict[str, tuple[Task, ...]] = {}
    for task in schema.tasks:
        name = task.option_of.question if task.option_of else task.name
        found[name] = (*found.get(name, ()), task)
    return found


def _blank(item: str, content: Mapping[str, Any], question: str, tasks: Sequence[Task]) -> dict[str, Any]:
    several = tasks[0].option_of is not None
    labels = [task.option_of.label for task in tasks if task.option_of] if several else tasks[0].classes
    shown = {f"data_{key}" if key in OWN or key.startswith("_") else key: value for key, value in content.items()}
    return {
        **shown,
        "options": [{"id": label, "text": label} for label in labels],
        "config": {"choice_style": "multiple" if several else "single"},
        "_view_id": "choice",
        "_input_hash": int(hash_of(item)),
        "_task_hash": int(hash_of([item, question])),
        OURS: {"item": item, "question": question, "schema": _schema_json(tasks)},
    }


def _schema_json(tasks: Sequence[Task]) -> Any:
    return json.loads(Schema(tuple(tasks)).to_json())


def _given(data: Dataset) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Labels by item and person."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for (item, person), rows in grouped(data.labels, "annotator").items():
        found.setdefault(item, {})[person] = rows
    return found


def _decided(
    blank: Mapping[str, Any], tasks: Sequence[Task], people: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """A line for each person who answered all of the question; one without an answer where there is none."""
    made: list[dict[str, Any]] = []
    for person, rows in people.items():
        of_task = {row["task"]: row for row in rows}
        if all(task.name in of_task for task in tasks):
            accept = _accept(tasks, {name: row["label"] for name, row in of_task.items()})
            at = of_task[tasks[0].name].get("created_at")
            line = {**blank, OURS: dict(blank[OURS]), "accept": accept, "answer": "accept", "_annotator_id": person}
            line |= {"_session_id": person}
            made.append(line | ({"_timestamp": at.timestamp()} if isinstance(at, datetime) else {}))
    return made or [{**blank, OURS: dict(blank[OURS])}]


def _accept(tasks: Sequence[Task], answers: Mapping[str, str]) -> list[str]:
    if tasks[0].option_of is None:
        return [answers[tasks[0].name]]
    return [task.option_of.label for task in tasks if task.option_of and answers[task.name] == YES]


def _open(blank: Mapping[str, Any], tasks: Sequence[Task], guesses: Mapping[str, Guess]) -> list[dict[str, Any]]:
    known = {task.name: guesses[task.name] for task in tasks if task.name in guesses}
    if not known:
        return []
    sure = [guess.confidence for guess in known.values() if guess.confidence is not None]
    labels = {task.name: known[task.name].label if task.name in known else NO for task in tasks}
    line = {**blank, "accept": _accept(tasks, labels), OURS: {**blank[OURS], "proposed": True}}
    return [line | ({"meta": {"confidence": min(sure)}} if sure else {})]
