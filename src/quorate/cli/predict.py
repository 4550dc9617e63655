"""`quorate predict`: the consensus on a folder, with its confidence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.arguments import AsJson, Bad, Estimator, Folder, ModelFile, OnBad
from quorate.cli.fit import fit_line, learned
from quorate.cli.source import loaded_or_fitted, opened, size
from quorate.cli.terminal import bar, console, count, notes, percent, print_json, table
from quorate.errors import SettingError

if TYPE_CHECKING:
    from rich.console import Console

    from quorate.cli.summary import Summary
    from quorate.consensus.posterior import Consensus

DEFAULT_OUT = Path("consensus.parquet")
ENDINGS = (".parquet", ".csv", ".jsonl")


def predict(
    folder: Folder,
    model: ModelFile = None,
    estimator: Estimator = "hybrid",
    target: Annotated[
        str | None, typer.Option(help="What to predict: panel:5 (the majority of 5 people), gold or latent.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the consensus goes: .parquet, .csv or .jsonl.")] = DEFAULT_OUT,
    on_bad: Bad = OnBad.RAISE,
    *,
    as_json: AsJson = False,
) -> None:
    """Write the consensus on a folder: for every item and task a label and its probability."""
    from quorate.cli.summary import in_words, summarised
    from quorate.data.write import write_table

    _check_name(out)
    data = opened(folder, on_bad)
    used = loaded_or_fitted(data, model, estimator)
    consensus = aimed(used.predict(data), target)
    write_table(consensus.table(), out)
    counts, told = size(data.encode()), summarised(consensus)
    if as_json:
        print_json({**learned(used), "data": counts._asdict(), **_as_json(told), "out": str(out)})
        return
    screen = console()
    screen.print(counts.line())
    screen.print(f"[bold]{used.name}[/bold] {fit_line(used)}. It predicts {in_words(consensus)}.")
    screen.print(notes(list(dict.fromkeys((*used.fit.notes, *consensus.notes)))))
    show(screen, told)
    screen.print(f"\nconsensus written to {out}", markup=False)


def _check_name(out: Path) -> None:
    """A wrong name is told before the work, not after it."""
    if out.suffix.lower() not in ENDINGS:
        raise SettingError(f"cannot write {out.name!r}: the name must end in {', '.join(ENDINGS)}")


def aimed(consensus: Consensus, target: str | None) -> Consensus:
    """The consensus for the target named; as it is where none is. Raises SettingError for an unknown name."""
    kind, _, n = (target or "").partition(":")
    if kind == "panel" and n.isdecimal():
        return consensus.panel(int(n))
    if target == "gold":
        return consensus.gold()
    if target == "latent":
        return consensus.latent()
    if target is None:
        return consensus
    raise SettingError(f"there is no target {target!r}: use panel:N (as panel:5), gold or latent")


def _as_json(told: Summary) -> dict[str, Any]:
    return {
        "tasks": {name: task._asdict() for name, task in told.tasks.items()},
        "confidence": [step._asdict() for step in told.histogram],
        "all_tasks_right": told.all_tasks_right,
    }


def show(screen: Console, told: Summary) -> None:
    """One line per task, then how the confidence spreads."""
    rows = [
        (
            name,
            count(task.answers),
            f"{task.labels_per_item:.1f}",
            "-" if task.expected_accuracy is None else percent(task.expected_accuracy),
            percent(task.sure / task.answers) if task.answers else "-",
            count(task.answers - task.sure),
        )
        for name, task in told.tasks.items()
    ]
    headings = ("task", "answers", "labels each", "expected right", "sure (.9)", "not yet sure")
    screen.print()
    screen.print(table(headings, rows))
    unheard = sum(task.unheard for task in told.tasks.values())
    if unheard:
        screen.print(f"\nAbout {count(unheard)} more answers nobody spoke; those in the file are guesses.")
    screen.print("\nHow sure the answers are\n")
    seen = [step.answers > 0 for step in told.histogram]
    first = seen.index(True) if any(seen) else 0
    most = max((step.answers for step in told.histogram), default=0) or 1
    for step in told.histogram[first:]:
        screen.print(f"  {step.low:4.2f} to {step.high:4.2f}  {count(step.answers):>9}  {bar(step.answers / most)}")
