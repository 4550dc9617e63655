"""Laws of the words of chat completions."""

from __future__ import annotations

import json

import pytest

from quorate.llm import chat
from quorate.llm.failures import BrokenError
from quorate.llm.wire import OUTSIDE, Message, Request, Usage

ASKED = Request("m", (Message("user", "Hello"),), 16, 0.5, 2, {"type": "string"}, seed=7, sample=2)


def _body(**change: object) -> dict[str, object]:
    choice = {"message": {"content": "A"}, "finish_reason": "stop", "logprobs": None}
    return {"model": "m-1", "choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 1}, **change}


def _said(choice: dict[str, object], **change: object):
    return chat.answer(json.dumps(_body(choices=[choice], **change)), ASKED)


def test_a_body_says_all_that_the_request_says():
    """Nothing of a request is lost on the way, and samples of one prompt have different seeds."""
    body = chat.body(ASKED)
    assert body["messages"] == [{"role": "user", "content": "Hello"}]
    assert (body["max_completion_tokens"], body["temperature"], body["seed"]) == (16, 0.5, 9)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)
    assert body["response_format"]["json_schema"]["schema"] == {"type": "string"}
    assert body["response_format"]["json_schema"]["strict"] is True
    bare = chat.body(Request("m", (Message("user", "Hello"),)), "max_tokens")
    assert set(bare) == {"model", "messages", "max_tokens", "temperature"}


def test_a_refusal_is_its_own_finish_and_its_words_are_the_text():
    """A server may say "stop" beside a refusal."""
    said = _said({"message": {"content": None, "refusal": "No."}, "finish_reason": "stop"})
    assert (said.text, said.finish) == ("No.", "refusal")


def test_what_has_no_finite_log_probability_is_outside_the_list():
    """-inf and NaN, as some servers send, mean what -9999.0 means."""
    top = [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": float("-inf")}]
    entry = {"token": "A", "logprob": float("nan"), "top_logprobs": top}
    said = _said({"message": {"content": "A"}, "finish_reason": "stop", "logprobs": {"content": [entry]}})
    assert said.tokens is not None
    assert said.tokens[0] == ("A", OUTSIDE, (("A", -0.1), ("B", OUTSIDE)))


@pytest.mark.parametrize("logprobs", [None, {}, {"content": None}, {"content": []}])
def test_no_log_probabilities_are_none(logprobs: object):
    """Absence is absence, however a server says it."""
    assert _said({"message": {"content": "A"}, "finish_reason": "stop", "logprobs": logprobs}).tokens is None


def test_without_a_count_of_tokens_the_most_is_counted():
    """The ledger then errs on the side of the cap."""
    assert chat.answer(json.dumps(_body(usage=None)), ASKED).usage == chat.most_usage(ASKED)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "{}", '{"choices": []}', '{"choices": [{"message": null}]}', '{"choices": [{}]}', "\x00"],
)
def test_a_body_that_is_no_answer_is_broken_and_perhaps_paid(content: str):
    """Whatever comes, one clear error comes out."""
    with pytest.raises(BrokenError) as caught:
        chat.answer(content, ASKED)
    assert caught.value.paid


def test_a_body_cut_anywhere_is_broken_or_whole():
    """No prefix of an answer is mistaken for one."""
    whole = json.dumps(_body())
    for end in range(len(whole)):
        with pytest.raises(BrokenError):
            chat.answer(whole[:end], ASKED)


def test_the_most_tokens_are_no_fewer_than_bytes():
    """A token has at least one byte; images count at the dearest; the schema counts too."""
    text = "Grüße 🎈"
    most = chat.most_usage(Request("m", (Message("user", text),), 5))
    assert most == Usage(chat.MESSAGE_TOKENS + len(text.encode()), 5)
    parts = [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "data:..."}}]
    assert chat.most_usage(Request("m", (Message("user", parts),))).prompt_tokens > chat.IMAGE_TOKENS
    assert chat.most_usage(ASKED).prompt_tokens > chat.most_usage(ASKED._replace(schema=None)).prompt_tokens
