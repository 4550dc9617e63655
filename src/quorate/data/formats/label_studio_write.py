"""A data set as Label Studio imports it: tasks with predictions that carry confidence, people's labels, and gold.

Ground truth is always explicit, since Label Studio takes an imported annotation for it where nothing is said. It has no
place for a score per class, for people it does not know, or for a time of our own: those stand in each task's `meta`,
which it keeps and exports again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple
from uuid import NAMESPACE_URL, uuid5

import pyarrow as pa

from quorate.data.dataset import Dataset
from quorate.data.formats.label_config import Control, controls_of, write_config
from quorate.data.formats.label_studio_read import KEY, PERSON
from quorate.data.formats.multi_select import YES
from quorate.data.formats.our_own import (
    ITEM_KEY,
    OURS,
    Guess,
    contents_of,
    grouped,
    open_guesses,
    scores_of,
    shown_names,
)
from quorate.data.lines import as_json
from quorate.schema import Schema

IMAGE = re.compile(r"(https?://|/|data:image/).*?(\.(png|jpe?g|gif|webp|svg)(\?|$)|;base64,)", re.IGNORECASE)
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class LabelStudio(NamedTuple):
    """What to give to Label Studio: its labeling configuration and the tasks to import."""

    config: str
    tasks: tuple[dict[str, Any], ...]


def to_label_studio(
    data: Dataset, consensus: pa.Table | None = None, *, sure: float = 0.95, labels: bool = True
) -> LabelStudio:
    """Tasks and configuration of a data set.

    consensus: a table with item, task, label, confidence, as `Consensus.table` gives it; then each item bears one
    prediction, of the tasks whose confidence is below `sure` and of no others, and items without such a task are left
    out: there is nothing to ask. Without it, the models' own answers are the predictions.
    labels: whether people's labels and gold go along. Raises SettingError for a `sure` outside [0, 1].

    >>> labels = pa.table({"item": ["a"], "task": ["ok"], "annotator": ["ann@x.org"], "label": ["yes"]})
    >>> task = to_label_studio(Dataset(labels=labels, items=pa.table({"item": ["a"], "text": ["Hi"]}))).tasks[0]
    >>> task["data"], task["annotations"][0]["ground_truth"]
    ({'text': 'Hi', 'quorate_id': 'a'}, False)
    """
    contents = contents_of(data)
    controls = controls_of(data.schema, shown_names(contents)[0])
    tasks = {item: _task(item, contents[item]) for item in contents}
    if labels:
        _add_labels(tasks, data, controls)
        _add_gold(tasks, data, controls)
    _add_scores(tasks, data)
    if consensus is None:
        _add_model_labels(tasks, data, controls)
    else:
        tasks = _propose(tasks, consensus, data.schema, controls, sure)
    config = write_config(data.schema, _fields(contents))
    return LabelStudio(config, tuple({k: v for k, v in task.items() if v} for task in tasks.values()))


# ---- predictions, which the service makes too -----------------------------------------------------------------------
def prediction(
    version: str, controls: Sequence[Control], schema: Schema, guesses: Mapping[str, Guess], key: str
) -> dict[str, Any]:
    """A prediction of the guessed tasks, one region for each control; its score is the least sure of them.

    The key goes into the regions' ids, which Label Studio keeps where it gives all else a name of its own.

    Where some options of a choose-all-that-apply question are guessed, the region lists those of them that apply.
    """
    found = [_region(control, schema, guesses, f"{key}-{place}") for place, control in enumerate(controls)]
    regions = [region for region in found if region]
    scores = [region["score"] for region in regions if "score" in region]
    return {"model_version": version, "result": regions} | ({"score": min(scores)} if scores else {})


def _region(control: Control, schema: Schema, guesses: Mapping[str, Guess], name: str) -> dict[str, Any] | None:
    if control.multiple:
        options = [task for task in schema.tasks if task.option_of and task.option_of.question == control.name]
        guessed = [guesses[task.name] for task in options if task.name in guesses]
        chosen = [t.option_of.label for t in options if t.option_of and t.name in guesses and _applies(guesses[t.name])]
    else:
        guessed = [guesses[control.name]] if control.name in guesses else []
        chosen = [guess.label for guess in guessed]
    if not guessed:
        return None
    values: dict[str, Any] = {
        "choices": {"choices": chosen},
        "rating": {"rating": int(chosen[0])} if control.kind == "rating" else {},
        "pairwise": {"selected": chosen[0]} if control.kind == "pairwise" else {},
    }
    names = {"from_name": control.name, "to_name": control.to_name, "type": control.kind}
    region = {"id": name, **names, "value": values[control.kind]}
    known = [guess.confidence for guess in guessed if guess.confidence is not None]
    return region | ({"score": min(known)} if len(known) == len(guessed) else {})


def _applies(guess: Guess) -> bool:
    return guess.label == YES


# ---- contents -------------------------------------------------------------------------------------------------------
def _fields(contents: Mapping[str, Mapping[str, Any]]) -> dict[str, Literal["Text", "Image"]]:
    """The fields to show, each as a text or, where every value looks like the address of one, as an image."""
    return {
        name: "Image" if all(_is_image(c[name]) for c in contents.values() if name in c) else "Text"
        for name in shown_names(contents)
    }


def _is_image(value: Any) -> bool:
    return isinstance(value, str) and IMAGE.match(value) is not None


def _task(item: str, content: Mapping[str, Any]) -> dict[str, Any]:
    return {"data": {**content, ITEM_KEY: item}, "annotations": [], "predictions": [], "meta": {}}


# ---- labels, gold, scores -------------------------------------------------------------------------------------------
def _add_labels(tasks: Mapping[str, dict[str, Any]], data: Dataset, controls: Sequence[Control]) -> None:
    """One annotation of each item and person."""
    for (item, person), rows in grouped(data.labels, "annotator").items():
        uid = _uid(item, "person", person)
        seconds = [row["seconds"] for row in rows if row.get("seconds") is not None]
        entry = _annotation(uid, rows, data.schema, controls, ground_truth=False)
        entry |= {"lead_time": sum(seconds)} if seconds else {}
        tasks[item]["annotations"].append(entry | _completed_by(person))
        at = max((row["created_at"] for row in rows if row.get("created_at") is not None), default=None)
        notes = {"annotator": person}
        notes |= {"created_at": at.isoformat() if hasattr(at, "isoformat") else at} if at is not None else {}
        notes |= {"assisted": True} if any(row.get("assisted") for row in rows) else {}
        _ours(tasks[item], "annotations")[uid[:KEY]] = notes


def _completed_by(person: str) -> dict[str, Any]:
    """A person that Label Studio may know; it refuses others, so that theirs become the importing user's."""
    number = person.removeprefix(PERSON)
    if person.startswith(PERSON) and number.isascii() and number.isdigit():
        return {"completed_by": int(number)}
    return {"completed_by": {"email": person}} if ADDRESS.fullmatch(person) else {}


