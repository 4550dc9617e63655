"""Items that may not be shown to everybody: a column `restricted` of the items, true or false.

A restricted item is shown to no person, and sent to no server outside the boundary that a rubric or an option declares.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from quorate.data.columns import is_missing
from quorate.errors import DataError

RESTRICTED = "restricted"
TRUE, FALSE = frozenset({"1", "1.0", "true", "yes"}), frozenset({"", "0", "0.0", "false", "no"})


def restricted_items(items: pa.Table | None, source: Path | str | None = None) -> frozenset[str]:
    """The items whose row is marked. Raises DataError for a mark that is neither true nor false: it is not guessed.

    >>> sorted(restricted_items(pa.table({"item": ["a", "b", "c"], "restricted": ["true", None, "no"]})))
    ['a']
    """
    if items is None:
        return frozenset()
    names = items["item"].to_pylist()
    columns = [name for name in items.column_names if name.casefold() == RESTRICTED]
    marks = [_marks(items[name], name, None if source is None else str(source)) for name in columns]
    return frozenset(str(item) for place, item in enumerate(names) if any(column[place] for column in marks))


def is_restricted(mark: Any) -> bool | None:
    """What one mark says: true, false (also where it is missing), or None where it says neither.

    >>> is_restricted("Yes"), is_restricted(0), is_restricted("perhaps")
    (True, False, None)
    """
    if isinstance(mark, bool):
        return mark
    text = "" if is_missing(mark) else str(mark).strip().casefold()
    return True if text in TRUE else False if text in FALSE else None


def is_marked(content: Mapping[str, Any]) -> bool | None:
    """Whether fields of an item's content, in whatever case they are written, say so; None where one says neither.

    >>> is_marked({"text": "x", "Restricted": "yes"}), is_marked({"text": "restricted"}), is_marked({"restricted": "?"})
    (True, False, None)
    """
    marks = [is_restricted(mark) for name, mark in content.items() if name.strip().casefold() == RESTRICTED]
    return None if None in marks else any(marks)


def _marks(column: pa.ChunkedArray, name: str, source: str | None) -> list[bool]:
    marks: list[bool] = []
    for row, value in enumerate(column.to_pylist(), start=1):
        mark = is_restricted(value)
        if mark is None:
            problem = f"{str(value)[:40]!r} is neither true nor false"
            raise DataError(problem, mend="write true or false", source=source, row=row, column=name)
        marks.append(mark)
    return marks
