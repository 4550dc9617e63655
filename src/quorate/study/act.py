"""Who annotates and who criticizes, on recorded models: Figures 5 and 11 and Table 10 of [lin2025act]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quorate.data.folder import SCHEMA, table_files
from quorate.study import act_runs as runs
from quorate.study import figures
from quorate.study.act_runs import TEST, WAYS
from quorate.study.plan import Plan, seeds_said
from quorate.study.recorded import data_sets
from quorate.study.runs import Part, file_digest, reason
from quorate.study.section import Drawing, Section, Table, figure, listed

MOST_CURVES = 8
CLOSE = 0.02  # ABS below the best in hindsight that counts as as good
MODULES = ("quorate.study.act_runs",)
SAID = {
    "second": "second",
    "measured": "measured",
    "joined": "joined",
    "self": "itself",
    "trees": "trees",
}
TITLE = "Annotation with critical thinking: who annotates, who criticizes"
READING = (
    "ABS: mean share of the annotator's mistakes that review has mended, over all budgets; random order gives .5. "
    f"Every criticizer is chosen on {TEST} labeled items, for the model that was most often right there, and judged on "
    "all others. Second: the model that was right second most often, as the source has it; measured: the model, the "
    "annotator included, with the largest ABS; joined: the mean of the second's criticism and the annotator's own; "
    "itself: the annotator's own alone; trees: boosted trees on the annotator's class and scores, taught by the test "
    "set (CDI of [gligoric2025])."
)
NOT_COMPARED = (
    "ABS of different annotators cannot be compared: a worse one makes mistakes that are easier to find. The pair of "
    "largest ABS is in a table beside the quality of its labels, which can: the mean share of right ones over budgets."
)


def act(plan: Plan, folder: Path) -> Section:
    """Run it, or read what is kept. Raises DataError where there is no data set."""
    seeds = list(range(plan.seeds or (5 if plan.quick else 30)))
    parts, failed = _gathered(plan, folder, seeds)
    if not parts:
        said = f"No data set has two models and {TEST + runs.LEAST_JUDGING} items with a known truth."
        return Section("act", TITLE, folder.name, (said,), (), (), {}, failed)
    return Section(
        kind="act",
        title=TITLE,
        asks=f"{len(parts)} tasks: {listed(list(parts))}; test sets by {seeds_said(len(seeds))}.",
        found=tuple(_found(parts)),
        tables=(_areas(parts), _in_vain(parts), _pairs(parts), _critics(parts)),
        drawings=tuple(_drawn(parts)),
        data=_data(parts, len(seeds)),
        failed=failed,
        remarks=(READING, NOT_COMPARED),
    )


def _gathered(plan: Plan, folder: Path, seeds: Sequence[int]) -> tuple[dict[str, Part], dict[str, str]]:
    """One part per data set and task; what fails is named and left out, what cannot be studied is left out."""
    parts: dict[str, Part] = {}
    failed: dict[str, str] = {}
    sets = data_sets(folder)
    for done, place in enumerate(sets):
        plan.tell(done, len(sets), place.name)
        try:
            schema = place / SCHEMA
            files = [*table_files(place).values(), *([schema] if schema.is_file() else [])]
            given = {"data": file_digest(files), "seeds": list(seeds)}
            kept = plan.runs.once(f"act-{place.name}", given, MODULES, lambda at=place: _of_set(at, seeds))
            parts |= kept["cases"]
        except Exception as error:  # noqa: BLE001 - a fault in one data set must not cost the others
            failed[place.name] = reason(error)
    return parts, failed


def _of_set(folder: Path, seeds: Sequence[int]) -> Part:
    return {"cases": {case.task: runs.case_part(case, seeds) for case in runs.cases_of(folder)}}


# ---- figures --------------------------------------------------------------------------------------------------------
def mean_of(part: Part, what: str, way: str) -> float:
    """A figure of one way, averaged over test sets."""
    return float(np.mean([each[what][way] for each in part["seeds"]]))


def behind(part: Part, way: str, against: str = "hindsight") -> float:
    """ABS that a way loses to the best criticizer in hindsight, averaged over test sets."""
    return float(np.mean([each[against] - each["area"][way] for each in part["seeds"]]))


def _found(parts: Mapping[str, Part]) -> list[str]:
    said = [f"{_count(parts, way)} by {SAID[way]} (at most {_most(parts, way)} behind)" for way in WAYS]
    close, n = figure(CLOSE, 2), len(parts)
    any_pair = [part["pairs"]["area"]["area"] - mean_of(part, "area", "measured") for part in parts.values()]
    worse = [mean_of(part, "quality", "measured") > part["pairs"]["area"]["quality"] for part in parts.values()]
    beats = sum(min(each["area"]["measured"] for each in part["seeds"]) > part["random"] for part in parts.values())
    other = sum(behind(part, "second", "hindsight_other") <= CLOSE for part in parts.values())
    return [
        f"Within {close} ABS of the annotator's best criticizer in hindsight, in {n} tasks: {', '.join(said)}.",
        f"Where another model must criticize, the second is within {close} of the best other one in {other} of {n}.",
        f"Measured beats review in random order with every test set in {beats} of {n} tasks.",
        f"Pairs of largest ABS have up to {figure(max(any_pair))} more, and worse labels in {sum(worse)} of {n} tasks.",
    ]


def _count(parts: Mapping[str, Part], way: str) -> int:
    return sum(behind(part, way) <= CLOSE for part in parts.values())


def _most(parts: Mapping[str, Part], way: str) -> str:
    return figure(max(behind(part, way) for part in parts.values()))


def _areas(parts: Mapping[str, Part]) -> Table:
    rows = tuple(
        (
            name,
            *(figure(mean_of(part, "area", way)) for way in WAYS),
            figure(float(np.mean([each["hindsight"] for each in part["seeds"]]))),
            figure(part["random"]),
        )
        for name, part in parts.items()
    )
    headings = ("data", *(SAID[way] for way in WAYS), "best", "random")
    bold = tuple(
        (row, 1 + column)
        for row, part in enumerate(parts.values())
        for column, way in enumerate(WAYS)
        if behind(part, way) <= CLOSE
    )
    return Table(
        f"ABS by who criticizes; bold: within {figure(CLOSE, 2)} of the best in hindsight", headings, rows, bold
    )


def _in_vain(parts: Mapping[str, Part]) -> Table:
    """Table 10 of the source, as shares."""
    rows = tuple(
        (
            name,
            _percent(np.mean([each["wrong"] for each in part["seeds"]])),
            _percent(np.mean([each["wrong"] * (1 - each["wrong"]) for each in part["seeds"]])),
            *(_percent(mean_of(part, "in_vain", way)) for way in ("self", "second", "measured")),
            _percent(mean_of(part, "gain", "measured")),
        )
        for name, part in parts.items()
    )
    headings = ("data", "ideal budget", "random", "itself", "second", "measured", "mistakes mended")
    caption = "Reviews in vain at the ideal budget (false positives), of all items; and what the measured mends"
    return Table(caption, headings, rows)


def _pairs(parts: Mapping[str, Part]) -> Table:
    rows: list[tuple[str, ...]] = []
    for name, part in parts.items():
        best, widest = part["pairs"]["quality"], part["pairs"]["area"]
        chosen = [mean_of(part, what, "measured") for what in ("quality", "area")]
        rows += [
            (name, "chosen", *map(figure, chosen)),
            ("", f"best labels: {' by '.join(best['pair'])}", figure(best["quality"]), figure(best["area"])),
            ("", f"largest ABS: {' by '.join(widest['pair'])}", figure(widest["quality"]), figure(widest["area"])),
        ]
    return Table("Every pair in hindsight: quality of labels, and ABS", ("data", "pair", "quality", "ABS"), tuple(rows))


def _critics(parts: Mapping[str, Part]) -> Table:
    """Figure 5 of the source as a table: ability and criticism, of the annotator that is right most often."""
    rows: list[tuple[str, ...]] = []
    for name, part in parts.items():
        ability = dict(zip(part["models"], part["accuracy"], strict=True))
        for place, (model, estimate, low, high, _) in enumerate(part["critics"][:6]):
            own = " (itself)" if model == part["annotator"] else ""
            said = f"{figure(estimate)} ({figure(low)} to {figure(high)})"
            rows.append((name if place == 0 else "", f"{model}{own}", figure(ability[model]), said))
    caption = "Ability and criticism of the annotator that is right most often; the best six"
    return Table(caption, ("data", "criticizer", "accuracy", "ABS (95 %)"), tuple(rows))


def _percent(value: Any) -> str:
    return f"{float(value):.1%}"


# ---- pictures -------------------------------------------------------------------------------------------------------
def _drawn(parts: Mapping[str, Part]) -> list[Drawing]:
    dots = {
        name: {
            SAID[way]: (mean_of(part, "area", way), float(np.std([each["area"][way] for each in part["seeds"]])))
            for way in WAYS
        }
        for name, part in parts.items()
    }
    first = Drawing(
        "act-areas",
        "ABS by who criticizes; bars: two standard deviations over test sets.",
        figures.dots(dots, "ABS", [SAID[way] for way in WAYS]),
    )
    lines = {
        name.split(",")[0]: figures.Line(np.array(of[0]), np.array(of[1]), (np.array(of[3]) - np.array(of[2])) / 3.92)
        for name, part in list(parts.items())[:MOST_CURVES]
        if (of := part["curve"])
    }
    even = np.array([0.0, 1.0])
    lines["at random"] = figures.Line(even, even, np.zeros(2))
    second = Drawing(
        "act-budget",
        "Share of the annotator's mistakes that review mends, against the budget, by its best criticizer (Figure 11 of "
        "the source).",
        figures.curves(lines, "share of items reviewed", "AQG"),
    )
    return [first, second]


def _data(parts: Mapping[str, Part], n_seeds: int) -> dict[str, Any]:
    return {
        "seeds": n_seeds,
        "test_items": TEST,
        "cases": {
            name: {
                "items": part["items"],
                "models": len(part["models"]),
                "area": {way: mean_of(part, "area", way) for way in WAYS},
                "behind": {way: behind(part, way) for way in WAYS},
                "behind_any_pair": part["pairs"]["area"]["area"] - mean_of(part, "area", "measured"),
                "second_behind_other": behind(part, "second", "hindsight_other"),
                "random": part["random"],
                "least_measured": min(each["area"]["measured"] for each in part["seeds"]),
                "quality": mean_of(part, "quality", "measured"),
                "pairs": part["pairs"],
            }
            for name, part in parts.items()
        },
    }
