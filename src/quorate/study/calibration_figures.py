"""Figures of the study of calibration, out of its parts: what is gone, what is added, who chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from quorate.measure.intervals import Interval, mean_interval
from quorate.study.calibration_runs import GRID, RIVAL_GRID, SHOTS, Run
from quorate.study.runs import Part

Array = np.ndarray
MISCALIBRATED = 0.05  # raw ACE above it
Cells = Float64[Array, "cases seeds"]


class Summary(NamedTuple):
    """Statistics over cases, each the mean over seeds; and what a way to calibrate does to either kind of case."""

    mean: float
    std: float
    median: float
    iqr: float
    upper: float
    cut: float | None  # share of the ACE of miscalibrated cases that is gone
    rise: float | None  # of the ACE of the other cases
    log_loss: float


def summaries(parts: Sequence[Part]) -> dict[Run, Summary]:
    """Every way to calibrate."""
    return {run: summary(parts, run) for run in (*GRID, *RIVAL_GRID)}


def cells(parts: Sequence[Part], run: Run, what: str) -> Cells:
    """One figure per case and seed."""
    return np.array([part["runs"][run.key][what] for part in parts])


def off_by(parts: Sequence[Part]) -> Bool[Array, "cases"]:
    """Which cases are miscalibrated as they come."""
    return np.array([part["raw"]["ace"] > MISCALIBRATED for part in parts])


def summary(parts: Sequence[Part], run: Run) -> Summary:
    """The row of a table."""
    ace, off = cells(parts, run, "ace"), off_by(parts)
    low, middle, high = np.quantile(ace, [0.25, 0.5, 0.75], axis=0)
    cut, rise = effect(ace, cells(parts, run, "raw_ace"), off)
    return Summary(
        mean=float(ace.mean()),
        std=float(ace.std(axis=0, ddof=1).mean()) if len(parts) > 1 else 0.0,
        median=float(middle.mean()),
        iqr=float((high - low).mean()),
        upper=float(high.mean()),
        cut=cut,
        rise=rise,
        log_loss=float(cells(parts, run, "log_loss").mean()),
    )


def effect(after: Cells, before: Cells, off: Bool[Array, "cases"]) -> tuple[float | None, float | None]:
    """The share of the error that is gone where it was large, and the rise of the mean where it was not."""
    cut = float(1 - after[off].mean() / before[off].mean()) if off.any() else None
    rise = float((after[~off] - before[~off]).mean()) if (~off).any() else None
    return cut, rise


def chosen_by_others(parts: Sequence[Part], options: Sequence[Run]) -> list[Run]:
    """For each case the way that is best on all other cases: nothing is chosen on what it is judged by."""
    mean = np.array([cells(parts, run, "ace").mean(axis=1) for run in options])  # options, cases
    others = mean.sum(axis=1, keepdims=True) - mean
    return [options[int(place)] for place in others.argmin(axis=0)]


def candidates(shots: int) -> list[Run]:
    """Vector and temperature scaling with this number of labels, all selections, with a prior."""
    return [run for run in GRID if run.shots == shots and run.prior != "none"]


def against_even(parts: Sequence[Part], run: Run) -> Interval | None:
    """ACE less that of even selection, all else alike: mean over cases, with its error over cases."""
    even = run._replace(selection="uniform")
    apart = (cells(parts, run, "ace") - cells(parts, even, "ace")).mean(axis=1)
    return mean_interval(apart) if len(apart) > 1 else None


def hindsight(found: Mapping[Run, Summary]) -> Run:
    """The way with the smallest mean, found by looking: a bound on what can be chosen."""
    return min(candidates(max(SHOTS)), key=lambda run: found[run].mean)


class Chosen(NamedTuple):
    """The way chosen for each case on the others, its ACE, and the raw ACE of the same items."""

    runs: list[Run]
    after: Cells
    before: Cells


def chosen(parts: Sequence[Part], shots: int = max(SHOTS)) -> Chosen:
    """What a user gets who chooses on other models."""
    picked = chosen_by_others(parts, candidates(shots))
    after, before = (
        np.array([part["runs"][run.key][what] for part, run in zip(parts, picked, strict=True)])
        for what in ("ace", "raw_ace")
    )
    return Chosen(picked, after, before)


def mean_raw(parts: Sequence[Part], what: str = "ace") -> float:
    """Of the scores as they are, over cases."""
    return float(np.mean([part["raw"][what] for part in parts]))


# ---- for programs ---------------------------------------------------------------------------------------------------
KEPT = ("items", "accuracy", "confidence", "raw", "chance", "transferred")


def as_data(parts: Sequence[Part], seeds: Sequence[int], found: Mapping[Run, Summary]) -> dict[str, Any]:
    """Everything that the page says, as JSON holds it."""
    of = chosen(parts)
    off = off_by(parts)
    cut, rise = effect(of.after, of.before, off)
    worst = float((of.after - of.before).mean(axis=1)[~off].max()) if (~off).any() else None
    apart = {run.key: against_even(parts, run) for run in GRID if run.selection != "uniform"}
    return {
        "seeds": list(seeds),
        "models": {f"{part['task']}/{part['model']}": {key: part[key] for key in KEPT} for part in parts},
        "runs": {run.key: each._asdict() for run, each in found.items()},
        "chosen_by_others": {"runs": [run.key for run in of.runs], "cut": cut, "rise": rise, "worst_rise": worst},
        "against_even": {key: None if each is None else each._asdict() for key, each in apart.items()},
    }
