"""JSON of other tools, read with its place at hand: what is not as it should be is told by row and path."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from quorate.data.files import MARKS, UTF8_MARK
from quorate.data.lines import decoded, first_line
from quorate.errors import FormatError
from quorate.schema import UNFIT

HALVES = re.compile("[\ud800-\udfff]")  # of surrogate pairs, which JSON can spell and no file can hold


class Node(NamedTuple):
    """A value, the file and row (from 1) that it stands in, and the way to it."""

    value: Any
    source: str
    row: int | None = None
    path: str = ""

    def error(self, problem: str, mend: str) -> FormatError:
        """An error that names this place."""
        return FormatError(problem, mend=mend, source=self.source, row=self.row, column=self.path or None)

    # ---- ways down --------------------------------------------------------------------------------------------------
    def get(self, key: str) -> Node | None:
        """What an object holds under that key; None where that is nothing. Raises FormatError for no object."""
        value = self.object().get(key)
        return None if value is None else self._replace(value=value, path=f"{self.path}.{key}" if self.path else key)

    def need(self, key: str) -> Node:
        """The same, where nothing is wrong. Raises FormatError."""
        found = self.get(key)
        if found is None:
            raise self.error(f"{key!r} is missing", "export the data again; this is not the tool's own layout")
        return found

    def each(self) -> Iterator[Node]:
        """What a list holds. Raises FormatError for no list."""
        if not isinstance(self.value, list):
            raise self.error(f"a list is expected, not {_kind(self.value)}", "write a list here")
        for place, value in enumerate(self.value):
            yield self._replace(value=value, path=f"{self.path}[{place}]")

    def pairs(self) -> Iterator[tuple[str, Node]]:
        """What an object holds, nothing left out. Raises FormatError for no object."""
        for key, value in self.object().items():
            if value is not None:
                yield key, self._replace(value=value, path=f"{self.path}.{key}" if self.path else key)

    # ---- values -----------------------------------------------------------------------------------------------------
    def object(self) -> dict[str, Any]:
        """An object as it is. Raises FormatError."""
        if not isinstance(self.value, dict):
            raise self.error(f"an object is expected, not {_kind(self.value)}", 'write {"...": ...} here')
        return self.value

    def name(self) -> str:
        """A text, or a number or truth value as text. Raises FormatError."""
        if isinstance(self.value, bool):
            return str(self.value).lower()
        if isinstance(self.value, str):
            return self.value
        if isinstance(self.value, int | float) and _finite(self.value):
            return f"{self.value:g}" if isinstance(self.value, float) and self.value.is_integer() else str(self.value)
        raise self.error(f"a text is expected, not {_kind(self.value)}", "write one text here")

    def title(self) -> str:
        """A text that can name a task: not blank, printable. Raises FormatError."""
        found = self.name()
        if not found.strip() or UNFIT.search(found):
            raise self.error(f"{found[:40]!r} is no name", "give it a name of printing characters")
        return found

    def number(self) -> float:
        """A finite number. Raises FormatError."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float) or not _finite(self.value):
            raise self.error(f"a number is expected, not {_kind(self.value)}", "write a finite number here")
        return float(self.value)

    def share(self) -> float:
        """A number from 0 to 1. Raises FormatError."""
        found = self.number()
        if not 0 <= found <= 1:
            raise self.error(f"{found:g} is no probability", "write a number from 0 to 1 here")
        return found

    def truth(self) -> bool:
        """True or false. Raises FormatError."""
        if not isinstance(self.value, bool):
            raise self.error(f"true or false is expected, not {_kind(self.value)}", "write true or false here")
        return self.value


def _finite(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _kind(value: Any) -> str:
    """A value, short enough for a message."""
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return repr(value)[:40]


# ---- files ----------------------------------------------------------------------------------------------------------
def read_records(source: Any, name: str) -> list[Node]:
    """The records of a list, of a JSON file that holds one, or of a JSONL file, each with its row.

    Raises FormatError for a file that is neither, or that holds no record.
    """
    if not isinstance(source, str | PathLike):
        return _numbered(source, name)
    data, where = read_bytes(Path(source)), str(source)
    if data.lstrip()[:1] == b"[":
        return _numbered(parse(data, where), where)
    lines = [line for line in data.splitlines() if line.strip()]
    if len(lines) > 1 and not _is_json(lines[0]):  # one object over several lines
        parse(data, where)
        raise FormatError("this is one object, not a list of records", mend="write [ ... ]", source=where)
    return [Node(parse(line, where, row), where, row) for row, line in enumerate(lines, 1)]


def read_bytes(path: Path) -> bytes:
    """The bytes of a JSON file. Raises FormatError for one that cannot be read, is empty or is no UTF-8 text."""
    try:
        data = path.read_bytes()
    except OSError as error:
        mend = "check the path and the rights to read it"
        raise FormatError(f"the file cannot be opened ({error.strerror})", mend=mend, source=str(path)) from None
    for mark, what, mend in MARKS:
        if data.startswith(mark):
            raise FormatError(f"this is {what}, not JSON in UTF-8", mend=mend, source=str(path))
    data = data.removeprefix(UTF8_MARK)
    if not data.strip():
        raise FormatError("the file is empty", mend="export the data again", source=str(path))
    return data


def parse(data: bytes, source: str, row: int | None = None) -> Any:
    """A JSON text. Raises FormatError that says where it ends to be one."""
    text, problem = decoded(data)
    if problem:
        raise FormatError(problem, mend="save the file as UTF-8", source=source, row=row)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        mend = "export the data again; the file may be cut off"
        raise FormatError(f"this is not JSON ({first_line(error)})", mend=mend, source=source, row=row) from None
    if "\\ud" in text.lower() and HALVES.search(json.dumps(value, ensure_ascii=False)):
        mend = "remove the broken character (half of a surrogate pair)"
        raise FormatError("a text is not valid Unicode", mend=mend, source=source, row=row)
    return value


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _numbered(value: Any, source: str) -> list[Node]:
    if not isinstance(value, list):
        raise FormatError(f"a list of records is expected, not {_kind(value)}", mend="write [ ... ]", source=source)
    if not value:
        raise FormatError("there is no record", mend="export again what was labeled", source=source)
    return [Node(record, source, row) for row, record in enumerate(value, 1)]
