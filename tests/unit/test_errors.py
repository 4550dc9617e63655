"""The tree of exceptions and its words."""

from __future__ import annotations

import inspect

import pytest

from quorate import errors
from quorate.errors import DataError, FormatError, MissingExtraError, QuorateError, SchemaError, SettingError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_a_quorate_error_and_stands_in_the_tree(kind):
    """One `except QuorateError` catches all; the drawing at the head of the module is complete."""
    assert issubclass(kind, QuorateError)
    assert kind.__name__ in (errors.__doc__ or "")
    assert (kind.__doc__ or "").endswith(".")


@pytest.mark.parametrize(
    ("place", "start"),
    [
        ({}, "odd. To mend: do this."),
        ({"source": "a.csv"}, "a.csv: odd."),
        ({"source": "a.csv", "row": 3}, "a.csv, row 3: odd."),
        ({"source": "a.csv", "row": 3, "column": "label"}, "a.csv, row 3, column 'label': odd."),
        ({"column": "label"}, "column 'label': odd."),
    ],
)
def test_a_data_error_says_where_what_and_what_to_do(place, start):
    """File, row, column, problem, mend; each also as an attribute."""
    for kind in (DataError, SchemaError, FormatError):
        error = kind("odd", mend="do this", **place)
        assert str(error).startswith(start)
        assert str(error).endswith("To mend: do this.")
        assert (error.problem, error.mend, error.row) == ("odd", "do this", place.get("row"))


def test_an_error_without_words_says_its_docstring():
    """The docstring is the message."""
    assert str(SettingError()) == SettingError.__doc__
    assert str(SettingError("n is 0")) == "n is 0"


def test_a_missing_package_comes_with_its_command():
    """Copy and paste."""
    assert "pip install 'quorate[report]'" in str(MissingExtraError("matplotlib", "report"))
