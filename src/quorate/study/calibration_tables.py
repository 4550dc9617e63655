"""Tables of the study of calibration, in the form of the source's where it has one [hovsepian2024]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float64

from quorate.measure.intervals import Interval
from quorate.study.calibration_figures import Summary, against_even, effect, mean_raw, off_by
from quorate.study.calibration_runs import GRID, RIVALS, SCALINGS, SHOTS, STRATEGIES, Run
from quorate.study.calibration_words import PRIOR_SAID, percent, signed
from quorate.study.runs import Part
from quorate.study.section import Table, best, figure

Array = np.ndarray
SHORT = {"uniform": "U", "stratified": "SE", "importance": "IE", "vector": "SV", "temperature": "ST"}
STATISTICS = ("mean", "std", "median", "IQR", "upper quartile")


def table_5(found: Mapping[Run, Summary], prior: str) -> Table:
    """The source's Table 5."""
    rows = [run for run in sorted(GRID, key=_place) if run.prior == prior]
    texts = tuple(
        (str(run.shots), SHORT[run.selection], SHORT[run.method], *map(figure, found[run][:5])) for run in rows
    )
    bold = [
        (next(at for at, run in enumerate(rows) if run.shots == shots) + place, 3 + column)
        for shots in SHOTS
        for column in range(5)
        for place in best([found[run][column] for run in rows if run.shots == shots], most=False)
    ]
    title = f"ACE over models by labels, selection and scaling (Table 5), {PRIOR_SAID[prior]}"
    return Table(title, ("labels", "selection", "scaling", *STATISTICS), texts, tuple(bold))


def _place(run: Run) -> tuple[int, int, int]:
    return SHOTS.index(run.shots), STRATEGIES.index(run.selection), SCALINGS.index(run.method)


def effects(parts: Sequence[Part], found: Mapping[Run, Summary]) -> Table:
    """What each way does where it is needed and where it is not, and what the selection adds."""
    rows = [run for run in sorted(GRID, key=_place) if run.prior != "none"]
    texts = tuple(
        (
            f"{run.shots} {SHORT[run.selection]} {SHORT[run.method]}, {run.prior}",
            percent(found[run].cut),
            signed(found[run].rise),
            _interval(None if run.selection == "uniform" else against_even(parts, run)),
            figure(found[run].log_loss),
        )
        for run in rows
    )
    headings = (
        "labels, selection, scaling, prior",
        "ACE gone, miscalibrated",
        "ACE added, others",
        "ACE less even selection",
        "log loss, nats",
    )
    return Table("What it does to miscalibrated models and to the others", headings, texts)


def _interval(of: Interval | None) -> str:
    return "–" if of is None else f"{signed(of.estimate, 4)} ({signed(of.low, 4)} to {signed(of.high, 4)})"


def rivals(parts: Sequence[Part], found: Mapping[Run, Summary]) -> Table:
    """Every method with even selection."""
    names = [(method, "identity") for method in (*SCALINGS, *RIVALS)]
    raw = figure(mean_raw(parts))
    texts = [("raw", *[raw] * len(SHOTS), figure(mean_raw(parts, "log_loss")))]
    for method, prior in names:
        of = [found[Run(shots, "uniform", method, prior)] for shots in SHOTS]
        texts.append((method, *(figure(each.mean) for each in of), figure(of[-1].log_loss)))
    headings = ("method", *(f"{shots} labels" for shots in SHOTS), f"log loss, {max(SHOTS)}, nats")
    return Table("Mean ACE of all methods, even selection, default prior", headings, tuple(texts))


def out_of_task(parts: Sequence[Part]) -> Table:
    """The source's Table 1."""
    raw = np.array([part["raw"]["ace"] for part in parts])
    of = {name: np.array([part["transferred"][name]["ace"] for part in parts]) for name in parts[0]["transferred"]}
    rows = tuple(_transferred(name, ace, raw, off_by(parts)) for name, ace in ({"raw": raw} | of).items())
    headings = ("fitted on", "mean", "std", "median", "IQR", "ACE gone, miscalibrated", "ACE added, others")
    return Table("No label of its own (Table 1)", headings, rows)


def _transferred(
    name: str, ace: Float64[Array, "cases"], raw: Float64[Array, "cases"], off: Bool[Array, "cases"]
) -> tuple[str, ...]:
    low, middle, high = np.quantile(ace, [0.25, 0.5, 0.75])
    cut, rise = effect(ace[:, None], raw[:, None], off)
    figures = [figure(float(value)) for value in (ace.mean(), ace.std(), middle, high - low)]
    return (name.replace("/", " others, "), *figures, percent(cut), signed(rise))


def of_cases(parts: Sequence[Part], run: Run) -> Table:
    """Every model before and after the best way in hindsight."""
    plain = run._replace(prior="identity", selection="uniform")
    order = sorted(parts, key=lambda part: -part["raw"]["ace"])
    several = len({part["task"] for part in parts}) > 1
    texts = tuple(
        (
            f"{part['task']}, {part['model']}" if several else part["model"],
            figure(part["accuracy"]),
            figure(part["confidence"]),
            figure(part["raw"]["ace"]),
            *(figure(float(np.mean(part["runs"][each.key]["ace"]))) for each in (run, plain)),
            figure(part["chance"]),
        )
        for part in order
    )
    headings = (
        "model",
        "accuracy",
        "confidence",
        "ACE, raw",
        f"{SHORT[run.selection]} {SHORT[run.method]}, {run.prior}",
        f"U {SHORT[run.method]}, identity",
        "by chance",
    )
    return Table(f"ACE model by model, {run.shots} labels", headings, texts)
