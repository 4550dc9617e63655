"""Bad rows: described by a fault, then refused with one error, or set aside with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from quorate.data.lines import as_json
from quorate.errors import DataError, SettingError

Array = np.ndarray
OnBad = Literal["raise", "quarantine"]


def check_way(on_bad: str) -> None:
    """Raises SettingError where the word for what to do with bad rows is none."""
    if on_bad not in get_args(OnBad):
        raise SettingError(f"on_bad is 'raise' or 'quarantine', not {on_bad!r}")


class Fault(NamedTuple):
    """Rows with one kind of trouble."""

    places: Int64[Array, "bad"]  # in the table at hand, from 0
    column: str | None
    problem: Callable[[int], str]  # what is wrong with the row at that place
    mend: str
    kind: type[DataError] = DataError


class BadRow(NamedTuple):
    """A row that was set aside."""

    table: str
    row: int  # data row in the source, from 1
    column: str | None
    reason: str
    record: str  # what the row held, as a JSON object; as a JSON text where it could not be taken apart


def error_of(faults: Sequence[Fault], source: str, rows: Sequence[int] | Int64[Array, "rows"]) -> DataError:
    """The error for the earliest bad row; it says how many more are like it. rows: place to data row."""
    fault = min(faults, key=lambda fault: int(fault.places.min()))
    place = int(fault.places.min())
    more = len(np.unique(fault.places)) - 1
    like_it = f" (and {more:,} more {'row' if more == 1 else 'rows'} like it)" if more else ""
    return fault.kind(
        f"{fault.problem(place)}{like_it}",
        mend=f"{fault.mend}; or set such rows aside with on_bad='quarantine'",
        source=source,
        row=int(rows[place]),
        column=fault.column,
    )


def first_faults(faults: Sequence[Fault]) -> dict[int, Fault]:
    """The first fault of every bad place, in row order."""
    found = {int(place): fault for fault in reversed(faults) for place in fault.places}
    return dict(sorted(found.items()))


def as_record(row: Any) -> str:
    """What a row held, as JSON."""
    try:
        return as_json(row).encode("utf-8", "backslashreplace").decode()
    except (ValueError, TypeError, RecursionError):  # a number of thousands of digits; a structure that holds itself
        return '"the row cannot be shown"'


def quarantine_table(bad: Sequence[BadRow]) -> pa.Table:
    """The rows that were set aside: table, row, column, reason, record."""
    columns = list(zip(*bad, strict=True)) or [()] * len(BadRow._fields)
    kinds = (pa.string(), pa.int64(), pa.string(), pa.string(), pa.string())
    return pa.table(
        {name: pa.array(values, kind) for name, values, kind in zip(BadRow._fields, columns, kinds, strict=True)}
    )
