"""What our exports to other tools have in common: contents of items, what is proposed, and what the tools cannot hold.

A score per class, several models, gold: where a tool has no place for them they stand beside its own keys under
`quorate`, and come back when its files are imported.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from quorate.data.columns import read_numbers
from quorate.data.dataset import Dataset
from quorate.data.features import feature_columns
from quorate.data.formats.gathered import Gathered
from quorate.data.formats.json_tree import Node
from quorate.data.lines import as_json
from quorate.data.names import name_text
from quorate.data.restricted import RESTRICTED, is_marked, restricted_items
from quorate.errors import DataError, SettingError
from quorate.schema import Schema

OURS = "quorate"  # the key of what is ours; how the names of our own predictions begin, which are no model's
ITEM_KEY = "quorate_id"  # the key of an item's id among its content
FLAT = ("metadata.", "meta.")  # before keys that stood beside the content, in flat exports
TAKEN = {"item", "embedding"}  # columns of the items table that have a meaning of their own


class Guess(NamedTuple):
    """What is proposed for a task."""

    label: str
    confidence: float | None


# ---- contents -------------------------------------------------------------------------------------------------------
def contents_of(data: Dataset) -> dict[str, dict[str, Any]]:
    """What people are shown of each item: the columns of the items table but features; its id where there is nothing.

    Raises SettingError for a data set without items, DataError for one with an item that people may not be shown.
    """
    hidden = restricted_items(data.items)
    if hidden:
        raise DataError(
            f"item {min(hidden)!r} is restricted, and a labeling tool shows its items to people",
            mend="leave restricted items out; models inside a declared boundary may label them",
            column=RESTRICTED,
        )
    found: dict[str, dict[str, Any]] = {item: {} for item in data.encode().items}
    if data.items is not None:
        features = {"item", *feature_columns(list(data.items.column_names))}
        shown = [name for name in data.items.column_names if name not in features]
        for row in data.items.to_pylist():
            found[row["item"]] = {name: _plain(row[name]) for name in shown if row[name] is not None}
    if not found:
        raise SettingError("there is no item in this folder to write")
    return {item: content or {"text": item} for item, content in found.items()}


def _plain(value: Any) -> Any:
    """A value that JSON holds."""
    return value if isinstance(value, str | bool | int | float) and value == value else as_json(value)  # noqa: PLR0124


def shown_names(contents: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The fields that any item has, in order."""
    return list(dict.fromkeys(name for content in contents.values() for name in content))


def columns_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """An item's content as columns of the items table, renamed where the table has that name for something else."""
    return {
        f"data_{key}" if key in TAKEN or key.startswith("x_") else key: value
        for key, value in content.items()
        if key != ITEM_KEY and key.strip()
    }


def restriction(record: Node, *places: str) -> dict[str, Any]:
    """The mark of an item that people may not be shown, which tools keep beside its content; as a column of items."""
    beside = [found.object() for place in places if (found := record.get(place)) and isinstance(found.value, dict)]
    flat = {key.rpartition(".")[2]: value for key, value in record.object().items() if key.startswith(FLAT)}
    marks = [is_marked(each) for each in [*beside, flat]]
    return {RESTRICTED: True} if True in marks else {RESTRICTED: "unclear"} if None in marks else {}


# ---- what other tools cannot hold -----------------------------------------------------------------------------------
def scores_of(data: Dataset) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Scores by item, model, task and class."""
    found: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for row in [] if data.scores is None else data.scores.to_pylist():
        of_model = found.setdefault(row["item"], {}).setdefault(row["model"], {})
        of_model.setdefault(row["task"], {})[row["label"]] = row["score"]
    return found


def extras_of(data: Dataset) -> dict[str, dict[str, Any]]:
    """Scores, models' answers and gold, by item."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for item, said in scores_of(data).items():
        found[item]["scores"] = said
    for (item, model), rows in grouped(data.model_labels, "model").items():
        of_model = found[item].setdefault("model_labels", {}).setdefault(model, {})
        for row in rows:
            sure = row.get("confidence")
            of_model[row["task"]] = {"label": row["label"]} | ({} if sure is None else {"confidence": sure})
    for (item, _), rows in grouped(data.gold, None).items():
        found[item]["gold"] = {row["task"]: row["label"] for row in rows}
    return found


def read_scores(rows: Gathered, item: str, ours: Node | None) -> None:
    """Take up the scores that our own export kept. Raises FormatError."""
    scores = ours.get("scores") if ours else None
    for model, tasks in scores.pairs() if scores else ():
        for task, classes in tasks.pairs():
            for label, score in classes.pairs():
                rows.add_score(score.row, item, task, model, label, score.number())


def read_extras(rows: Gathered, item: str, ours: Node | None) -> None:
    """Take up all that our own export kept. Raises FormatError."""
    read_scores(rows, item, ours)
    said = ours.get("model_labels") if ours else None
    for model, tasks in said.pairs() if said else ():
        for task, answer in tasks.pairs():
            sure = answer.get("confidence")
            label = answer.need("label").name()
            rows.add_model_label(answer.row, item, task, model, label, sure.share() if sure else None)
    gold = ours.get("gold") if ours else None
    for task, label in gold.pairs() if gold else ():
        rows.add_gold(label.row, item, task, label.name())


def hash_of(value: Any) -> str:
    """A number of 32 bits, in digits; the same for the same value, everywhere."""
    digest = hashlib.sha256(as_json(value).encode("utf-8", "backslashreplace")).digest()
    return str(int.from_bytes(digest[:4], "big", signed=True))


# ---- rows -----------------------------------------------------------------------------------------------------------
def grouped(table: pa.Table | None, who: str | None) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Rows by item and by who said it."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in [] if table is None else table.to_pylist():
        groups[row["item"], row[who] if who else ""].append(row)
    return groups


def open_guesses(consensus: pa.Table, schema: Schema, sure: float) -> dict[str, dict[str, Guess]]:
    """By item and task, what a consensus holds of the tasks of which it is less than `sure`.

    Raises SettingError for a `sure` outside [0, 1], DataError for a table that is no consensus on these tasks.
    """
    if not 0 <= sure <= 1:
        raise SettingError(f"sure is a confidence from 0 to 1, not {sure}")
    missing = [name for name in ("item", "task", "label", "confidence") if name not in consensus.column_names]
    if missing:
        raise _no_consensus("the column is missing", None, missing[0])
    numbers = read_numbers(consensus["confidence"])
    confidence = numbers.values.tolist()
    unknown = (numbers.missing | numbers.unreadable).tolist()
    texts = [[name_text(value).text for value in consensus[name].to_pylist()] for name in ("item", "task", "label")]
    found: dict[str, dict[str, Guess]] = defaultdict(dict)
    for row, (item, task, label) in enumerate(zip(*texts, strict=True)):
        if item is None or task not in schema.code_of or label not in schema.task(task).code_of:
            raise _no_consensus(f"{label!r} is no answer to {task!r} here", row + 1, "label")
        if unknown[row] or not 0 <= confidence[row] <= 1:
            raise _no_consensus("the confidence is no number from 0 to 1", row + 1, "confidence")
        if confidence[row] < sure:
            found[item][task] = Guess(label, confidence[row])
    return found


def _no_consensus(problem: str, row: int | None, column: str) -> DataError:
    mend = "give the table that `quorate predict` wrote about this very data set"
    return DataError(problem, mend=mend, source="consensus", row=row, column=column)
