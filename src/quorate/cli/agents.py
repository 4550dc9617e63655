"""`quorate agents`: who is reliable, and who errs together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.arguments import AsJson, Bad, Estimator, Folder, ModelFile, OnBad
from quorate.cli.source import loaded_or_fitted, opened, size
from quorate.cli.terminal import console, notes, print_json, table, without_repeats

if TYPE_CHECKING:
    from rich.console import Console

    from quorate.consensus.agents import Agents
    from quorate.consensus.reliability import AgentFigure

HEADINGS = ("task", "kind", "agent", "answers", "right", "95% interval", "blind", "")


def agents(
    folder: Folder,
    model: ModelFile = None,
    estimator: Estimator = "hybrid",
    on_bad: Bad = OnBad.RAISE,
    most: Annotated[int, typer.Option(min=1, help="Agents of one kind shown per task; --json has them all.")] = 6,
    *,
    as_json: AsJson = False,
) -> None:
    """How often every person and model is right, with intervals, and which of them err together."""
    from quorate.consensus.agents import agents_report

    data = opened(folder, on_bad)
    found = agents_report(loaded_or_fitted(data, model, estimator), data)
    if as_json:
        print_json(found.figures_json())
        return
    screen = console()
    screen.print(f"{size(data.encode()).line()}\n")
    show(screen, found, most)


def show(screen: Console, found: Agents, most: int) -> None:
    """The table, the least accurate people first, then what stands out."""
    rows: list[tuple[str, ...]] = []
    left_out = 0
    for task in dict.fromkeys(figure.task for figure in found.agents):
        for kind in ("annotator", "model"):
            group = [figure for figure in found.agents if (figure.task, figure.kind) == (task, kind)]
            group.sort(key=lambda figure: (not figure.flags, figure.accuracy is None, figure.accuracy))
            rows += [_row(figure) for figure in group[:most]]
            left_out += max(0, len(group) - most)
    screen.print(table(HEADINGS, without_repeats(rows, 2), text_columns=3))
    if left_out:
        screen.print(f"\n{left_out} more agents are left out; --most or --json shows them")
    screen.print()
    screen.print(notes(found.sentences()))


def _row(figure: AgentFigure) -> tuple[str, ...]:
    right = "-" if figure.accuracy is None else f"{figure.accuracy:.0%}"
    interval = "-" if figure.low is None else f"{figure.low:.0%} to {figure.high:.0%}"
    blind = "-" if figure.chance is None else f"{figure.chance:.0%}"
    who = (figure.task, figure.kind, figure.agent)
    return (*who, f"{figure.n:,}", right, interval, blind, ", ".join(figure.flags))
