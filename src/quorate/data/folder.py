"""A dataset folder: its tables, its schema, and the rows that were set aside."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from quorate.data.admit import Admitted, admit
from quorate.data.faults import BadRow, OnBad
from quorate.data.files import ENDINGS, read_file
from quorate.data.lines import as_json
from quorate.data.tables import TABLES, TableName
from quorate.data.write import FileFormat, whole, write_table
from quorate.errors import DataError, FormatError
from quorate.schema import Schema

SCHEMA = "schema.json"
QUARANTINE = "quarantine"


def read_folder(folder: Path, on_bad: OnBad) -> Admitted:
    """All tables of a folder, checked. An inferred schema is written beside them where the folder can be written."""
    files = table_files(folder)
    if not files:
        expected = ", ".join(f"{name}.csv" for name in TABLES)
        problem = "there is no table in this folder" if folder.is_dir() else "there is no such folder"
        raise FormatError(
            problem, mend=f"put at least one of {expected} there (or .jsonl, .parquet)", source=str(folder)
        )
    schema = _read_schema(folder / SCHEMA)
    admitted = admit([read_file(name, path) for name, path in files.items()], schema, on_bad)
    if schema is None and len(admitted.schema):
        with contextlib.suppress(OSError):  # a folder for reading only: the next reading infers the same again
            _write_text(folder / SCHEMA, admitted.schema.to_json())
    if on_bad == "quarantine":
        _set_aside(folder / QUARANTINE, admitted.bad)
    return admitted


def table_files(folder: Path) -> dict[TableName, Path]:
    """The file of every table that the folder has. Raises FormatError where a table has two."""
    found: dict[TableName, Path] = {}
    for name in TABLES:
        paths = [path for ending in ENDINGS if (path := folder / f"{name}{ending}").is_file()]
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            raise FormatError(f"{names} are the same table", mend="remove all but one", source=str(folder))
        if paths:
            found[name] = paths[0]
    return found


def _read_schema(path: Path) -> Schema | None:
    if not path.is_file():
        return None
    try:
        return Schema.from_json(path.read_text("utf-8-sig"), source=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"the schema cannot be read ({error})", mend="save it as UTF-8", source=str(path)) from None


def _set_aside(folder: Path, bad: Sequence[BadRow]) -> None:
    """One JSONL file per table with bad rows; a file of an earlier reading goes where the table has none any more."""
    try:
        for name in TABLES:
            rows = [row for row in bad if row.table == name]
            path = folder / f"{name}.jsonl"
            if rows:
                _write_text(path, "".join(_line(row) for row in rows))
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        mend = "make the folder writable, or read the tables with Dataset(...) and take them from .quarantined"
        problem = f"bad rows cannot be set aside here ({error.strerror})"
        raise DataError(problem, mend=mend, source=str(folder)) from None


def _line(row: BadRow) -> str:
    head = as_json({"row": row.row, "column": row.column, "reason": row.reason})
    return f'{head[:-1]}, "record": {row.record}}}\n'


def _write_text(path: Path, text: str) -> None:
    with whole(path) as part:
        part.write_text(text, "utf-8", newline="\n")


def write_folder(folder: Path, tables: Mapping[TableName, pa.Table], schema: Schema, kind: FileFormat) -> None:
    """Schema and tables as files of one kind. Raises FormatError where a table stands there in another kind."""
    for name, path in table_files(folder).items():
        if path.suffix != f".{kind}" or name not in tables:
            mend = "write into an empty folder, or remove that file first"
            raise FormatError(f"the folder holds {path.name} of another data set", mend=mend, source=str(folder))
    try:
        _write_text(folder / SCHEMA, schema.to_json())
    except OSError as error:
        mend = "check the path and the rights to write"
        raise FormatError(f"the folder cannot be written ({error})", mend=mend, source=str(folder)) from None
    for name, table in tables.items():
        write_table(table, folder / f"{name}.{kind}")
