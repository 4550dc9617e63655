"""What models are asked: tasks with their classes in words, guidelines and worked examples; `rubric_file` reads it.

    about: Reviews of kitchen tools, as customers wrote them.
    tasks:
      - name: tone
        question: What is the tone of the review?
        classes:
          positive: The writer is content.
          negative: The writer is not.
      - name: safety
        kind: yes-no
        question: Does the review speak of an injury?

Kinds of tasks: `one` of the classes; a `scale` of ordered classes; `yes-no`; `any` of the classes, which is a yes-no
task for each class, as the data contract has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple, get_args

from quorate.errors import SchemaError
from quorate.llm.label_ids import label_ids
from quorate.schema import Schema, Task

Kind = Literal["one", "scale", "yes-no", "any"]
Calls = Literal["together", "apart"]
Thinking = Literal["none", "steps"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Question:
    """A task as a model reads it."""

    task: Task
    wording: str
    descriptions: Mapping[str, str] = field(default_factory=dict[str, str])  # of classes that need words
    guidelines: str = ""

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """What a model answers with, class by class."""
        return label_ids(self.task.classes)

    @cached_property
    def options(self) -> tuple[Option, ...]:
        """Each class with its short name and its words."""
        return tuple(
            Option(name, label, self.descriptions.get(label, ""))
            for name, label in zip(self.ids, self.task.classes, strict=True)
        )


class Option(NamedTuple):
    """A class as a model reads it."""

    id: str
    label: str
    words: str


class Declared(NamedTuple):
    """A tool that models may call, as the rubric names it."""

    kind: Literal["glossary", "search"]
    file: str  # from the folder of the rubric
    name: str = ""  # as models call it; by default the kind
    about: str = ""  # what models are told it is good for
    results: int = 3  # passages that a search returns


class Example(NamedTuple):
    """A worked example: an item, its labels by task, and why."""

    fields: Mapping[str, str]  # what the item shows, by column; of an image, its path
    labels: Mapping[str, str]
    reasoning: str = ""
    restricted: bool = False  # may not leave the boundary, nor any call that shows it


@dataclass(frozen=True)
class Rubric:
    """All that a model is told, and how it is asked.

    >>> safe = Question(Task("safe", ("no", "yes")), "Is it safe?")
    >>> Rubric((safe,)).schema.tasks[0].name
    'safe'
    """

    questions: tuple[Question, ...]
    about: str = ""
    guidelines: str = ""
    examples: tuple[Example, ...] = ()
    show: tuple[str, ...] | None = None  # columns of the items; None: text and images as they are found
    calls: Calls = "together"
    thinking: Thinking = "none"
    boundary: tuple[str, ...] = ()  # hosts that restricted items may be sent to
    tools: tuple[Declared, ...] = ()  # what models may look up
    rounds: int = 3  # of look-ups before an answer, at most

    def __post_init__(self) -> None:
        if not self.questions:
            raise SchemaError("the rubric has no task", mend="list at least one task")
        for number, example in enumerate(self.examples, start=1):
            for name, label in example.labels.items():
                if label not in self.schema.task(name).code_of:
                    known = ", ".join(map(repr, self.schema.task(name).classes))
                    raise SchemaError(
                        f"example {number} says {label!r} for task {name!r}", mend=f"use one of its classes: {known}"
                    )

    @cached_property
    def schema(self) -> Schema:
        """The tasks, as a dataset folder holds them."""
        return Schema(tuple(question.task for question in self.questions))

    def groups(self, *, apart: bool = False) -> list[tuple[Question, ...]]:
        """The questions of each call about an item: all together, or each by itself."""
        if apart or self.calls == "apart":
            return [(question,) for question in self.questions]
        return [self.questions]

    def examples_of(self, questions: Sequence[Question]) -> list[Example]:
        """The examples that answer all of these questions."""
        names = {question.task.name for question in questions}
        return [example for example in self.examples if names <= set(example.labels)]
