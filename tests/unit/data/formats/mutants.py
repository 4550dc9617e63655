"""JSON documents with something in them that should not be there."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from quorate.errors import DataError

ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    2.5,
    1e308,
    "",
    "x",
    " ",
    "\x00",
    [],
    {},
    [1],
    [[]],
    {"a": 1},
    [None],
    "Bogus",
    10**400,
]


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all values in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *[place for key, part in inner for place in places(part, (*way, key))]]


@st.composite
def mutants(draw: st.DrawFn, document: list[Any]) -> list[Any]:
    """The document with one to three values replaced or removed."""
    found = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        way = draw(st.sampled_from(places(found)[1:] or [()]))
        if not way:
            continue
        holder: Any = found
        for key in way[:-1]:
            holder = holder[key]
        if draw(st.integers(0, 3)):
            holder[way[-1]] = copy.deepcopy(draw(st.sampled_from(ODD)))
        else:
            del holder[way[-1]]
    return found


def read_or_refused(read: Callable[[], object]) -> None:
    """Either all is read, or one error says where it is broken and how to mend it."""
    try:
        read()
    except DataError as error:
        told = error
    else:
        return
    assert told.mend
    assert told.source or told.column
