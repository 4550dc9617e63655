"""A data set as Argilla takes it: settings, and records with responses and one suggestion for each question.

Argilla holds one suggestion of a question: the consensus where one is given, else the first model's answer. Scores,
all models' answers and gold stand in each record under `quorate`, which Argilla passes over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

import pyarrow as pa

from quorate.data.dataset import Dataset
from quorate.data.formats.argilla import MULTIPLE, RATING, SINGLE
from quorate.data.formats.multi_select import YES
from quorate.data.formats.our_own import OURS, Guess, contents_of, extras_of, grouped, open_guesses, shown_names
from quorate.data.lines import as_json
from quorate.schema import Schema, Task

UNFIT_AGENT = re.compile(r"[^A-Za-z0-9\-_:./ ]")
MOST_AGENT = 200


class Argilla(NamedTuple):
    """What to give to Argilla: settings, and records as the client's `Record.from_dict` reads them."""

    settings: dict[str, Any]
    records: tuple[dict[str, Any], ...]

    def table(self) -> pa.Table:
        """The records in the flat columns of an export to the Hub; what is ours is one column of JSON texts."""
        questions = [question["name"] for question in self.settings["questions"]]
        names = [field["name"] for field in self.settings["fields"]]
        rows = [_flat(record, names, questions) for record in self.records]
        columns = dict.fromkeys(name for row in rows for name in row)
        return pa.table({name: pa.array([row.get(name) for row in rows]) for name in columns})


class Asked(NamedTuple):
    """A question of Argilla's, and the tasks that it asks."""

    name: str
    asks: str
    kind: str
    tasks: tuple[Task, ...]

    def value(self, answers: Mapping[str, str]) -> Any:
        """Labels as Argilla spells them; None where one is missing."""
        if not all(task.name in answers for task in self.tasks):
            return None
        if self.kind == MULTIPLE:
            return [task.option_of.label for task in self.tasks if task.option_of and answers[task.name] == YES]
        label = answers[self.tasks[0].name]
        return int(label) if self.kind == RATING else label


def to_argilla(
    data: Dataset, consensus: pa.Table | None = None, *, sure: float = 0.95, labels: bool = True, guidelines: str = ""
) -> Argilla:
    """Settings and records of a data set.

    consensus: a table with item, task, label, confidence; then the suggestions are its answers to the tasks of which
    it is less than `sure`, and records without such a task are left out. labels: whether people's labels go along.
    A choose-all-that-apply answer of which an option is missing is left out: Argilla cannot say "unknown".
    Raises SettingError for a `sure` outside [0, 1] and for a data set without items.
    """
    asked, contents = _asked(data.schema), contents_of(data)
    fields = _names(shown_names(contents))
    extras = extras_of(data)
    records = {item: _record(item, content, fields, extras.get(item, {})) for item, content in contents.items()}
    if labels:
        for (item, person), rows in grouped(data.labels, "annotator").items():
            _respond(records[item], asked, person, {row["task"]: row["label"] for row in rows})
    if consensus is None:
        _suggest_first(records, asked, data)
    else:
        open_ = open_guesses(consensus, data.schema, sure)
        records = {item: record for item, record in records.items() if item in open_}
        for item, record in records.items():
            _suggest(record, asked, OURS, open_[item])
    return Argilla(_settings(data.schema, asked, fields, guidelines), tuple(records.values()))


# ---- settings -------------------------------------------------------------------------------------------------------
def _asked(schema: Schema) -> tuple[Asked, ...]:
    """The questions, options of one question together."""
    tasks: dict[str, tuple[Task, ...]] = {}
    for task in schema.tasks:
        asks = task.option_of.question if task.option_of else task.name
        tasks[asks] = (*tasks.get(asks, ()), task)
    names = _names(list(tasks))
    return tuple(Asked(names[asks], asks, _kind(some), some) for asks, some in tasks.items())


def _kind(tasks: Sequence[Task]) -> str:
    if tasks[0].option_of:
        return MULTIPLE
    stars = tasks[0].ordered and all(re.fullmatch("[0-9]|10", name) for name in tasks[0].classes)
    return RATING if stars else SINGLE


