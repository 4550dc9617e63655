"""Table 5's form on data of your own: every data set of a folder, all estimators under the one protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from quorate.consensus.registry import ESTIMATORS
from quorate.data.dataset import Dataset
from quorate.data.folder import SCHEMA, table_files
from quorate.errors import DataError, QuorateError
from quorate.evaluate.compare import Result, judge
from quorate.evaluate.protocol import Trial, trial
from quorate.study.plan import Plan
from quorate.study.recorded_page import section
from quorate.study.runs import Part, file_digest, reason

ALWAYS = ("majority",)  # people alone: what everything is measured against
QUICK_SETS = 3
Found = dict[str, dict[str, list[Part]]]  # by data set and estimator, one part per seed


def recorded(plan: Plan, folder: Path) -> Any:
    """Run it, or read what is kept. Raises DataError where the folder holds no data set."""
    sets = chosen(folder, quick=plan.quick)
    seeds = list(range(plan.seeds or 1))
    names = list(dict.fromkeys((*ALWAYS, *plan.estimators)))
    found: Found = {}
    failed: dict[tuple[str, str], str] = {}
    for place, of_set in enumerate(sets):
        found[of_set.name] = {}
        for column, name in enumerate(names):
            plan.tell(place * len(names) + column, len(sets) * len(names), f"{of_set.name}, {name}")
            try:
                found[of_set.name][name] = [part(plan, of_set, name, seed) for seed in seeds]
            except Exception as error:  # noqa: BLE001 - a fault in one part must not cost the others
                failed[of_set.name, name] = reason(error)
    return section(plan, found, _together(failed, [of.name for of in sets], names), seeds, n_all=len(data_sets(folder)))


def _together(failed: Mapping[tuple[str, str], str], sets: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Failures by name; with one cause, a set that suits nobody or an estimator that works nowhere is said once."""
    left, said = dict(failed), dict[str, str]()
    for each, size, axis in [*((name, len(names), 0) for name in sets), *((name, len(sets), 1) for name in names)]:
        keys = [key for key in left if key[axis] == each]
        if len(keys) == size and len({left[key] for key in keys}) == 1:
            said[each] = left[keys[0]]
            left = {key: why for key, why in left.items() if key not in keys}
    return said | {", ".join(key): why for key, why in left.items()}


# ---- data sets ------------------------------------------------------------------------------------------------------
def data_sets(folder: Path) -> list[Path]:
    """Dataset folders inside a folder, by name; the folder itself where it is one. Raises DataError for none."""
    if not folder.is_dir():
        raise DataError("there is no such folder", mend="name a folder of dataset folders", source=str(folder))
    if table_files(folder):
        return [folder]
    found = [each for each in sorted(folder.iterdir()) if each.is_dir() and _has_tables(each)]
    if not found:
        mend = "name a folder whose folders hold labels.csv, scores.csv and so on (or .jsonl, .parquet)"
        raise DataError("there is no dataset folder in this folder", mend=mend, source=str(folder))
    return found


def _has_tables(folder: Path) -> bool:
    try:
        return bool(table_files(folder))
    except QuorateError:
        return True  # it is meant as one: what is wrong with it is said when it is read


def chosen(folder: Path, *, quick: bool) -> list[Path]:
    """All data sets, or a few small ones, first those that have both people and models."""
    sets = data_sets(folder)
    return sorted(sorted(sets, key=_cheap)[:QUICK_SETS]) if quick else sets


def _cheap(folder: Path) -> tuple[bool, int]:
    try:
        files = table_files(folder)
    except QuorateError:
        return (True, 0)
    whole = "labels" in files and ("scores" in files or "model_labels" in files)
    return (not whole, sum(path.stat().st_size for name, path in files.items() if name != "items"))


# ---- parts ----------------------------------------------------------------------------------------------------------
def part(plan: Plan, folder: Path, name: str, seed: int) -> Part:
    """One estimator on one data set."""
    schema = folder / SCHEMA
    files = [*table_files(folder).values(), *([schema] if schema.is_file() else [])]
    return plan.runs.once(
        f"recorded-{folder.name}.{name}" + (f".seed-{seed}" if seed else ""),
        {"data": file_digest(files), "estimator": repr(plan.options(name)), "seed": seed},
        ["quorate.evaluate.compare", ESTIMATORS[name].module],
        lambda: _computed(plan, folder, name, seed),
    )


def _computed(plan: Plan, folder: Path, name: str, seed: int) -> Part:
    ready = _ready(folder, seed)
    result = judge(plan.options(name), ready, seed=seed)
    coded = ready.coded
    return {
        "items": coded.n_items,
        "tasks": coded.n_tasks,
        "people": len(coded.annotators),
        "models": len(coded.models),
        "answering": int(sum(bool(output.kind.any()) for output in coded.outputs)),
        **result.figures(),
        "by_item": _by_item(result),
    }


@lru_cache(maxsize=1)
def _ready(folder: Path, seed: int) -> Trial:
    """The data set, read once for the estimators that follow one another on it."""
    return trial(Dataset.read(folder).encode(), seed=seed)


def _by_item(result: Result) -> dict[str, list[Any]] | None:
    """Labels hidden and their log loss in nats, added up per item: enough for paired differences."""
    if "all_others" not in result.held:
        return None
    held = result.held["all_others"]
    item = np.unique(held.item, return_inverse=True)[1]
    return {"n": np.bincount(item).tolist(), "loss": np.bincount(item, held.loss).round(7).tolist()}
