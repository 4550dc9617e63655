"""The one tree of exceptions. An exception's docstring is its message and says what to do.

QuorateError
├── DataError            a table, a row or a value that cannot be used: names place and mend
│   ├── SchemaError      tasks and classes that contradict each other
│   └── FormatError      a file that is not what its name or layout says
├── SettingError         an option outside what it may be
├── NotFittedError       asked of a model what its data never taught it
├── ArchiveError         a saved model that cannot be trusted
├── MissingExtraError    an optional package that is not installed
├── AccessError          a request that may not be made
│   ├── SignInError      by whom nobody knows
│   └── ForbiddenError   by somebody who may not
├── ServiceError         a service that refuses a request, or does not answer
└── StoreError           a database that cannot be used as it is
    ├── NotFoundError    what is not there, or not for this person
    └── ConflictError    what somebody else, or an earlier request, has changed meanwhile
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class QuorateError(Exception):
    """Something quorate was asked for cannot be done."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class DataError(QuorateError):
    """A table cannot be used as it is; the message names file, row, column and the mend."""

    def __init__(
        self,
        problem: str,
        *,
        mend: str,
        source: str | None = None,
        row: int | None = None,
        column: str | None = None,
    ) -> None:
        self.problem = problem
        self.mend = mend
        self.source = source
        self.row = row
        self.column = column
        super().__init__(f"{self.place()}{problem}. To mend: {mend}.")

    def place(self) -> str:
        """Where the problem stands, as `file, row 3, column 'label': ` (rows count from 1, header not counted)."""
        parts = [
            *([self.source] if self.source else []),
            *([f"row {self.row}"] if self.row is not None else []),
            *([f"column {self.column!r}"] if self.column else []),
        ]
        return f"{', '.join(parts)}: " if parts else ""


class SchemaError(DataError):
    """Tasks or classes contradict each other; the message names task and class."""


class FormatError(DataError):
    """A file is not what its name or layout says; the message names what was expected."""


class SettingError(QuorateError):
    """An option is outside what it may be; the message names option, value and range."""


class NotFittedError(QuorateError):
    """The model was asked for something that its data never taught it."""


class ArchiveError(QuorateError):
    """A saved model is truncated, altered or of another version; save it again with this version."""


class MissingExtraError(QuorateError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is needed here. Install it with: pip install 'quorate[{extra}]'.")


class AccessError(QuorateError):
    """The request may not be made."""


class SignInError(AccessError):
    """Sign in, or send a valid token."""


class ForbiddenError(AccessError):
    """Your role does not allow this."""


class ServiceError(QuorateError):
    """The service refuses the request, or does not answer; the message says which."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        path: str | None = None,
        rows: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.status = status
        self.code = code
        self.path = path
        self.rows = tuple(rows)
        super().__init__(message)


class StoreError(QuorateError):
    """The database cannot be used as it is; the message says why and what to do."""


class NotFoundError(StoreError):
    """There is no such thing, or it is not for this person to see."""


class ConflictError(StoreError):
    """The request rests on what has changed meanwhile; read again and decide anew."""
