"""DSPy's door to models: every call of a DSPy program through our client, with journal, limits and cap.

The form of an answer is the rubric's own JSON schema, whatever DSPy asks for, so that a program can only say classes.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from quorate.errors import MissingExtraError
from quorate.judge.asking import Means
from quorate.llm.run import ask
from quorate.llm.settings import is_local
from quorate.llm.wire import Answer, Message, Request

STOPS = frozenset({"quota", "auth", "budget"})


class Engine:
    """What `dspy.LM(model, engine=...)` takes: one request in, one response out."""

    def __init__(self, means: Means, schema: Mapping[str, Any], most_tokens: int) -> None:
        self._means, self._schema, self._most_tokens = means, dict(schema), most_tokens
        self.calls = 0
        self.stopped = False  # by the cap, the account or the key: nothing more is sent

    def complete(self, request: Any) -> Any:
        """The response. Raises lm15's ProviderError where the call failed, its BillingError where the cap ended it."""
        lm15 = dspy_module().lm15
        if self.stopped:
            raise lm15.BillingError("the cap, the account or the key has ended this search")
        asked = Request(request.model, _messages(request), self._most_tokens, 0.0, None, self._schema, None)
        means = self._means
        transport = (means.local or means.transport) if is_local(request.model) else means.transport
        [(_, said)] = ask([asked], transport, journal=means.journal, ledger=means.ledger, limits=means.limits)
        self.calls += 1
        if isinstance(said, Answer):
            return _response(lm15, said)
        self.stopped = said.kind in STOPS
        kind = lm15.BillingError if self.stopped else lm15.ProviderError
        raise kind(f"{said.kind}: {said.detail}")

    def stream(self, request: Any) -> Any:
        """Not offered: an answer of the client is whole."""
        lm15 = dspy_module().lm15
        raise lm15.UnsupportedFeatureError(f"{request.model}: answers come whole, not as a stream")

    def close(self) -> None:
        """Nothing: the client closes its connections after every call."""


def dspy_module() -> Any:
    """DSPy. Raises MissingExtraError where it is not installed."""
    try:
        return importlib.import_module("dspy")
    except ImportError:
        raise MissingExtraError("dspy", "dspy") from None


def _messages(request: Any) -> tuple[Message, ...]:
    system = request.system or ()
    text = system if isinstance(system, str) else _text(system)
    said = [Message("system", text)] if text else []
    return (*said, *(Message(message.role, _text(message.parts)) for message in request.messages))


def _text(parts: Any) -> str:
    return "\n".join(part.text for part in parts)


def _response(lm15: Any, answer: Answer) -> Any:
    usage = answer.usage
    return lm15.Response(
        None,
        answer.model,
        lm15.Message("assistant", (lm15.TextPart(answer.text),)),
        "length" if answer.finish == "length" else "stop",
        lm15.Usage(usage.prompt_tokens, usage.completion_tokens, usage.prompt_tokens + usage.completion_tokens),
    )
