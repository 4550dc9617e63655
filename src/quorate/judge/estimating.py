"""Prevalences and mean grades of all that the judge of a folder labeled, read off its gate items and anchors.

Which items may serve: anchors always, since they decided nothing before. Gate items only where the gate opened at the
first try: then P(the gate opens and an interval misses) is at most 1 - level, whatever the judge; after a closed gate
people have seen how the judge fails on these very items, and what they mended is no longer unknown to it. Calibration
items never, cross-fitted map or not: they have chosen the model and its prompt, and may stand in it as worked examples.

Labels may be of several versions of a judge, after an alarm for one. The judge of a graded item is then the mean of all
versions' answers in the shares in which they labeled, which is what a random item of the set met.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Float64, Int64

from quorate.data.write import whole
from quorate.errors import DataError, SettingError
from quorate.judge.deciding import people_of_folder
from quorate.judge.folder import AMPLIFIED, PREVALENCE, ROLES, JudgeFolder, seeded_ends
from quorate.judge.graded import grade_values, people_of
from quorate.judge.kept import kept_answers
from quorate.judge.map_grades import shares
from quorate.judge.parts import numbers, part_path
from quorate.judge.prevalence import Corrected, Sample, Whole, alike, corrected, on_simplex
from quorate.judge.seed import Role, read_seed, weights_of
from quorate.measure.intervals import Interval
from quorate.schema import Schema, Task

Array = np.ndarray
UNLIKE = 0.01  # below this the graded items are said to be no sample of the set


class Row(NamedTuple):
    """One number of the whole set: as the judge says it, corrected, and from people's grades alone."""

    of: str | None  # the class; None: the mean grade
    judge: float
    corrected: Interval
    people: Interval


class Estimated(NamedTuple):
    """What is known of the whole set about one task."""

    task: str
    level: float  # of every interval by itself
    n_items: int  # labeled
    n_graded: int  # that served
    n_effective: float  # as many of equal weight would say as much [kish1965]
    trust: float  # in the judge: λ, 0 to 1
    alike: float  # how probable it is that a random sample of the set is at least as unlike it
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        rows = [
            {**row._asdict(), "corrected": row.corrected._asdict(), "people": row.people._asdict()} for row in self.rows
        ]
        return {**self._asdict(), "rows": rows}


class Estimates(NamedTuple):
    """All tasks, and what the numbers are about."""

    tasks: tuple[Estimated, ...]
    judges: tuple[str, ...]
    roles: tuple[Role, ...]  # of the items that served
    left_out: Mapping[str, int]  # labels of judges whose answers to graded items were not kept
    restricted: int  # items of the set that no person may see

    def as_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**self._asdict(), "tasks": [each.as_json() for each in self.tasks], "left_out": dict(self.left_out)}

    def notes(self) -> list[str]:
        """What whoever reads the numbers must know."""
        found = [
            f"{each.task}: the graded items are no random sample of this set (p = {each.alike:.2g}, by what the judge "
            "says of both); the numbers are those of sets like the graded items"
            for each in self.tasks
            if each.alike < UNLIKE
        ]
        if self.roles == ("anchor",):
            found.append("anchors alone serve: the gate items have been looked at before this judge passed")
        found += [f"{count:,} labels by {name!r} are not in it" for name, count in self.left_out.items()]
        if self.restricted:
            found.append(
                f"{self.restricted:,} items are restricted: no person sees any, so the judge is taken to err there as "
                "elsewhere"
            )
        return found


def estimate(folder: JudgeFolder, *, level: float = 0.95, anchors_only: bool = False) -> Estimates:
    """The numbers of all that was labeled so far; they are written beside the labels, too.

    Raises SettingError where nothing was labeled, DataError where too few graded items may serve.
    """
    answers = kept_answers(folder)
    schema = people_of_folder(folder).schema
    kept = set(answers["judge"].to_pylist())
    totals, left_out = _totals(folder.file(AMPLIFIED), schema, kept)
    judges = tuple(dict.fromkeys(judge for _, judge in totals))
    roles = _serving(answers, judges, anchors_only=anchors_only)
    seed = read_seed(folder.sealed(ROLES, "seeded"))
    weights = dict(zip(seed.items, weights_of(seed, seeded_ends(folder), roles).tolist(), strict=True))
    found = Estimates(
        tuple(
            _of_task(folder, schema.task(task), {j: t for (name, j), t in totals.items() if name == task},
                     answers, {item: weight for item, weight in weights.items() if weight > 0}, level)
            for task in dict.fromkeys(task for task, _ in totals)
        ),
        judges,
        roles,
        left_out,
        int(folder.standing().last.get("amplifying", {}).get("restricted", 0)),
    )  # fmt: skip
    with whole(folder.file(AMPLIFIED) / PREVALENCE) as part:
        part.write_text(json.dumps(found.as_json(), indent=1, allow_nan=False) + "\n", "utf-8", newline="\n")
    return found


# ---- which items serve ----------------------------------------------------------------------------------------------
def _serving(answers: pa.Table, judges: Sequence[str], *, anchors_only: bool) -> tuple[Role, ...]:
    """The roles whose items may serve for all these judges."""
    tries = {row["judge"]: row["tries"] for row in answers.select(["judge", "tries"]).to_pylist()}
    first = all(tries[judge] == 1 for judge in judges)
    return ("gate", "anchor") if first and not anchors_only else ("anchor",)


