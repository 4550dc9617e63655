"""Data sets of every shape, for laws about other tools' files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa
from hypothesis import strategies as st

from quorate.data.dataset import Dataset
from quorate.schema import Option, Schema, Task

LETTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cf", "Co", "Cn", "Zs", "Zl", "Zp"))
WORDS = st.text(LETTERS, min_size=1, max_size=6)
PEOPLE = st.one_of(
    WORDS, st.sampled_from(["ann@example.com", "label-studio:7", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"])
)
CONTENT = "text"


class Asked(NamedTuple):
    """A task."""

    name: str
    classes: tuple[str, ...]
    ordered: bool = False
    option_of: tuple[str, str] | None = None


@st.composite
def schemas(draw: st.DrawFn) -> list[Asked]:
    """One to three questions: a choice, a scale, stars, or all that apply; plain, as our own classes draw at random."""
    names = draw(st.lists(WORDS, min_size=1, max_size=3, unique=True).filter(lambda names: CONTENT not in names))
    tasks: list[Asked] = []
    for name in names:
        classes = tuple(draw(st.lists(WORDS, min_size=2, max_size=4, unique=True)))
        match draw(st.sampled_from(["choice", "scale", "stars", "all that apply"])):
            case "stars":
                tasks.append(Asked(name, tuple(map(str, range(1, draw(st.integers(2, 6))))), ordered=True))
            case "all that apply":
                tasks += [Asked(f"{name}: {c}", ("no", "yes"), option_of=(name, c)) for c in classes]
            case kind:
                tasks.append(Asked(name, classes, ordered=kind == "scale"))
    names = [task.name for task in tasks]
    if len(set(names)) < len(names) or {t.option_of[0] for t in tasks if t.option_of} & set(names):
        return draw(schemas())
    return tasks


def schema_of(tasks: Sequence[Asked]) -> Schema:
    """The schema itself."""
    return Schema(
        tuple(Task(t.name, t.classes, t.ordered, Option(*t.option_of) if t.option_of else None) for t in tasks)
    )


class World(NamedTuple):
    """The parts of a data set."""

    tables: dict[str, pa.Table]
    tasks: list[Asked]

    def dataset(self) -> Dataset:
        """All of it."""
        return Dataset(**self.tables, schema=schema_of(self.tasks))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Items with text, people's labels of whole questions, models' labels and scores, gold."""
    tasks = draw(schemas())
    items = draw(st.lists(WORDS, min_size=1, max_size=3, unique=True))
    people = draw(st.lists(PEOPLE, min_size=1, max_size=3, unique=True))
    questions = _questions(tasks)
    labels = [
        row | {"annotator": who}
        for item in items
        for who in people
        for name in draw(st.lists(st.sampled_from(list(questions)), unique=True))
        for row in _answers(draw, item, questions[name])
    ]
    models = [
        row | {"model": model} | ({"confidence": draw(st.floats(0, 1))} if len(questions[name]) == 1 else {})
        for item in items
        for model in ("m 1", "m2")
        for name in draw(st.lists(st.sampled_from(list(questions)), unique=True))
        for row in _answers(draw, item, questions[name])
    ]
    gold = [
        row
        for item in items
        for name in draw(st.lists(st.sampled_from(list(questions)), unique=True))
        for row in _answers(draw, item, questions[name])
    ]
    scores = [
        {"item": item, "task": task.name, "model": "m3", "label": label, "score": 1 / len(task.classes)}
        for item in items
        for task in tasks
        if draw(st.booleans())
        for label in task.classes
    ]
    texts = {"item": items, CONTENT: [draw(WORDS) for _ in items]}
    given: dict[str, Any] = {"labels": labels, "model_labels": models, "gold": gold, "scores": scores}
    tables = {name: pa.Table.from_pylist(rows, _columns(rows)) for name, rows in given.items() if rows}
    return World({**tables, "items": pa.table(texts)}, tasks)


def _columns(rows: Sequence[dict[str, Any]]) -> pa.Schema:
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.schema([(n, pa.float64() if n in {"confidence", "score"} else pa.string()) for n in names])


def _questions(tasks: Sequence[Asked]) -> dict[str, list[Asked]]:
    found: dict[str, list[Asked]] = {}
    for task in tasks:
        found.setdefault(task.option_of[0] if task.option_of else task.name, []).append(task)
    return found


def _answers(draw: st.DrawFn, item: str, tasks: Sequence[Asked]) -> list[dict[str, str]]:
    return [{"item": item, "task": task.name, "label": draw(st.sampled_from(task.classes))} for task in tasks]


def facts(data: Dataset, name: str, *columns: str) -> set[tuple[Any, ...]]:
    """The rows of a table, in no order."""
    table = getattr(data, name)
    there = [] if table is None else [column for column in columns if column in table.column_names]
    return set() if table is None else {tuple(row.get(c) for c in columns) for row in table.select(there).to_pylist()}


def assert_same(back: Dataset, data: Dataset, confidence: bool = True) -> None:
    """The same schema, and the same facts in every table."""
    assert back.schema == data.schema
    assert facts(back, "labels", "item", "task", "annotator", "label") == facts(
        data, "labels", "item", "task", "annotator", "label"
    )
    columns = ("item", "task", "model", "label", *(["confidence"] if confidence else []))
    assert facts(back, "model_labels", *columns) == facts(data, "model_labels", *columns)
    assert facts(back, "scores", "item", "task", "model", "label", "score") == facts(
        data, "scores", "item", "task", "model", "label", "score"
    )
    assert facts(back, "gold", "item", "task", "label") == facts(data, "gold", "item", "task", "label")
    assert facts(back, "items", "item", CONTENT) == facts(data, "items", "item", CONTENT)
