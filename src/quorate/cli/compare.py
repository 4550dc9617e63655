"""`quorate compare`: estimators side by side on your own data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.arguments import AsJson, Bad, Folder, OnBad
from quorate.cli.source import opened, size
from quorate.cli.terminal import console, count, figure, legend, notes, print_json, progress, table

if TYPE_CHECKING:
    from quorate.evaluate.compare import Comparison, Result
    from quorate.measure.efficiency import Estimate

HEADINGS = ("estimator", "hidden label", "from models", "0", "2", "all", "AUC", "whole", "fit")
READING = (
    ("hidden label", "log loss, in nats, of a person's label that was hidden, given all other labels; lower is better"),
    ("from models", "the same, given what the models say alone"),
    ("0, 2, all", "share of right answers after so many labels per item and task"),
    ("AUC", "area of accuracy over the share of labels saved, every task stopping by itself; higher is better"),
    ("whole", "the same, all tasks of an item stopping at once"),
)


def compare(
    folder: Folder,
    estimators: Annotated[
        str, typer.Option(help="Names with commas between; both majorities always stand in the table.")
    ] = "dawid-skene,hybrid",
    seed: Annotated[int, typer.Option(min=0, help="Decides folds and label order.")] = 0,
    on_bad: Bad = OnBad.RAISE,
    *,
    as_json: AsJson = False,
) -> None:
    """Judge estimators: fit on half the items, replay the other half label by label, and the reverse."""
    from quorate.evaluate.compare import compare as compared

    data = opened(folder, on_bad)
    names = [name.strip() for name in estimators.split(",") if name.strip()]
    with progress("comparing") as step:
        found = compared(data, names, seed=seed, progress=step)
    if as_json:
        print_json(found.figures())
        return
    screen = console()
    screen.print(f"{size(data.encode()).line()}; judged on {count(found.n_items)} items")
    screen.print()
    show(found)
    screen.print()
    screen.print(legend(READING, style="dim"))
    failed = [f"{name} could not work on this data: {why}" for name, why in found.failed.items()]
    if failed or found.notes:
        screen.print(notes([*failed, *found.notes]))


def show(found: Comparison) -> None:
    """One line per estimator."""
    console().print(table(HEADINGS, [(name, *_row(result)) for name, result in found.results.items()]))


def _row(result: Result) -> tuple[str, ...]:
    hidden = [
        _with_error(result.hidden[given].nll) if given in result.hidden else "-"
        for given in ("all_others", "evidence_only")
    ]
    steps = {step.labels: step.accuracy for step in result.truth}
    last = result.truth[-1].accuracy if result.truth else None
    aucs = [_figure(result.auc.get(rule)) for rule in ("per_task", "minimum")]
    return (*hidden, _figure(steps.get(0)), _figure(steps.get(2)), _figure(last), *aucs, f"{result.fit_s:.1f} s")


def _figure(estimate: Estimate | None) -> str:
    return figure(estimate and estimate.value, ".3f")


def _with_error(estimate: Estimate) -> str:
    return _figure(estimate) + ("" if estimate.se is None else f" ±{figure(estimate.se, '.3f')}")
