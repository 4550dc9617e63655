"""Prodigy's JSONL as a data set: the choice interface, and one label accepted or rejected at a time.

A line is one person's decision on one question about one item. Prodigy's `_input_hash` is the item, unless the line is
of our own export and says so itself. What was ignored is no answer; neither is a choice that was rejected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from quorate.data.faults import OnBad
from quorate.data.formats.gathered import Gathered, Imported
from quorate.data.formats.json_tree import Node, read_records
from quorate.data.formats.multi_select import NO, YES, option_name
from quorate.data.formats.our_own import OURS, columns_of, hash_of, read_extras, restriction
from quorate.data.lines import as_json
from quorate.data.naming import natural_key
from quorate.schema import Option, Schema, Task

OWN = {
    "options",
    "accept",
    "answer",
    "label",
    "config",
    "meta",
    "style",
    "tokens",
    "spans",
    OURS,
}  # keys beside content


class Line(NamedTuple):
    """A decision."""

    item: str
    question: str
    annotator: str
    at: float | None
    chosen: tuple[str, ...]
    offered: tuple[str, ...]
    kind: str  # choose one, choose all that apply, or yes and no to one label
    assisted: bool
    where: Node


def from_prodigy(source: Any, *, question: str = "label", on_bad: OnBad = "raise") -> Imported:
    """A data set from `prodigy db-out` (a .jsonl file, or a list of its lines), and what was left out of it.

    question: what the lines ask, which Prodigy does not say; our own exports say it themselves. Of two decisions of one
    person on one question the later stands. Raises DataError that names line and place.

    >>> line = {"text": "Hi", "options": [{"id": "good"}, {"id": "bad"}], "accept": ["good"], "answer": "accept"}
    >>> data = from_prodigy([line | {"_input_hash": 5, "_annotator_id": "ann"}]).data
    >>> data.labels.to_pylist()
    [{'item': '5', 'task': 'label', 'annotator': 'ann', 'label': 'good', 'assisted': False}]
    """
    lines = read_records(source, "prodigy")
    rows, left_out, said = Gathered(lines[0].source), Counter[str](), list[Line]()
    tasks: dict[str, Task] = {}
    for line in lines:
        read = _read(line, question, rows, left_out, tasks)
        said += [read] if read else []
    known = {*tasks, *(task.option_of.question for task in tasks.values() if task.option_of)}
    schema = Schema((*tasks.values(), *_tasks([each for each in said if each.question not in known])))
    for each in said:
        for task, label in _labels(each, schema).items():
            rank = (each.at or 0.0, each.where.row or 0)
            rows.add_label(
                each.where.row, each.item, task, each.annotator, label, _time(each.at), None, each.assisted, rank=rank
            )
    return rows.result(schema, [f"{count:,} {what}" for what, count in sorted(left_out.items())], on_bad)


# ---- one line -------------------------------------------------------------------------------------------------------
def _read(line: Node, question: str, rows: Gathered, left_out: Counter[str], tasks: dict[str, Task]) -> Line | None:
    ours, number = line.get(OURS), line.get("_input_hash")
    named = ours.get("item") if ours else None
    item = named.name() if named else number.name() if number else hash_of(_content(line))
    rows.add_item(line.row, item, columns_of(_content(line)) | restriction(line, "meta"))
    read_extras(rows, item, ours)
    if ours and (schema := ours.get("schema")):
        tasks |= {task.name: task for task in Schema.from_json(as_json(schema.object()), source=line.source).tasks}
    answer = line.get("answer")
    if answer is None:
        left_out["not yet answered"] += 1
        return None
    if answer.name() not in {"accept", "reject", "ignore"}:
        raise answer.error(f"{answer.name()!r} is no answer", "write accept, reject or ignore")
    asks = ours.get("question") if ours else None
    return _decision(line, item, asks.title() if asks else question, answer.name(), left_out)


def _decision(line: Node, item: str, question: str, answer: str, left_out: Counter[str]) -> Line | None:
    options, label = line.get("options"), line.get("label")
    if answer == "ignore" or (answer == "reject" and options is not None):
        left_out["ignored" if answer == "ignore" else "choices rejected as a whole"] += 1
        return None
    who = line.get("_annotator_id") or line.get("_session_id")
    at, assisted = line.get("_timestamp"), line.get(OURS)
    shown = bool(assisted and assisted.get("proposed"))
    told = Line(item, question, who.name() if who else "prodigy", at.number() if at else None, (), (), "", shown, line)
    if options is not None:
        accept = line.get("accept")
        offered = tuple(option.need("id").title() for option in options.each())
        chosen = tuple(each.name() for each in accept.each()) if accept else ()
        return _choice(told._replace(chosen=chosen, offered=offered), left_out)
    if label is None:
        left_out["lines that ask for no class"] += 1
        return None
    chosen = (label.title(),) if answer == "accept" else ()
    return told._replace(chosen=chosen, offered=(label.title(),), kind="binary")


def _choice(line: Line, left_out: Counter[str]) -> Line | None:
    strange = [label for label in line.chosen if label not in line.offered]
    if strange:
        raise line.where.error(f"{strange[0]!r} was chosen and not offered", "correct accept or options")
    config = line.where.get("config")
    style = config.get("choice_style") if config else None
    if style and style.name() == "multiple":
        return line._replace(kind="multiple")
    if len(line.chosen) > 1:
        return line._replace(kind="multiple")
    if not line.chosen:
        left_out["choices accepted with nothing chosen"] += 1
        return None
    return line._replace(kind="single")


def _content(line: Node) -> dict[str, Any]:
    return {key: value for key, value in line.object().items() if key not in OWN and not key.startswith("_")}


def _time(at: float | None) -> Any:
    if at is None:
        return None
    return pa.scalar(round(at * 1e6), pa.timestamp("us", "UTC")).as_py()


# ---- tasks ----------------------------------------------------------------------------------------------------------
def _tasks(said: Sequence[Line]) -> list[Task]:
    """Each question once: with yes and no for each of its labels where several may apply."""
    offered: dict[str, dict[str, None]] = {}
    for line in said:
        offered.setdefault(line.question, {}).update(dict.fromkeys(line.offered))
    several = {line.question for line in said if line.kind != "single"}
    tasks: list[Task] = []
    for name in sorted(offered, key=natural_key):
        labels = list(offered[name])
        if name in several:
            tasks += [Task(option_name(name, label), (NO, YES), option_of=Option(name, label)) for label in labels]
        else:
            tasks.append(Task(name, tuple(labels)))
    return tasks


def _labels(line: Line, schema: Schema) -> Mapping[str, str]:
    """A decision by task; of a choice among several, an answer to each label that was offered."""
    if line.question in schema.code_of:
        return {line.question: line.chosen[0]}
    return {option_name(line.question, label): YES if label in line.chosen else NO for label in line.offered}
