"""Argilla's records and settings as a data set, and back.

Three layouts come in: records as the API gives them, as the client's `to_dict` gives them, and the flat columns of an
export to the Hub (`<question>.responses`, `.responses.users`, `<question>.suggestion`). Label and rating questions are
tasks, multi-label questions one task of yes and no for each label; texts, rankings and spans are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from quorate.data.faults import OnBad
from quorate.data.formats.gathered import Gathered, Imported
from quorate.data.formats.json_tree import Node, parse, read_bytes, read_records
from quorate.data.formats.multi_select import NO, YES, option_name
from quorate.data.formats.our_own import OURS, columns_of, read_extras, restriction
from quorate.data.lines import as_json
from quorate.data.naming import natural_key
from quorate.errors import SchemaError
from quorate.schema import Option, Schema, Task

SINGLE, MULTIPLE, RATING = "label_selection", "multi_label_selection", "rating"
KINDS = {SINGLE, MULTIPLE, RATING}


class Question(NamedTuple):
    """A question of the settings; no classes where there are no settings."""

    name: str
    kind: str
    classes: tuple[str, ...]
    asks: str  # the task, or the choose-all-that-apply question, as we call it
    ordered: bool


class Said(NamedTuple):
    """An answer or a suggestion."""

    item: str
    question: str
    who: str
    chosen: Node
    is_model: bool
    confidence: float | None = None


def from_argilla(source: Any, *, settings: Any = None, on_bad: OnBad = "raise") -> Imported:
    """A data set from records (a list, or a .json, .jsonl or .parquet file), and what was left out of it.

    settings: the dataset's `settings.json`, as a path or an object; it names every class, and which questions are
    texts. Submitted responses are labels; drafts and discarded ones are not. A suggestion is a model's label, its agent
    the model. Raises DataError that names record and place.

    >>> record = {"id": "a", "fields": {"text": "Hi"}, "responses": {"tone": [{"value": "kind", "user_id": "u1"}]}}
    >>> from_argilla([record]).data.labels.select(["item", "annotator", "label"]).to_pylist()
    [{'item': 'a', 'annotator': 'u1', 'label': 'kind'}]
    """
    records = _records(source)
    reading = _Reading(None if settings is None else _settings(settings), records[0].source)
    for record in records:
        reading.read(record)
    return reading.result(on_bad)


def _records(source: Any) -> list[Node]:
    if isinstance(source, str | PathLike) and Path(source).suffix.lower() == ".parquet":
        from quorate.data.columns import plain
        from quorate.data.files import read_file

        raw = read_file("labels", Path(source))
        columns = {name: plain(column).to_pylist() for name, column in raw.columns.items()}
        rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
        return [Node(row, str(source), number) for number, row in enumerate(rows, 1)]
    return read_records(source, "argilla")


def _settings(source: Any) -> Node:
    if isinstance(source, str | PathLike):
        return Node(parse(read_bytes(Path(source)), str(source)), str(source))
    return Node(source, "settings")


class _Reading:
    """What was read so far."""

    def __init__(self, settings: Node | None, source: str) -> None:
        self._schema: Schema | None = None
        self._fields: dict[str, str] = {}
        self._by_id: dict[str, str] = {}
        self._questions: dict[str, Question] | None = None if settings is None else self._read_settings(settings)
        self._said: list[Said] = []
        self._people: dict[str, str] = {}
        self._rows = Gathered(source)
        self._notes: Counter[str] = Counter()

    def _read_settings(self, settings: Node) -> dict[str, Question]:
        ours = settings.get(OURS)
        names = {key: node.title() for key, node in ours.need("questions").pairs()} if ours else {}
        if ours:
            self._schema = Schema.from_json(as_json(ours.need("schema").object()), source=settings.source)
            self._fields = {key: node.name() for key, node in ours.need("fields").pairs()}
        found: dict[str, Question] = {}
        for question in settings.need("questions").each():
            name = question.need("name").name()
            if number := question.get("id"):
                self._by_id[number.name()] = name
            found[name] = _question(question, names.get(name, name))
        return found

    # ---- records ----------------------------------------------------------------------------------------------------
    def read(self, record: Node) -> None:
        """One record, in whichever layout."""
        ours = record.get(OURS)
        if ours is not None and isinstance(ours.value, str):  # a column of a flat export
            ours = ours._replace(value=parse(ours.value.encode(), ours.source, ours.row))
        item = self._item(record)
        users = ours.get("users") if ours else None
        self._people |= {key: node.name() for key, node in users.pairs()} if users else {}
        kept = ours is not None and ours.get("model_labels") is not None  # all models' answers, not only the first
        fields = record.get("fields")
        if fields is None:
            self._read_flat(item, record, kept)
        else:
            metadata = record.get("metadata")
            content = {**(metadata.object() if metadata else {}), **fields.object()}
            self._rows.add_item(record.row, item, columns_of(self._named(content)))
            self._read_responses(item, record.get("responses"))
            if not kept:
                self._read_suggestions(item, record.get("suggestions"))
        read_extras(self._rows, item, ours)

    def _named(self, content: Mapping[str, Any]) -> dict[str, Any]:
        return {self._fields.get(name, name): value for name, value in content.items()}

    def _item(self, record: Node) -> str:
        for key in ("external_id", "id", "_server_id"):
            if found := record.get(key):
                return found.name()
        return str(record.row)

    def _read_responses(self, item: str, responses: Node | None) -> None:
        if responses is None:
            return
        if isinstance(responses.value, dict):  # by question, as the client has them
            for question, given in responses.pairs():
                for each in given.each():
                    self._answer(item, question, each.get("value"), each.get("user_id"), each.get("status"))
            return
        for response in responses.each():  # by person, as the API has them
            values = response.get("values")
            for question, value in values.pairs() if values else ():
                self._answer(item, question, value.get("value"), response.get("user_id"), response.get("status"))

    def _answer(self, item: str, question: str, value: Node | None, user: Node | None, status: Node | None) -> None:
        if status is not None and status.name() != "submitted":
            self._notes[f"{status.name()} responses"] += 1
        elif value is not None and self._asked(question):
            self._said.append(Said(item, question, user.name() if user else "unknown", value, is_model=False))

    def _read_suggestions(self, item: str, suggestions: Node | None) -> None:
        if suggestions is None:
            return
        if isinstance(suggestions.value, dict):
            for question, each in suggestions.pairs():
                self._suggest(item, question, each.get("value"), each)
            return
        for each in suggestions.each():
            named = each.get("question_name") or each.need("question_id")
            question = self._by_id.get(named.name(), named.name())
            self._suggest(item, question, each.get("value"), each)

    def _suggest(self, item: str, question: str, value: Node | None, each: Node) -> None:
        agent, kind, score = each.get("agent"), each.get("type"), each.get("score")
        who = agent.name() if agent else "suggestion"
        if who.startswith(OURS):
            self._notes["our own suggestions"] += 1
        elif kind is not None and kind.name() == "human":
            self._notes["suggestions by people"] += 1
        elif value is not None and self._asked(question):
            sure = None if score is None or isinstance(score.value, list) else score.share()
            self._said.append(Said(item, question, who, value, is_model=True, confidence=sure))

    def _read_flat(self, item: str, record: Node, kept: bool) -> None:
        """The columns of an export to the Hub."""
        there = record.object()
        marks = (".responses", ".suggestion")
        questions = {key.removesuffix(mark) for key in there for mark in marks if key.endswith(mark)}
        own = {"id", "external_id", "_server_id", "status", "inserted_at", "updated_at", OURS}
        columns = {key for key in there if any(key.startswith(f"{name}{mark}") for name in questions for mark in marks)}
        content = {key: there[key] for key in there if key not in own | columns}
        self._rows.add_item(record.row, item, columns_of(self._named(content)) | restriction(record))
        for name in sorted(questions, key=natural_key):
            parts = [record.get(f"{name}.responses{end}") for end in ("", ".users", ".status")]
            values, users, states = (list(part.each()) if part else [] for part in parts)
            if parts[0] and len(users) != len(values):
                raise parts[0].error("there is not one user for each response", "export the records again")
            for place, value in enumerate(values):
                status = states[place] if place < len(states) and states[place].value is not None else None
                self._answer(item, name, value if value.value is not None else None, users[place], status)
            if (value := record.get(f"{name}.suggestion")) and not kept:
                said = {key: there.get(f"{name}.suggestion.{key}") for key in ("agent", "score")}
                self._suggest(item, name, value, value._replace(value=said))

    def _asked(self, question: str) -> bool:
        if self._questions is None or (question in self._questions and self._questions[question].kind in KINDS):
            return True
        self._notes[f"answers to {question!r}, which asks for no class"] += 1
        return False

    # ---- the data set -----------------------------------------------------------------------------------------------
    def result(self, on_bad: OnBad) -> Imported:
        """All of it."""
        questions = self._questions or self._guessed()
        schema = self._schema or Schema(tuple(task for q in questions.values() for task in _tasks(q)))
        for said in self._said:
            for task, label in _labels(questions[said.question], said.chosen).items():
                row, who = said.chosen.row, self._people.get(said.who, said.who)
                if said.is_model:
                    sure = said.confidence if questions[said.question].kind != MULTIPLE else None
                    self._rows.add_model_label(row, said.item, task, who, label, sure)
                else:
                    self._rows.add_label(row, said.item, task, who, label)
        return self._rows.result(schema, [f"{n:,} {what}" for what, n in sorted(self._notes.items())], on_bad)

    def _guessed(self) -> dict[str, Question]:
        seen: dict[str, list[Node]] = {}
        for said in self._said:
            seen.setdefault(said.question, []).append(said.chosen)
        return {name: _guess(name, seen[name]) for name in sorted(seen, key=natural_key)}


# ---- questions ------------------------------------------------------------------------------------------------------
def _question(question: Node, asks: str) -> Question:
    name, settings = question.need("name").title(), question.get("settings")
    typed = (settings.get("type") if settings else None) or question.get("type")
    kind = typed.name() if typed else ""
    options = settings.get("options") if settings else None
    classes = tuple(each.need("value").title() for each in options.each()) if options and kind in KINDS else ()
    if kind in KINDS and not classes:
        raise question.error(f"question {name!r} offers nothing", "list its options")
    return Question(name, kind, classes, asks, ordered=kind == RATING)


def _guess(name: str, answers: Sequence[Node]) -> Question:
    lists = any(isinstance(answer.value, list) for answer in answers)
    texts = {text: None for answer in answers for text in _chosen(answer, MULTIPLE if lists else SINGLE)}
    numbers = all(isinstance(answer.value, int) and not isinstance(answer.value, bool) for answer in answers)
    kind = MULTIPLE if lists else RATING if numbers else SINGLE
    return Question(name, kind, tuple(sorted(texts, key=natural_key)), name, ordered=kind == RATING)


def _chosen(answer: Node, kind: str) -> tuple[str, ...]:
    if kind != MULTIPLE:
        return (answer.name(),)
    return tuple(dict.fromkeys(each.name() for each in answer.each()))


def _tasks(question: Question) -> tuple[Task, ...]:
    if question.kind not in KINDS or not question.classes:
        return ()
    if question.kind != MULTIPLE:
        return (Task(question.asks, question.classes, question.ordered),)
    asks = question.asks
    return tuple(Task(option_name(asks, c), (NO, YES), option_of=Option(asks, c)) for c in question.classes)


def _labels(question: Question, answer: Node) -> Mapping[str, str]:
    chosen = _chosen(answer, question.kind)
    for label in chosen:
        if label not in question.classes:
            raise SchemaError(
                f"question {question.name!r} has no label {label!r}",
                mend="correct the answer, or add the label to the settings",
                source=answer.source,
                row=answer.row,
                column=answer.path,
            )
    if question.kind != MULTIPLE:
        return {question.asks: chosen[0]}
    return {option_name(question.asks, label): YES if label in chosen else NO for label in question.classes}
