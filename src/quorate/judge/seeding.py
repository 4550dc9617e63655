"""The first step of a judge: choose what people grade, take their grades in, and see whether they agree.

Taken again, with grades that have come in or for more items, it goes on where it was: items keep their roles, and a
person's later grade of the same item and task takes the place of the earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64

from quorate.consensus.posterior import entropy_nats
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.data.restricted import restricted_items
from quorate.data.write import write_table
from quorate.errors import DataError, SettingError
from quorate.judge.folder import PEOPLE, ROLES, TO_GRADE, JudgeFolder, Standing
from quorate.judge.people import LEAST_ALPHA, PeopleAgree, people_agree
from quorate.judge.seed import (
    SHARES,
    Sample,
    Seed,
    at_random,
    by_doubt,
    by_stratum,
    dealt,
    joined,
    read_seed,
    write_seed,
)
from quorate.schema import Schema

Array = np.ndarray
By = Literal["random", "stratum", "doubt"]
Grades = dict[tuple[str, str, str], dict[str, Any]]  # item, task, annotator -> row
COLUMNS = ("item", "task", "annotator", "label")


class Wish(NamedTuple):
    """What is to be graded."""

    items: int = 200
    people: int = 2  # of every item
    by: By = "random"
    column: str | None = None  # of the items, whose values are the strata
    shares: Sequence[float] = SHARES
    least_alpha: float = LEAST_ALPHA
    seed: int = 0


class Seeding(NamedTuple):
    """What came of it."""

    seed: Seed
    people: tuple[PeopleAgree, ...]
    graded: int  # grades that people gave
    missing: int  # grades still wanted; rows of `to_grade.csv`
    standing: Standing


def begin(
    folder: JudgeFolder, data: Dataset, wish: Wish, *, grades: pa.Table | None = None, also: Sequence[str] = ()
) -> Seeding:
    """Take the step. `grades`: item, task, annotator, label, as `to_grade.csv` came back; an empty cell is none yet.

    `also`: items to be graded beside those drawn, as `to_people.csv` lists them; see `listed`. Raises SettingError for
    a wish that cannot be met, DataError for grades or items that cannot be used; nothing changes then.
    """
    _check(wish)
    folder.check("seeded")
    before = read_seed(folder.file(ROLES)) if folder.file(ROLES).is_file() else None
    kept = _kept(folder)
    rng = np.random.default_rng(wish.seed)
    pool = _pool(data, before)
    more = wish.items - (len(before.items) if before else 0)
    seed = dealt(_sample(data, pool, more, wish, rng), rng, shares=wish.shares, before=before) if more > 0 else before
    assert seed is not None
    seed = joined([seed, listed(also, data, seed)])
    people = _people(data, seed, kept, grades)
    missing = _missing(people, data, seed, wish.people)
    found = people_agree(people, least_alpha=wish.least_alpha, seed=wish.seed) if people.labels is not None else ()
    write_seed(seed, folder.file(ROLES))
    people.write(folder.file(PEOPLE))
    write_table(missing, folder.file(TO_GRADE))
    had = len(before.of("gate")) if before else 0
    standing = folder.take(
        "seeded",
        items=len(seed.items),
        new_gate_items=len(seed.of("gate")) > had,
        people=[each.as_json() for each in found],
        wish={**wish._asdict(), "shares": list(wish.shares)},
        files={ROLES: folder.digest(ROLES)},
    )
    return Seeding(seed, found, 0 if people.labels is None else len(people.labels), len(missing), standing)


def listed(names: Sequence[str], data: Dataset, seed: Seed) -> Seed:
    """Items that were called into question, as calibration items that are sure to be graded; known ones stay aside.

    They teach only: they were picked because the judge looks wrong there, so figures of them say nothing of a random
    item, and gate and anchors must not have them. Raises DataError for an item that is not there or is restricted.
    """
    there, shown = set(data.encode().items), set(may_be_shown(data.items))
    missing = next((name for name in names if name not in there), None)
    if missing is not None:
        raise DataError(f"item {missing!r} is not in the data", mend="give the data that holds all listed items")
    hidden = next((name for name in names if data.items is not None and name not in shown), None)
    if hidden is not None:
        raise DataError(f"item {hidden!r} is restricted: no person may see it", mend="take it off the list")
    new = tuple(dict.fromkeys(name for name in names if name not in set(seed.items)))
    return Seed(new, ("calibration",) * len(new), np.ones(len(new)))


def may_be_shown(items: pa.Table | None) -> list[str]:
    """The items that people may be shown: those not marked `restricted`. Raises DataError for a strange mark."""
    hidden = restricted_items(items)
    return [] if items is None else [name for name in map(str, items["item"].to_pylist()) if name not in hidden]


# ---- parts ----------------------------------------------------------------------------------------------------------
def _check(wish: Wish) -> None:
    if wish.by not in get_args(By):
        raise SettingError(f"by = {wish.by!r}: use one of {', '.join(get_args(By))}")
    if wish.by == "stratum" and not wish.column:
        raise SettingError("by stratum needs a column of the items: name it")
    if wish.people < 1:
        raise SettingError(f"people = {wish.people}: an item is graded by one person at least")


def _kept(folder: JudgeFolder) -> Dataset | None:
    path = folder.file(PEOPLE)
    return Dataset.read(path) if path.is_dir() and any(path.iterdir()) else None


def _pool(data: Dataset, before: Seed | None) -> list[str]:
    """Items that may be chosen: where people have graded some, those; never one that is marked as restricted."""
    coded = data.encode()
    places: list[int] = np.flatnonzero(_graded(coded).any(axis=1)).tolist()
    graded = list(map(coded.items.__getitem__, places))
    hidden = set(coded.items) - set(may_be_shown(data.items)) if data.items is not None else set[str]()
    has = set(before.items) if before else set[str]()
    return [item for item in (graded or coded.items) if item not in hidden and item not in has]


def _graded(coded: Coded) -> Bool[Array, "items tasks"]:
    counts = np.diff(coded.labels.start).reshape(coded.n_items, coded.n_tasks)
    return (counts > 0) | (coded.gold >= 0)


def _sample(data: Dataset, pool: list[str], n: int, wish: Wish, rng: np.random.Generator) -> Sample:
    n = min(n, len(pool))
    if wish.by == "stratum":
        return by_stratum(pool, _strata(data, pool, wish.column or ""), n, rng)
    if wish.by == "doubt":
        return by_doubt(pool, _doubt(data, pool), n, rng)
    return at_random(pool, n, rng)


def _strata(data: Dataset, pool: Sequence[str], column: str) -> list[str]:
    if data.items is None or column not in data.items.column_names:
        there = ", ".join(data.items.column_names) if data.items is not None else "there is no table of items"
        raise SettingError(f"the items have no column {column!r}: {there}")
    of = dict(zip(data.items["item"].to_pylist(), data.items[column].to_pylist(), strict=True))
    return [str(of.get(item)) for item in pool]


def _doubt(data: Dataset, pool: Sequence[str]) -> Float64[Array, "items"]:
    """The entropy of the models' mean vote, in nats, over all tasks."""
    coded = data.encode()
    if not coded.models:
        raise SettingError("by doubt needs what models say of the items: scores or model_labels")
    place = {item: at for at, item in enumerate(coded.items)}
    chosen = coded.select(np.array([place[item] for item in pool], np.int64))
    total = np.zeros(len(pool))
    for output in chosen.outputs:
        said = (output.kind > 0).sum(axis=1)
        mean = output.scores.astype(np.float64).sum(axis=1) / np.maximum(said, 1)[:, None]
        total += np.where(said > 0, entropy_nats(mean), 0.0)
    return total


