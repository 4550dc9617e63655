"""What a local model writes itself: thoughts with their probabilities, and shares."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest

from quorate.llm.failures import BadRequestError
from quorate.llm.local import LocalModel
from quorate.llm.local_client import LocalClient
from quorate.llm.local_writing import SHARES, pieces, shares, thought_logs
from quorate.llm.wire import Message, Request
from tiny import causal, encoder_decoder

TALK = (Message("system", "Judge."), Message("user", "Ä short text 🧨"))
OBJECT = {"type": "object", "additionalProperties": False}
THOUGHT = {"reasoning": {"type": "string"}}
VERDICT = {"wrong": {"type": "string", "enum": ["yes", "no"]}}
SHARE = {"error": {"type": "number", "minimum": 0, "maximum": 1}}


def logs_behind(model: LocalModel, prompt: tuple[int, ...], said: tuple[int, ...]) -> np.ndarray:
    """Log probabilities behind one prompt and what was said after it, worked out by themselves."""
    import torch

    with torch.no_grad():
        if model.is_encoder_decoder:
            start = model.model.config.decoder_start_token_id
            out = model.model(input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([[start, *said]]))
        else:
            out = model.model(input_ids=torch.tensor([[*prompt, *said]]))
    return torch.log_softmax(out.logits[0, -1].double(), dim=-1).numpy()


@pytest.mark.parametrize("maker", [causal, encoder_decoder])
def test_thoughts_have_the_probabilities_of_their_tokens(maker) -> None:
    """By hand: log P(t_k | prompt, t_1 .. t_k-1), token by token."""
    model = maker()
    prompt = model.prompt(TALK)
    [thought] = model.thoughts([prompt], 6)
    [found] = thought_logs(model, [prompt], [thought])
    expected = [logs_behind(model, prompt, thought[:k])[token] for k, token in enumerate(thought)]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert thought_logs(model, [prompt], [()])[0].shape == (0,)


@pytest.mark.parametrize("maker", [causal, encoder_decoder])
def test_a_share_is_the_likeliest_way_to_a_number(maker) -> None:
    """At every place the likeliest token of those that lead to one, by hand; in a batch as alone."""
    model = maker()
    prompts = [model.prompt(TALK), model.prompt(TALK[:1])]
    spelled = {
        tuple(model.tokenizer(s + t, add_special_tokens=False)["input_ids"]): t for t in SHARES for s in ("", " ")
    }
    for prompt, found in zip(prompts, shares(model, prompts, None), strict=True):
        said: tuple[int, ...] = ()
        while said not in spelled:
            allowed = sorted({way[len(said)] for way in spelled if way[: len(said)] == said})
            logs = logs_behind(model, prompt, said)
            said = (*said, max(allowed, key=lambda token, logs=logs: logs[token]))
        assert found == spelled[said]


def test_the_texts_of_tokens_are_the_text() -> None:
    """Also where a character has several tokens: it goes to the last."""
    model = causal()
    tokens = model.tokenizer("ab Ä 🧨!", add_special_tokens=False)["input_ids"]
    found = pieces(model, tokens)
    assert "".join(found) == "ab Ä 🧨!"
    assert found[-2] == "🧨"
    assert found.count("") == 4  # one of two bytes, three of four
    half = pieces(model, tokens[:-2])
    assert "".join(half) == model.tokenizer.decode(tokens[:-2])


def test_an_answer_after_thinking_spells_itself_with_the_probabilities_of_the_thoughts() -> None:
    """Tokens join to the text, which is JSON; the reasoning's are those of the model, and the label's as before."""
    model = causal()
    schema = {**OBJECT, "properties": THOUGHT | VERDICT}
    request = Request("m", TALK, 10, 0.0, 20, schema)
    answer = asyncio.run(LocalClient({"m": model}).send(request))
    assert answer.tokens is not None
    assert "".join(token.token for token in answer.tokens) == answer.text
    said = json.loads(answer.text)
    prompt = model.prompt(TALK)
    [thought] = model.thoughts([prompt], 10)
    assert said["reasoning"] == model.tokenizer.decode(list(thought)).strip()
    logs = [token.logprob for token in answer.tokens[1:-3]]
    np.testing.assert_allclose(logs, thought_logs(model, [prompt], [thought])[0])
    assert said["wrong"] in {"yes", "no"}


def test_a_number_is_asked_for_by_its_range() -> None:
    """From 0 to 1, alone or after thinking, without log probabilities; another range is refused."""
    client = LocalClient({"m": causal()})
    for properties in (SHARE, THOUGHT | SHARE):
        request = Request("m", TALK, 6, 0.0, 20, {**OBJECT, "properties": properties})
        answer = asyncio.run(client.send(request))
        assert 0 <= json.loads(answer.text)["error"] <= 1
        assert answer.tokens is None
    wide = {**OBJECT, "properties": {"error": {"type": "number", "minimum": 0, "maximum": 100}}}
    with pytest.raises(BadRequestError, match="labels or a share"):
        asyncio.run(client.send(Request("m", TALK, 6, 0.0, 20, wide)))
