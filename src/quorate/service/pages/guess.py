"""What a file of items seems to hold: which column names the item, which are shown, which hold answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import PurePath
from typing import IO, Any, NamedTuple

from quorate.errors import DataError
from quorate.schema import UNFIT
from quorate.service.uploads import CSV, JSON, JSONL, PARQUET, Row, read_rows

KIND_OF = {".csv": CSV, ".tsv": CSV, ".txt": CSV, ".jsonl": JSONL, ".ndjson": JSONL, ".json": JSON, ".parquet": PARQUET}
LOOKED_AT = 2000  # rows from which columns are guessed
MOST_CLASSES = 30  # of a column that may hold answers
MOST_GUESSED = 4  # columns that are proposed as tasks
ID_NAMES = ("item", "id", "item_id", "uid", "uuid", "key", "external_id", "index")
LABEL_NAMES = ("label", "labels", "class", "category", "sentiment", "target", "gold", "answer", "topic")


class Column(NamedTuple):
    """A column of the file: how often it is filled, its different values where they are few, an example."""

    name: str
    filled: int
    values: tuple[str, ...]  # the most frequent first; empty where there are many
    unique: bool
    example: str


class Guess(NamedTuple):
    """What the file seems to hold."""

    name: str
    rows: int
    more: bool  # rows than were looked at
    columns: Sequence[Column]
    id_column: str | None
    shown: Sequence[str]
    tasks: Sequence[tuple[str, Sequence[str], str]]  # name, classes, column
    preview: Sequence[Mapping[str, str]]


def guess_of(file: IO[bytes], name: str) -> Guess:
    """The columns, and which of them names the item, which are shown, and which hold answers.

    Raises DataError for a file that cannot be read or is empty.
    """
    rows = [fine(row) for row in islice(read_rows(file, kind_of(name)), LOOKED_AT + 1)]
    more, rows = len(rows) > LOOKED_AT, rows[:LOOKED_AT]
    if not rows:
        raise DataError("the file holds no rows", mend="give a header and at least one row")
    names = list(dict.fromkeys(key for row in rows for key in row.values))
    columns = [_column(each, rows) for each in names]
    id_column = _id_column(columns)
    tasks = [(each.name, sorted(each.values), each.name) for each in _answer_columns(columns, len(rows))]
    answers = {task[2] for task in tasks}
    shown = [each.name for each in columns if each.name != id_column and each.name not in answers]
    preview = [{key: short(value) for key, value in row.values.items()} for row in rows[:3]]
    return Guess(PurePath(name).stem, len(rows), more, columns, id_column, shown, tasks, preview)


def kind_of(name: str) -> str:
    """How a file of that name is read. Raises DataError for a kind that there is not."""
    found = KIND_OF.get(PurePath(name).suffix.lower())
    if found is None:
        raise DataError(f"{name!r} is no table that is known", mend=f"use one of {', '.join(KIND_OF)}")
    return found


def _column(name: str, rows: Sequence[Row]) -> Column:
    values = [plain(row.values[name]) for row in rows if name in row.values]
    counts = Counter(values)
    few = tuple(value for value, _ in counts.most_common()) if len(counts) <= MOST_CLASSES else ()
    return Column(name, len(values), few, len(counts) == len(values) == len(rows), short(values[0]) if values else "")


def _id_column(columns: Sequence[Column]) -> str | None:
    unique = [each.name for each in columns if each.unique]
    for name in ID_NAMES:
        for each in unique:
            if each.lower() == name:
                return each
    return next((each for each in unique if each.lower().endswith(("_id", "-id"))), None)


def _answer_columns(columns: Sequence[Column], rows: int) -> list[Column]:
    """Those named as answers are; without any, the one that looks like answers, if only one does."""
    few = [each for each in columns if len(each.values) > 1 and not any(map(_unlike_an_answer, each.values))]
    named = [
        each for each in few if each.name.lower() in LABEL_NAMES or each.name.lower().endswith(("_label", ".label"))
    ]
    likely = [each for each in few if len(each.values) * 8 <= rows and each.filled == rows]
    return named[:MOST_GUESSED] or (likely if len(likely) == 1 else [])


def _unlike_an_answer(value: str) -> bool:
    return not value or len(value) > 40 or "," in value or bool(UNFIT.search(value))


# ---- cells ----------------------------------------------------------------------------------------------------------
def fine(row: Row) -> Row:
    """The row. Raises DataError for one that could not be read."""
    if row.problem:
        raise DataError(row.problem, mend="mend or remove the row", row=row.number)
    return row


def plain(value: Any) -> str:
    """A cell as text."""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def short(value: Any, most: int = 90) -> str:
    """The beginning of a cell, as one line."""
    text = " ".join(plain(value).split())
    return text if len(text) <= most else text[: most - 1] + "…"
