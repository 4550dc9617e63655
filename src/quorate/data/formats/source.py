"""What importers and exporters share: a dataframe or a file on the way in, one question on the way out."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from quorate.data.dataset import Dataset
from quorate.data.files import read_file
from quorate.data.frames import read_frame
from quorate.data.names import shown
from quorate.data.tables import Raw, TableName
from quorate.errors import DataError, FormatError, SettingError
from quorate.schema import Task


def read_source(name: TableName, source: Any, columns: Sequence[str]) -> Raw:
    """A dataframe, or the file at a path. Raises FormatError where one of the columns is missing."""
    raw = read_file(name, Path(source)) if isinstance(source, str | PathLike) else read_frame(name, source)
    for column in columns:
        if column not in raw.columns:
            there = ", ".join(shown(other) for other in list(raw.columns)[:12])
            mend = f"give a table with the columns {', '.join(columns)}"
            raise FormatError(f"the column is missing; there are {there}", mend=mend, source=raw.source, column=column)
    return raw


@contextmanager
def renamed(names: Mapping[str, str]) -> Generator[None]:
    """Errors name the columns as the source does."""
    try:
        yield
    except DataError as error:
        column = names.get(error.column or "", error.column)
        raise type(error)(error.problem, mend=error.mend, source=error.source, row=error.row, column=column) from None


def the_task(data: Dataset, question: str | None) -> Task:
    """The task of that name; None: the only one. Raises SettingError where there are several."""
    if question is not None:
        return data.schema.task(question)
    if len(data.schema) != 1:
        names = ", ".join(shown(task.name) for task in data.schema.tasks[:12])
        raise SettingError(f"this layout holds one question; name one of {names} as `question`")
    return data.schema.tasks[0]
