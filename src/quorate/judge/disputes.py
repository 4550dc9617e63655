"""The step of a judge that compares what it labeled with behavior logs, and hands the items most in dispute to people.

The list is that of the watch: `to_people.csv`, each item once, never a restricted one; `quorate judge seed DATA --also`
takes it into the seed. All figures of the listed items are in `discrepancies.csv`.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Float64

from quorate.data.write import write_table
from quorate.errors import DataError, SettingError
from quorate.judge.behavior import Log
from quorate.judge.deciding import people_of_folder
from quorate.judge.discrepancy import Residuals, residuals
from quorate.judge.folder import AMPLIFIED, DISCREPANCIES, ROLES, JudgeFolder
from quorate.judge.parts import numbers, part_path
from quorate.judge.rounds import for_people
from quorate.judge.seed import read_seed
from quorate.schema import Task

Array = np.ndarray
Says = Literal["too low", "too high"]


class Dispute(NamedTuple):
    """An item that people and the judge see differently, for the query in which they do most."""

    item: str
    query: str
    says: Says  # of the judge
    judge: float  # its grade, or its probability of the class
    expected: float  # the signal per look of items so graded
    found: float
    shrunken: float
    error: float  # of the shrunken signal
    residual: float  # in its own error
    q: float  # the false discovery rate of a list that ends here
    looks: float  # times shown; clicks: times the chance to be looked at


SCHEMA = pa.schema(
    [(name, pa.string() if name in {"item", "query", "says"} else pa.float64()) for name in Dispute._fields]
)


class Disputed(NamedTuple):
    """What came of it."""

    task: str
    disputes: tuple[Dispute, ...]  # the largest first, each item once
    by_chance: float  # of them, the share that chance alone may bring, at most
    cells: int  # pairs of item and query that were compared
    unlabeled: int  # items of the log that the judge has not labeled
    restricted: int  # items passed over since no person may see them
    positions: tuple[float, ...] | None  # how often looked at, from the top; of a real signal what each adds

    def as_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**self._asdict(), "disputes": [each._asdict() for each in self.disputes]}


def dispute(
    folder: JudgeFolder,
    log: Log,
    *,
    restricted: frozenset[str],
    most: int = 100,
    task: str | None = None,
    of_class: str | None = None,
    falling: bool = False,
    seed: int = 0,
) -> Disputed:
    """Compare, and write the list for people. `of_class`: of a task without order, the class whose probability counts.

    Raises SettingError for a task or class that there is not, DataError where the log is of other items.
    """
    wanted = _task(folder, task)
    says = _grades(folder, wanted, of_class)
    labeled = np.array([item in says for item in log.items])
    kept = log.keep(labeled[log.item])
    if not len(kept.signal):
        mend = "name items in the log as in what was labeled"
        raise DataError("the judge has labeled no item of the log", mend=mend, source="the log")
    grade = np.array([says.get(item, np.nan) for item in log.items])
    found = residuals(kept, grade, falling=falling, seed=seed)
    known = read_seed(folder.sealed(ROLES, "seeded")).items
    places, passed_over = _listed(kept, found, restricted, frozenset(known), most)
    rows = tuple(_row(kept, found, place, grade, falling=falling) for place in places)
    columns = {name: [getattr(each, name) for each in rows] for name in Dispute._fields}
    write_table(pa.table(columns, schema=SCHEMA), folder.file(DISCREPANCIES))
    for_people(folder, [each.item for each in rows])
    positions = None if found.positions is None else tuple(found.positions.tolist())
    by_chance = max((each.q for each in rows), default=1.0)
    return Disputed(wanted.name, rows, by_chance, len(found.p), int((~labeled).sum()), passed_over, positions)


# ---- parts ----------------------------------------------------------------------------------------------------------
def _listed(
    log: Log, found: Residuals, restricted: frozenset[str], known: frozenset[str], most: int
) -> tuple[list[int], int]:
    """The cells furthest out, one per item, of items that people may see and have not graded; and how many may not."""
    item, _, _ = log.pairs
    listed, passed_over = dict[str, int](), set[str]()
    for place in np.lexsort((-np.abs(found.residual), found.p)).tolist():
        name = log.items[item[place]]
        if name in restricted:
            passed_over.add(name)
        elif name not in known:
            listed.setdefault(name, place)
        if len(listed) == most:
            break
    return list(listed.values()), len(passed_over)


def _row(log: Log, found: Residuals, place: int, grade: Float64[Array, "items"], *, falling: bool) -> Dispute:
    item, query, _ = log.pairs
    says: Says = "too low" if (found.residual[place] > 0) != falling else "too high"
    figures = (found.expected, found.found, found.shrunken, found.error, found.residual, found.q, found.looks)
    at = int(item[place])
    return Dispute(
        log.items[at], log.queries[query[place]], says, float(grade[at]), *(float(each[place]) for each in figures)
    )


def _task(folder: JudgeFolder, name: str | None) -> Task:
    schema = people_of_folder(folder).schema
    if name is None and len(schema.tasks) > 1:
        raise SettingError(f"name the task that the signal is about: {', '.join(each.name for each in schema.tasks)}")
    return schema.task(name if name is not None else next(iter(schema.code_of)))


def _grades(folder: JudgeFolder, task: Task, of_class: str | None) -> dict[str, float]:
    """What the judge says of every item that it labeled: its grade, or its probability of the class."""
    if of_class is None and not task.ordered:
        raise SettingError(f"task {task.name!r} has no order: name the class that people look for, with --class")
    if of_class is not None and of_class not in task.classes:
        raise SettingError(f"task {task.name!r} has no class {of_class!r}: {', '.join(task.classes)}")
    found = dict[str, float]()
    for number in numbers(folder.file(AMPLIFIED)):
        path = part_path(folder.file(AMPLIFIED), number)
        rows = pq.read_table(path, columns=["item", "task", "grade", "probs"]).filter(pc.field("task") == task.name)
        values = rows["grade"] if of_class is None else pc.list_element(rows["probs"], task.classes.index(of_class))
        found |= zip(rows["item"].to_pylist(), values.to_pylist(), strict=True)
    if not found:
        raise SettingError(f"this judge has labeled nothing of task {task.name!r} yet: `quorate judge amplify ITEMS`")
    return found
