"""What the fake server says: answers read from a table, or drawn from a seeded hash of the question.

A reply is a function of the model, the messages, the schema and the seed; above temperature 0 also of the call's name
(the header `X-Client-Request-Id`), so that several samples of one prompt differ and yet come out the same in every run.
Log probabilities agree with what is said: the tokens of a choice bear the probabilities that it was drawn from.

A table is JSONL, one row per line:

    {"text": "the item's text", "probs": {"yes": 0.9, "no": 0.1}}           probabilities of the choices
    {"text": ..., "model": "m", "tasks": {"tone": [0.2, 0.8]}}              by property of the schema, in enum order
    {"text": ..., "answer": "verbatim"}                                     said as it stands
    {"text": ..., "says": "words of one prompt", "probs": ...}              where the system message holds these words
    {"text": ..., "holds": ["tone", "B: angry"], "tasks": {"wrong": [0.9, 0.1], "error_probability": 0.9}}
                                                                            where the last message holds all of these
    {"text": ..., "calls": [{"tool": "glossary", "arguments": {...}}]}      tools that it calls first, a round each

A row speaks where its text is a message, a part of one, the inside of <tags> or a line (in that order), or stands
anywhere in the last message; a row with `model` speaks for that model only, one with `says` where the system message or
what a tool returned says so, one with `holds` where the last message holds all of these words; both before rows
without. A number in `tasks` is said where the schema asks for one. A round of `calls` may be a list of calls; arguments
that are a text are sent as they stand. A server calls tools only where the request declares some and lets them be.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from quorate.errors import DataError, FormatError

WORDS = re.compile(r"\w+|[^\w\s]+|\s+")
TAGGED = re.compile(r"<(\w+)[^>]*>\s*(.*?)\s*</\1>", re.DOTALL)
CHOICES = re.compile(r"^\s*[-*]?\s*([A-Za-z0-9]{1,3})[.):]\s", re.MULTILINE)
SHARPNESS = 6.0  # log odds between the likeliest and the least likely choice of a hash are below this
SURE = -0.0001  # log probability of a token that is no choice
FLOOR = 1e-9  # a probability of 0 in a table is said as this
CHARACTERS_PER_TOKEN = 4
TELLS = frozenset({"system", "developer", "tool"})  # messages that a row can ask for by `says`
Shares = Mapping[str, float] | Sequence[float]


class Piece(NamedTuple):
    """A stretch of a reply: fixed text, or a choice with the probabilities it was drawn from."""

    text: str
    options: tuple[tuple[str, float], ...] = ()  # likeliest first, natural logarithms


class Row(NamedTuple):
    """One line of a table of answers."""

    text: str
    model: str | None
    probs: Shares | None
    tasks: Mapping[str, Shares | float]
    answer: str | None
    says: str | None = None  # words that the system message, or a tool's result, must hold: what tells prompts apart
    calls: Sequence[Any] = ()  # of tools, round by round: {"tool", "arguments"}, or a list of these
    holds: Sequence[str] = ()  # words that the last message must hold


class Question(NamedTuple):
    """What a reply is drawn from."""

    model: str
    messages: str  # all of them, as JSON
    last: tuple[str, ...]  # the texts of the last message
    told: str  # the texts of system messages, and what tools returned
    schema: Mapping[str, Any] | None
    temperature: float
    draw: str  # what tells samples of one prompt apart


class Replies:
    """The answers of a fake server."""

    def __init__(self, table: Iterable[Row] = (), *, seed: int = 0) -> None:
        self._seed = seed
        self._rows: dict[str, list[Row]] = {}
        for row in sorted(table, key=lambda row: row.says is None and not row.holds):
            self._rows.setdefault(row.text.strip(), []).append(row)

    def pieces(self, body: Mapping[str, Any], name: str) -> list[Piece]:
        """The reply to the body of a call of that name, piece by piece."""
        question = _question(body, name)
        row = self._row(question)
        if row is not None and row.answer is not None:
            return [Piece(row.answer)]
        if question.schema is not None:
            return list(self._value(question.schema, question, row, ""))
        choices = list(row.probs) if row and isinstance(row.probs, Mapping) else _choices(question)
        return [self._choice(choices, question, row, "")]

    def calls(self, body: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
        """The tools that are called in place of an answer, in OpenAI's form; none where the answer is due."""
        if not body.get("tools") or body.get("tool_choice") == "none":
            return []
        row = self._row(_question(body, name))
        before = sum(1 for message in body.get("messages") or () if message.get("tool_calls"))
        if row is None or before >= len(row.calls):
            return []
        wanted = row.calls[before]
        return [
            _call(f"call_{name[:8]}_{before}_{place}", each)
            for place, each in enumerate([wanted] if isinstance(wanted, Mapping) else wanted)
        ]

    def _value(self, schema: Mapping[str, Any], question: Question, row: Row | None, path: str) -> Iterator[Piece]:
        """A value that fulfils the schema: a choice for each enum, filler elsewhere."""
        if "enum" in schema:
            yield from _quoted(self._choice([_said(v) for v in schema["enum"]], question, row, path), schema["enum"])
        elif "const" in schema:
            yield Piece(json.dumps(schema["const"]))
        elif schema.get("type") == "object":
            for place, (name, inner) in enumerate(schema.get("properties", {}).items()):
                yield Piece(("{" if place == 0 else ", ") + json.dumps(name) + ": ")
                yield from self._value(inner, question, row, name)
            yield Piece("}" if schema.get("properties") else "{}")
        elif schema.get("type") == "array":
            yield Piece("[")
            yield from self._value(schema.get("items", {"type": "string"}), question, row, path)
            yield Piece("]")
        else:
            said = row.tasks.get(path) if row is not None else None
            is_number = isinstance(said, int | float) and schema.get("type") in {"number", "integer"}
            yield Piece(json.dumps(said)) if is_number else self._filler(schema, question, path)

    def _filler(self, schema: Mapping[str, Any], question: Question, path: str) -> Piece:
        share = self._hashed(question, f"filler {path}", 1)[0]
        low, high = schema.get("minimum", 0), schema.get("maximum", 1)
        match schema.get("type"):
            case "number":
                return Piece(json.dumps(round(low + share * (high - low), 3)))
            case "integer":
                return Piece(str(low + round(share * (high - low))))
            case "boolean":
                return Piece("true" if share > 0.5 else "false")
            case "null":
                return Piece("null")
            case _:
                return Piece(f'"Reason {int(share * 1e6)}."')

    def _choice(self, choices: Sequence[str], question: Question, row: Row | None, path: str) -> Piece:
        """One of the choices, drawn at the asked temperature, with the log probabilities of all (at temperature 1)."""
        shares = _shares(choices, row, path) or _softmax(self._hashed(question, path, len(choices)))
        logs = [math.log(max(share, FLOOR)) for share in shares]
        options = sorted(zip(choices, logs, strict=True), key=lambda option: (-option[1], option[0]))
        if question.temperature <= 0:
            return Piece(options[0][0], tuple(options))
        drawn = self._hashed(question, f"draw {path} {question.draw}", 1)[0]
        scaled = [log / question.temperature for _, log in options]
        heights = [math.exp(value - max(scaled)) for value in scaled]
        return Piece(options[_place(heights, drawn)][0], tuple(options))

    def _hashed(self, question: Question, path: str, n: int) -> list[float]:
        """Numbers in [0, 1) that the question decides."""
        salt = f"{self._seed}|{question.model}|{path}|{question.messages}".encode()
        digest = b"".join(hashlib.blake2b(salt, salt=bytes([block])).digest() for block in range(1 + n // 32))
        return [int.from_bytes(digest[2 * k : 2 * k + 2]) / 65_536 for k in range(n)]

    def _row(self, question: Question) -> Row | None:
        if not self._rows:
            return None
        for text in _stretches(question.last):
            for row in self._rows.get(text, ()):
                if _speaks(row, question):
                    return row
        whole = "\n".join(question.last)
        inside = (row for text, rows in self._rows.items() if text in whole for row in rows)
        return next((row for row in inside if _speaks(row, question)), None)


def read_table(path: Path) -> list[Row]:
    """The rows of a table of answers. Raises FormatError or DataError with the line that cannot be used."""
    rows: list[Row] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except json.JSONDecodeError as error:
            raise FormatError(str(error), mend="write one JSON object a line", source=path.name, row=number) from None
        if not isinstance(fields, dict) or not isinstance(fields.get("text"), str):
            raise DataError("no text", mend="give every row a text", source=path.name, row=number, column="text")
        rows.append(
            Row(
                fields["text"],
                fields.get("model"),
                fields.get("probs"),
                fields.get("tasks") or {},
                fields.get("answer"),
                fields.get("says"),
                fields.get("calls") or (),
                fields.get("holds") or (),
            )
        )
    return rows


def tokens(pieces: Sequence[Piece]) -> list[tuple[str, tuple[tuple[str, float], ...]]]:
    """The tokens of a reply, each with the likeliest at its place; a choice is one token, else words and marks."""
    result: list[tuple[str, tuple[tuple[str, float], ...]]] = []
    for piece in pieces:
        if piece.options:
            result.append((piece.text, piece.options))
        else:
            result += [(word, ((word, SURE),)) for word in WORDS.findall(piece.text)]
    return result


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """How many tokens the fake server counts in a prompt."""
    tools = json.dumps(body["tools"]) if "tools" in body else ""
    return 8 + (len(json.dumps(body.get("messages", ""))) + len(tools)) // CHARACTERS_PER_TOKEN


def _question(body: Mapping[str, Any], name: str) -> Question:
    messages = body.get("messages") or [{"content": ""}]
    asked = next((m for m in reversed(messages) if m.get("role") == "user"), messages[-1])
    content = asked.get("content") or ""
    parts = _texts(content)
    told = [text for m in messages if m.get("role") in TELLS for text in _texts(m.get("content"))]
    wanted = (body.get("response_format") or {}).get("json_schema") or {}
    draw = f"{body.get('seed')} {name}"
    return Question(
        body.get("model", ""),
        json.dumps(messages),
        tuple(parts),
        "\n".join(told),
        wanted.get("schema"),
        float(body.get("temperature") or 0.0),
        draw,
    )


def _call(name: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": wanted["tool"], "arguments": _said(wanted.get("arguments", {}))}
    return {"id": name, "type": "function", "function": function}


def _texts(content: Any) -> list[str]:
    """The texts of a message, other parts as JSON."""
    if isinstance(content, str) or content is None:
        return [content or ""]
    return [part.get("text") or json.dumps(part) for part in content]


def _speaks(row: Row, question: Question) -> bool:
    told = row.says is None or row.says in question.told
    return (
        row.model in {None, question.model}
        and told
        and all(any(words in text for text in question.last) for words in row.holds)
    )


def _stretches(texts: Sequence[str]) -> Iterator[str]:
    yield "\n".join(texts).strip()
    yield from (text.strip() for text in texts)
    yield from (found[1] for text in texts for found in TAGGED.findall(text))
    yield from (line.strip() for text in texts for line in text.splitlines())


def _choices(question: Question) -> list[str]:
    """The short names that start lines of the prompt (`A: ...`), or yes and no."""
    texts = json.loads(question.messages)
    found = [name for m in texts if isinstance(m.get("content"), str) for name in CHOICES.findall(m["content"])]
    found += CHOICES.findall("\n".join(question.last))
    distinct = list(dict.fromkeys(found))
    return distinct if len(distinct) > 1 else ["yes", "no"]


def _shares(choices: Sequence[str], row: Row | None, path: str) -> list[float] | None:
    """The table's probabilities of these choices, or None where it has none that fit."""
    if row is None:
        return None
    given = row.tasks.get(path, row.probs)
    if isinstance(given, int | float):
        return None
    if isinstance(given, Mapping):
        shares = [float(given.get(choice, 0.0)) for choice in choices]
    elif given is not None and len(given) == len(choices):
        shares = [float(share) for share in given]
    else:
        return None
    total = sum(shares)
    return [share / total for share in shares] if total > 0 else None


def _softmax(heights: Sequence[float]) -> list[float]:
    powers = [math.exp(SHARPNESS * height) for height in heights]
    total = sum(powers)
    return [power / total for power in powers]


def _place(heights: Sequence[float], share: float) -> int:
    """The first place where the running sum passes the share of the total."""
    left = share * sum(heights)
    for place, height in enumerate(heights):
        left -= height
        if left < 0:
            return place
    return len(heights) - 1


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _quoted(choice: Piece, values: Sequence[Any]) -> Iterator[Piece]:
    """A choice between strings, with its quotation marks around it; other values stand bare."""
    if all(isinstance(value, str) for value in values):
        yield from (Piece('"'), choice, Piece('"'))
    else:
        yield choice
