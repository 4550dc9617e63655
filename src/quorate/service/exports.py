"""Tables that go out as files: written aside in bounded memory, so that a slow reader holds no connection."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection

from quorate.store.exporting import CHUNK, EXPORTS, Export, ExportName
from quorate.store.records import Campaign

ExportFormat = Literal["parquet", "jsonl", "csv", "huggingface"]
Row = Sequence[Any]
Sink = IO[bytes] | io.BufferedIOBase  # a part of a zip is no IO
MEDIA_TYPE: Mapping[ExportFormat, str] = {
    "parquet": "application/vnd.apache.parquet",
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "huggingface": "application/zip",
}
ENDING: Mapping[ExportFormat, str] = {"parquet": "parquet", "jsonl": "jsonl", "csv": "csv", "huggingface": "zip"}
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a text begins that a spreadsheet would run


def write_export(
    connection: Connection, campaign: Campaign, table: ExportName, kind: ExportFormat, file: IO[bytes]
) -> None:
    """One table in that format; `huggingface` is a zipped folder of all tables that `datasets` loads by their names."""
    if kind == "huggingface":
        _write_folder(connection, campaign, file)
    else:
        WRITERS[kind](EXPORTS[table], EXPORTS[table].rows(connection, campaign), file)


# ---- formats --------------------------------------------------------------------------------------------------------
def _write_parquet(export: Export, rows: Iterable[Row], file: Sink) -> None:
    with pq.ParquetWriter(file, export.schema) as writer:
        for chunk in _chunks(rows):
            columns = zip(*(_as_texts(export, row) for row in chunk), strict=True)
            arrays = [pa.array(column, kind) for column, kind in zip(columns, export.schema.types, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=export.schema))


def _write_jsonl(export: Export, rows: Iterable[Row], file: Sink) -> None:
    """An object a line; what is unknown is left out."""
    names = export.schema.names
    for row in rows:
        known = {name: value for name, value in zip(names, row, strict=True) if value is not None}
        file.write(json.dumps(known, ensure_ascii=False).encode() + b"\n")


def _write_csv(export: Export, rows: Iterable[Row], file: Sink) -> None:
    """Texts that a spreadsheet would take for a formula get an apostrophe before them."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(export.schema.names)
    for row in rows:
        writer.writerow([_guarded(value) for value in _as_texts(export, row)])
    text.detach()


def _write_folder(connection: Connection, campaign: Campaign, file: IO[bytes]) -> None:
    with zipfile.ZipFile(file, "w") as folder:  # Parquet is packed already
        folder.writestr("README.md", _card(campaign))
        folder.writestr("schema.json", campaign.schema.to_json())
        for name, export in EXPORTS.items():
            with folder.open(f"{name}/train-00000-of-00001.parquet", "w", force_zip64=True) as part:
                _write_parquet(export, export.rows(connection, campaign), part)


WRITERS: Mapping[str, Callable[[Export, Iterable[Row], Sink], None]] = {
    "parquet": _write_parquet,
    "jsonl": _write_jsonl,
    "csv": _write_csv,
}


# ---- parts ----------------------------------------------------------------------------------------------------------
def _card(campaign: Campaign) -> str:
    """The README that tells `datasets` which files are which table."""
    configs = "".join(
        f"- config_name: {name}\n  data_files: {name}/*.parquet\n" + ("  default: true\n" if name == "labels" else "")
        for name in EXPORTS
    )
    title = campaign.name.replace("\n", " ")
    return f"---\nconfigs:\n{configs}---\n\n# {title}\n\nLabels and consensus of a quorate campaign.\n"


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    each = iter(rows)
    while chunk := list(islice(each, CHUNK)):
        yield chunk


def _as_texts(export: Export, row: Row) -> list[Any]:
    """The row with its JSON as texts."""
    return [
        json.dumps(value, ensure_ascii=False) if name in export.json_columns and value is not None else value
        for name, value in zip(export.schema.names, row, strict=True)
    ]


def _guarded(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
