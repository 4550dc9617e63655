"""What `quorate label` says at its end, and before it begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorate.cli.terminal import console, count, figure, notes, plural, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quorate.data.dataset import Dataset
    from quorate.llm.annotate import Annotated, Forecast
    from quorate.llm.calls import Job
    from quorate.llm.canary import Turned
    from quorate.llm.ledger import Ledger

LOW_COVER = 0.8  # of a model's probability on the names of classes; below it, the model wants to say something else
SHOWN = 3


def as_figures(done: Annotated) -> dict[str, Any]:
    """How it went, for programs."""
    from quorate.llm.labeled import failure_counts, record

    return {
        **record(done),
        "labels": {name: int(done.tally.labeled_by(model).sum()) for model, name in enumerate(done.job.models)},
        "failed": failure_counts(done.failures),
        "stopped": done.stopped,
    }


def show(done: Annotated, found: Sequence[Turned], data: Dataset, out: Path) -> None:
    """How it went, model by model, what is missing, and what to do next."""
    job = done.job
    screen = console()
    sizes = (plural(len(job.items), "item"), plural(len(job.rubric.questions), "task"), plural(done.n_calls, "call"))
    screen.print(", ".join(sizes) + "\n")
    rows = [(name, *_row(done, model)) for model, name in enumerate(job.models)]
    screen.print(table(("model", "labels", "with scores", "mean confidence", "cost"), rows))
    screen.print()
    screen.print(notes([*_remarks(done), *map(_turned_line, found)]))
    if nothing_said(done):
        screen.print(f"\nno answer at all; what was asked is in {out}", markup=False, soft_wrap=True)
        return
    after = f"quorate fit {out}" if data.labels is None else f"quorate report {out}"
    screen.print(f"\nwritten to {out}; go on with: {after}", markup=False, soft_wrap=True)


def nothing_said(done: Annotated) -> bool:
    """Whether no model gave a single label."""
    return not any(done.tally.labeled_by(model).any() for model in range(len(done.job.models)))


def _row(done: Annotated, model: int) -> tuple[str, ...]:
    cells = [done.tally.cells[model, task] for task in range(len(done.job.rubric.questions))]
    sure = [p for each in cells for p in each.probs[each.scored].max(axis=1).tolist()]
    return (
        count(sum(int(each.labeled.sum()) for each in cells)),
        count(len(sure)),
        figure(sum(sure) / len(sure) if sure else None),
        f"${sum(float(each.cost_usd.sum()) for each in cells):.4f}",
    )


def _turned_line(each: Turned) -> str:
    low, high = f"{each.rate.low:.0%}", f"{each.rate.high:.0%}"
    shown = f"{each.turned} of {each.answered} instructions hidden in items ({low} to {high})"
    return f"{each.model} obeyed {shown}."


def _remarks(done: Annotated) -> list[str]:
    from quorate.llm.labeled import FAILURES, TRACES, failure_counts, previews
    from quorate.llm.tally import NO_LOGPROBS

    lost = f", and at most ${done.lost_usd:.4f} for calls that broke off" if done.lost_usd else ""
    remarks = [f"${done.spent_usd:.4f} spent by all runs with this journal{lost}."]
    if done.stopped or (done.failures and nothing_said(done)):
        how = "Stopped before its end" if done.stopped else "Not one answer came"
        remarks.append(f"{how}: mend what the first failure says, and run the same command again.")
    if done.failures:
        kinds = ", ".join(f"{n:,} {kind}" for kind, n in failure_counts(done.failures).items())
        remarks.append(f"{plural(len(done.failures), 'answer')} missing or in part ({kinds}): see {FAILURES}.")
        remarks += [f"{line}" for line in previews(done, SHOWN)]
    if any(failed.kind == NO_LOGPROBS for failed in done.failures):
        remarks.append(
            "A server that gives no log probabilities: take --confidence consistency, verbalised or verifier."
        )
    n_lookups = len(done.tally.lookups())
    if n_lookups:
        remarks.append(f"{plural(n_lookups, 'look-up')} before answers: see {TRACES}.")
    for name, covered in done.tally.covered().items():
        if covered < LOW_COVER:
            remarks.append(f"{name} puts {covered:.0%} of its probability on the labels: it wants to answer otherwise.")
    return remarks


def show_forecast(job: Job, found: Sequence[Forecast], ledger: Ledger) -> None:
    """How many calls, at what price."""
    screen = console()
    screen.print(f"{plural(len(job.items), 'item')}, {plural(len(job.rubric.questions), 'task')}\n")
    rows = [_forecast_row(each.model, [each]) for each in found]
    rows.append(_forecast_row("all", found))
    screen.print(table(("model", "calls", "known", "likely", "at most"), rows))
    left = ledger.left_usd
    spent = f"${ledger.spent_usd:.4f} spent so far" + ("" if left is None else f", ${left:.4f} left under the cap")
    screen.print(f"\nNothing was asked. {spent}.", markup=False)


def _forecast_row(name: str, found: Sequence[Forecast]) -> tuple[str, ...]:
    calls, known = sum(each.calls for each in found), sum(each.known for each in found)
    likely, most = sum(each.likely_usd for each in found), sum(each.most_usd for each in found)
    return name, count(calls), count(known), f"${likely:.4f}", f"${most:.4f}"
