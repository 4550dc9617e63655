"""From a folder to a student that has been measured: who teaches, what is held out, what people say of the result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from quorate.data.dataset import Dataset
from quorate.errors import SettingError
from quorate.judge.deciding import people_of_folder
from quorate.judge.folder import AMPLIFIED, EVENTS, ROLES, JudgeFolder
from quorate.judge.seed import read_seed
from quorate.judge.student.contents import Contents
from quorate.judge.student.figures import Figure, compared, held_out
from quorate.judge.student.lesson import PEOPLE, Lesson, consensus_as_data, lesson, people_counts
from quorate.judge.student.model import Options, Progress, Student, taught

Array = np.ndarray
HELD_OUT = 0.2  # of the items


class Source(NamedTuple):
    """Labels that teach, and people's labels to measure on; None where there are none."""

    data: Dataset
    people: Dataset | None
    teacher: str | None = None  # None: whoever speaks alone
    also: Dataset | None = None  # people whose labels teach in place of the teacher's, on the items they labeled


class Teaching(NamedTuple):
    """A student, and its figures on the items that were held out."""

    student: Student
    figures: tuple[Figure, ...]
    n_held_out: int
    notes: tuple[str, ...]


def source_of(folder: Path, teacher: str | None = None, people: Path | None = None) -> Source:
    """What a folder teaches: one of a judge what it amplified, another what its tables hold.

    `teacher` is a model of the tables, `people`, or a file that `quorate predict` wrote. Of a judge only the grades of
    gate and anchor items are measured on: it was calibrated on the others. Where the teacher is a model, people's
    labels teach in its place on the items that they labeled. Raises SettingError for a judge that labeled nothing.
    """
    given = None if people is None else Dataset.read(people)
    if (folder / EVENTS).is_file():
        judge = JudgeFolder(folder)
        if not (folder / AMPLIFIED / "scores.parquet").is_file():
            raise SettingError(f"the judge of {folder} has labeled nothing yet: `quorate judge amplify ITEMS` first")
        people_of = people_of_folder(judge)
        return Source(Dataset.read(folder / AMPLIFIED), given or _graded_later(judge, people_of), teacher, people_of)
    data = Dataset.read(folder)
    people_here = given or (data if data.labels is not None or data.gold is not None else None)
    if teacher is not None and Path(teacher).is_file():
        return Source(consensus_as_data(Path(teacher), data.schema), people_here)
    return Source(data, people_here, teacher, None if teacher == PEOPLE else people_here)


def teach(
    contents: Contents,
    source: Source,
    options: Options | None = None,
    *,
    share: float = HELD_OUT,
    groups: Sequence[str] | None = None,
    weights: Float64[Array, "items"] | None = None,
    progress: Progress | None = None,
) -> Teaching:
    """A student of all items but those held out, and its figures on them beside the teacher's.

    Held out is a `share` of the items, of those that people graded, or all of these where they are fewer.
    """
    options = options or Options()
    heard = lesson(source.data, contents.ids, source.teacher, weights)
    graded = _graded(source.people, contents)
    kept = held_out(graded.tolist(), share, groups=groups, seed=options.seed)
    aside = np.zeros(len(contents), bool)
    aside[kept] = True
    taught_by = _with_people(heard, source.also, contents)
    student = taught(contents, taught_by.without(aside), options, groups=groups, progress=progress)
    measured = np.flatnonzero(aside & graded)
    figures = tuple[Figure, ...]()
    if len(measured) and source.people is not None:
        held = contents.select(measured)
        says = dict(zip([task.name for task in heard.schema.tasks], heard.select(measured).of, strict=True))
        beside = {} if heard.teacher == PEOPLE else says
        names = None if groups is None else [groups[at] for at in measured.tolist()]
        figures = compared(source.people, held.ids, student.predict(held), beside, groups=names, seed=options.seed)
    return Teaching(student, figures, len(measured), _notes(student, contents, len(measured)))


def _with_people(heard: Lesson, people: Dataset | None, contents: Contents) -> Lesson:
    """People's labels in place of the teacher's, where there are any."""
    if people is None or heard.teacher == PEOPLE or not _graded(people, contents).any():
        return heard
    return heard.over(lesson(people, contents.ids, PEOPLE))


def _graded_later(judge: JudgeFolder, people: Dataset) -> Dataset:
    """People's grades of the items that the judge was not calibrated on."""
    roles = read_seed(judge.sealed(ROLES, "seeded"))
    later = set(roles.of("gate")) | set(roles.of("anchor"))
    return people.select([item for item in people.encode().items if item in later])


def _graded(people: Dataset | None, contents: Contents) -> Bool[Array, "items"]:
    """Items that people graded, on any task."""
    if people is None:
        return np.zeros(len(contents), bool)
    coded = people.encode()
    some = np.logical_or.reduce([people_counts(coded, task).any(axis=1) for task in range(coded.n_tasks)])
    names = {item for item, known in zip(coded.items, some.tolist(), strict=True) if known}
    return np.array([item in names for item in contents.ids], bool)


def _notes(student: Student, contents: Contents, n_measured: int) -> tuple[str, ...]:
    """What whoever uses the student should know."""
    deaf = [head.task.name for head in student.heads if not np.isfinite(head.penalty)]
    found = [f"the contents say nothing of {', '.join(deaf)}: every item gets the same answer"] if deaf else []
    if not n_measured:
        found.append("not measured: people graded none of these items, or nothing was held out")
    if contents.restricted:
        n = len(contents.restricted)
        found.append(f"words of {n:,} restricted items may stand in the student's file: keep it as you keep them")
    return tuple(found)
