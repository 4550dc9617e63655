"""Tasks (questions about an item) and their classes (possible answers)."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from quorate.errors import SchemaError

UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, halves of surrogate pairs
MAX_CLASSES = 1_000  # above this a column was mistaken for an answer (an id, a free text)


class Option(NamedTuple):
    """Where a yes/no task comes from: a choose-all-that-apply question, and one of its classes."""

    question: str
    label: str


@dataclass(frozen=True)
class Task:
    """A question: its name, its classes in order, and whether that order is a scale."""

    name: str
    classes: tuple[str, ...]
    ordered: bool = False
    option_of: Option | None = field(default=None, repr=False)  # so that answers to all options can be joined again

    def __post_init__(self) -> None:
        if not self.name:
            raise SchemaError("a task has no name", mend="give every task a name")
        if not self.classes:
            raise SchemaError(f"task {self.name!r} has no classes", mend="list at least one class")
        if len(self.classes) > MAX_CLASSES:
            raise SchemaError(
                f"task {self.name!r} has {len(self.classes)} distinct classes, more than {MAX_CLASSES}",
                mend="check that the label column holds answers, not ids or free text",
                column="label",
            )
        repeated = sorted({name for name in self.classes if self.classes.count(name) > 1})
        if repeated:
            raise SchemaError(f"task {self.name!r} names class {repeated[0]!r} twice", mend="name every class once")

    @cached_property
    def code_of(self) -> dict[str, int]:
        """Class name to its place in `classes`."""
        return {name: code for code, name in enumerate(self.classes)}


@dataclass(frozen=True)
class Schema:
    """All tasks of a data set, in order."""

    tasks: tuple[Task, ...]

    def __post_init__(self) -> None:
        repeated = [name for name, times in Counter(task.name for task in self.tasks).items() if times > 1]
        if repeated:
            raise SchemaError(f"task {repeated[0]!r} is listed twice", mend="list every task once")

    def __len__(self) -> int:
        return len(self.tasks)

    @cached_property
    def code_of(self) -> dict[str, int]:
        """Task name to its place in `tasks`."""
        return {task.name: code for code, task in enumerate(self.tasks)}

    def task(self, name: str) -> Task:
        """The task of that name. Raises SchemaError when there is none."""
        if name not in self.code_of:
            known = ", ".join(repr(task.name) for task in self.tasks)
            raise SchemaError(f"there is no task {name!r}", mend=f"use one of {known}")
        return self.tasks[self.code_of[name]]

    def to_json(self) -> str:
        """As `schema.json` holds it."""
        return json.dumps({"tasks": [_entry(task) for task in self.tasks]}, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, source: str = "schema.json") -> Schema:
        """Read back. Raises SchemaError that names what is wrong."""
        try:
            tasks = json.loads(text)["tasks"]
            return cls(tuple(_task(entry) for entry in tasks))
        except SchemaError as error:
            raise SchemaError(error.problem, mend=error.mend, source=source) from None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise SchemaError(
                f"not a schema ({type(error).__name__}: {error})",
                mend='write {"tasks": [{"name": ..., "classes": [...], "ordered": false}]}',
                source=source,
            ) from None


def _entry(task: Task) -> dict[str, Any]:
    entry = {"name": task.name, "classes": list(task.classes), "ordered": task.ordered}
    return entry | ({"option_of": task.option_of._asdict()} if task.option_of else {})


def _task(entry: Any) -> Task:
    name, classes, ordered = entry["name"], entry["classes"], entry.get("ordered", False)
    if not isinstance(name, str) or not isinstance(ordered, bool) or not isinstance(classes, list):
        raise TypeError("name must be text, classes a list, ordered true or false")
    if not all(isinstance(text, str) and text.strip() and not UNFIT.search(text) for text in [name, *classes]):
        raise TypeError(f"name and classes of task {name!r} must be texts, not empty, without control characters")
    option = entry.get("option_of")
    if option is not None and not all(isinstance(option[key], str) for key in Option._fields):
        raise TypeError(f"option_of of task {name!r} must name question and label")
    return Task(name, tuple(classes), ordered, Option(option["question"], option["label"]) if option else None)
