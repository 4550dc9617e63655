"""The tools of a rubric: read from their files, declared to models, and answered whatever a model may say.

    tools:
      - glossary: glossary.csv
      - {search: policies.jsonl, name: search_policies, about: The house rules, results: 2}

A tool stands in the rubric or nowhere: what an item says can neither add one nor change what one returns. A model that
asks for what there is not, or in a wrong form, is told so as the result of its call, and may try again.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from quorate.data.restricted import RESTRICTED, is_restricted
from quorate.errors import DataError, FormatError, SettingError
from quorate.llm.lookup import Glossary, Lookup, Passages
from quorate.llm.rubric import Declared
from quorate.llm.wire import Tool, ToolCall

ROUNDS = 3
MOST_CALLS = 4  # look-ups of one round that are answered
MOST_ARGUMENTS, MOST_RESULT = 1_000, 4_000  # characters
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
KINDS: Mapping[str, type | tuple[type, ...]] = {
    "string": str, "boolean": bool, "integer": int, "number": (int, float), "object": dict, "array": list,
}  # fmt: skip
HIDDEN_COLUMNS = frozenset({"id", "item", RESTRICTED})


class Toolbox:
    """What models may look up, in at most `rounds` rounds before they answer.

    >>> box = Toolbox((Glossary({"AOV": "average order value"}),))
    >>> box.result(ToolCall("1", "glossary", '{"term": "AOV"}'))
    'AOV: average order value'
    >>> box.result(ToolCall("1", "shell", "{}"))
    "error: there is no tool 'shell'; there are: glossary"
    """

    def __init__(self, lookups: Sequence[Lookup], rounds: int = ROUNDS) -> None:
        self._of = {lookup.tool.name: lookup for lookup in lookups}
        names = [lookup.tool.name for lookup in lookups]
        for name in names:
            if names.count(name) > 1:
                raise SettingError(f"two tools are called {name!r}: give one of them another `name`")
            if not NAME.fullmatch(name):
                raise SettingError(f"{name!r} is no name of a tool: take letters, digits, _ and -, at most 64")
        if rounds < 1:
            raise SettingError(f"rounds = {rounds}: it must be at least 1")
        self.rounds = rounds

    @classmethod
    def read(cls, declared: Sequence[Declared], folder: Path, rounds: int = ROUNDS) -> Toolbox:
        """The tools of a rubric that lies in that folder. Raises FormatError or DataError where a file is no use."""
        return cls([_read(each, folder) for each in declared], rounds)

    @property
    def tools(self) -> tuple[Tool, ...]:
        """As they are declared to models."""
        return tuple(lookup.tool for lookup in self._of.values())

    def result(self, call: ToolCall) -> str:
        """What a call returns, or why it cannot be answered; never raises."""
        lookup = self._of.get(call.name)
        if lookup is None:
            return f"error: there is no tool {call.name[:64]!r}; there are: {', '.join(self._of)}"
        arguments = arguments_of(call)
        if arguments is None:
            return f"error: the arguments must be a JSON object of at most {MOST_ARGUMENTS:,} characters"
        problem = _problem(arguments, lookup.tool.parameters)
        if problem:
            return f"error: {problem}"
        try:
            said = lookup.answer(arguments)
        except Exception as error:  # noqa: BLE001 - a tool that fails is told to the model, as a call that fails
            return f"error: the tool failed ({type(error).__name__})"
        return said if len(said) <= MOST_RESULT else said[:MOST_RESULT] + " [cut]"


def arguments_of(call: ToolCall) -> dict[str, Any] | None:
    """The arguments of a call; None where they are no JSON object, or too long."""
    if len(call.arguments) > MOST_ARGUMENTS:
        return None
    try:
        found = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _problem(arguments: Mapping[str, Any], form: Mapping[str, Any]) -> str | None:
    """What is wrong with arguments, by name and kind."""
    properties: Mapping[str, Any] = form.get("properties", {})
    missing = [name for name in form.get("required", ()) if name not in arguments]
    if missing:
        return f"the argument {missing[0]!r} is missing"
    for name, value in arguments.items():
        if name not in properties:
            return f"there is no argument {str(name)[:64]!r}; there are: {', '.join(properties)}"
        kind = properties[name].get("type")
        fits = isinstance(value, KINDS.get(kind, object)) and not (isinstance(value, bool) and kind != "boolean")
        if not fits:
            return f"the argument {name!r} must be of type {kind}"
    return None


# ---- files ------------------------------------------------------------------------------------------------------


def _read(declared: Declared, folder: Path) -> Lookup:
    rows = _rows(folder / declared.file)
    name = declared.name or declared.kind
    if declared.kind == "glossary":
        return Glossary(_meanings(rows, declared.file), name, declared.about)
    return Passages([_passage(row) for row in rows], name, declared.about, declared.results)


def _meanings(rows: Sequence[Mapping[str, str]], source: str) -> dict[str, str]:
    """The first column is the term, the others say what it means; of a term twice, both meanings."""
    found: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        term, *meaning = row.values()
        told = "; ".join(each for each in meaning if each)
        if not term or not told:
            mend = "give every row a term and its meaning"
            raise DataError("a term without a meaning", mend=mend, source=source, row=number)
        found[term] = f"{found[term]}; or: {told}" if term in found else told
    return found


def _passage(row: Mapping[str, str]) -> str:
    return "\n".join(value for name, value in row.items() if value and name.casefold() not in HIDDEN_COLUMNS)


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV or JSONL file, as texts. Raises FormatError, or DataError for one that is restricted."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        mend = "put the file beside the rubric, in UTF-8"
        raise FormatError(f"the file of a tool cannot be read ({error})", mend=mend, source=path.name) from None
    if path.suffix.lower() not in {".csv", ".jsonl"}:
        raise FormatError("a tool reads .csv and .jsonl", mend="save it as one of these", source=path.name)
    rows = _csv(text, path.name) if path.suffix.lower() == ".csv" else _jsonl(text, path.name)
    if not rows:
        raise FormatError("the file of a tool is empty", mend="add rows, or remove the tool", source=path.name)
    for number, row in enumerate(rows, start=1):
        if is_restricted(row.get(RESTRICTED)) is not False:
            mend = "take it out of the file: what a tool returns goes to every model that asks"
            raise DataError("the row is restricted", mend=mend, source=path.name, row=number, column=RESTRICTED)
    return rows


def _csv(text: str, source: str) -> list[dict[str, str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header, *records = [record for record in reader if record] or [[]]
    except csv.Error as error:
        raise FormatError(f"this is no CSV ({error})", mend="close every quote", source=source) from None
    for number, record in enumerate(records, start=1):
        if len(record) != len(header):
            problem = f"the row has {len(record)} cells, the header {len(header)}"
            raise DataError(problem, mend="put quotes around cells with commas", source=source, row=number)
    return [{name: cell.strip() for name, cell in zip(header, record, strict=True)} for record in records]


def _jsonl(text: str, source: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            mend = "write one JSON object a line"
            raise FormatError("the line is no JSON object", mend=mend, source=source, row=number)
        found.append({str(name): _text(value) for name, value in row.items()})
    return found


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
