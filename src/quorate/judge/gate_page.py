"""The gate report: decisions as JSON, and as one page that opens offline, asks nobody for anything and can be filed.

Whatever comes from the data is hostile: the template escapes it, and a policy in the page lets no script run and no
request leave.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from quorate.data.write import whole
from quorate.errors import FormatError, MissingExtraError
from quorate.judge.figures import Measured
from quorate.judge.gate import Decision, Shown
from quorate.report.page import plain

PAGE, FILE, TEMPLATE = "gate.html", "gate.json", "gate.html.jinja"
WIDTH = 420  # of a strip, in pixels
FIGURES = {
    "mse": "squared error",
    "mae": "absolute error",
    "kappa": "kappa",
    "agreement": "agreement",
    "bias": "bias",
}


class Strip(NamedTuple):
    """Where need, bound and estimate lie on a strip, in pixels from its left; better is right."""

    need: float
    bound: float
    estimate: float | None


def write_gate_report(
    decisions: Decision | Sequence[Decision], folder: Path, about: Mapping[str, str] | None = None
) -> Path:
    """Write `gate.json` and `gate.html` into a folder, each whole or not at all; the path of the page.

    `about`: whose gate it is and when, for whoever files the page, in the order in which it is read.
    Raises MissingExtraError where jinja2 is not installed.
    """
    each = (decisions,) if isinstance(decisions, Decision) else tuple(decisions)
    page = gate_page(each, about or {})
    folder.mkdir(parents=True, exist_ok=True)
    with whole(folder / FILE) as part:
        held = [{"id": one.id, **plain(one.as_json())} for one in each]
        part.write_text(json.dumps({**(about or {}), "decisions": held}, indent=1, allow_nan=False) + "\n", "utf-8")
    with whole(folder / PAGE) as part:
        part.write_text(page, "utf-8")
    return folder / PAGE


def read_decisions(path: Path) -> tuple[Decision, ...]:
    """The decisions of a `gate.json`. Raises FormatError where it is none, or was altered after it was written."""
    mend = "decide again; a gate's file is not for editing"
    try:
        held: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["decisions"]
        found = [(one.pop("id"), Decision.from_json(one)) for one in held]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"no decisions of a gate ({error})", mend=mend, source=path.name) from error
    for name, decision in found:
        if decision.id != name:
            raise FormatError(f"decision {name} was altered after it was written", mend=mend, source=path.name)
    return tuple(decision for _, decision in found)


def gate_page(decisions: Sequence[Decision], about: Mapping[str, str]) -> str:
    """The page as HTML."""
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise MissingExtraError("jinja2", "report") from None
    rooms: Any = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    rooms.filters |= {"number": number, "strip": strip, "rows": table}
    rooms.globals |= {"names": FIGURES, "width": WIDTH}
    source = files("quorate.judge").joinpath(TEMPLATE).read_text("utf-8")
    return rooms.from_string(source).render(decisions=decisions, about=about)


def number(value: float | None) -> str:
    """A figure with three digits.

    >>> number(-0.12345), number(None)
    ('−0.123', '–')
    """
    return "–" if value is None else f"{value:.3f}".replace("-", "−")


def strip(of: Shown, decision: Decision) -> Strip | None:
    """The picture of one claim; None where nothing was found."""
    less_is_better = of.name == "figure" and decision.rule.figure in ("mse", "mae")
    found = [value for value in (of.need, of.bound, of.estimate) if value is not None]
    low, high = min(found), max(found)
    if of.estimate is None or not low < high:
        return None
    room = 0.08 * (high - low)
    low, high = low - room, high + room

    def place(value: float) -> float:
        share = (value - low) / (high - low)
        return round(WIDTH * (1 - share if less_is_better else share), 1)

    return Strip(place(of.need), place(of.bound), place(of.estimate))


def table(figures: Sequence[Measured]) -> list[tuple[str, str, str, int, Measured | None, Measured | None, str]]:
    """Rows: column and value of the items, figure, items, the judge, people among themselves, the constant."""
    rows: dict[tuple[str, str, str], dict[str, Measured]] = {}
    for each in figures:
        rows.setdefault((each.column or "", each.value or "", each.figure), {})[each.party] = each
    return [
        (
            *key,
            max(one.n_items for one in found.values()),
            found.get("judge"),
            found.get("people"),
            number(found["constant"].estimate if "constant" in found else None),
        )
        for key, found in rows.items()
    ]
