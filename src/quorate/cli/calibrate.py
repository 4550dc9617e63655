"""`quorate calibrate`: scores of models made to mean what they say."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.arguments import AsJson, Bad, Folder, OnBad
from quorate.cli.source import opened, size
from quorate.cli.terminal import console, count, figure, notes, print_json, progress, table, without_repeats
from quorate.errors import SettingError

if TYPE_CHECKING:
    import numpy as np

    from quorate.calibrate.kept import Entries
    from quorate.calibrate.per_model import Found, Judged
    from quorate.data.dataset import Dataset
    from quorate.data.encode import Coded
    from quorate.measure.intervals import Interval

CALIBRATORS = "calibrators.json"
SHOWN = ("ace", "ece", "log_loss")
ALL = ("ace", "ece", "classwise_ece", "smooth_ece", "brier", "log_loss", "accuracy")


class MethodName(StrEnum):
    """How scores are calibrated."""

    TEMPERATURE = "temperature"
    VECTOR = "vector"
    MATRIX = "matrix"
    PLATT = "platt"
    ISOTONIC = "isotonic"
    BETA = "beta"
    IDENTITY = "identity"


class TruthName(StrEnum):
    """Which answers count as true."""

    BEST = "best"
    GOLD = "gold"
    MAJORITY = "majority"


class SelectionName(StrEnum):
    """Which items are labeled."""

    UNIFORM = "uniform"
    STRATIFIED = "stratified"
    IMPORTANCE = "importance"


class TransferName(StrEnum):
    """What other tasks of the same model teach."""

    NONE = "none"
    PRIOR = "prior"
    ALL = "all"
    SIMILAR = "similar"


def calibrate(
    folder: Folder,
    method: Annotated[MethodName, typer.Option(help="How scores are calibrated.")] = MethodName.TEMPERATURE,
    truth: Annotated[
        TruthName, typer.Option(help="What counts as true: gold, people's majority, or best: gold where there is one.")
    ] = TruthName.BEST,
    shots: Annotated[
        int | None,
        typer.Option(min=1, help="Labeled items to fit on per model and task; the others judge. Default: five folds."),
    ] = None,
    selection: Annotated[
        SelectionName, typer.Option(help="Which items are those: evenly, or by surrogate error.")
    ] = SelectionName.UNIFORM,
    transfer: Annotated[
        TransferName,
        typer.Option(help="From the model's other tasks: a prior; or all that is learned, from all or similar ones."),
    ] = TransferName.NONE,
    calibrators: Annotated[
        Path | None, typer.Option(help="Apply calibrators of an earlier run; nothing is fitted or judged.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="A folder for the data with calibrated scores, or a .json file for calibrators alone.")
    ] = Path("calibrated"),
    seed: Annotated[int, typer.Option(min=0, help="Decides folds, selection and resamples.")] = 0,
    resamples: Annotated[int, typer.Option(min=2, help="Bootstrap resamples behind the 95 % intervals.")] = 1_000,
    on_bad: Bad = OnBad.RAISE,
    *,
    as_json: AsJson = False,
) -> None:
    """Calibrate the scores of every model on every task, and say what that was worth on items not fitted on."""
    from quorate.calibrate.kept import entries_of, from_file, to_json
    from quorate.calibrate.per_model import Options, calibrate_all, cases_of

    options = Options(method.value, shots, selection.value, transfer.value, resamples=resamples, seed=seed)
    data = opened(folder, on_bad)
    coded = data.encode()
    if data.scores is None:
        raise SettingError(f"{folder} has no table of scores to calibrate")
    if calibrators is not None:
        entries = from_file(calibrators)
        _write(data, coded, entries, out)
        _told({"applied": len(entries), "out": str(out)}, f"scores written to {out}", as_json=as_json)
        return
    with progress("calibrating") as step:
        found = calibrate_all(cases_of(coded, _truth(coded, truth)), options, progress=step)
    entries = entries_of(found, coded.schema)
    _write(data, coded, entries, out)
    if as_json:
        of = [_as_json(each) for each in found.judged]
        left = [{"task": task, "model": model, "why": why} for (task, model), why in found.failed.items()]
        print_json({"method": method.value, "truth": truth.value, "models": of, "left_out": left,
                    **to_json(entries), "out": str(out)})  # fmt: skip
        return
    console().print(f"{size(coded).line()}\n")
    show(found)
    console().print(f"\nwritten to {out}", markup=False, soft_wrap=True)


def _told(figures: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(figures)
    else:
        console().print(sentence, markup=False, soft_wrap=True)


def _truth(coded: Coded, truth: TruthName) -> np.ndarray:
    """The class that counts as true, by item and task; -1 where it is unknown."""
    from dataclasses import replace

    import numpy as np

    from quorate.evaluate.protocol import truth_of

    if truth is TruthName.GOLD:
        return coded.gold
    if truth is TruthName.MAJORITY:
        coded = replace(coded, gold=np.full_like(coded.gold, -1))
    return truth_of(coded).code.astype(np.int16)


def _write(data: Dataset, coded: Coded, entries: Entries, out: Path) -> None:
    """The calibrators alone, or the data with calibrated scores and the calibrators beside them."""
    from quorate.calibrate.kept import calibrated_scores, to_file
    from quorate.data.dataset import Dataset

    if out.suffix == ".json":
        to_file(entries, out)
        return
    scores = calibrated_scores(coded, entries)
    made = Dataset(data.labels, scores, data.model_labels, data.gold, data.items, data.schema)
    made.write(out)
    to_file(entries, out / CALIBRATORS)


def _as_json(each: Judged) -> dict[str, Any]:
    figures = {
        when: {name: getattr(of, name)._asdict() for name in ALL} | {"chance_ace": of.chance_ace}
        for when, of in (("before", each.before), ("after", each.after))
    }
    return {"task": each.case.task, "model": each.case.model, "fitted_on": each.n_fitted, "judged_on": each.n_judged,
            **figures, "gain_nats": each.gain_nats._asdict()}  # fmt: skip


def show(found: Found) -> None:
    """Before and after, model by model."""
    rows = [
        (each.case.task, each.case.model, count(each.n_judged), *(_change(each, name) for name in SHOWN))
        for each in sorted(found.judged, key=lambda each: (each.case.task, each.case.model))
    ]
    screen = console()
    screen.print(table(("task", "model", "items", "ACE", "ECE", "log loss"), without_repeats(rows, 1), text_columns=2))
    screen.print()
    screen.print(notes(_read(found)))


def _change(each: Judged, name: str) -> str:
    before, after = getattr(each.before, name), getattr(each.after, name)
    return f"{_brief(before)} > {_brief(after)}"


def _brief(of: Interval) -> str:
    return figure(of.estimate, ".3f")


def _read(found: Found) -> list[str]:
    better = sum(each.gain_nats.low > 0 for each in found.judged)
    worse = sum(each.gain_nats.high < 0 for each in found.judged)
    chance = sum(each.before.chance_ace for each in found.judged) / len(found.judged)
    log_loss = (
        f"Log loss falls beyond its error for {better} of {len(found.judged)}, and rises for {worse}; all figures are "
        "of items that the calibrator did not see, their intervals are in --json."
    )
    ace = (
        "ACE: distance of confidence and accuracy over ten bins of equal size. "
        f"A calibrated model shows about {figure(chance, '.3f')} by chance."
    )
    return [log_loss, ace, *(f"{task}, {model} was left out: {why}." for (task, model), why in found.failed.items())]
