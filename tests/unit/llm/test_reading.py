"""What an answer says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.llm.prompt import Prompts, Sheet
from quorate.llm.reading import Chosen, Unusable, find_object, read_answer
from quorate.llm.rubric_file import parse_rubric
from quorate.llm.wire import Answer, Token, Usage

RUBRIC = parse_rubric("""
tasks:
  - {name: tone, classes: [calm, angry]}
  - {name: stars, kind: scale, classes: [1, 2, 3]}
""")
SHEET = Sheet(Prompts(), RUBRIC, RUBRIC.questions)


def answer(text: str, finish: str = "stop", tokens: list[str] | None = None) -> Answer:
    said = None if tokens is None else tuple(Token(each, -0.1, ()) for each in tokens)
    return Answer(text, said, finish, Usage(1, 1), "m")  # type: ignore[arg-type]


def codes(text: str, **more: object) -> list[int | str]:
    found = read_answer(answer(text, **more), SHEET).of  # type: ignore[arg-type]
    return [each.code if isinstance(each, Chosen) else each.kind for each in found.values()]


@pytest.mark.parametrize(
    "text",
    [
        '{"tone": "B", "stars": "3"}',
        ' \n{"stars":"3","tone":"B"} ',
        '```json\n{"tone": "B", "stars": "3"}\n```',
        '<think>maybe {"tone": "A"}?</think>{"tone": "b", "stars": 3}',
        'I say {"tone": "A", "stars": "1"}; no: {"tone": "angry", "stars": "3"}. Done.',
        '{"reasoning": "\\"tone\\": \\"A\\" {\\"tone\\": \\"A\\"}", "tone": "B", "stars": "3"}',
        '{"tone": "B", "stars": "3", "tone_": "A"',
    ],
)
def test_labels_are_read_from_the_json_that_answers(text: str) -> None:
    """By short name or class, in any order, with words around it; the last object counts, not what is quoted in it."""
    assert codes(text) == [1, 2]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("", ["not of the form"] * 2),
        ("B", ["not of the form"] * 2),
        ("[]", ["not of the form"] * 2),
        ('{"tone": "B"}', [1, "not of the form"]),
        ('{"tone": "D", "stars": "2"}', ["no such label", 1]),
        ('{"tone": ["B"], "stars": {"B": 1}}', ["no such label"] * 2),
        ('{"tone": true, "stars": null}', ["no such label"] * 2),
        ('{"tone": "B", "stars": "', [1, "not of the form"]),
        ("{" * 5_000, ["not of the form"] * 2),
        ('{"tone": ' + "[" * 100_000, ["not of the form"] * 2),
    ],
)
def test_what_cannot_be_used_is_told_and_the_rest_stands(text: str, kinds: list[int | str]) -> None:
    """Question by question."""
    assert codes(text) == kinds


def test_why_an_answer_ended_is_the_reason_that_is_told() -> None:
    """Cut off, filtered, refused."""
    for finish, kind in (("length", "cut off"), ("content_filter", "filtered"), ("refusal", "refusal")):
        assert codes('{"tone": "B", "st', finish=finish) == [1, kind]
    found = read_answer(answer("I cannot help.", "refusal"), SHEET).of["tone"]
    assert found == Unusable("refusal", "I cannot help.")


def test_the_place_of_a_label_is_that_of_its_tokens() -> None:
    """Where tokens and text differ in what cannot be decoded, places refer to the tokens."""
    tokens = ['{"', "reasoning", '": "', "\ufffd", "\ufffd", '", "tone": "', "B", '", "stars": "', "3", '"}']
    text = '{"reasoning": "é", "tone": "B", "stars": "3"}'
    reading = read_answer(answer(text, tokens=tokens), SHEET)
    for key, said in (("tone", "B"), ("stars", "3")):
        found = reading.of[key]
        assert isinstance(found, Chosen)
        assert reading.text[found.place.start : found.place.stop] == said
    assert reading.text == "".join(tokens)


@given(
    st.dictionaries(
        st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists), max_size=6
    )
)
def test_every_member_of_an_object_is_found_with_its_value(members: dict[str, object]) -> None:
    """As the standard parser reads it, whatever stands in it."""
    text = json.dumps(members | {"tone": "A"})
    found = find_object(text, {"tone"})
    assert {name: said.value for name, said in found.items()} == json.loads(text)
    for said in found.values():
        piece = text[said.place.start : said.place.stop]
        assert json.loads(f'"{piece}"' if isinstance(said.value, str) else piece) == said.value


def test_a_bare_label_is_read_where_that_is_asked_for() -> None:
    """With marks around it, by short name or class; a sentence is none."""
    sheet = Sheet(Prompts(), RUBRIC, RUBRIC.questions[:1], "plain")
    for text, code in (("B", 1), (' "A".', 0), ("**angry**", 1), ("(a)", 0)):
        found = read_answer(answer(text), sheet).of["tone"]
        assert isinstance(found, Chosen)
        assert found.code == code
    assert isinstance(read_answer(answer("I think B"), sheet).of["tone"], Unusable)
