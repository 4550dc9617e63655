"""Models on this machine behind the protocol of a server: what waits is answered in batches, one batch at a time.

The log probabilities stand in the answer as a server would list them, all of them, so that the journal, the progress
and the reading of confidence are the same for all models.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.errors import SettingError
from quorate.llm.failures import BadRequestError, BrokenError, CallError
from quorate.llm.local import LocalModel, Spelling
from quorate.llm.local_writing import pieces, shares, thought_logs
from quorate.llm.wire import Answer, Request, Token, Usage

Array = np.ndarray
GATHER_S = 0.002  # let more requests come before a batch is begun
SHARE_TOKENS = 8  # of a number from 0.000 to 1.000, at most


class _Waiting(NamedTuple):
    request: Request
    told: asyncio.Future[Answer]


class LocalClient:
    """A transport to models on this machine, by the names that requests give them."""

    def __init__(self, models: Mapping[str, LocalModel]) -> None:
        self._models = models
        self._waiting: list[_Waiting] = []
        self._worker: asyncio.Task[None] | None = None

    def problem(self) -> None:
        """Nothing leaves this machine: restricted items may be asked about here."""
        return

    async def send(self, request: Request) -> Answer:
        """The answer. Raises BadRequestError for a prompt that is too long, or a schema without labels."""
        if request.tools:
            raise BadRequestError("a model on this machine cannot call tools")
        if request.model not in self._models:
            raise BadRequestError(f"no model {request.model!r} is loaded here")
        told = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(request, told))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.ensure_future(self._work())
        return await told

    async def _work(self) -> None:
        await asyncio.sleep(GATHER_S)
        while self._waiting:
            batch = self._next()
            try:
                answers = await asyncio.to_thread(self._answers, [each.request for each in batch])
            except Exception as error:  # noqa: BLE001 - out of memory or a model's own trouble: the calls fail, not the run
                failed = BrokenError(f"{type(error).__name__}: {error}", retry=False)
                answers = [failed] * len(batch)
            for each, said in zip(batch, answers, strict=True):
                if each.told.done():
                    continue
                if isinstance(said, Answer):
                    each.told.set_result(said)
                else:
                    each.told.set_exception(said)

    def _next(self) -> list[_Waiting]:
        """The requests that wait for the model of the first, with the same labels, as many as fit a batch."""
        first = self._waiting[0].request
        size = self._models[first.model].batch
        alike = [
            each
            for each in self._waiting
            if each.request.model == first.model
            and each.request.schema == first.schema
            and each.request.max_tokens == first.max_tokens
        ][:size]
        taken = set(map(id, alike))
        self._waiting = [each for each in self._waiting if id(each) not in taken]
        return alike

    def _answers(self, requests: Sequence[Request]) -> list[Answer | CallError]:
        model = self._models[requests[0].model]
        try:
            form = _form(requests[0])
            spellings = model.spellings(form.labels) if form.labels else []
        except SettingError as error:
            return [BadRequestError(str(error))] * len(requests)
        longest = max((len(each.tokens) for each in spellings), default=SHARE_TOKENS)
        behind = longest + (form.most_thought if form.reasoning else 0)
        prompts = [_prompt(model, request, behind) for request in requests]
        asked = [prompt for prompt in prompts if isinstance(prompt, tuple)]
        answers = iter(_asked(model, requests[0].model, asked, spellings, form))
        return [next(answers) if isinstance(prompt, tuple) else prompt for prompt in prompts]


def _prompt(model: LocalModel, request: Request, behind: int) -> tuple[int, ...] | BadRequestError:
    """The tokens of a prompt, or why it cannot be read: an image, or too long with what comes behind it."""
    try:
        prompt = model.prompt(request.messages)
    except SettingError as error:
        return BadRequestError(str(error))
    if len(prompt) + behind > model.most_tokens:
        return BadRequestError(f"{len(prompt)} tokens; the model reads {model.most_tokens}")
    return prompt


class _Form(NamedTuple):
    """What a schema asks for: one of these labels, or a share; alone or as a property behind reasoning."""

    labels: tuple[str, ...]  # none: a number from 0 to 1
    label: str | None
    reasoning: str | None
    most_thought: int


def _form(request: Request) -> _Form:
    schema: Mapping[str, Any] = request.schema or {}
    if "enum" in schema:
        return _Form(tuple(schema["enum"]), None, None, 0)
    asked = {name: each for name, each in schema.get("properties", {}).items() if "enum" in each or _is_share(each)}
    free = [name for name in schema.get("properties", {}) if name not in asked]
    if len(asked) != 1:
        raise SettingError("a local model is asked one question at a time, with labels or a share to choose from")
    [(name, each)] = asked.items()
    return _Form(tuple(each.get("enum", ())), name, free[0] if free else None, request.max_tokens)


def _is_share(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "number" and (schema.get("minimum"), schema.get("maximum")) == (0, 1)


def _asked(
    model: LocalModel, name: str, prompts: Sequence[tuple[int, ...]], spellings: Sequence[Spelling], form: _Form
) -> list[Answer]:
    if not prompts:
        return []
    thoughts = model.thoughts(prompts, form.most_thought) if form.reasoning else [()] * len(prompts)
    if not form.labels:
        said = shares(model, prompts, thoughts if form.reasoning else None)
        return [
            _share_answer(model, name, Usage(len(prompt), len(thought) + SHARE_TOKENS), thought, share, form)
            for prompt, thought, share in zip(prompts, thoughts, said, strict=True)
        ]
    surprises = thought_logs(model, prompts, thoughts) if form.reasoning else [np.empty(0)] * len(prompts)
    logs = (
        model.log_probs_after(prompts, thoughts, spellings) if form.reasoning else model.log_probs(prompts, spellings)
    )
    return [
        _answer(model, name, Usage(len(prompt), len(thought) + 1), _Thought(thought, own), row, spellings, form)
        for prompt, thought, own, row in zip(prompts, thoughts, surprises, logs.tolist(), strict=True)
    ]


class _Thought(NamedTuple):
    """What a model wrote before its answer, with the log probability of every token (nats)."""

    tokens: Sequence[int]
    logs: Float64[Array, "tokens"]


def _share_answer(
    model: LocalModel, name: str, usage: Usage, thought: Sequence[int], share: str, form: _Form
) -> Answer:
    """An answer with a number, without log probabilities: of a number they say little."""
    assert form.label is not None
    said = {} if form.reasoning is None else {form.reasoning: model.tokenizer.decode(list(thought)).strip()}
    return Answer(json.dumps({**said, form.label: float(share)}, ensure_ascii=False), None, "stop", usage, name)


def _answer(
    model: LocalModel,
    name: str,
    usage: Usage,
    thought: _Thought,
    logs: Sequence[float],
    spellings: Sequence[Spelling],
    form: _Form,
) -> Answer:
    """An answer as a server would give it: the likeliest label, with the log probabilities of all spellings."""
    chances = [0.0] * len(form.labels)
    for log, spelling in zip(logs, spellings, strict=True):
        chances[spelling.label] += math.exp(log - max(logs))
    best = chances.index(max(chances))
    ranked = sorted(zip(logs, spellings, strict=True), key=lambda each: -each[0])
    log, text = next((log, spelling.text) for log, spelling in ranked if spelling.label == best)
    tokens = (Token(text, log, tuple((each.text, other) for other, each in ranked)),)
    if form.label is not None:
        listed = tuple((each.text.strip(), other) for other, each in ranked)
        tokens = (*_head(model, thought, form), Token(text.strip(), log, listed), Token('"}', 0.0, ()))
    return Answer("".join(token.token for token in tokens), tokens, "stop", usage, name)


def _head(model: LocalModel, thought: _Thought, form: _Form) -> list[Token]:
    """The JSON up to the label; the words of the reasoning with their own log probabilities."""
    if form.reasoning is None:
        return [Token(f'{{{json.dumps(form.label)}: "', 0.0, ())]
    texts = pieces(model, thought.tokens)
    whole = "".join(texts)
    first, last = len(whole) - len(whole.lstrip()), len(whole.rstrip())
    said: list[Token] = []
    at = 0
    for text, log in zip(texts, thought.logs.tolist(), strict=True):
        shown = text[max(first - at, 0) : max(last - at, 0)]  # the spaces around the reasoning are left out
        said.append(Token(json.dumps(shown, ensure_ascii=False)[1:-1], log, ()))
        at += len(text)
    opening, following = json.dumps(form.reasoning), json.dumps(form.label)
    return [Token(f'{{{opening}: "', 0.0, ()), *said, Token(f'", {following}: "', 0.0, ())]
