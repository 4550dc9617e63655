"""A rubric as a YAML file. What cannot be used is told with its line, its key and the mend.

Values are read as they are written: `yes`, `no` and `1.0` are texts here, never true, false or a number, so a class
means what its author sees. Keys that nobody knows are refused: a misspelt `guidelnes` would be lost in silence.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from quorate.data.formats.multi_select import NO, YES, option_name
from quorate.errors import FormatError, MissingExtraError, SchemaError
from quorate.llm.rubric import KINDS, Declared, Example, Kind, Question, Rubric
from quorate.schema import UNFIT, Option, Schema, Task

ROOT = ("about", "guidelines", "tasks", "examples", "show", "calls", "thinking", "boundary", "tools", "rounds")
TASK = ("name", "kind", "question", "classes", "guidelines")
OF_EXAMPLE = ("labels", "reasoning", "restricted")  # all else in an example is what the item shows
TOOLS = ("glossary", "search")
TOOL = (*TOOLS, "name", "about", "results")
MOST_NUMBER = 20
MOST_NODES, MOST_DEPTH = 100_000, 20
CALLS = ("together", "apart")
THINKING = ("none", "steps")
Entry = Mapping[str, "Value"]


class Value(NamedTuple):
    """A value of the file and the line it stands on, from 1."""

    of: str | list[Value] | dict[str, Value]
    line: int
    key: str


def read_rubric(path: Path) -> Rubric:
    """The rubric of a YAML file. Raises FormatError or SchemaError that names file, line, key and the mend."""
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        why = error.strerror or str(error)
        raise FormatError(
            f"the rubric cannot be read ({why})", mend="name a file that is there and may be read", source=str(path)
        ) from None
    except UnicodeDecodeError as error:
        raise FormatError(f"the rubric cannot be read ({error})", mend="save it as UTF-8", source=str(path)) from None
    return parse_rubric(text, source=path.name)


def parse_rubric(text: str, *, source: str = "rubric") -> Rubric:
    """The rubric of a YAML text.

    >>> found = parse_rubric('tasks: [{name: safe, kind: yes-no, question: "Is it safe?"}]')
    >>> found.schema.tasks
    (Task(name='safe', classes=('no', 'yes'), ordered=False),)
    """
    return _Reader(source).rubric(text)


class _Reader:
    """Reads one file; knows its name for messages."""

    def __init__(self, source: str) -> None:
        self._source = source

    def rubric(self, text: str) -> Rubric:
        root = self._fields(self._tree(text), ROOT, "the rubric")
        if "tasks" not in root:
            self._refuse("there is no key 'tasks'", Value("", 1, ""), "list the tasks under `tasks:`")
        questions: list[Question] = []
        seen: set[str] = set()
        for entry in self._list(root["tasks"]):
            for question in self._questions(entry):
                if question.task.name in seen:
                    self._refuse(f"task {question.task.name!r} is there twice", entry, "name every task once")
                seen.add(question.task.name)
                questions.append(question)
        if not questions:
            self._refuse("no task is listed", root["tasks"], "list at least one task")
        schema = Schema(tuple(question.task for question in questions))
        examples = [self._example(entry, schema) for entry in self._list(root.get("examples"))]
        calls: Any = self._choice(root, "calls", CALLS)
        thinking: Any = self._choice(root, "thinking", THINKING)
        return Rubric(
            tuple(questions),
            about=self._text(root, "about"),
            guidelines=self._text(root, "guidelines"),
            examples=tuple(examples),
            show=tuple(self._name(each) for each in self._list(root["show"])) if "show" in root else None,
            calls=calls,
            thinking=thinking,
            boundary=tuple(self._name(each) for each in self._list(root.get("boundary"))),
            tools=tuple(self._tool(entry) for entry in self._list(root.get("tools"))),
            rounds=self._number(root, "rounds", 3),
        )

    # ---- tasks --------------------------------------------------------------------------------------------------

    def _questions(self, entry: Value) -> list[Question]:
        fields = self._fields(entry, TASK, "a task")
        name = self._name(self._needed(fields, "name", entry))
        kind: Any = self._choice(fields, "kind", KINDS)
        wording = self._text(fields, "question") or name
        guidelines = self._text(fields, "guidelines")
        descriptions = self._classes(fields, entry, kind)
        if kind == "any":
            return [
                Question(
                    Task(option_name(name, label), (NO, YES), option_of=Option(name, label)),
                    f"{wording} Does {label!r} apply?" + (f" {label}: {words}" if words else ""),
                    guidelines=guidelines,
                )
                for label, words in descriptions.items()
            ]
        task = Task(name, tuple(descriptions), ordered=kind == "scale")
        return [Question(task, wording, {k: v for k, v in descriptions.items() if v}, guidelines)]

    def _classes(self, fields: Entry, entry: Value, kind: Kind) -> dict[str, str]:
        """Classes in order with their words; a yes-no task knows its own."""
        if kind == "yes-no":
            given = self._described(fields["classes"]) if "classes" in fields else {}
            strange = set(given) - {NO, YES}
            if strange:
                self._refuse(
                    f"a yes-no task has no class {min(strange)!r}",
                    fields["classes"],
                    "describe `yes` and `no` only, or take `kind: one`",
                )
            return {label: given.get(label, "") for label in (NO, YES)}
        found = self._described(self._needed(fields, "classes", entry))
        if len(found) < (1 if kind == "any" else 2):
            self._refuse("too few classes to choose from", fields["classes"], "list at least two classes")
        return found

    def _described(self, classes: Value) -> dict[str, str]:
        if isinstance(classes.of, dict):
            for label, words in classes.of.items():
                self._name(Value(label, words.line, "classes"))
            return {label: self._string(words) for label, words in classes.of.items()}
        labels = [self._name(each) for each in self._list(classes)]
        repeated = next((label for label in labels if labels.count(label) > 1), None)
        if repeated is not None:
            self._refuse(f"class {repeated!r} is listed twice", classes, "list every class once")
        return dict.fromkeys(labels, "")

    def _example(self, entry: Value, schema: Schema) -> Example:
        if not isinstance(entry.of, dict) or "labels" not in entry.of:
            self._refuse("an example without labels", entry, "write {text: ..., labels: {task: class}}")
        fields = {name: self._string(value) for name, value in entry.of.items() if name not in OF_EXAMPLE}
        if not fields:
            self._refuse("an example that shows nothing", entry, "give it the columns of an item, as `text: ...`")
        restricted = self._choice(entry.of, "restricted", ("false", "true")) == "true"
        return Example(fields, self._labels(entry.of["labels"], schema), self._text(entry.of, "reasoning"), restricted)

    def _labels(self, labels: Value, schema: Schema) -> dict[str, str]:
        if not isinstance(labels.of, dict):
            self._refuse("labels of an example must go by task", labels, "write labels: {task: class}")
        found: dict[str, str] = {}
        for name, value in labels.of.items():
            options = [task for task in schema.tasks if task.option_of and task.option_of.question == name]
            if options and name not in schema.code_of:  # choose all that apply: the classes that do
                chosen = {self._name(each) for each in self._list(value)}
                self._known(chosen, [t.option_of.label for t in options if t.option_of], value)
                found |= {t.name: YES if t.option_of and t.option_of.label in chosen else NO for t in options}
                continue
            self._known({name}, list(schema.code_of), labels, "task")
            label = self._string(value)
            self._known({label}, schema.task(name).classes, value)
            found[name] = label
        return found

    def _known(self, given: set[str], known: Sequence[str], place: Value, what: str = "class") -> None:
        strange = given - set(known)
        if strange:
            listed = ", ".join(map(repr, known))
            self._refuse(f"there is no {what} {min(strange)!r}", place, f"use one of {listed}")

    def _tool(self, entry: Value) -> Declared:
        """A tool: its kind with its file, and how it is called."""
        fields = self._fields(entry, TOOL, "a tool")
        kinds: list[Any] = [kind for kind in TOOLS if kind in fields]
        if len(kinds) != 1:
            self._refuse("a tool of no kind, or of two", entry, f"write one of {', '.join(TOOLS)} with its file")
        (kind,) = kinds
        names = self._text(fields, "name"), self._text(fields, "about")
        return Declared(kind, self._name(fields[kind]), *names, self._number(fields, "results", 3))

    # ---- values -------------------------------------------------------------------------------------------------

    def _fields(self, entry: Value, known: Sequence[str], what: str) -> Entry:
        if not isinstance(entry.of, dict):
            self._refuse(f"{what} must be a mapping", entry, f"write keys with values: {', '.join(known)}")
        for key, value in entry.of.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                mend = f"write {near[0]!r}" if near else f"use {', '.join(known)}"
                self._refuse(f"nobody knows the key {key!r} of {what}", value, mend)
        return entry.of

    def _needed(self, fields: Entry, key: str, entry: Value) -> Value:
        if key not in fields:
            self._refuse(f"the key {key!r} is missing", entry, f"add `{key}:` here")
        return fields[key]

    def _choice(self, fields: Entry, key: str, known: Sequence[str]) -> str:
        if key not in fields:
            return known[0]
        said = self._string(fields[key])
        if said not in known:
            self._refuse(f"{key} is {said!r}", fields[key], f"use one of {', '.join(known)}")
        return said

    def _text(self, fields: Entry, key: str) -> str:
        return self._string(fields[key]).strip() if key in fields else ""

    def _number(self, fields: Entry, key: str, default: int) -> int:
        text = self._text(fields, key) or str(default)
        if not text.isdecimal() or not 1 <= int(text) <= MOST_NUMBER:
            self._refuse(f"{key} is {text!r}", fields[key], f"write a whole number from 1 to {MOST_NUMBER}")
        return int(text)

    def _name(self, value: Value) -> str:
        text = self._string(value)
        if not text.strip() or UNFIT.search(text):
            self._refuse(f"{text!r} is no name", value, "give a text of one line that is not empty")
        return text

    def _string(self, value: Value) -> str:
        if not isinstance(value.of, str):
            self._refuse("this must be a text", value, "write one text; put quotes around it if it holds a colon")
        return value.of

    def _list(self, value: Value | None) -> list[Value]:
        if value is None:
            return []
        if isinstance(value.of, str) and value.of:
            return [value]
        if not isinstance(value.of, list):
            self._refuse("this must be a list", value, "begin each entry with a dash")
        return value.of

    def _tree(self, text: str) -> Value:
        """The file as texts, lists and mappings, each with its line."""
        yaml = _yaml()
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except RecursionError:
            self._refuse("nested without end", Value("", 1, ""), "write values out")
        except yaml.YAMLError as error:
            key = "simple key" in (getattr(error, "context", None) or "")  # the line before the one it stumbled on
            mark = getattr(error, "context_mark" if key else "problem_mark", None)
            line = mark.line + 1 if mark else 1
            problem = getattr(error, "problem", None) or str(error).splitlines()[0]
            self._refuse(f"not YAML ({problem})", Value("", line, ""), "check indents, colons and quotes there")
        if root is None:
            self._refuse("the rubric is empty", Value("", 1, ""), "list the tasks under `tasks:`")
        return self._value(root, "", 0, [0])

    def _value(self, node: Any, key: str, depth: int, count: list[int]) -> Value:
        count[0] += 1
        line = node.start_mark.line + 1
        if depth > MOST_DEPTH or count[0] > MOST_NODES:  # aliases can make a small file endless
            self._refuse("nested without end", Value("", line, key), "write values out instead of aliases")
        if node.id == "scalar":
            empty = node.tag == "tag:yaml.org,2002:null" and node.value in {"", "~"}
            return Value("" if empty else node.value, line, key)
        if node.id == "sequence":
            return Value([self._value(each, key, depth + 1, count) for each in node.value], line, key)
        found: dict[str, Value] = {}
        for name, inner in node.value:
            at = name.start_mark.line + 1
            if name.id != "scalar":
                self._refuse("a key must be a text", Value("", at, key), "put quotes around it")
            if name.value in found:
                self._refuse(f"the key {name.value!r} is there twice", Value("", at, name.value), "keep one of them")
            found[name.value] = self._value(inner, name.value, depth + 1, count)._replace(line=at)
        return Value(found, line, key)

    def _refuse(self, problem: str, at: Value, mend: str) -> NoReturn:
        key = f", key {at.key!r}" if at.key else ""
        raise SchemaError(problem, mend=mend, source=f"{self._source}, line {at.line}{key}")


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise MissingExtraError("pyyaml", "llm") from None
    return yaml
