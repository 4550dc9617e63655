"""What a campaign takes in: never an item that people may not be shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import pytest

from quorate.errors import DataError
from quorate.schema import Schema, Task
from quorate.service.intake import check_items
from quorate.service.pages.setup import items_of as items_of_page
from quorate.service.problems import Refusal
from quorate.service.uploads import CSV, JSONL
from quorate.store.items import NewItem, check_item

SCHEMA = Schema((Task("tone", ("good", "bad")),))


@contextmanager
def body(content: bytes) -> Iterator[IO[bytes]]:
    """An upload as the service keeps it aside."""
    with SpooledTemporaryFile(max_size=1 << 20) as file:
        file.write(content)
        yield file


def checked(content: bytes, kind: str) -> int:
    """How many items it holds."""
    with body(content) as file:
        return check_items(file, kind, SCHEMA, "given")


def lines(*rows: dict[str, Any]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


@pytest.mark.parametrize("mark", [True, "yes", 1])
def test_a_restricted_item_is_refused_with_its_row(mark: object) -> None:
    """The whole upload waits until it is left out; its content stands in no message."""
    rows = lines({"item": "a", "text": "open"}, {"item": "b", "text": "closed words", "restricted": mark})
    with pytest.raises(Refusal, match="row 2: the item is restricted, and a campaign shows its items") as refused:
        checked(rows, JSONL)
    assert "closed words" not in str(refused.value)
    assert refused.value.rows[0].column == "restricted"


def test_items_that_are_marked_as_open_pass() -> None:
    """False, empty or absent; what is neither true nor false is not guessed."""
    assert checked(b"item,text,restricted\na,x,false\nb,y,\nc,z,0\n", CSV) == 3
    with pytest.raises(Refusal, match="'perhaps' is neither true nor false"):
        checked(b"item,text,restricted\na,x,perhaps\n", CSV)


def test_the_page_for_new_campaigns_keeps_to_the_column_too() -> None:
    """Whichever columns were chosen to be shown."""
    fields = {"id_column": ["item"], "looked": ["1"], "shown": ["text"]}
    with body(lines({"item": "a", "text": "x", "Restricted": "true"})) as rows:
        made = list(items_of_page(rows, JSONL, SCHEMA, fields, {}))
    assert [item.restricted for item in made] == [True]
    with pytest.raises(DataError, match="column 'restricted'"):
        check_item(SCHEMA, made[0], 1)


def test_the_store_refuses_what_any_other_door_lets_in() -> None:
    """Every item is checked where it is written."""
    with pytest.raises(DataError, match="leave restricted items out"):
        check_item(SCHEMA, NewItem("a", {"text": "x"}, restricted=True), 1)