def _names(texts: Sequence[str]) -> dict[str, str]:
    """Names that Argilla takes (small letters, digits, - and _), each its own."""
    found: dict[str, str] = {}
    for text in texts:
        plain = re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-") or "question"
        name, number = plain, 1
        while name in found.values():
            number += 1
            name = f"{plain}-{number}"
        found[text] = name
    return found


def _settings(schema: Schema, asked: Sequence[Asked], fields: Mapping[str, str], guidelines: str) -> dict[str, Any]:
    shown = [
        {"name": name, "title": text, "required": False, "settings": {"type": "text"}} for text, name in fields.items()
    ]
    ours: dict[str, Any] = {"fields": {name: text for text, name in fields.items()}}
    ours |= {"schema": json.loads(schema.to_json()), "questions": {each.name: each.asks for each in asked}}
    return {
        "guidelines": guidelines or None,
        "fields": shown,
        "questions": [_question(each) for each in asked],
        "metadata": [],
        "vectors": [],
        "allow_extra_metadata": True,
        OURS: ours,
    }


def _question(asked: Asked) -> dict[str, Any]:
    if asked.kind == MULTIPLE:
        labels = [task.option_of.label for task in asked.tasks if task.option_of]
    else:
        labels = list(asked.tasks[0].classes)
    values = [{"value": int(label)} if asked.kind == RATING else {"value": label, "text": label} for label in labels]
    settings: dict[str, Any] = {"type": asked.kind, "options": values}
    return {"name": asked.name, "title": asked.asks, "required": False, "settings": settings}


# ---- records --------------------------------------------------------------------------------------------------------
def _record(
    item: str, content: Mapping[str, Any], fields: Mapping[str, str], ours: Mapping[str, Any]
) -> dict[str, Any]:
    shown = {fields[name]: value if isinstance(value, str) else as_json(value) for name, value in content.items()}
    record: dict[str, Any] = {"id": item, "fields": shown, "metadata": {}, "suggestions": {}, "responses": {}}
    return record | {"vectors": {}, OURS: dict(ours)}


def _respond(record: dict[str, Any], asked: Sequence[Asked], person: str, answers: Mapping[str, str]) -> None:
    user = _user(person)
    if user != person:
        record[OURS].setdefault("users", {})[user] = person
    for question in asked:
        value = question.value(answers)
        if value is not None:
            response = {"value": value, "user_id": user, "status": "submitted"}
            record["responses"].setdefault(question.name, []).append(response)


def _user(person: str) -> str:
    """Argilla's users are UUIDs."""
    try:
        return person if str(UUID(person)) == person else str(uuid5(NAMESPACE_URL, person))
    except ValueError:
        return str(uuid5(NAMESPACE_URL, person))


def _suggest(record: dict[str, Any], asked: Sequence[Asked], agent: str, guesses: Mapping[str, Guess]) -> None:
    for question in asked:
        value = question.value({task: guess.label for task, guess in guesses.items()})
        if value is None or question.name in record["suggestions"]:
            continue
        sure = [guesses[task.name].confidence for task in question.tasks]
        score = None if question.kind == MULTIPLE else sure[0]
        said = {"value": value, "score": score, "agent": UNFIT_AGENT.sub("_", agent)[:MOST_AGENT]}
        record["suggestions"][question.name] = said


def _suggest_first(records: Mapping[str, dict[str, Any]], asked: Sequence[Asked], data: Dataset) -> None:
    for (item, model), rows in grouped(data.model_labels, "model").items():
        guesses = {row["task"]: Guess(row["label"], row.get("confidence")) for row in rows}
        _suggest(records[item], asked, model, guesses)


def _flat(record: Mapping[str, Any], fields: Sequence[str], questions: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"id": record["id"], "status": "pending"}
    row |= {name: record["fields"].get(name) for name in fields}
    for name in questions:
        given, said = record["responses"].get(name, []), record["suggestions"].get(name, {})
        row |= {f"{name}.responses": [each["value"] for each in given]}
        row |= {f"{name}.responses.users": [each["user_id"] for each in given]}
        row |= {f"{name}.responses.status": [each["status"] for each in given]}
        row |= {f"{name}.suggestion": said.get("value"), f"{name}.suggestion.score": said.get("score")}
        row |= {f"{name}.suggestion.agent": said.get("agent")}
    return row | {OURS: as_json(record[OURS])}
