"""`quorate agreement`: how far people agree with each other, and models with people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from quorate.cli.arguments import AsJson, Bad, Folder, OnBad
from quorate.cli.source import opened, size
from quorate.cli.terminal import console, figure, legend, progress, table, without_repeats

if TYPE_CHECKING:
    from quorate.measure.agreement import AgreementReport, Figure, Measure

READING = (
    ("alpha", "Krippendorff's; on ordered tasks its ordinal form"),
    ("AC1", "Gwet's"),
    ("kappa", "Fleiss'; of a model: with people. All are 1 for full agreement, 0 for what chance alone gives"),
    ("than people", "how much more often a model agrees with a person than two people with each other"),
)


def agreement(
    folder: Folder,
    resamples: Annotated[int, typer.Option(min=2, help="Bootstrap resamples behind the 95 % intervals.")] = 1_000,
    seed: Annotated[int, typer.Option(min=0, help="Decides the resamples.")] = 0,
    on_bad: Bad = OnBad.RAISE,
    *,
    as_json: AsJson = False,
) -> None:
    """Agreement above chance, with intervals: people with people, and models with people."""
    from quorate.measure.agreement import agreement as measured

    data = opened(folder, on_bad)
    with progress("resampling"):
        found = measured(data, resamples=resamples, seed=seed)
    if as_json:
        typer.echo(found.to_json(), nl=False)
        return
    coded = data.encode()
    screen = console()
    screen.print(f"{size(coded).line()}\n")
    screen.print(table(_PEOPLE, [_people_row(found, task.name, ordered=task.ordered) for task in coded.schema.tasks]))
    rows = [_model_row(found, task.name, model) for task in coded.schema.tasks for model in coded.models]
    rows = [row for row in rows if row]
    if rows:
        screen.print()
        screen.print(table(_MODELS, without_repeats(rows, 1), text_columns=2))
    screen.print()
    screen.print(legend(READING, style="dim"))


_PEOPLE = ("task", "items", "agree", "alpha (95%)", "reads as", "AC1", "kappa")
_MODELS = ("task", "model", "items", "agrees", "kappa", "than people")


def _people_row(found: AgreementReport, task: str, *, ordered: bool) -> tuple[str, ...]:
    alpha = _figure(found, "krippendorff_alpha_ordinal" if ordered else "krippendorff_alpha", task) or _figure(
        found, "krippendorff_alpha", task
    )
    others = [_short(_figure(found, measure, task)) for measure in ("gwet_ac1", "fleiss_kappa")]
    agree = _figure(found, "agreement", task)
    n_items = f"{agree.n_items:,}" if agree else "0"
    return (task, n_items, _short(agree), _interval(alpha), (alpha and alpha.band) or "-", *others)


def _model_row(found: AgreementReport, task: str, model: str) -> tuple[str, ...] | None:
    agree = _figure(found, "agreement", task, model)
    if agree is None or agree.estimate is None:
        return None
    kappa, gap = (_figure(found, name, task, model) for name in ("pooled_kappa", "agreement_minus_people"))
    return (task, model, f"{agree.n_items:,}", _interval(agree), _short(kappa), _interval(gap, signed=True))


def _figure(found: AgreementReport, measure: Measure, task: str, first: str = "people") -> Figure | None:
    wanted = (task, first, "people", measure)
    return next((figure for figure in found.figures if figure[:4] == wanted), None)


def _short(of: Figure | None) -> str:
    return figure(of and of.estimate)


def _interval(of: Figure | None, *, signed: bool = False) -> str:
    if of is None or of.estimate is None or of.low is None or of.high is None:
        return "-"
    value, low, high = (figure(part, "+.2f" if signed else ".2f") for part in of[4:7])
    return f"{value} ({low} to {high})"
