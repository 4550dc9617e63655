"""The door: raw tables in, clean tables and a schema out; bad rows are refused with one error or set aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from quorate.data.checks import Cells, cells_of, repeat_faults, schema_faults, vector_faults, whole_vectors
from quorate.data.faults import BadRow, Fault, OnBad, as_record, error_of, first_faults
from quorate.data.infer import given_answers, infer_schema, spelling_faults
from quorate.data.tables import TABLES, Clean, Raw, TableName, clean
from quorate.errors import FormatError
from quorate.schema import Schema


class Admitted(NamedTuple):
    """Clean tables under one schema, and the rows that were set aside."""

    tables: dict[TableName, Clean]
    schema: Schema
    bad: list[BadRow]
    cells: Cells | None = None  # of the labels, to spare a second sort


def admit(raws: Sequence[Raw], schema: Schema | None, on_bad: OnBad) -> Admitted:
    """Check everything. Raises DataError for the earliest bad row of the first bad table, unless rows are set aside."""
    bad = [row for raw in raws for row in _unread(raw, on_bad)]
    tables: dict[TableName, Clean] = {}
    for raw in raws:
        table, faults = clean(raw)
        tables[raw.name] = _settle(raw, table, faults, on_bad, bad)
    if schema is None:
        given = _given(tables)
        for raw in raws:
            tables[raw.name] = _settle(raw, tables[raw.name], spelling_faults(tables[raw.name], given), on_bad, bad)
        schema = infer_schema(tables.values())
    cells: dict[TableName, Cells] = {}
    for raw in raws:
        known = _settle(raw, tables[raw.name], schema_faults(tables[raw.name], schema), on_bad, bad)
        cells[raw.name] = cells_of(known, schema)
        once = _settle(raw, known, repeat_faults(known, cells[raw.name]), on_bad, bad)
        tables[raw.name] = _settle(raw, once, vector_faults(once, schema), on_bad, bad)
        if tables[raw.name] is not known:
            del cells[raw.name]
    bad.sort(key=lambda row: (TABLES.index(row.table), row.row))
    return Admitted(tables, schema, bad, cells.get("labels"))


def _given(tables: Mapping[TableName, Clean]) -> dict[str, set[str]]:
    """Task to labels, over all tables."""
    given: dict[str, set[str]] = {}
    for table in tables.values():
        for task, labels in given_answers(table).items():
            given.setdefault(task, set()).update(labels)
    return given


def _unread(raw: Raw, on_bad: OnBad) -> list[BadRow]:
    """Rows that could not be taken apart. Raises FormatError for the first, unless rows are set aside."""
    if raw.unread and on_bad == "raise":
        row = raw.unread[0]
        more = len(raw.unread) - 1
        like_it = f" (and {more:,} more unreadable {'row' if more == 1 else 'rows'})" if more else ""
        mend = f"{row.mend}; or set such rows aside with on_bad='quarantine'"
        raise FormatError(f"{row.problem}{like_it}", mend=mend, source=raw.source, row=row.row, column=row.column)
    return [BadRow(raw.name, row.row, row.column, row.problem, as_record(row.text)) for row in raw.unread]


def _settle(raw: Raw, table: Clean, faults: Sequence[Fault], on_bad: OnBad, bad: list[BadRow]) -> Clean:
    """The table without its faulty rows, which go into `bad`. Raises for the earliest, unless rows are set aside."""
    if not faults:
        return table
    if on_bad == "raise":
        raise error_of(faults, table.source, table.row)
    found = first_faults(faults)
    whole = whole_vectors(table, np.array(list(found))) if table.name == "scores" else {place: place for place in found}
    for place, cause in whole.items():
        row = int(table.row[place])
        fault = found.get(place)
        reason = fault.problem(place) if fault else f"it is part of the score vector of row {table.row[cause]}"
        record = as_record(raw.record(row))
        bad.append(BadRow(raw.name, row, fault.column if fault else None, reason, record))
    kept = np.ones(len(table), bool)
    kept[list(whole)] = False
    return table.keep(kept)
