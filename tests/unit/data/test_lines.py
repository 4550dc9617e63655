"""JSON that other programs read."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

from quorate.data.faults import as_record
from quorate.data.lines import as_json, decoded


def test_json_has_no_numbers_that_json_does_not_have():
    """NaN and infinity become null, at any depth."""
    assert json.loads(as_json({"a": [float("nan"), 1.5], "b": {"c": float("-inf")}})) == {
        "a": [None, 1.5],
        "b": {"c": None},
    }


def test_other_values_become_text():
    """Dates in ISO form."""
    value = {"day": dt.date(2024, 1, 31), "sum": Decimal("1.50"), "é": b"x"}
    assert json.loads(as_json(value)) == {"day": "2024-01-31", "sum": "1.50", "é": "b'x'"}


def test_every_row_has_a_record():
    """Even a structure that holds itself, a number too long to print, half a character."""
    loop: list = []
    loop.append(loop)
    for row in ({"a": loop}, {"a": 10**5000}, {"a": "\ud800"}, "plain"):
        record = as_record(row)
        assert isinstance(json.loads(record.encode()), dict | str)


def test_bytes_of_another_encoding_are_shown():
    """The first of them is told; below 0xa0 Latin-1 has nothing to show."""
    assert decoded("é".encode()) == ("é", None)
    assert decoded(b"a\xe9") == ("a\\xe9", "byte 0xe9 is not UTF-8 (it is 'é' in Latin-1)")
    assert decoded(b"\x80") == ("\\x80", "byte 0x80 is not UTF-8")
