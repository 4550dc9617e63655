"""The same calls through the openai package, for who wants its other doors (Azure, workload identity, own HTTP client).

It spends several milliseconds of its own on every call, `ChatClient` a tenth of that: see `benchmarks/llm.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from quorate.errors import MissingExtraError
from quorate.llm import chat
from quorate.llm.boundary import problem_of
from quorate.llm.failures import BrokenError, RestrictedError, SlowError, of_response
from quorate.llm.wire import Answer, Request

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class OpenAIClient:
    """A transport over a client of the openai package; its own retries are switched off."""

    def __init__(
        self,
        client: AsyncOpenAI,
        *,
        length_field: chat.LengthField = "max_completion_tokens",
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._client = client.with_options(max_retries=0)
        self._length_field: chat.LengthField = length_field
        self._wall = wall

    async def send(self, request: Request) -> Answer:
        """The answer, after one try. Raises CallError by kind."""
        try:
            import openai
        except ImportError:
            raise MissingExtraError("openai", "llm") from None
        if request.restricted:  # its HTTP client follows redirects and reads proxies of its own
            raise RestrictedError(problem_of(self) or "")
        try:
            response = await self._client.chat.completions.with_raw_response.create(
                **chat.body(request, self._length_field), extra_headers={"X-Client-Request-Id": request.key()}
            )
        except openai.APIStatusError as error:
            told = error.response
            words = told.content.replace(self._client.api_key.encode() or b"\0", b"***")  # the key is never said
            raise of_response(told.status_code, told.headers, words, wall_s=self._wall()) from None
        except openai.APITimeoutError as error:
            raise SlowError(str(error), paid=True) from None
        except openai.APIConnectionError as error:
            raise BrokenError(f"{error} ({error.__cause__})", paid=True) from None
        return chat.answer(response.content, request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()
