"""Tables as files: whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from quorate.data.lines import as_json
from quorate.errors import FormatError, SettingError

FileFormat = Literal["parquet", "csv", "jsonl"]
BATCH_ROWS = 65_536


def check_format(format: str) -> None:  # noqa: A002 - the public word
    """Raises SettingError where the format is none that tables are written in."""
    if format not in get_args(FileFormat):
        raise SettingError(f"format is one of {', '.join(get_args(FileFormat))}, not {format!r}")


def write_table(table: pa.Table, path: Path) -> None:
    """A table as Parquet, CSV or JSONL, by the ending of the path. In CSV a list is a JSON text."""
    ending = path.suffix.lower().removeprefix(".")
    if ending not in get_args(FileFormat):
        raise SettingError(f"cannot write {path.name!r}: the name must end in .parquet, .csv or .jsonl")
    writers: dict[str, Callable[[pa.Table, Path], None]] = {
        "parquet": pq.write_table,
        "csv": _write_csv,
        "jsonl": _write_jsonl,
    }
    try:
        with whole(path) as part:
            writers[ending](table, part)
    except (OSError, pa.ArrowException) as error:
        mend = "check the path, the space and the rights to write; Parquet takes every type of column"
        raise FormatError(f"the file cannot be written ({error})", mend=mend, source=str(path)) from None


@contextmanager
def whole(path: Path) -> Generator[Path]:
    """A path beside `path` to write to, which takes its place when the block ends well and is removed when not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write_csv(table: pa.Table, path: Path) -> None:
    for place, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            texts = [None if value is None else as_json(value) for value in table.column(place).to_pylist()]
            table = table.set_column(place, field.name, pa.array(texts, pa.string()))
    pa_csv.write_csv(table, path)


def _write_jsonl(table: pa.Table, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for batch in table.to_batches(max_chunksize=BATCH_ROWS):
            file.writelines(as_json(row) + "\n" for row in batch.to_pylist())
