"""A schema from tables: every answer that anybody gave, in natural order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from quorate.data.faults import Fault
from quorate.data.kernels import first_seen, pairs_seen
from quorate.data.names import shown
from quorate.data.naming import natural_key, plain_spelling
from quorate.data.tables import Clean
from quorate.errors import SchemaError
from quorate.schema import MAX_CLASSES, Schema, Task

Array = np.ndarray
MAX_TASKS = 1_000  # above this a column was mistaken for the question (an id, a free text)
Given = Mapping[str, Collection[str]]  # task to labels


def infer_schema(tables: Iterable[Clean], ordered: Collection[str] = ()) -> Schema:
    """Tasks and classes in natural order; a task is a scale only where `ordered` names it.

    Numbers as classes do not make a scale by themselves: as often they are codes of unrelated answers.
    Raises SchemaError where a column holds no answers but ids or free text.
    """
    given: dict[str, set[str]] = {}
    for table in tables:
        for task, labels in given_answers(table).items():
            given.setdefault(task, set()).update(labels)
            _refuse_many(table, "label", len(given[task]), MAX_CLASSES, f"distinct classes of task {shown(task)}")
    classes = {task: tuple(sorted(labels, key=natural_key)) for task, labels in given.items()}
    return Schema(tuple(Task(task, classes[task], task in ordered) for task in sorted(given, key=natural_key)))


def given_answers(table: Clean) -> dict[str, set[str]]:
    """Task to the labels that it has in this table."""
    if table.name == "items" or not len(table):
        return {}
    tasks, labels = table.names["task"], table.names["label"]
    used = first_seen(tasks.codes, len(tasks.values))[1]
    _refuse_many(table, "task", len(used), MAX_TASKS, "distinct tasks")
    n_labels = len(first_seen(labels.codes, len(labels.values))[1])
    _refuse_many(table, "label", n_labels, MAX_CLASSES * len(used), "distinct classes")
    texts: list[str] = labels.values.to_pylist()
    pairs = pairs_seen(tasks.codes, labels.codes, len(tasks.values), len(labels.values))
    return {tasks.values[int(task)].as_py(): {texts[i] for i in np.flatnonzero(pairs[task])} for task in used}


def _refuse_many(table: Clean, column: str, found: int, most: int, things: str) -> None:
    if found > most:
        rank = first_seen(table.names[column].codes, len(table.names[column].values))[0]
        row = table.row[int((rank[table.names[column].codes] >= most).argmax())]
        raise SchemaError(
            f"{found:,} {things}, more than {most:,}",
            mend=f"check that the column holds {'answers' if column == 'label' else 'questions'}, not ids or free text",
            source=table.source,
            row=int(row),
            column=column,
        )


def _respelled(labels: Collection[str]) -> dict[str, str]:
    """Labels that are another label written differently ("1.0" beside "1", "yes " beside "yes"), and that other."""
    kept: dict[str, str] = {}
    for label in sorted(labels, key=lambda label: (label != plain_spelling(label), natural_key(label))):
        kept.setdefault(plain_spelling(label), label)
    return {label: kept[plain_spelling(label)] for label in labels if kept[plain_spelling(label)] != label}


def spelling_faults(table: Clean, given: Given) -> list[Fault]:
    """Labels that another row, of whatever table, spells differently; only asked where no schema says what is meant."""
    if table.name == "items" or not len(table):
        return []
    respelled = {task: other for task, labels in given.items() if (other := _respelled(labels))}
    if not respelled:
        return []
    tasks, labels = table.names["task"], table.names["label"]
    code_of = {text: code for code, text in enumerate(labels.values.to_pylist())}
    bad = np.zeros((len(tasks.values), len(labels.values)), bool)
    for code, task in enumerate(tasks.values.to_pylist()):
        for label in respelled.get(task, {}).keys() & code_of.keys():
            bad[code, code_of[label]] = True
    places = np.flatnonzero(bad[tasks.codes, labels.codes])

    def problem(place: int) -> str:
        label = labels.at(place)
        return f"{shown(label)} and {shown(respelled[tasks.at(place)][label])} are one answer spelled in two ways"

    mend = "spell it in one way everywhere, or give a schema that lists both as classes"
    return [Fault(places, "label", problem, mend, SchemaError)] if len(places) else []
