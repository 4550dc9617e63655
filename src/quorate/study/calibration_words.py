"""What the study of calibration found, in sentences computed from its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from quorate.study.calibration_figures import (
    Summary,
    against_even,
    chosen,
    effect,
    hindsight,
    mean_raw,
    off_by,
)
from quorate.study.calibration_runs import GRID, PRIORS, SHOTS, Run
from quorate.study.runs import Part
from quorate.study.section import figure

SAID = {
    "uniform": "even selection",
    "stratified": "stratification by surrogate error",
    "importance": "importance by surrogate error",
}
PRIOR_SAID = {"identity": "default prior", "learned": "prior learned from the other models", "none": "no prior"}


def sentences(parts: Sequence[Part], found: Mapping[Run, Summary]) -> tuple[str, ...]:
    """What calibration does, whether surrogate error helps, and what ten labels do; all computed."""
    return (_headline(parts), _best_said(found), *_selections(parts), _ten(parts, found), _transfer_said(parts))


def _headline(parts: Sequence[Part]) -> str:
    picked, after, before = chosen(parts)
    off = off_by(parts)
    names = sorted({_said(run) for run in picked})
    words = [
        f"With {max(SHOTS)} labels each and the way that is best on the other models ({'; '.join(names)}), mean ACE"
    ]
    if off.any():
        words.append(
            f"falls from {figure(float(before[off].mean()))} to {figure(float(after[off].mean()))} "
            f"({percent(effect(after, before, off)[0])} gone) for the {off.sum()} that are miscalibrated"
        )
    if (~off).any():
        words.append(
            f"{'and ' if off.any() else ''}moves from {figure(float(before[~off].mean()))} to "
            f"{figure(float(after[~off].mean()))} for the {(~off).sum()} that are not (the worst of them "
            f"{signed(float((after - before).mean(axis=1)[~off].max()))})"
        )
    return " ".join(words) + "."


def _best_said(found: Mapping[Run, Summary]) -> str:
    run = hindsight(found)
    of = found[run]
    return (
        f"Best in hindsight at {run.shots} labels: {_said(run)}, mean ACE {figure(of.mean)} (cut "
        f"{percent(of.cut)}, others {signed(of.rise)}). The source reports 46 % with vector scaling and importance."
    )


def _said(run: Run) -> str:
    return f"{run.method} scaling, {SAID[run.selection]}, {PRIOR_SAID[run.prior]}"


def _selections(parts: Sequence[Part]) -> list[str]:
    """Whether selecting by surrogate error beats even selection: counted over all numbers of labels and scalings."""
    return [_selection_said(parts, selection) for selection in ("stratified", "importance")]


def _selection_said(parts: Sequence[Part], selection: str) -> str:
    of = [run for run in GRID if run.selection == selection and run.prior == "identity"]
    apart = [each for run in of if (each := against_even(parts, run)) is not None]
    if not apart:
        return f"{SAID[selection].capitalize()}: one model cannot tell."
    helped, hurt = sum(each.high < 0 for each in apart), sum(each.low > 0 for each in apart)
    verdict = "did not help" if not helped else "helped" if helped > len(apart) / 2 and not hurt else "helped at times"
    mean = float(np.mean([each.estimate for each in apart]))
    most = against_even(parts, Run(max(SHOTS), selection, "vector", "identity"))
    at_most = "" if most is None else (
        f" With {max(SHOTS)} labels and vector scaling: {signed(most.estimate, 4)} "
        f"({signed(most.low, 4)} to {signed(most.high, 4)})."
    )  # fmt: skip
    return (
        f"{SAID[selection].capitalize()} {verdict}: against even selection ACE is lower beyond its error in {helped} "
        f"of {len(apart)} comparisons and higher in {hurt}, {signed(mean, 4)} on average.{at_most}"
    )


def _ten(parts: Sequence[Part], found: Mapping[Run, Summary]) -> str:
    few = min(SHOTS)
    of = {prior: found[Run(few, "uniform", "vector", prior)].mean for prior in PRIORS}
    return (
        f"{few} labels and vector scaling: mean ACE {figure(of['none'])} without a prior, {figure(of['identity'])} "
        f"with the default one, {figure(of['learned'])} with the learned one; raw {figure(mean_raw(parts))}."
    )


def _transfer_said(parts: Sequence[Part]) -> str:
    of = {
        name: float(np.mean([part["transferred"][name]["ace"] for part in parts])) for name in parts[0]["transferred"]
    }
    name = min(of, key=lambda each: of[each])
    transfer, method = name.split("/")
    return (
        f"Without any label of its own a model does best with {method} scaling fitted on {transfer} other models: mean "
        f"ACE {figure(of[name])} against {figure(mean_raw(parts))} raw."
    )


def percent(share: float | None) -> str:
    """A share as a percentage, a dash where it is unknown."""
    return "–" if share is None else f"{share:.0%}".replace("%", " %")


def signed(value: float | None, digits: int = 3) -> str:
    """A difference with its sign."""
    text = figure(value, digits)
    return text if value is None or value < 0 else f"+{text}"