# ---- people's grades ------------------------------------------------------------------------------------------------
def _people(data: Dataset, seed: Seed, kept: Dataset | None, grades: pa.Table | None) -> Dataset:
    """Everything that people said of the seed's items, the latest word of each person; gold and contents with it."""
    chosen = data.select(seed.items)
    rows: Grades = {}
    for table in (kept.labels if kept else None, chosen.labels, grades):
        rows |= _rows(table, set(seed.items), chosen.schema)
    labels = pa.Table.from_pylist(list(rows.values())) if rows else None
    return Dataset(labels, None, None, chosen.gold, chosen.items, schema=chosen.schema)


def _rows(table: pa.Table | None, items: set[str], schema: Schema) -> Grades:
    if table is None:
        return {}
    missing = next((name for name in COLUMNS if name not in table.column_names), None)
    if missing:
        mend = f"hand the grades in with the columns {', '.join(COLUMNS)}"
        raise DataError("the grades lack a column", mend=mend, column=missing)
    found: Grades = {}
    for number, row in enumerate(table.select(list(COLUMNS)).to_pylist(), start=1):
        texts = {name: "" if row[name] is None else str(row[name]).strip() for name in COLUMNS}
        if not texts["label"]:
            continue
        if not texts["annotator"]:
            raise DataError("a grade without a person", mend="name who gave it", row=number, column="annotator")
        if texts["item"] not in items:
            mend = "grade items of to_grade.csv only; others were not chosen"
            raise DataError(f"item {texts['item']!r} is none of the seed", mend=mend, row=number, column="item")
        schema.task(texts["task"])
        found[texts["item"], texts["task"], texts["annotator"]] = texts
    return found


def _missing(people: Dataset, data: Dataset, seed: Seed, wanted: int) -> pa.Table:
    """One row for every grade that is still to be given, with what the person must see; label and annotator empty."""
    coded = people.encode()
    place = {item: at for at, item in enumerate(coded.items)}
    count = np.diff(coded.labels.start).reshape(coded.n_items, coded.n_tasks)
    shown = _contents(data.items, seed.items)
    rows = list[dict[str, Any]]()
    for item in seed.items:
        for t, task in enumerate(coded.schema.tasks):
            given = int(count[place[item], t]) if item in place else 0
            gold = item in place and coded.gold[place[item], t] >= 0
            for _ in range(0 if gold else max(wanted - given, 0)):
                rows.append({"item": item, "task": task.name, "annotator": "", "label": "", **shown.get(item, {})})
    names = [*COLUMNS, *(name for name in (data.items.column_names if data.items else []) if name not in COLUMNS)]
    return pa.table({name: pa.array([row.get(name) for row in rows]) for name in names}) if rows else _nothing(names)


def _nothing(names: Sequence[str]) -> pa.Table:
    return pa.table({name: pa.array([], pa.string()) for name in names})


def _contents(items: pa.Table | None, chosen: Sequence[str]) -> Mapping[str, dict[str, Any]]:
    if items is None:
        return {}
    wanted = set(chosen)
    return {row["item"]: row for row in items.to_pylist() if row["item"] in wanted}
