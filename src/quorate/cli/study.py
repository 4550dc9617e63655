"""`quorate study`: the paper's theorem, figures and table, repeated."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.arguments import AsJson
from quorate.cli.terminal import console, notes, print_json, progress, table
from quorate.errors import SettingError

if TYPE_CHECKING:
    from quorate.study.plan import Plan
    from quorate.study.section import Section, Table


class Kind(StrEnum):
    """Parts of the study."""

    THEOREM = "theorem"
    EFFICIENCY = "efficiency"
    TASKS = "tasks"
    POLICIES = "policies"
    RECORDED = "recorded"
    CALIBRATION = "calibration"
    ACT = "act"


def study(
    kind: Annotated[
        Kind, typer.Argument(help="Which part: Table 2 and Figure 3, Figures 4, 5 and 6, Table 5; or calibration, act.")
    ],
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FOLDER]",
            help="For `recorded` and `act`: a folder of dataset folders; for `calibration`: one dataset folder.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where page, figures and finished parts are kept.")] = Path("quorate-study"),
    seeds: Annotated[int | None, typer.Option(min=1, help="How many simulated worlds, or label orders.")] = None,
    items: Annotated[int | None, typer.Option(min=4, help="Items of a simulated world.")] = None,
    estimators: Annotated[
        str, typer.Option(help="Names with commas between; default: the paper's five and hybrid.")
    ] = "",
    *,
    quick: Annotated[bool, typer.Option("--quick", help="About three minutes: fewer items, seeds and sets.")] = False,
    as_json: AsJson = False,
) -> None:
    """Repeat the paper's study; parts that are finished are kept, so it can be cut short and started again."""
    from quorate.study.page import kept
    from quorate.study.plan import STUDIED, Plan, need_report

    need_report()
    names = tuple(name.strip() for name in estimators.split(",") if name.strip()) or STUDIED
    with progress(f"study of {kind.value}") as step:
        plan = Plan(out=out, quick=quick, seeds=seeds, items=items, estimators=names, progress=step)
        section = _run(kind, plan, folder)
        page = kept(out, section, quick=quick)
    if as_json:
        print_json({**section.data, "found": list(section.found), "failed": dict(section.failed), "page": str(page)})
    else:
        show(section, page)


def _run(kind: Kind, plan: Plan, folder: Path | None) -> Section:
    """The part that was asked for; each is imported only where it is."""
    from importlib import import_module

    if (folder is not None) != (kind in FOLDERS):
        words = f"needs FOLDER, {FOLDERS[kind]}" if kind in FOLDERS else "takes no FOLDER"
        raise SettingError(f"quorate study {kind.value} {words}")
    part = getattr(import_module(f"quorate.study.{kind.value}"), kind.value)
    return part(plan) if folder is None else part(plan, folder)


def show(section: Section, page: Path) -> None:
    """What was found, and the first table."""
    screen = console()
    screen.print(section.title, style="bold")
    screen.print(notes(section.found))
    for first in section.tables[:1]:
        screen.print()
        shown = len(first.headings) if _width(first) <= TERMINAL else COLUMNS
        screen.print(table(first.headings[:shown], [row[:shown] for row in first.rows]))
    if section.failed:
        screen.print()
        screen.print(notes([f"{name} was left out: {why}" for name, why in section.failed.items()]))
    screen.print(f"\nwritten to {page}", markup=False, soft_wrap=True)


def _width(of: Table) -> int:
    """Characters across: the widest cell of every column, and a space between."""
    return sum(max(map(len, column)) + 1 for column in zip(of.headings, *of.rows, strict=True))


TERMINAL, COLUMNS = 80, 4  # columns of the first table where not all fit a terminal; the page has all
FOLDERS = {
    Kind.RECORDED: "a folder of dataset folders",
    Kind.CALIBRATION: "a dataset folder with scores and gold",
    Kind.ACT: "a dataset folder with two models or more and gold, or a folder of such folders",
}
