"""Tables 1, 2 and 5 of [hovsepian2024] on data of your own: who is calibrated by how many labels, chosen how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from quorate.data.folder import SCHEMA, table_files
from quorate.study import calibration_runs as runs
from quorate.study import figures
from quorate.study.calibration_figures import MISCALIBRATED, Summary, as_data, hindsight, mean_raw, off_by, summaries
from quorate.study.calibration_runs import SHOTS, Run
from quorate.study.calibration_tables import effects, of_cases, out_of_task, rivals, table_5
from quorate.study.calibration_words import sentences
from quorate.study.plan import Plan, seeds_said
from quorate.study.runs import Part, file_digest, reason
from quorate.study.section import Drawing, Section, figure

QUICK_CASES = 8
FEWEST_ANSWERS = 20  # in a bin that is drawn
DRAWN = (
    ("SV", "vector", "identity"),
    ("SV, learned", "vector", "learned"),
    ("ST", "temperature", "identity"),
    ("ST, learned", "temperature", "learned"),
    ("ST, none", "temperature", "none"),
)
MODULES = ("quorate.study.calibration_runs",)
READING = (
    "ACE: mean over ten bins of equal size of |confidence - accuracy|; lower is better. Chance alone gives the last "
    "column of the last table."
)
LETTERS = (
    "U, SE, IE: even selection, stratification and importance by surrogate error; SV, ST: vector and temperature "
    "scaling. Each row: statistics over models, averaged over seeds."
)
NOT_TUNED = (
    "Priors and defaults were chosen on simulated scores. The learned prior and the surrogate use labels of other "
    "models on a fifth of the items, which judge nothing."
)


def calibration(plan: Plan, folder: Path) -> Section:
    """Run it, or read what is kept. Raises DataError where the folder cannot be studied."""
    seeds = list(range(plan.seeds or (3 if plan.quick else 20)))
    parts, failed = _gathered(plan, folder, seeds)
    title = "Calibration: how many labels make confidence honest"
    if not parts:
        return Section("calibration", title, folder.name, ("No model could be studied.",), (), (), {}, failed)
    found = summaries(parts)
    return Section(
        kind="calibration",
        title=title,
        asks=f"{folder.name}: {len(parts)} models and tasks, {off_by(parts).sum()} of them miscalibrated (raw ACE "
        f"above {figure(MISCALIBRATED, 2)}), {seeds_said(len(seeds))}; about {parts[0]['items']:,} items judge each.",
        found=sentences(parts, found),
        tables=(
            *(table_5(found, prior) for prior in runs.PRIORS),
            effects(parts, found),
            rivals(parts, found),
            out_of_task(parts),
            of_cases(parts, hindsight(found)),
        ),
        drawings=tuple(_drawn(parts, found)),
        data=as_data(parts, seeds, found),
        failed=failed,
        remarks=(READING, LETTERS, NOT_TUNED),
    )


def _gathered(plan: Plan, folder: Path, seeds: Sequence[int]) -> tuple[list[Part], dict[str, str]]:
    """One part per case; a case that fails is named and left out."""
    schema = folder / SCHEMA
    files = [*table_files(folder).values(), *([schema] if schema.is_file() else [])]
    given = {"data": file_digest(files), **runs.settings(seeds)}
    of = runs.ready(folder)
    chosen = range(len(of.cases))[: QUICK_CASES if plan.quick else None]
    parts: list[Part] = []
    failed: dict[str, str] = {}
    for place in chosen:
        case = of.cases[place]
        plan.tell(place, len(chosen), f"{case.task}, {case.model}")
        try:
            name = f"calibration-{folder.name}.case-{place}.{len(seeds)}-seeds"
            parts.append(plan.runs.once(name, given, MODULES, lambda at=place: runs.case_part(of, at, seeds)))
        except Exception as error:  # noqa: BLE001 - a fault in one case must not cost the others
            failed[f"{case.task}, {case.model}"] = reason(error)
    return parts, failed


# ---- pictures -------------------------------------------------------------------------------------------------------
def _drawn(parts: Sequence[Part], found: Mapping[Run, Summary]) -> list[Drawing]:
    curve = Drawing(
        "calibration-labels",
        "Mean ACE over models against the number of labels, even selection; SV vector, ST temperature scaling, with "
        "the default prior, the one learned from other models, or none.",
        figures.curves(_by_labels(parts, found), "labels", "ACE", marks=True, log="x", percent=False),
    )
    diagram = Drawing(
        "calibration-reliability",
        "Accuracy against confidence in the miscalibrated models, raw and after vector scaling with "
        f"{max(SHOTS)} labels.",
        figures.curves(_reliability(parts), "confidence", "accuracy", marks=True),
    )
    return [curve, diagram]


def _by_labels(parts: Sequence[Part], found: Mapping[Run, Summary]) -> dict[str, figures.Line]:
    """Vector scaling without a prior is left out: with ten labels it would set the scale of the picture."""
    x = np.array(SHOTS, np.float64)
    raw = np.full(len(x), mean_raw(parts))
    lines = {"raw": figures.Line(x, raw, np.zeros(len(x)))}
    for name, method, prior in DRAWN:
        y = np.array([found[Run(shots, "uniform", method, prior)].mean for shots in SHOTS])
        lines[name] = figures.Line(x, y, np.zeros(len(x)))
    return lines


def _reliability(parts: Sequence[Part]) -> dict[str, figures.Line]:
    off = off_by(parts)
    chosen = [part for part, is_off in zip(parts, off, strict=True) if is_off or not off.any()]
    lines: dict[str, figures.Line] = {}
    for name in ("raw", "vector"):
        n, confidence, right = (
            np.sum([part["bins"][name][of] for part in chosen], axis=0) for of in ("n", "confidence", "right")
        )
        used = n >= FEWEST_ANSWERS
        share = right[used] / n[used]
        lines[name] = figures.Line(confidence[used] / n[used], share, np.sqrt(share * (1 - share) / n[used]))
    ends = np.array([0.0, 1.0])
    return lines | {"diagonal": figures.Line(ends, ends, np.zeros(2))}
