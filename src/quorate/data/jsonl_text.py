"""JSONL: one JSON object per line; a broken line is known by its number, not skipped."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from quorate.data.frames import column_of, raw_table
from quorate.data.lines import UTF8_MEND, decoded, first_line
from quorate.data.tables import Raw, TableName, Unread
from quorate.errors import FormatError


def read_jsonl(name: TableName, source: str, data: bytes) -> Raw:
    """A JSONL text as a raw table; a key that a line does not have is missing there."""
    if data.lstrip()[:1] == b"[":
        mend = "write one object per line, without brackets and commas around them"
        raise FormatError("this is one JSON array, not one JSON object per line", mend=mend, source=source)
    lines = [line for line in data.splitlines() if line.strip()]
    parsed = [_parse(number, line) for number, line in enumerate(lines, start=1)]
    rows = [row for row in parsed if isinstance(row, dict)]
    place = [number for number, row in enumerate(parsed, start=1) if isinstance(row, dict)]
    unread = tuple(row for row in parsed if isinstance(row, Unread))
    keys = dict.fromkeys(key for row in rows for key in row)
    if unread and not rows:
        raise FormatError(unread[0].problem, mend=unread[0].mend, source=source, row=1)
    raw = raw_table(name, source, [(_shown(key, source), column_of([row.get(key) for row in rows])) for key in keys])
    return raw._replace(row=np.array(place, np.int64), unread=unread)


def _parse(number: int, line: bytes) -> dict[str, Any] | Unread:
    """One line as an object."""
    text, problem = decoded(line)
    if problem:
        return Unread(number, None, problem, UTF8_MEND, text)
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Unread(number, None, f"the line is not JSON ({first_line(error)})", "mend or remove the line", text)
    if not isinstance(row, dict):
        return Unread(number, None, "the line is JSON, but no object", 'write {"item": ..., "task": ..., ...}', text)
    return row


def _shown(key: str, source: str) -> str:
    try:
        key.encode()
    except UnicodeEncodeError:
        mend = "rename the key"
        raise FormatError(f"the key {key!a} is not valid text", mend=mend, source=source) from None
    return key
