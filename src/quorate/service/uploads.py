"""Tables that come in over the wire: kept aside while they arrive, then read a row at a time, as often as needed.

A row that cannot be read is told with its number and hinders the whole table, never the process.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from tempfile import SpooledTemporaryFile
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from starlette.requests import Request

from quorate.errors import DataError, FormatError
from quorate.service.problems import Refusal
from quorate.service.wire import storable

IN_MEMORY = 1 << 20  # bytes; a larger body is kept in a file
MOST_JSON = 16 << 20  # bytes of one JSON array, which is read as a whole
BATCH_ROWS = 256
DELIMITERS = (",", ";", "\t", "|")
JSON, JSONL, CSV, PARQUET = "application/json", "application/x-ndjson", "text/csv", "application/vnd.apache.parquet"


class Row(NamedTuple):
    """A row and its number, from 1; what could not be read is a problem in place of values."""

    number: int
    values: Mapping[str, Any]
    problem: str | None = None


async def spooled(request: Request) -> IO[bytes]:
    """The body, in a file that is gone when it is closed. Raises Refusal for one that is packed or empty."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refusal(415, "send the body unpacked; Parquet is small by itself", path="header.content-encoding")
    file: IO[bytes] = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 # the caller closes it
    try:
        async for chunk in request.stream():
            file.write(chunk)
    except BaseException:
        file.close()
        raise
    return file


def media_type(request: Request) -> str:
    """How the body is to be read. Raises Refusal for a kind that there is not."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    kind = ALIASES.get(given, given)
    if kind not in READERS:
        raise Refusal(415, f"Content-Type is one of {', '.join(READERS)}", path="header.content-type")
    return kind


def read_rows(file: IO[bytes], kind: str) -> Iterator[Row]:
    """All rows, from the beginning. Raises FormatError where it is no table at all."""
    file.seek(0)
    for row in READERS[kind](file):
        try:
            storable(dict(row.values))
        except ValueError as error:
            yield Row(row.number, {}, str(error))
        else:
            yield row


# ---- kinds ----------------------------------------------------------------------------------------------------------
def _json(file: IO[bytes]) -> Iterator[Row]:
    text = file.read(MOST_JSON + 1)
    if len(text) > MOST_JSON:
        raise FormatError(
            f"one JSON array of more than {MOST_JSON} bytes", mend=f"send it as {JSONL}, an object a line"
        )
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"this is no JSON ({error})", mend="send a list of objects") from None
    if not isinstance(rows, list):
        raise FormatError("this is no list", mend="send a list of objects")
    for number, values in enumerate(rows, 1):
        yield _object(number, values)


def _jsonl(file: IO[bytes]) -> Iterator[Row]:
    for number, line in enumerate((line for line in file if line.strip()), 1):
        try:
            yield _object(number, json.loads(line.removeprefix(b"\xef\xbb\xbf")))
        except (ValueError, RecursionError) as error:
            yield Row(number, {}, f"the line is no JSON ({error})")


def _object(number: int, values: Any) -> Row:
    return Row(number, values) if isinstance(values, dict) else Row(number, {}, "this is no object")


def _csv(file: IO[bytes]) -> Iterator[Row]:
    """Cells are texts; an empty one is missing."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        yield from _cells(text)
    except UnicodeDecodeError:
        raise FormatError("this is not UTF-8", mend="save the table as UTF-8") from None
    except csv.Error as error:
        raise FormatError(f"this is no CSV ({error})", mend="close every quote, and mind cells above 131,072") from None
    finally:
        text.detach()  # the file below stays open


def _cells(text: io.TextIOWrapper) -> Iterator[Row]:
    first = text.readline()
    delimiter = max(DELIMITERS, key=first.count)
    text.seek(0)
    records = csv.reader(text, delimiter=delimiter, strict=True)
    header = next(records, [])
    if len(set(header)) < len(header) or not all(header):
        raise FormatError("a column has no name, or two have one", mend="name every column once")
    for number, record in enumerate((record for record in records if record), 1):
        if len(record) != len(header):
            yield Row(number, {}, f"the row has {len(record)} cells, the header {len(header)}")
        else:
            yield Row(number, {name: cell for name, cell in zip(header, record, strict=True) if cell})


def _parquet(file: IO[bytes]) -> Iterator[Row]:
    number = 0
    try:
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(batch_size=BATCH_ROWS):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(number, {name: value for name, value in values.items() if value is not None})
    except (pa.ArrowException, OSError, ValueError, NotImplementedError) as error:
        raise FormatError(f"this is no readable Parquet file ({error})", mend="write it again") from None


READERS: Mapping[str, Callable[[IO[bytes]], Iterator[Row]]] = {
    JSON: _json,
    JSONL: _jsonl,
    CSV: _csv,
    PARQUET: _parquet,
}
ALIASES = {"application/jsonl": JSONL, "application/ndjson": JSONL, "application/parquet": PARQUET}


def openapi_body(columns: Mapping[str, Any]) -> dict[str, Any]:
    """For a route's `openapi_extra`: the same table in four formats."""
    row = {"type": "object", "properties": dict(columns)}
    raw = {"schema": {"type": "string", "format": "binary"}}
    content = {JSON: {"schema": {"type": "array", "items": row}}, JSONL: raw, CSV: raw, PARQUET: raw}
    return {"requestBody": {"required": True, "content": content}}


def problem_of(error: DataError) -> str:
    """What is wrong, without the place, which stands beside it."""
    return f"{error.problem}. To mend: {error.mend}."
