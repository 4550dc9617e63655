"""Laws of requests and answers as values."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.llm.wire import OUTSIDE, Answer, Message, Request, Token, Tool, ToolCall, Usage

TEXT = st.text(max_size=20)
LOGPROB = st.floats(max_value=0.0, min_value=OUTSIDE)
TOKEN = st.builds(Token, TEXT, LOGPROB, st.lists(st.tuples(TEXT, LOGPROB), max_size=3).map(tuple))
FINISH = st.sampled_from(["stop", "length", "content_filter", "refusal"])
USAGE = st.builds(Usage, st.integers(0, 10**6), st.integers(0, 10**6))
CALLS = st.lists(st.builds(ToolCall, TEXT, TEXT, TEXT), max_size=2).map(tuple)
TOKENS = st.none() | st.lists(TOKEN, max_size=3).map(tuple)
ANSWER = st.builds(Answer, TEXT, TOKENS, FINISH, USAGE, TEXT, CALLS, st.just(()))  # steps are made anew on reading
BASE = Request("m", (Message("user", "Hello"),), 16, 0.0, 5, {"type": "string", "enum": ["a"]}, 3, 0)


@given(ANSWER)
def test_an_answer_comes_back_from_json_bit_by_bit(answer: Answer):
    """Reading what was written gives an equal answer, log probabilities included."""
    line = answer.to_json()
    assert Answer.from_json(line) == answer
    assert Answer.from_json(line).to_json() == line
    assert "\n" not in line


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"messages": (Message("system", "Hello"),)},
        {"messages": (Message("user", "Hello "),)},
        {"messages": (Message("user", [{"type": "text", "text": "Hello"}]),)},
        {"max_tokens": 17},
        {"temperature": 0.1},
        {"top_logprobs": None},
        {"top_logprobs": 0},
        {"schema": {"type": "string", "enum": ["b"]}},
        {"schema": None},
        {"seed": None},
        {"sample": 1},
        {"tools": (Tool("t", "", {}),)},
    ],
)
def test_whatever_may_change_the_answer_changes_the_key(change: dict[str, object]):
    """Two different calls never share a key."""
    assert BASE._replace(**change).key() != BASE.key()


def test_equal_requests_share_their_key_however_they_are_spelled():
    """The order of names in a schema, a whole temperature and a tuple for a list do not matter."""
    spelled = BASE._replace(temperature=0, schema={"enum": ["a"], "type": "string"})
    assert spelled.key() == BASE.key()
    parts = [{"type": "text", "text": "x"}]
    assert (
        BASE._replace(messages=(Message("user", parts),)).key()
        == BASE._replace(messages=(Message("user", tuple(parts)),)).key()
    )


def test_a_key_is_the_same_in_every_release():
    """A journal written today is read tomorrow: the key of a known request never changes."""
    assert BASE.key() == "8dbb7cd32b97e3c4231a8f092373501ea5aa6e7db3fdf0142bdffcb14e3b6b7b"


def test_text_that_is_no_unicode_has_a_key():
    """Half of a surrogate pair, as torn files have it, does no harm."""
    assert len(BASE._replace(messages=(Message("user", "\ud83d"),)).key()) == 64


def test_what_is_marked_as_outside_the_list_is_not_listed():
    """-9999.0 is no probability."""
    token = Token("a", -0.1, (("a", -0.1), ("b", OUTSIDE)))
    assert token.listed() == (("a", -0.1),)
    assert json.loads(Answer("", (token,), "stop", Usage(1, 1), "m").to_json())[1][0][2][1] == ["b", OUTSIDE]
