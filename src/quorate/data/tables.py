"""The five tables: which columns they have, and how a table as it was read becomes a clean one."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int64

from quorate.data.columns import Column, cell, is_missing, optional, read_numbers, read_times
from quorate.data.faults import Fault
from quorate.data.features import clean_feature, feature_columns
from quorate.data.lines import first_line
from quorate.data.names import FINE, FLAWS, Names, Reading, flaw_problem, read_names, shown
from quorate.errors import FormatError

Array = np.ndarray
TableName = Literal["labels", "scores", "model_labels", "gold", "items"]
TABLES: tuple[TableName, ...] = get_args(TableName)
NAMES_OF: dict[TableName, tuple[str, ...]] = {
    "labels": ("item", "task", "annotator", "label"),
    "scores": ("item", "task", "model", "label"),
    "model_labels": ("item", "task", "model", "label"),
    "gold": ("item", "task", "label"),
    "items": ("item",),
}
ALSO_CALLED = {
    "item": ("item_id", "id", "example", "document", "doc_id", "text_id"),
    "task": ("question", "attribute", "aspect", "dimension"),
    "annotator": ("worker", "rater", "user", "annotator_id", "worker_id", "labeler", "coder"),
    "model": ("model_name", "llm", "system", "classifier"),
    "label": ("answer", "class", "response", "rating", "value", "annotation"),
    "score": ("prob", "probability", "p", "confidence"),
}


Rows = range | Int64[Array, "rows"]  # data rows in the source, from 1; a range takes no memory


class Unread(NamedTuple):
    """A row that could not be taken apart."""

    row: int  # data row in the source, from 1
    column: str | None
    problem: str
    mend: str
    text: str  # as it stands in the source


class Raw(NamedTuple):
    """A table as it was read."""

    name: TableName
    source: str  # what messages call it
    columns: dict[str, Column]
    row: Rows
    unread: tuple[Unread, ...] = ()

    def record(self, row: int) -> dict[str, Any]:
        """What one data row held."""
        place = row - 1 if isinstance(self.row, range) else int(np.searchsorted(self.row, row))
        return {name: cell(column, place) for name, column in self.columns.items()}


@dataclass(frozen=True)
class Clean:
    """A table whose names are codes; rows as in the source, less those that were set aside."""

    name: TableName
    source: str
    columns: tuple[str, ...]  # in the order of the source
    names: dict[str, Names]
    rest: dict[str, pa.ChunkedArray]  # the other columns
    row: Rows

    def __len__(self) -> int:
        return len(self.row)

    def keep(self, chosen: Bool[Array, "rows"] | Int64[Array, "kept"]) -> Clean:
        """The chosen rows (a mask or places)."""
        places = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        return replace(
            self,
            names={column: names.keep(places) for column, names in self.names.items()},
            rest={name: column.take(pa.array(places)) for name, column in self.rest.items()},
            row=places + 1 if isinstance(self.row, range) else self.row[places],
        )

    def table(self) -> pa.Table:
        """As an Arrow table, names as text."""
        return pa.table({c: self.names[c].text() if c in self.names else self.rest[c] for c in self.columns})


class Cleaned(NamedTuple):
    """A clean table that still holds its bad rows, and what is wrong with them."""

    table: Clean
    faults: list[Fault]


def clean(raw: Raw) -> Cleaned:
    """Every column in its type, and the faults of single values. Raises FormatError for a missing column or no rows."""
    _check_shape(raw)
    faults: list[Fault] = []
    names: dict[str, Names] = {}
    rest: dict[str, pa.ChunkedArray] = {}
    for column in raw.columns:
        try:
            if column in NAMES_OF[raw.name]:
                reading = read_names(raw.columns[column])
                names[column] = reading.names
                faults += _name_faults(raw.name, column, reading)
            else:
                rest[column], found = _typed(raw, column)
                faults += found
        except pa.ArrowException as error:  # a type that Arrow knows but cannot compute with
            problem = f"the column cannot be read ({first_line(error)})"
            mend = "give it as text or numbers"
            raise FormatError(problem, mend=mend, source=raw.source, column=column) from None
    return Cleaned(Clean(raw.name, raw.source, tuple(raw.columns), names, rest, raw.row), faults)


def _check_shape(raw: Raw) -> None:
    for column in (*NAMES_OF[raw.name], *(["score"] if raw.name == "scores" else [])):
        if column not in raw.columns:
            raise FormatError(
                f"the column is missing; there are {_listed(list(raw.columns))}",
                mend=_mend_missing(column, list(raw.columns)),
                source=raw.source,
                column=column,
            )
    if not len(raw.row) and not raw.unread:
        raise FormatError("the table has no rows", mend="add rows, or leave the table out", source=raw.source)


def _listed(columns: list[str]) -> str:
    names = [shown(name) for name in columns[:12]]
    return ", ".join(names) + (f" and {len(columns) - 12} more" if len(columns) > 12 else "") if names else "no columns"


def _mend_missing(column: str, columns: list[str]) -> str:
    lowered = {name.strip().casefold(): name for name in columns}
    near = [lowered[name] for name in (column, *ALSO_CALLED[column]) if name in lowered]
    near += [lowered[name] for name in difflib.get_close_matches(column, lowered, n=1)]
    if near:
        return f"rename column {near[0]!r} to {column!r}"
    if column == "task":
        return "add a column 'task' with the name of the question (one name everywhere if there is only one question)"
    return f"add a column {column!r}, or rename the one that holds it"


def _name_faults(table: TableName, column: str, reading: Reading) -> list[Fault]:
    codes = reading.names.codes
    missing = np.flatnonzero(codes < 0)
    mend = "leave the row out where the answer is unknown" if column == "label" else f"give every row its {column}"
    if table == "items":
        mend = "give every item its id"
    faults = [Fault(missing, column, lambda _: f"the {column} is missing", mend)] if len(missing) else []
    if reading.flaw.any():
        flaw_of_row = np.append(reading.flaw, FINE)[codes]
        for flaw in np.unique(reading.flaw[reading.flaw != FINE]):
            places = np.flatnonzero(flaw_of_row == flaw)
            if len(places):
                faults.append(Fault(places, column, _problem(reading.names, int(flaw)), FLAWS[flaw].mend))
    return faults


def _problem(names: Names, flaw: int) -> Callable[[int], str]:
    return lambda place: flaw_problem(names.at(place), flaw)


def _typed(raw: Raw, column: str) -> tuple[pa.ChunkedArray, list[Fault]]:
    """A column that is no name, in its type, and its faults."""
    if raw.name == "scores" and column == "score":
        return _clean_scores(raw.columns[column])
    if raw.name == "labels" and column == "created_at":
        return _clean_times(raw.columns[column])
    if raw.name == "items" and feature_columns([column]):
        return clean_feature(column, raw.columns[column])
    return optional(column, raw.columns[column]), []


def _clean_scores(column: Column) -> tuple[pa.ChunkedArray, list[Fault]]:
    numbers = read_numbers(column)
    infinite = np.isinf(numbers.values)
    kinds = (
        (numbers.missing, "is missing", "give every class of the vector a score, 0 where the model gives it nothing"),
        (numbers.unreadable, "is not a number", "write it as a decimal number, such as 0.25"),
        (infinite, "is infinite", "give probabilities between 0 and 1"),
        (
            ~infinite & (numbers.values < 0),
            "is negative",
            "give probabilities: exp of log-probabilities, softmax of logits",
        ),
    )
    faults = [
        Fault(np.flatnonzero(bad), "score", _cell_problem(column, "the score", problem), mend)
        for bad, problem, mend in kinds
        if bad.any()
    ]
    return numbers.column(), faults


def _clean_times(column: Column) -> tuple[pa.ChunkedArray, list[Fault]]:
    times = read_times(column)
    mend = "write times as 2026-01-31T12:00:00Z, or leave the cell empty where the time is unknown"
    bad = np.flatnonzero(times.unreadable)
    fault = Fault(bad, "created_at", _cell_problem(column, "", "is not a time"), mend)
    return times.column, [fault] if len(bad) else []


def _cell_problem(column: Column, what: str, problem: str) -> Callable[[int], str]:
    def shown_problem(place: int) -> str:
        value = cell(column, place)
        words = [what, "" if is_missing(value) else shown(value), problem]
        return " ".join(word for word in words if word)

    return shown_problem
