"""What Label Studio's JSON says: answers of annotations and predictions, in its words and in ours.

The importer of files and the service read annotations and predictions here, so that a label that comes by webhook and
the same label in an export are one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from quorate.data.formats.json_tree import Node
from quorate.data.formats.label_config import SIDES, Control
from quorate.data.formats.multi_select import NO, YES
from quorate.data.formats.our_own import ITEM_KEY
from quorate.errors import SchemaError
from quorate.schema import Schema, Task

KEY = 8  # characters of a region's id that say which annotation of our own export it is from
PERSON = "label-studio:"  # before the number of a person of whom no address is known


class Answer(NamedTuple):
    """What one control was answered."""

    kind: str
    chosen: tuple[str, ...]
    score: float | None
    where: Node


Answers = Mapping[str, Answer]  # by control


# ---- annotations and predictions ------------------------------------------------------------------------------------
def read_result(result: Node | None, left_out: Counter[str]) -> dict[str, Answer]:
    """The answers in a list of regions; kinds that are no classes are counted and left out.

    Raises FormatError for regions that are none, and for a control that answers twice.
    """
    found: dict[str, Answer] = {}
    for region in [] if result is None else result.each():
        kind = region.get("type")
        kind = "" if kind is None else kind.name()
        if kind not in VALUES:
            left_out[kind or "unnamed"] += 1
            continue
        control = region.need("from_name").title()
        if control in found:
            raise region.error(
                f"the control {control!r} answers twice in one annotation",
                "give the labeling configuration, so that questions about regions are known and left out",
            )
        found[control] = Answer(kind, _chosen(region.need("value"), kind), score_of(region), region)
    return found


VALUES = {"choices": "choices", "rating": "rating", "pairwise": "selected"}


def _chosen(value: Node, kind: str) -> tuple[str, ...]:
    if kind == "choices":
        return tuple(dict.fromkeys(each.name() for each in value.need("choices").each()))
    found = value.need(VALUES[kind])
    if kind == "pairwise" and found.value not in SIDES:
        raise found.error(f"{found.value!r} is no side", "write left or right")
    return (str(int(found.number())),) if kind == "rating" and found.number().is_integer() else (found.name(),)


def score_of(node: Node) -> float | None:
    """A region's or prediction's score where it is a probability: Label Studio takes any number."""
    found = node.get("score")
    return float(found.value) if found and isinstance(found.value, int | float) and 0 <= found.value <= 1 else None


def person_of(completed_by: Node | None) -> str:
    """Who answered: the e-mail address where it is told, else the number with where it is from."""
    if completed_by is None:
        return f"{PERSON}unknown"
    if isinstance(completed_by.value, dict):
        email = completed_by.get("email")
        return email.name() if email else person_of(completed_by.need("id"))
    name = completed_by.name()
    return name if "@" in name else PERSON + name


def is_assisted(annotation: Node) -> bool:
    """Whether the person saw a prediction first."""
    snapshot, parent = annotation.get("prediction"), annotation.get("parent_prediction")
    return bool(snapshot and snapshot.value) or parent is not None


def item_of(task: Node) -> str:
    """Which item a task is: our own id in its data or meta, else Label Studio's number of it, else its row."""
    data, meta = task.get("data"), task.get("meta")
    ours = (data.get(ITEM_KEY) if data else None) or task.get(ITEM_KEY)
    ours = ours or (meta.get(ITEM_KEY) if meta and isinstance(meta.value, dict) else None)
    theirs = task.get("id")
    return ours.name() if ours else theirs.name() if theirs else str(task.row)


# ---- in our words ---------------------------------------------------------------------------------------------------
class Asked(NamedTuple):
    """The schema's tasks by the control that asks them: one task, or all options of a question."""

    single: Mapping[str, Task]
    options: Mapping[str, tuple[Task, ...]]

    @classmethod
    def of(cls, schema: Schema) -> Asked:
        """By the schema."""
        options: dict[str, tuple[Task, ...]] = {}
        for task in schema.tasks:
            if task.option_of:
                options[task.option_of.question] = (*options.get(task.option_of.question, ()), task)
        return cls({task.name: task for task in schema.tasks if not task.option_of}, options)

    def labels(self, answers: Answers) -> dict[str, str]:
        """Labels by task; of other controls nothing. Raises SchemaError for an answer that no task takes."""
        found: dict[str, str] = {}
        for control, answer in answers.items():
            if control in self.options:
                found |= self._split(control, answer)
            elif control in self.single and answer.chosen:
                found[control] = _one(control, answer, self.single[control])
        return found

    def _split(self, control: str, answer: Answer) -> dict[str, str]:
        offered = {task.option_of.label: task for task in self.options[control] if task.option_of}
        for label in answer.chosen:
            if label not in offered:
                raise _strange(control, label, list(offered), answer.where)
        return {task.name: YES if label in answer.chosen else NO for label, task in offered.items()}


def _one(control: str, answer: Answer, task: Task) -> str:
    if len(answer.chosen) > 1:
        mend = "ask it as choose-all-that-apply, or correct the annotation"
        raise answer.where.error(f"{control!r} takes one answer and has {len(answer.chosen)}", mend)
    label = next(iter(answer.chosen))
    if label not in task.code_of:
        raise _strange(control, label, task.classes, answer.where)
    return label


def _strange(control: str, label: str, classes: Sequence[str], where: Node) -> SchemaError:
    return SchemaError(
        f"{control!r} has no class {label!r}",
        mend=f"use one of {', '.join(map(repr, classes[:20]))}, or add it to the classes",
        source=where.source,
        row=where.row,
        column=where.path,
    )


def asked_by(controls: Sequence[Control], seen: Mapping[str, Sequence[str]]) -> Schema:
    """The schema of these controls; classes that a control leaves to the data are those seen."""
    return Schema(tuple(task for control in controls for task in control.tasks(seen.get(control.name, ()))))
