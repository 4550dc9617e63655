"""What an answer says: labels by question, each with its place in the text, so that its tokens can be found.

Only a whole JSON value in its own property counts as an answer: a label in the reasoning, or in words around the JSON,
does not. What cannot be used is a value with its reason; the other questions of the same answer keep their labels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from json.decoder import JSONDecoder
from typing import Any, NamedTuple

from quorate.llm.prompt import REASONING, Asked, Sheet
from quorate.llm.rubric import Question
from quorate.llm.wire import Answer

SPACE = re.compile(r"[ \t\r\n]*")
AROUND = " \t\r\n\"'`*.()[]"
FINISHED_BY = {"length": "cut off", "content_filter": "filtered", "refusal": "refusal"}
MOST_SHOWN = 120
MOST_CANDIDATES = 1_000  # opening braces that are tried, from the end


class Place(NamedTuple):
    """A stretch of a text, from the first character to behind the last."""

    start: int
    stop: int


class Chosen(NamedTuple):
    """The class that was answered, as its place among the classes, and where in the text it stands."""

    code: int
    place: Place


class Unusable(NamedTuple):
    """Why there is no label: a kind, and what the model said."""

    kind: str
    detail: str


class Reading(NamedTuple):
    """What an answer says, by question; the text that places refer to; and the reasoning, if any."""

    of: Mapping[str, Chosen | Unusable]  # by property
    values: Mapping[str, Any]  # of the properties, as they were said
    text: str
    reasoning: str


class Said(NamedTuple):
    """A value of a JSON object and where it stands; of a text, without its quotation marks."""

    value: Any
    place: Place


def read_answer(answer: Answer, sheet: Sheet) -> Reading:
    """The labels of an answer. Places refer to the tokens' own text where there are tokens."""
    text = answer.text if answer.tokens is None else "".join(token.token for token in answer.tokens)
    if sheet.wanted == "plain" and not sheet.thinks:
        asked = sheet.asked[0]
        return Reading({asked.key: _read_plain(text, asked.question, answer)}, {}, text, "")
    said = find_object(text, {asked.key for asked in sheet.asked})
    if not said and text != answer.text:  # tokens of another spelling: the labels are known, their places are not
        text, said = answer.text, find_object(answer.text, {asked.key for asked in sheet.asked})
    found = {asked.key: _chosen(asked, said, answer) for asked in sheet.asked}
    reasoning = said.get(REASONING)
    return Reading(
        found,
        {name: each.value for name, each in said.items()},
        text,
        reasoning.value if reasoning is not None and isinstance(reasoning.value, str) else "",
    )


def code_of(question: Question, said: object) -> int | None:
    """The class that a value names, by its short name or its own; None where it names none.

    >>> from quorate.schema import Task
    >>> tone = Question(Task("tone", ("calm", "angry")), "What is the tone?")
    >>> code_of(tone, "b"), code_of(tone, "Angry"), code_of(tone, "C")
    (1, 1, None)
    """
    if isinstance(said, bool) or not isinstance(said, str | int):
        return None
    text = str(said).strip().casefold()
    for names in (question.ids, question.task.classes):
        found = [code for code, name in enumerate(names) if name.casefold() == text]
        if len(found) == 1:
            return found[0]
    return None


def find_object(text: str, wanted: set[str]) -> dict[str, Said]:
    """The members of the JSON object that answers: the whole text, or the last object in it with a wanted property.

    Of an object that is cut off, the members that are whole.
    """
    whole = SPACE.match(text)
    start = whole.end() if whole else 0
    if text.startswith("{", start):
        members = dict(_members(text, start))
        if wanted & set(members):
            return members
    best: dict[str, Said] = {}
    reach = -1
    for opening in _openings(text):
        members = dict(_members(text, opening))
        stop = max((said.place.stop for said in members.values()), default=-1)
        if wanted & set(members) and stop > reach:
            best, reach = members, stop
    return best


def _openings(text: str) -> Iterator[int]:
    """Opening braces from the last to the first; not without end."""
    at = len(text)
    for _ in range(MOST_CANDIDATES):
        at = text.rfind("{", 0, at)
        if at < 0:
            return
        yield at


def _members(text: str, opening: int) -> Iterator[tuple[str, Said]]:
    """Name and value of every whole member of the object that opens there."""
    decoder = JSONDecoder()
    at = opening + 1
    try:
        while True:
            at = _skip(text, at)
            if text[at : at + 1] != '"':
                return
            name, at = decoder.raw_decode(text, at)
            at = _skip(text, at)
            if text[at : at + 1] != ":":
                return
            start = _skip(text, at + 1)
            value, at = decoder.raw_decode(text, start)
            mark = isinstance(value, str)
            yield name, Said(value, Place(start + mark, at - mark))
            at = _skip(text, at)
            if text[at : at + 1] != ",":
                return
            at += 1
    except (ValueError, RecursionError):
        return


def _skip(text: str, at: int) -> int:
    found = SPACE.match(text, at)
    return found.end() if found else at


def _chosen(asked: Asked, said: Mapping[str, Said], answer: Answer) -> Chosen | Unusable:
    if asked.key not in said:
        return _nothing(answer)
    value, place = said[asked.key]
    code = code_of(asked.question, value)
    if code is None:
        return Unusable("no such label", f"{asked.key}: {_brief(json.dumps(value, ensure_ascii=False))}")
    return Chosen(code, place)


def _read_plain(text: str, question: Question, answer: Answer) -> Chosen | Unusable:
    said = bare(text)
    code = code_of(question, said.value)
    return _nothing(answer) if code is None else Chosen(code, said.place)


def bare(text: str) -> Said:
    """A text less the spaces and marks around it.

    >>> bare(' "B".')
    Said(value='B', place=Place(start=2, stop=3))
    """
    lead = len(text) - len(text.lstrip(AROUND))
    core = text.strip(AROUND)
    return Said(core, Place(lead, lead + len(core)))


def _nothing(answer: Answer) -> Unusable:
    """An answer that holds no label: why it ended, or that it is not of the form."""
    return Unusable(FINISHED_BY.get(answer.finish, "not of the form"), _brief(answer.text))


def _brief(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."
