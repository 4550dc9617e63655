"""Other providers (Bedrock among them) through litellm, in the form of the same calls.

litellm is an extra of its own and pinned: it is large, and releases of it were tampered with in 2026. Models are named
as litellm names them: `bedrock/anthropic.claude-...`. Keys are read by litellm, from the environment.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from quorate.errors import MissingExtraError
from quorate.llm import chat
from quorate.llm.boundary import problem_of
from quorate.llm.failures import BrokenError, CallError, RestrictedError, SlowError, of_response
from quorate.llm.wire import CANONICAL, Answer, Request


class LiteLLMClient:
    """A transport over litellm; its own retries are switched off."""

    def __init__(
        self,
        options: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = 120.0,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._litellm = _litellm()
        self._options = dict(options or {})  # as `litellm.acompletion` takes them: api_base, aws_region_name, ...
        self._timeout_s = timeout_s
        self._wall = wall

    async def send(self, request: Request) -> Answer:
        """The answer, after one try. Raises CallError by kind."""
        if request.restricted:  # litellm decides by itself where a call goes
            raise RestrictedError(problem_of(self) or "")
        body = chat.body(request, "max_tokens")
        try:
            reply = await self._litellm.acompletion(**body, timeout=self._timeout_s, num_retries=0, **self._options)
            return chat.answer(reply.model_dump_json(), request)
        except CallError:
            raise
        except Exception as error:  # noqa: BLE001 - litellm's own kinds are many: what they share is a status
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> CallError:
        status = getattr(error, "status_code", None)
        words = f"{type(error).__name__}: {error}"
        if type(error).__name__ == "Timeout":
            return SlowError(words, paid=True)
        if not isinstance(status, int) or status == 500:  # litellm says 500 of a connection that broke, too
            return BrokenError(words, paid=True)
        response = getattr(error, "response", None)
        headers = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None) or {}
        said = {"message": words, "code": getattr(error, "code", None), "type": getattr(error, "type", None)}
        return of_response(status, headers, CANONICAL({"error": said}).encode(), wall_s=self._wall())


def _litellm() -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import fetches a file from the network
    try:
        litellm: Any = import_module("litellm")
    except ImportError:
        raise MissingExtraError("litellm", "litellm") from None
    litellm.suppress_debug_info = True
    return litellm
