"""Rows and files cut into bodies of bounded size, each of which a service takes whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from quorate.errors import FormatError

MOST_ROWS = 5000
MOST_BYTES = 8 << 20
NDJSON = "application/x-ndjson"
KINDS: Mapping[str, str] = {
    ".csv": "text/csv",
    ".parquet": "application/vnd.apache.parquet",
    ".jsonl": NDJSON,
    ".ndjson": NDJSON,
    ".json": "application/json",
}
Rows = Iterable[Mapping[str, Any]] | str | PathLike[str]


class Part(NamedTuple):
    """A body, and its media type."""

    body: bytes
    kind: str


def item_parts(rows: Rows) -> Iterator[Part]:
    """Items: rows in any order; of files, JSON Lines in parts and all others whole."""
    return in_parts(rows, together=None)


def in_parts(rows: Rows, *, together: str | None) -> Iterator[Part]:
    """The bodies; rows that agree in the column `together` come in the same one.

    Raises FormatError for a file whose ending says nothing.
    """
    if isinstance(rows, (str, PathLike)):
        yield from _of_file(Path(rows), together)
    else:
        yield from _packed(_lines(rows, together))


def _of_file(path: Path, together: str | None) -> Iterator[Part]:
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise FormatError(
            f"{path.name} has no ending that says what it is", mend=f"name it with one of {', '.join(KINDS)}"
        )
    if kind != NDJSON or together:
        yield Part(path.read_bytes(), kind)
        return
    with path.open("rb") as file:
        yield from _packed(line.rstrip(b"\r\n") + b"\n" for line in file if line.strip())


def _lines(rows: Iterable[Mapping[str, Any]], together: str | None) -> Iterator[bytes]:
    """A text for every row, or for all rows that belong together."""
    if together is None:
        yield from map(_line, rows)
        return
    ordered = sorted(rows, key=lambda row: str(row.get(together)))  # a stable order
    for _, group in groupby(ordered, key=lambda row: str(row.get(together))):
        yield b"".join(map(_line, group))


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(row), allow_nan=False, ensure_ascii=False).encode() + b"\n"


def _packed(lines: Iterable[bytes]) -> Iterator[Part]:
    body, n = bytearray(), 0
    for line in lines:
        if n and (n >= MOST_ROWS or len(body) + len(line) > MOST_BYTES):
            yield Part(bytes(body), NDJSON)
            body, n = bytearray(), 0
        body += line
        n += line.count(b"\n")
    if n:
        yield Part(bytes(body), NDJSON)
