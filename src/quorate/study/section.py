"""What a study has to say: sentences, tables and figures, as JSON keeps them and the page shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from quorate.measure.efficiency import Estimate


class Table(NamedTuple):
    """Texts in rows; the first columns are words, the others figures; bold: places (row, column)."""

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bold: tuple[tuple[int, int], ...] = ()


class Drawing(NamedTuple):
    """A figure: its name, what it shows in one sentence, and the picture."""

    name: str
    shows: str
    png: bytes


@dataclass(frozen=True)
class Section:
    """One study as a part of the page, with its figures for programs in `data`."""

    kind: str
    title: str
    asks: str  # what is asked, and on what
    found: tuple[str, ...]  # computed sentences, the most important first
    tables: tuple[Table, ...]
    drawings: tuple[Drawing, ...]
    data: Mapping[str, Any]
    failed: Mapping[str, str] = field(default_factory=dict[str, str])  # what was left out, and why
    remarks: tuple[str, ...] = ()  # how to read it


def figure(value: float | None, digits: int = 3) -> str:
    """A figure below one without its leading zero: .892; a dash where it is unknown.

    >>> figure(0.8916), figure(-0.25, 2), figure(None)
    ('.892', '−.25', '–')
    """
    if value is None:
        return "–"
    text = f"{abs(value):.{digits}f}"
    return ("−" if value < 0 else "") + (text[1:] if text.startswith("0.") else text)


def with_error(estimate: Estimate | None, digits: int = 3) -> str:
    """A figure and its standard error.

    >>> with_error(Estimate(0.8916, 0.0021))
    '.892 ± .002'
    """
    if estimate is None:
        return "–"
    return figure(estimate.value, digits) + ("" if estimate.se is None else f" ± {figure(estimate.se, digits)}")


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: a, b and c.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def best(values: Sequence[float | None], *, most: bool) -> list[int]:
    """The places of the best figures; ties all count.

    >>> best([0.5, None, 0.7], most=True)
    [2]
    """
    known = [value for value in values if value is not None]
    if not known:
        return []
    aim = max(known) if most else min(known)
    return [place for place, value in enumerate(values) if value == aim]