def _add_gold(tasks: Mapping[str, dict[str, Any]], data: Dataset, controls: Sequence[Control]) -> None:
    for (item, _), rows in grouped(data.gold, None).items():
        entry = _annotation(_uid(item, "gold", ""), rows, data.schema, controls, ground_truth=True)
        tasks[item]["annotations"].append(entry)


def _annotation(
    uid: str,
    rows: Sequence[Mapping[str, Any]],
    schema: Schema,
    controls: Sequence[Control],
    *,
    ground_truth: bool,
) -> dict[str, Any]:
    guesses = {row["task"]: Guess(row["label"], None) for row in rows}
    result = prediction("", controls, schema, guesses, uid[:KEY])["result"]
    return {"result": result, "ground_truth": ground_truth, "was_cancelled": False, "unique_id": uid}


def _add_model_labels(tasks: Mapping[str, dict[str, Any]], data: Dataset, controls: Sequence[Control]) -> None:
    for (item, model), rows in grouped(data.model_labels, "model").items():
        guesses = {row["task"]: Guess(row["label"], row.get("confidence")) for row in rows}
        tasks[item]["predictions"].append(
            prediction(model, controls, data.schema, guesses, _uid(item, "model", model)[:KEY])
        )


def _add_scores(tasks: Mapping[str, dict[str, Any]], data: Dataset) -> None:
    for item, said in scores_of(data).items():
        _ours(tasks[item], "scores").update(said)


def _ours(task: dict[str, Any], key: str) -> dict[str, Any]:
    return task["meta"].setdefault(OURS, {}).setdefault(key, {})


def _uid(item: str, kind: str, who: str) -> str:
    """The same for the same person and item, so that a file imported twice is known to Label Studio."""
    return str(uuid5(NAMESPACE_URL, as_json([item, kind, who])))


# ---- proposals ------------------------------------------------------------------------------------------------------
def _propose(
    tasks: Mapping[str, dict[str, Any]],
    consensus: pa.Table,
    schema: Schema,
    controls: Sequence[Control],
    sure: float,
) -> dict[str, dict[str, Any]]:
    """The items with an open task, each with a prediction of those."""
    open_ = open_guesses(consensus, schema, sure)
    for item in open_.keys() & tasks.keys():
        key = _uid(item, "ours", "")[:KEY]
        tasks[item]["predictions"].append(prediction(OURS, controls, schema, open_[item], key))
    return {item: task for item, task in tasks.items() if item in open_}
