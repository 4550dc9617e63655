"""What people said of the labels in the queue: read in from any tool, counted, and put over the machine's labels.

The majority of the people who answered decides; where they are divided evenly, the machine's label if it is among the
foremost, and otherwise the question stays open. Answers to what was not in the queue are left aside and counted: labels
that nobody drew have no inclusion probability.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from quorate.act.labels import MachineLabel
from quorate.data.files import read_file
from quorate.errors import DataError
from quorate.schema import Schema

Key = tuple[str, str]  # item and task
COLUMNS = ("item", "task", "annotator", "label")
SOMEBODY = "person"


class Said(NamedTuple):
    """One answer of one person."""

    item: str
    task: str
    annotator: str
    label: str


class Taken(NamedTuple):
    """Answers that were handed in."""

    answers: tuple[Said, ...]
    aside: int  # rows about what nobody asked


def read_answers(path: Path, schema: Schema, asked: Collection[Key]) -> Taken:
    """Answers from a table with item, label [, task, annotator]; rows without a label are still open.

    Raises DataError that names the row for a class that the task does not have.
    """
    raw = read_file("labels", path)
    missing = next((name for name in ("item", "label") if name not in raw.columns), None)
    if missing is not None:
        mend = "hand the queue back with its columns, and `label` filled in"
        raise DataError("the answers lack a column", mend=mend, source=path.name, column=missing)
    only = schema.tasks[0].name if len(schema.tasks) == 1 else None
    rows = (
        {name: "" if value is None else str(value).strip() for name, value in raw.record(row).items()}
        for row in raw.row
    )
    return taken(rows, schema, asked, only=only, source=path.name)


def taken(
    rows: Iterable[Mapping[str, str]],
    schema: Schema,
    asked: Collection[Key],
    *,
    only: str | None = None,
    source: str | None = None,
) -> Taken:
    """Answers in rows of texts; `only` is the task where there is one."""
    found: dict[tuple[str, str, str], Said] = {}
    aside = 0
    for number, row in enumerate(rows, start=1):
        label, task = row.get("label", ""), row.get("task", "") or only or ""
        if not label:
            continue
        if (row.get("item", ""), task) not in asked:
            aside += 1
            continue
        if label not in schema.task(task).code_of:
            known = ", ".join(schema.task(task).classes)
            problem = f"{label!r} is no class of {task!r}"
            raise DataError(problem, mend=f"use one of {known}", source=source, row=number, column="label")
        said = Said(row["item"], task, row.get("annotator", "") or SOMEBODY, label)
        found[said[:3]] = said  # the last word of everybody
    return Taken(tuple(found.values()), aside)


def decided(answers: Iterable[Said], labels: Iterable[MachineLabel]) -> dict[Key, str]:
    """Item and task to what people decided; what they are divided on is left out.

    >>> of = [MachineLabel("a", "t", "m", "no")]
    >>> decided([Said("a", "t", "ada", "yes"), Said("a", "t", "ben", "no")], of)
    {('a', 't'): 'no'}
    """
    machine = {(each.item, each.task): each.label for each in labels}
    votes: dict[Key, Counter[str]] = {}
    for said in answers:
        votes.setdefault((said.item, said.task), Counter())[said.label] += 1
    found: dict[Key, str] = {}
    for key, counts in votes.items():
        most = max(counts.values())
        foremost = [label for label, n in counts.items() if n == most]
        if len(foremost) == 1:
            found[key] = foremost[0]
        elif machine.get(key) in foremost:
            found[key] = machine[key]
    return found


def answers_table(answers: Iterable[Said]) -> pa.Table:
    """item, task, annotator, label."""
    rows = list(answers)
    columns = zip(*rows, strict=True) if rows else ((),) * len(COLUMNS)
    return pa.table({name: pa.array(list(c), pa.string()) for name, c in zip(COLUMNS, columns, strict=True)})


def joined(before: pa.Table | None, new: Iterable[Said]) -> list[Said]:
    """Earlier answers and new ones, the last word of everybody."""
    old = [] if before is None else [Said(*row.values()) for row in before.select(list(COLUMNS)).to_pylist()]
    return list({each[:3]: each for each in (*old, *new)}.values())
