"""Models on this machine behind the protocol of a server: what waits is answered in batches, one batch at a time.

The log probabilities stand in the answer as a server would list them, all of them, so that the journal, the progress
and the reading of confidence are the same for all models.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from quorate.errors import SettingError
from quorate.llm.failures import BadRequestError, BrokenError, CallError
from quorate.llm.local import LocalModel, Spelling
from quorate.llm.wire import Answer, Request, Token, Usage

GATHER_S = 0.002  # let more requests come before a batch is begun


class _Waiting(NamedTuple):
    request: Request
    told: asyncio.Future[Answer]


class LocalClient:
    """A transport to models on this machine, by the names that requests give them."""

    def __init__(self, models: Mapping[str, LocalModel]) -> None:
        self._models = models
        self._waiting: list[_Waiting] = []
        self._worker: asyncio.Task[None] | None = None

    async def send(self, request: Request) -> Answer:
        """The answer. Raises BadRequestError for a prompt that is too long, or a schema without labels."""
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
            spellings = model.spellings(form.labels)
            prompts = [model.prompt(request.messages) for request in requests]
        except SettingError as error:
            return [BadRequestError(str(error))] * len(requests)
        longest = max(len(each.tokens) for each in spellings) + (form.most_thought if form.reasoning else 0)
        fits = [len(prompt) + longest <= model.most_tokens for prompt in prompts]
        asked = [prompt for prompt, fit in zip(prompts, fits, strict=True) if fit]
        answers = iter(_asked(model, requests[0].model, asked, spellings, form))
        return [
            next(answers) if fit else BadRequestError(f"{len(prompt)} tokens; the model reads {model.most_tokens}")
            for prompt, fit in zip(prompts, fits, strict=True)
        ]


class _Form(NamedTuple):
    """What a schema asks for: one of these labels, alone or as a property behind reasoning."""

    labels: tuple[str, ...]
    label: str | None
    reasoning: str | None
    most_thought: int


def _form(request: Request) -> _Form:
    schema: Mapping[str, Any] = request.schema or {}
    if "enum" in schema:
        return _Form(tuple(schema["enum"]), None, None, 0)
    labels = [(name, each["enum"]) for name, each in schema.get("properties", {}).items() if "enum" in each]
    free = [name for name, each in schema.get("properties", {}).items() if "enum" not in each]
    if len(labels) != 1:
        raise SettingError("a local model is asked one question at a time, with labels to choose from")
    return _Form(tuple(labels[0][1]), labels[0][0], free[0] if free else None, request.max_tokens)


def _asked(
    model: LocalModel, name: str, prompts: Sequence[tuple[int, ...]], spellings: Sequence[Spelling], form: _Form
) -> list[Answer]:
    if not prompts:
        return []
    thoughts = model.thoughts(prompts, form.most_thought) if form.reasoning else [()] * len(prompts)
    logs = (
        model.log_probs_after(prompts, thoughts, spellings) if form.reasoning else model.log_probs(prompts, spellings)
    )
    answers: list[Answer] = []
    for prompt, thought, row in zip(prompts, thoughts, logs.tolist(), strict=True):
        ranked = sorted(zip([each.text for each in spellings], row, strict=True), key=lambda each: -each[1])
        by_label = [
            max(log for log, s in zip(row, spellings, strict=True) if s.label == c) for c in range(len(form.labels))
        ]
        best = max(range(len(by_label)), key=by_label.__getitem__)
        text = next(text for text, _ in ranked if text.strip() == form.labels[best])
        label = Token(text, dict(ranked)[text], tuple(ranked))
        tokens = (label,)
        if form.label is not None:
            said = {form.reasoning: model.tokenizer.decode(list(thought)).strip()} if form.reasoning else {}
            head = json.dumps({**said, form.label: ""}, ensure_ascii=False)[:-2]
            bare = Token(text.strip(), label.logprob, tuple((word.strip(), log) for word, log in ranked))
            tokens = (Token(head, 0.0, ()), bare, Token('"}', 0.0, ()))
        usage = Usage(len(prompt), len(thought) + 1)
        answers.append(Answer("".join(token.token for token in tokens), tokens, "stop", usage, name))
    return answers
