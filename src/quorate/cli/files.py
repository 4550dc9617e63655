"""Files that a verb writes: whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from quorate.errors import SettingError

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 65_536


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` when the block ends well, else it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_table(table: pa.Table, path: Path) -> None:
    """Write Parquet, CSV or JSONL, by the ending of the name. In CSV a list is a JSON text."""
    write = writer(path)
    with whole(path) as part:
        write(table, part)


def writer(path: Path) -> Callable[[pa.Table, Path], None]:
    """How a file of this ending is written. Raises SettingError for another ending."""
    known = {".parquet": _write_parquet, ".csv": _write_csv, ".jsonl": _write_jsonl}
    if path.suffix.lower() not in known:
        raise SettingError(f"cannot write {path.name!r}: the name must end in {', '.join(known)}")
    return known[path.suffix.lower()]


def _write_parquet(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, path)


def _write_csv(table: pa.Table, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    for place, field in enumerate(table.schema):
        if pa.types.is_list(field.type) or pa.types.is_large_list(field.type):
            texts = [json.dumps(values) for values in table.column(place).to_pylist()]
            table = table.set_column(place, field.name, pa.array(texts, pa.string()))
    pa_csv.write_csv(table, path)


def _write_jsonl(table: pa.Table, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for batch in table.to_batches(max_chunksize=BATCH_ROWS):
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in batch.to_pylist())