# ---- the whole set --------------------------------------------------------------------------------------------------
class _Total(NamedTuple):
    """Sums over the labels of one judge: of shares of classes and, in the last column of an ordered task, grades."""

    n: int
    total: Float64[Array, "sums"]
    squares: Float64[Array, "sums"]

    def plus(self, values: Float64[Array, "items sums"]) -> _Total:
        """With these labels too."""
        return _Total(self.n + len(values), self.total + values.sum(axis=0), self.squares + (values**2).sum(axis=0))


def _totals(out: Path, schema: Schema, kept: set[str]) -> tuple[dict[tuple[str, str], _Total], dict[str, int]]:
    """By task and judge, part by part; and how many labels are of judges that nothing was kept of."""
    found, left_out = dict[tuple[str, str], _Total](), dict[str, int]()
    for number in numbers(out):
        table = pq.read_table(part_path(out, number), columns=["task", "judge", "grade", "probs"])
        for pair in table.select(["task", "judge"]).group_by(["task", "judge"]).aggregate([]).to_pylist():
            task, judge = pair["task"], pair["judge"]
            rows = table.filter((pc.field("task") == task) & (pc.field("judge") == judge))
            if judge not in kept:
                left_out[judge] = left_out.get(judge, 0) + len(rows)
                continue
            values = _values(schema.task(task), rows)
            zero = np.zeros(values.shape[1])
            found[task, judge] = found.get((task, judge), _Total(0, zero, zero)).plus(values)
    if not found:
        raise SettingError("this judge has labeled nothing yet: `quorate judge amplify ITEMS`")
    return dict(sorted(found.items(), key=lambda each: schema.code_of[each[0][0]])), left_out


def _values(task: Task, rows: pa.Table) -> Float64[Array, "items sums"]:
    flat = rows["probs"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    shares = np.asarray(flat, np.float64).reshape(len(rows), len(task.classes))
    return np.column_stack([shares, rows["grade"].to_numpy()]) if task.ordered else shares


# ---- one task -------------------------------------------------------------------------------------------------------
def _of_task(
    folder: JudgeFolder, task: Task, totals: Mapping[str, _Total], answers: pa.Table, weights: Mapping[str, float],
    level: float,
) -> Estimated:  # fmt: skip
    sample, whole_ = _sample(folder, task, totals, answers, weights), _whole(totals)
    k = len(task.classes)
    of_classes = sample._replace(people=sample.people[:, :k], judge=sample.judge[:, :k])
    classes = Whole(whole_.mean[:k], whole_.variance[:k], whole_.n_items)
    found = corrected(of_classes, classes, (0.0, 1.0), level)
    rows = _rows(task.classes, classes, found)
    if task.ordered:
        values = grade_values(task)
        of_grades = sample._replace(people=sample.people[:, k:], judge=sample.judge[:, k:])
        grades = Whole(whole_.mean[k:], whole_.variance[k:], whole_.n_items)
        mean = corrected(of_grades, grades, (float(values[0]), float(values[-1])), level)
        rows.append(Row(None, float(grades.mean[0]), mean.found.at(), mean.people.at()))
    effective = float(sample.weights.sum() ** 2 / (sample.weights**2).sum())
    unlike = alike(of_classes, classes)
    return Estimated(task.name, level, whole_.n_items, len(sample.weights), effective, found.trust, unlike, tuple(rows))


def _rows(names: Sequence[str], classes: Whole, found: Corrected) -> list[Row]:
    """Prevalences that are 0 or more and sum to 1, each inside its interval."""
    shares = on_simplex(found.found.estimate)
    rows = list[Row]()
    for place, name in enumerate(names):
        each, share = found.found.at(place), float(shares[place])
        inside = Interval(share, min(each.low, share), max(each.high, share), each.se)
        rows.append(Row(name, float(classes.mean[place]), inside, found.people.at(place)))
    return rows


def _whole(totals: Mapping[str, _Total]) -> Whole:
    n = sum(each.n for each in totals.values())
    mean = np.sum([each.total for each in totals.values()], axis=0) / n
    squares = np.sum([each.squares for each in totals.values()], axis=0) / n
    return Whole(mean, np.maximum(squares - mean**2, 0.0), n)


def _sample(
    folder: JudgeFolder, task: Task, totals: Mapping[str, _Total], answers: pa.Table, weights: Mapping[str, float]
) -> Sample:
    """Graded items that every judge has answered, with the judges' answers in the shares in which they labeled."""
    n = sum(each.n for each in totals.values())
    said = dict[str, dict[str, Float64[Array, "sums"]]]()
    for judge in totals:
        rows = answers.filter((pc.field("judge") == judge) & (pc.field("task") == task.name))
        said[judge] = dict(zip(rows["item"].to_pylist(), _values(task, rows), strict=True))
    names = [item for item in weights if all(item in of for of in said.values())]
    people = people_of(people_of_folder(folder), task.name, names)
    at: Int64[Array, "kept"] = np.flatnonzero(people.people.sum(axis=1) > 0)
    names = [names[place] for place in at.tolist()]
    if not names:
        raise DataError(
            f"no gate item or anchor of task {task.name!r} was graded by people",
            mend="hand their grades in: `quorate judge seed DATA --grades to_grade.csv`",
        )
    judge = sum(np.stack([said[j][item] for item in names]) * (each.n / n) for j, each in totals.items())
    given = shares(people)[at]
    truth = np.column_stack([given, people.human[at]]) if task.ordered else given
    return Sample(truth, np.asarray(judge), np.array([weights[item] for item in names]))
