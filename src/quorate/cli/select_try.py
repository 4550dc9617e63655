"""`quorate select try`: active learning played through on known labels, beside random order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.arguments import AsJson, Bad, Folder, OnBad
from quorate.cli.select_where import By, Embeddings, Lie, Show, tasks_of
from quorate.cli.source import opened, size
from quorate.cli.terminal import console, count, notes, percent, plural, print_json, table
from quorate.errors import SettingError
from quorate.select.names import RANDOM

if TYPE_CHECKING:
    from quorate.data.encode import Coded

DEFAULT_TRIED = Path("select")


def trial(
    folder: Folder,
    strategy: Annotated[
        list[str] | None, typer.Option(help="A strategy to play through; may be given often.", show_default="hybrid")
    ] = None,
    task: Annotated[str | None, typer.Option(help="The task, where there are several.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Labels per round.")] = 20,
    most: Annotated[int | None, typer.Option(min=2, help="Labels in all.", show_default="half of the pool")] = None,
    target: Annotated[
        float | None, typer.Option(min=0, max=1, help="Stop at this share of right answers on the tested items.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions, each with its own split and first batch.")] = 5,
    show: Show = "",
    embeddings: Embeddings = None,
    embedder: By = None,
    out: Annotated[Path, typer.Option(help="A folder for the runs and the picture; runs that are there are kept.")] = (
        DEFAULT_TRIED
    ),
    on_bad: Bad = OnBad.RAISE,
    *,
    as_json: AsJson = False,
) -> None:
    """Play active learning through on items whose labels are known, beside random order; draw it.

    A third of the items is measured on; a logistic regression on the embeddings learns. Runs that were cut short go on.
    Example: quorate select try labeled --strategy hybrid --strategy badge
    """
    from quorate.cli.select_played import curves_of, drawn, known, n_tested
    from quorate.select.loop import Loop, mean_curve, saving

    data = opened(folder, on_bad)
    coded = data.encode()
    at = _one_task(coded, task)
    rows, codes = known(folder, coded, at, Lie(show, embeddings, embedder, out))
    names = list(dict.fromkeys(strategy or ["hybrid"]))
    n_pool = len(codes) - n_tested(codes)
    loop = Loop(batch, batch, min(most or n_pool // 2, n_pool), target)
    curves = curves_of(rows, codes, len(coded.schema.tasks[at].classes), [RANDOM, *names], loop, seeds, out)
    png = drawn(curves, out)
    found = {name: saving(curves[name], curves[RANDOM], target=target) for name in names}
    if as_json:
        print_json({
            "data": size(coded)._asdict(), "task": coded.schema.tasks[at].name, "tested": n_tested(codes),
            "curves": {name: [each._asdict() for each in mean_curve(of)] for name, of in curves.items()},
            "labels_needed": {name: each and each._asdict() for name, each in found.items()}, "picture": png,
        })  # fmt: skip
        return
    screen = console()
    screen.print(f"{size(coded).line()}\n")
    shown = []
    for name, of in curves.items():
        mean, need = mean_curve(of), found.get(name)
        low = "-" if need is None else f"{percent(need.estimate)} ({percent(need.low)} to {percent(need.high)})"
        labels = round(sum(each[-1].labels for each in of) / len(of))
        shown.append((name, count(labels), percent(mean[-1].accuracy), low))
    screen.print(table(("strategy", "labels", "right", "labels needed, of random's"), shown))
    said = [f"Measured on {plural(n_tested(codes), 'item')} that were never chosen, {plural(seeds, 'repetition')}.",
            _needed(target)]  # fmt: skip
    screen.print()
    screen.print(notes(said))
    if png:
        screen.print(f"\ndrawn in {png}", markup=False, soft_wrap=True)


def _needed(target: float | None) -> str:
    if target is None:
        return "Labels needed for what random order reaches in the end; 100% also where that is not reached."
    return f"Labels needed for {percent(target)} right; all that there were, where that is not reached."


def _one_task(coded: Coded, task: str | None) -> int:
    found = tasks_of(coded, None if task is None else [task])
    if len(found) > 1:
        raise SettingError(f"name one task with --task: {', '.join(each.name for each in coded.schema.tasks)}")
    return found[0]
