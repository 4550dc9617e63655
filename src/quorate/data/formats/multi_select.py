"""Choose-all-that-apply questions as yes/no tasks, one per class, and back.

A question "topics" with the classes "art" and "war" becomes the tasks "topics: art" and "topics: war". The schema keeps
where they come from (`Task.option_of`), so that their answers can be joined again, those of a consensus too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from quorate.data.columns import Column, cell, is_blank, plain
from quorate.data.dataset import Dataset
from quorate.data.faults import OnBad
from quorate.data.formats.source import read_source
from quorate.data.names import FINE, FLAWS, flaw_problem, name_text, read_names, shown
from quorate.data.naming import natural_key
from quorate.data.tables import Raw, TableName
from quorate.errors import DataError, SchemaError
from quorate.schema import Option, Schema, Task

Array = np.ndarray
NO, YES = "no", "yes"
COLUMNS = ("item", "task", "label")


def from_multi_select(
    labels: Any = None,
    *,
    model_labels: Any = None,
    gold: Any = None,
    questions: Collection[str] | None = None,
    classes: Mapping[str, Sequence[str]] | None = None,
    delimiter: str | None = None,
    on_bad: OnBad = "raise",
) -> Dataset:
    """A data set from tables or files whose label column holds all that apply: a list, or a text with a delimiter.

    questions: which tasks are choose-all-that-apply (None: all). classes: what each of them offers (None: all that
    anybody chose). An empty list is an answer (none applies), a missing one is not.
    Raises DataError for a missing answer, SchemaError for a class that is not offered.

    >>> table = {"item": ["a"], "task": ["topics"], "annotator": ["ann"], "label": [["art", "war"]]}
    >>> data = from_multi_select(pa.table(table), classes={"topics": ["art", "sport", "war"]})
    >>> data.labels.column("label").to_pylist()
    ['yes', 'no', 'yes']
    >>> to_multi_select(data)["labels"].column("label").to_pylist()
    [['art', 'war']]
    """
    frames: dict[TableName, Any] = {"labels": labels, "model_labels": model_labels, "gold": gold}
    raws = [read_source(name, frame, COLUMNS) for name, frame in frames.items() if frame is not None]
    answered = {raw.name: _answers(raw, questions, delimiter) for raw in raws}
    offered = _offered(answered.values(), classes or {})
    tables = {raw.name: _split(raw, answered[raw.name], offered) for raw in raws}
    return Dataset(**tables, schema=_schema(answered.values(), offered), on_bad=on_bad)


class _Answers(NamedTuple):
    """What every row chose."""

    task: list[str]
    chosen: list[tuple[str, ...]]
    multiple: frozenset[str]  # the choose-all-that-apply questions


def _answers(raw: Raw, questions: Collection[str] | None, delimiter: str | None) -> _Answers:
    task = read_names(raw.columns["task"]).names
    missing = np.flatnonzero(task.codes < 0)
    if len(missing):
        raise _error(raw, int(missing[0]), "task", "the task is missing", "give every row its task")
    names: list[str] = task.text().to_pylist()
    multiple = frozenset(names if questions is None else questions)
    label = raw.columns["label"]
    chosen = [_chosen(raw, label, row, delimiter if names[row] in multiple else None) for row in range(len(names))]
    _check_names(raw, chosen)
    for row, (name, options) in enumerate(zip(names, chosen, strict=True)):
        if name not in multiple and len(options) != 1:
            problem = f"{len(options)} answers, but {shown(name)} is not among the choose-all-that-apply questions"
            raise _error(raw, row, "label", problem, "add it to `questions`, or give one answer")
    return _Answers(names, chosen, multiple)


def _error(raw: Raw, row: int, column: str, problem: str, mend: str, kind: type[DataError] = DataError) -> DataError:
    return kind(problem, mend=mend, source=raw.source, row=int(raw.row[row]), column=column)


def _chosen(raw: Raw, label: Column, row: int, delimiter: str | None) -> tuple[str, ...]:
    """The classes that one row names, each once."""
    value = cell(label, row)
    if isinstance(value, str) and delimiter is not None:
        value = [part.strip() for part in value.split(delimiter) if part.strip()]
    elif is_blank(value):
        mend = "write an empty list where none applies; leave the row out where the answer is unknown"
        raise _error(raw, row, "label", "the answer is missing", mend)
    parts = value if isinstance(value, list | tuple | set | np.ndarray) else [value]
    texts = [name_text(part) for part in parts]
    for text, flaw in texts:
        if text is None:
            raise _error(raw, row, "label", "a class in the list is missing", "leave it out of the list")
        if flaw != FINE:
            raise _error(raw, row, "label", flaw_problem(text, flaw), FLAWS[flaw].mend)
    return tuple(dict.fromkeys(str(text.text) for text in texts))


def _check_names(raw: Raw, chosen: Sequence[tuple[str, ...]]) -> None:
    """Raises DataError for a class that is too long for a name, blank or unprintable."""
    row_of = {option: row for row, options in reversed(list(enumerate(chosen))) for option in options}
    names, flaws = read_names(list(row_of))
    for (option, row), code in zip(row_of.items(), names.codes.tolist(), strict=True):
        if code < 0:
            raise _error(raw, row, "label", "a class in the list is missing", "leave it out of the list")
        if flaws[code] != FINE:
            raise _error(raw, row, "label", flaw_problem(option, int(flaws[code])), FLAWS[flaws[code]].mend)


def _offered(answered: Collection[_Answers], classes: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """What every choose-all-that-apply question offers."""
    offered: dict[str, set[str]] = {}
    for answers in answered:
        for name, options in zip(answers.task, answers.chosen, strict=True):
            if name in answers.multiple:
                offered.setdefault(name, set()).update(options)
    given = {name: tuple(classes[name]) for name in offered if name in classes}
    found = {name: tuple(sorted(options, key=natural_key)) for name, options in offered.items()} | given
    silent = [name for name, options in found.items() if not options]
    if silent:
        mend = "give what it offers as classes={question: [...]}"
        raise SchemaError(f"nobody chose anything for question {shown(silent[0])}", mend=mend, column="label")
    return found


def _split(raw: Raw, answers: _Answers, offered: Mapping[str, tuple[str, ...]]) -> pa.Table:
    """One row per offered class, in place of every row of a choose-all-that-apply question."""
    place: list[int] = []
    task: list[str] = []
    label: list[str] = []
    for row, (name, chosen) in enumerate(zip(answers.task, answers.chosen, strict=True)):
        options = offered.get(name) if name in answers.multiple else None
        strange = [option for option in chosen if options is not None and option not in options]
        if strange:
            problem = (
                f"{shown(strange[0])} is not offered by {shown(name)}, which has {', '.join(map(shown, options or ()))}"
            )
            raise _error(raw, row, "label", problem, "correct it, or add it to the classes", SchemaError)
        place += [row] * (len(options) if options else 1)
        task += [option_name(name, option) for option in options] if options else [name]
        label += [YES if option in chosen else NO for option in options] if options else [chosen[0]]
    new = {"task": pa.array(task, pa.string()), "label": pa.array(label, pa.string())}
    return pa.table({c: new[c] if c in new else plain(column).take(place) for c, column in raw.columns.items()})


def option_name(question: str, label: str) -> str:
    """The task that asks whether a class applies.

    >>> option_name("topics", "art")
    'topics: art'
    """
    return f"{question}: {label}"


def _schema(answered: Collection[_Answers], offered: Mapping[str, tuple[str, ...]]) -> Schema:
    """Options of a question side by side, in the order it offers them; other tasks with the classes they were given."""
    single: dict[str, set[str]] = {}
    for answers in answered:
        for name, chosen in zip(answers.task, answers.chosen, strict=True):
            if name not in offered:
                single.setdefault(name, set()).update(chosen)
    tasks: list[Task] = []
    for name in sorted({*offered, *single}, key=natural_key):
        if name in offered:
            tasks += [Task(option_name(name, o), (NO, YES), option_of=Option(name, o)) for o in offered[name]]
        else:
            tasks.append(Task(name, tuple(sorted(single[name], key=natural_key))))
    return Schema(tuple(tasks))


# ---- and back -------------------------------------------------------------------------------------------------------


def to_multi_select(data: Dataset, delimiter: str | None = None) -> dict[str, pa.Table]:
    """The tables labels, model_labels and gold with the options of every question joined (see `join_options`)."""
    tables = {"labels": data.labels, "model_labels": data.model_labels, "gold": data.gold}
    return {name: join_options(table, data.schema, delimiter) for name, table in tables.items() if table is not None}


def join_options(table: pa.Table, schema: Schema, delimiter: str | None = None) -> pa.Table:
    """One row per item, question and who answered; its label lists the classes that apply, in the order of the schema.

    table: any with item, task and label, such as `consensus.table()`; columns beside those and annotator or model are
    those of the first option. Answers to other tasks become lists of one. delimiter: texts in place of lists.
    Raises DataError where an answer to one of the options is missing.
    """
    tasks_of: dict[str, list[Task]] = {}
    for task in schema.tasks:
        tasks_of.setdefault(_question(task), []).append(task)
    groups = _groups(table, schema)
    rows = [min(row for row, _ in answers.values()) for answers in groups.values()]
    lists = [_joined(key, tasks_of[key.question], answers) for key, answers in groups.items()]
    label = pa.array(lists, pa.list_(pa.string()))
    if delimiter is not None:
        label = pa.array([delimiter.join(options) for options in lists], pa.string())
    joined = table.take(pa.array(rows, pa.int64()))
    for column, values in (("task", pa.array([key.question for key in groups], pa.string())), ("label", label)):
        joined = joined.set_column(joined.column_names.index(column), column, values)
    return joined


class _Key(NamedTuple):
    """Who answered which question about which item."""

    item: str
    question: str
    speaker: str | None


def _question(task: Task) -> str:
    return task.option_of.question if task.option_of else task.name


def _groups(table: pa.Table, schema: Schema) -> dict[_Key, dict[str, tuple[int, str]]]:
    """Per key the row and the label of every task, in order of first appearance."""
    who = next((column for column in ("annotator", "model") if column in table.column_names), None)
    item, task, label = (table[column].to_pylist() for column in ("item", "task", "label"))
    speaker = table[who].to_pylist() if who else [None] * table.num_rows
    groups: dict[_Key, dict[str, tuple[int, str]]] = {}
    for row in range(table.num_rows):
        key = _Key(item[row], _question(schema.task(task[row])), speaker[row])
        groups.setdefault(key, {})[task[row]] = row, label[row]
    return groups


def _joined(key: _Key, tasks: Sequence[Task], answers: Mapping[str, tuple[int, str]]) -> list[str]:
    """The options that apply; of another task its answer."""
    for task in tasks:
        if task.name not in answers:
            who = f" of {shown(key.speaker)}" if key.speaker is not None else ""
            problem = f"the answer{who} to {shown(task.name)} about item {shown(key.item)} is missing"
            raise DataError(problem, mend="join whole answers only: all options of a question", column="label")
    if tasks[0].option_of is None:
        return [answers[tasks[0].name][1]]
    return [task.option_of.label for task in tasks if task.option_of and answers[task.name][1] == YES]
