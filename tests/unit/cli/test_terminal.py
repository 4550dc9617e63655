"""What verbs share with their terminal."""

from __future__ import annotations

import io
import json

import pytest
import typer

from quorate.cli.terminal import bar, figure, plural, print_json, progress, table, verb, without_repeats
from quorate.errors import DataError


def code_of(fault: BaseException) -> int:
    @verb
    def fails() -> None:
        raise fault

    with pytest.raises(typer.Exit) as ended:
        fails()
    return ended.value.exit_code


def test_bad_input_ends_with_2_and_says_where_and_how_to_mend(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole message on stderr, however long, and nothing on stdout."""
    assert code_of(DataError("no such class [bold]", mend="use 'yes'", source="labels.csv", row=3, column="label")) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "quorate: labels.csv, row 3, column 'label': no such class [bold]. To mend: use 'yes'.\n"


def test_a_file_that_cannot_be_written_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    """The operating system's reason is told."""
    assert code_of(PermissionError(13, "Permission denied", "/root/out")) == 2
    assert "Permission denied" in capsys.readouterr().err


def test_ctrl_c_ends_with_130() -> None:
    """As the shell expects of a process ended by SIGINT."""
    assert code_of(KeyboardInterrupt()) == 130


def test_an_unexpected_error_keeps_its_traceback() -> None:
    """A bug must not look like bad input."""

    @verb
    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()


def test_json_is_one_document_and_refuses_nan(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown figure is null; NaN would be no JSON."""
    print_json({"a": None, "b": "ü"})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": "ü"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"a": float("nan")})


def test_progress_is_silent_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A log file gets no control characters."""
    with progress("fitting") as step:
        step(0.5, "halfway")
    assert capsys.readouterr() == ("", "")


def test_a_bar_grows_with_its_share_and_shows_the_smallest() -> None:
    """0 is empty, anything above 0 is seen, 1 is full."""
    assert [bar(share, 10) for share in (0.0, 0.01, 0.5, 1.0)] == ["", "▏", "█" * 5, "█" * 10]


def test_a_count_agrees_with_its_noun() -> None:
    """Thousands apart; irregular plurals are given."""
    assert [plural(1, "item"), plural(1200, "item"), plural(2, "person", "people")] == [
        "1 item",
        "1,200 items",
        "2 people",
    ]


def test_a_figure_below_one_has_no_leading_zero_and_an_unknown_one_is_a_dash() -> None:
    """The sign stays."""
    assert [figure(value) for value in (0.64, -0.05, 1.5, 0.0, None)] == [".64", "-.05", "1.50", ".00", "-"]
    assert figure(0.05, "+.2f") == "+.05"


def test_only_what_repeats_from_the_left_is_left_out() -> None:
    """The same kind under another task is told again."""
    rows = [("a", "x", "1"), ("a", "x", "2"), ("b", "x", "3")]
    assert without_repeats(rows, 2) == [("a", "x", "1"), ("", "", "2"), ("b", "x", "3")]


def test_a_table_shows_names_as_they_are() -> None:
    """Brackets in a name are no markup, and a long name folds where a figure may not."""
    from rich.console import Console

    screen = Console(width=20, record=True, file=io.StringIO())
    screen.print(table(("task", "n"), [("[bold]" + "x" * 30, "1,234")]))
    text = screen.export_text()
    assert "[bold]" in text
    assert "1,234" in text
    assert text.count("x") == 30
