"""What every verb shares with its terminal: exit codes, progress, tables and machine-readable output.

Exit codes: 0 done; 2 bad usage or bad input (the message on stderr says how to mend it); 3 no policy keeps to what was
asked (`quorate policy`); 130 interrupted; 1 anything
unexpected, with its traceback.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec

import typer

from quorate.errors import QuorateError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

P = ParamSpec("P")
Progress = Callable[[float, str], None]
BAD_INPUT, INTERRUPTED = 2, 130
BAR_WIDTH = 30


def verb(function: Callable[P, None]) -> Callable[P, None]:
    """The same function, with its errors told on stderr and turned into exit codes."""

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except (QuorateError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise  # the reader of our output went away: no message can reach it
            tell(f"quorate: {error}", style="bold red")
            raise typer.Exit(BAD_INPUT) from None
        except KeyboardInterrupt:
            tell("quorate: interrupted; nothing half written was left behind")
            raise typer.Exit(INTERRUPTED) from None

    return guarded


def tell(message: str, *, style: str = "") -> None:
    """Write one message for the user to stderr."""
    console(stderr=True).print(message, style=style or None, markup=False, highlight=False, soft_wrap=True)


def console(*, stderr: bool = False) -> Console:
    """The terminal, or what stands in for it; plain text where it is a file or a pipe."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def print_json(value: Mapping[str, Any]) -> None:
    """Write one JSON document to stdout. Raises ValueError for NaN: an unknown figure is null."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


@contextmanager
def progress(title: str) -> Generator[Progress]:
    """A bar on stderr while the block runs: call it with the share done and what is done now. Silent off a terminal."""
    screen = console(stderr=True)
    if not screen.is_terminal:
        yield lambda _share, _what: None
        return
    from rich import progress as rich_progress

    columns = (rich_progress.TextColumn("{task.description}"), rich_progress.BarColumn(BAR_WIDTH))
    with rich_progress.Progress(*columns, rich_progress.TimeElapsedColumn(), console=screen, transient=True) as bar:
        row = bar.add_task(title, total=1.0)
        yield lambda share, what: bar.update(row, completed=share, description=f"{title}: {what}")


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: int = 1) -> Table:
    """A quiet table: the first columns are text and may fold, the others are figures and may not."""
    from rich import box
    from rich.table import Table

    result = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    for place, heading in enumerate(headings):
        if place < text_columns:
            result.add_column(heading, overflow="fold")
        else:
            result.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        result.add_row(*(escape(cell) for cell in row))
    return result


def notes(sentences: Sequence[str]) -> Table:
    """Sentences, each with a dash before it."""
    return legend([("-", sentence) for sentence in sentences])


def legend(entries: Sequence[tuple[str, str]], *, style: str = "") -> Table:
    """Words and what they mean."""
    from rich.table import Table

    result = Table.grid(padding=(0, 1, 0, 0))
    result.add_column(no_wrap=True, style=style)
    result.add_column(style=style)
    for word, meaning in entries:
        result.add_row(escape(word), escape(meaning))
    return result


def escape(text: str) -> str:
    """Text whose brackets are no markup."""
    from rich.markup import escape as escaped

    return escaped(text)


def without_repeats(rows: Sequence[tuple[str, ...]], columns: int) -> list[tuple[str, ...]]:
    """The same rows, with the first columns left empty where they are as in the row before."""
    before: list[tuple[str, ...]] = [(), *rows[:-1]]
    return [
        tuple(
            "" if place < columns and row[: place + 1] == last[: place + 1] else cell for place, cell in enumerate(row)
        )
        for row, last in zip(rows, before, strict=True)
    ]


def bar(share: float, width: int = BAR_WIDTH) -> str:
    """A horizontal bar, `width` characters at share 1."""
    return "█" * round(share * width) or ("▏" if share > 0 else "")


def count(n: int) -> str:
    """A number with its thousands set apart: 12,345."""
    return f"{n:,}"


def plural(n: int, noun: str, plural_noun: str = "") -> str:
    """A count and its noun: 1 item, 1,234 items."""
    return f"{n:,} {noun if n == 1 else plural_noun or noun + 's'}"


def percent(share: float) -> str:
    """A share as a percentage with one decimal: 12.3%."""
    return f"{share:.1%}"


def figure(value: float | None, form: str = ".2f") -> str:
    """A figure below one without its leading zero: .64, -.01; a dash where it is unknown."""
    return "-" if value is None else f"{value:{form}}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:{form}}"
