"""Conditions on lists of values that read the same however long the list is.

`IN (?, ?, ?)` is another statement for every length: parsed, planned and compiled anew each time. Here the list is one
value, an array on PostgreSQL and a JSON array on SQLite, so that a statement is prepared once.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import BigInteger, Boolean, ColumnElement, Dialect, Text, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


class Listed(TypeDecorator[Any]):
    """A list as one value."""

    impl = Text
    cache_ok = True

    def __init__(self, of: type[int | str]) -> None:
        super().__init__()
        self.of = of

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """An array where there are arrays."""
        array = ARRAY(BigInteger() if self.of is int else Text())
        return dialect.type_descriptor(array if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Collection[Any] | None, dialect: Dialect) -> Any:
        """The list, or its JSON."""
        listed = list(value or ())
        return listed if dialect.name == "postgresql" else json.dumps(listed)


class among(FunctionElement[bool]):  # noqa: N801 # reads as the operator that it is
    """Whether the column's value is in the list that is bound under that name.

    Give `int` for numbers, `str` for texts.
    """

    name = "among"
    type = Boolean()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], listed: str, of: type[int] | type[str] = int) -> None:
        super().__init__(column, bindparam(listed, type_=Listed(of)))

    def self_group(self, against: Any = None) -> among:  # noqa: ARG002 # of the parent
        """Itself: where there are no truth values SQLAlchemy would compare it with 1, and so hide it from the index."""
        return self


@compiles(among, "postgresql")
def _postgresql(element: among, compiler: Any, **options: Any) -> str:
    column, listed = list(element.clauses)
    return f"{compiler.process(column, **options)} = ANY ({compiler.process(listed, **options)})"


@compiles(among, "sqlite")
def _sqlite(element: among, compiler: Any, **options: Any) -> str:
    column, listed = list(element.clauses)
    values = f"SELECT value FROM json_each({compiler.process(listed, **options)})"  # noqa: S608 # a bound name
    return f"{compiler.process(column, **options)} IN ({values})"
