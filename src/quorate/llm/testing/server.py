"""A fake server that speaks OpenAI's chat completions on a real socket, fast enough to measure clients by.

    with FakeServer(latency_s=0.05) as server:
        ...  # ask at server.url
        assert server.counts.answered == 10

GET /v1/models lists the models; POST /v1/chat/completions answers; GET /counts tells what was received, as JSON. A call
is known by its header `X-Client-Request-Id`, or else by a hash of its body: that is how tries of one call are counted.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from quorate.llm.testing.connection import Connection, Said, error_body, header, http
from quorate.llm.testing.counts import MINUTE_S, Call, Counts, Limiter
from quorate.llm.testing.faults import BILLED, STATUS, Fault, choose
from quorate.llm.testing.replies import Replies, Row, prompt_tokens, tokens
from quorate.llm.wire import OUTSIDE

MODELS = ("fake-small", "fake-large")


class Reply(NamedTuple):
    """A whole answer as the server would send it, and what it bills for it."""

    content: bytes
    prompt_tokens: int
    completion_tokens: int


class FakeServer:
    """An OpenAI-compatible server for tests: deterministic answers after a latency, scripted faults, a log of calls."""

    def __init__(
        self,
        *,
        latency_s: float = 0.0,
        table: Iterable[Row] = (),
        faults: Sequence[Fault] = (),
        requests_per_min: float | None = None,
        burst: float = 10.0,
        tell_limits: bool = True,
        models: Sequence[str] = MODELS,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        keep_bodies: bool = False,
    ) -> None:
        self.latency_s = latency_s
        self.faults = faults
        self.counts = Counts()
        self.calls: list[Call] = []
        self.bodies: list[bytes] = []  # of all calls, whole, if they are to be kept
        self._keep_bodies = keep_bodies
        self._replies = Replies(table, seed=seed)
        self._limiter = None if requests_per_min is None else Limiter(requests_per_min, burst, time.monotonic())
        self._tell_limits = tell_limits
        self._models = models
        self._place = (host, port)
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._flight_s = time.monotonic()

    # ---- running ------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The base URL to give to a client."""
        if self._listener is None:
            self._listener = socket.create_server(self._place, backlog=1024)
        host, port = self._listener.getsockname()[:2]
        return f"http://{host}:{port}/v1"

    async def serve(self) -> None:
        """Serve until the task is cancelled or the server is closed."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        assert self.url and self._listener is not None
        server = await self._loop.create_server(lambda: Connection(self), sock=self._listener)
        async with server:
            await self._stop.wait()

    def __enter__(self) -> FakeServer:  # noqa: PYI034 - the checker of axes knows no Self
        """Serve in a thread of its own."""
        assert self.url
        ready = threading.Event()

        def run() -> None:
            async def main() -> None:
                asyncio.get_running_loop().call_soon(ready.set)
                await self.serve()

            asyncio.run(main())

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None:
            loop.call_soon_threadsafe(stop.set)
        if self._thread is not None:
            self._thread.join(timeout=5)

    def totals(self) -> dict[str, Any]:
        """The counts, with the share of the server's own limit that was used between the first call and the last."""
        totals = self.counts.totals()
        if self._limiter is not None and len(self.calls) > 1:
            passed_min = (self.calls[-1].at_s - self.calls[0].at_s) / MINUTE_S
            passed = self.counts.received - self.counts.limited
            totals["used"] = passed / (self._limiter.per_min * passed_min)
        return totals

    # ---- one call -----------------------------------------------------------------------------------------------

    def handle(self, method: str, path: str, headers: bytes, body: bytes, connection: Connection) -> None:
        """Answer one call, now or after the latency."""
        if method == "POST" and path.endswith("/chat/completions"):
            self._chat(headers, body, connection)
        elif path.endswith("/models"):
            listed = [{"id": model, "object": "model", "owned_by": "quorate"} for model in self._models]
            connection.write(http(200, {"object": "list", "data": listed}))
        elif path == "/counts":
            connection.write(http(200, self.totals()))
        else:
            connection.write(http(404, error_body("invalid_request_error", "not_found", f"no such path: {path}")))

    def _chat(self, headers: bytes, body: bytes, connection: Connection) -> None:
        now_s = time.monotonic()
        counts = self.counts
        counts.received += 1
        if self._keep_bodies:
            self.bodies.append(headers + body)
        given = header(headers, b"x-client-request-id")
        name = given.decode("latin-1") if given else hashlib.blake2b(body, digest_size=16).hexdigest()
        counts.attempts[name] += 1
        attempt = counts.attempts[name]
        self._flight(now_s, +1)
        fault = choose(self.faults, counts.received, name, attempt)
        limited = self._limiter is not None and not self._limiter.admit(now_s)
        outcome = "limited" if limited else fault.wrong if fault else "answered"
        counts.by_outcome[outcome] += 1
        self.calls.append(Call(now_s, name, attempt, outcome))
        if limited:
            counts.limited += 1
            connection.later(0.0, self._limited)
        elif outcome == "silence":
            connection.keep_silent()
        else:
            connection.later(self.latency_s, lambda: self._answer(body, name, fault))

    def _limited(self) -> bytes:
        assert self._limiter is not None
        status, kind, code, message = STATUS["rate"]
        return http(status, error_body(kind, code, message), self._limiter.headers(None) if self._tell_limits else {})

    def _answer(self, body: bytes, name: str, fault: Fault | None) -> Said:
        """The bytes to send, and how the connection ends where it ends badly."""
        if fault is not None and fault.wrong in STATUS:
            status, kind, code, message = STATUS[fault.wrong]
            name_of = "Location" if fault.wrong == "redirect" else "Retry-After"
            told = {} if fault.told is None else {name_of: fault.told}
            return http(status, error_body(kind, code, message), told)
        if fault is not None and fault.wrong == "reset":
            return b"", "reset"
        try:
            reply = self._completion(json.loads(body), name, fault)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return http(400, error_body("invalid_request_error", "invalid_json", f"{type(error).__name__}: {error}"))
        self._bill(name, reply)
        if fault is not None and fault.wrong in BILLED:
            return _lost(fault, reply)
        self.counts.answered += 1
        told = self._limiter.headers(None) if self._limiter is not None and self._tell_limits else {}
        return http(200, reply.content, told)

    def _completion(self, asked: Mapping[str, Any], name: str, fault: Fault | None) -> Reply:
        wrong = fault.wrong if fault else ""
        calls = [] if wrong else self._replies.calls(asked, name)
        if calls:
            return _called(asked, name, calls)
        said = [] if wrong == "refusal" else tokens(self._replies.pieces(asked, name))
        most = asked.get("max_completion_tokens") or asked.get("max_tokens") or len(said)
        finish = "stop"
        if wrong == "content-filter":
            finish, most = "content_filter", 0
        elif wrong == "length" or most < len(said):
            finish, most = "length", min(most, max(1, len(said) // 2)) if wrong == "length" else most
        said = said[:most]
        message = {"role": "assistant", "content": "".join(word for word, _ in said), "refusal": None}
        if wrong == "refusal":
            message |= {"content": None, "refusal": "I'm sorry, but I cannot help with that."}
        logprobs = "null"
        if asked.get("logprobs") and wrong != "no-logprobs":
            shown = asked.get("top_logprobs") or 0
            logprobs = f'{{"content": [{", ".join(_token(*entry, shown, wrong) for entry in said)}], "refusal": null}}'
        n_prompt, n_said = prompt_tokens(asked), len(said)
        # put together by hand: a general encoder takes most of the time that a call has
        content = (
            f'{{"id": "chatcmpl-{name[:24]}", "object": "chat.completion", "created": 0, '
            f'"model": {json.dumps(asked["model"])}, "choices": [{{"index": 0, "message": {json.dumps(message)}, '
            f'"logprobs": {logprobs}, "finish_reason": "{finish}"}}], "usage": {{"prompt_tokens": {n_prompt}, '
            f'"completion_tokens": {n_said}, "total_tokens": {n_prompt + n_said}}}}}'
        )
        return Reply(content.encode(), n_prompt, n_said)

    def _bill(self, name: str, reply: Reply) -> None:
        self.counts.billed[name] += 1
        self.counts.prompt_tokens += reply.prompt_tokens
        self.counts.completion_tokens += reply.completion_tokens

    def _flight(self, now_s: float, change: int) -> None:
        counts = self.counts
        counts.busy_s += counts.in_flight * (now_s - self._flight_s)
        self._flight_s = now_s
        counts.in_flight += change
        counts.most_in_flight = max(counts.most_in_flight, counts.in_flight)

    def connected(self) -> None:
        """One more connection."""
        self.counts.connections += 1

    def landed(self) -> None:
        """One call is over."""
        self._flight(time.monotonic(), -1)


def _called(asked: Mapping[str, Any], name: str, calls: Sequence[Mapping[str, Any]]) -> Reply:
    """An answer that calls tools."""
    n_prompt, n_said = prompt_tokens(asked), sum(len(json.dumps(call["function"])) for call in calls) // 4
    message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": list(calls)}
    body = {
        "id": f"chatcmpl-{name[:24]}",
        "object": "chat.completion",
        "created": 0,
        "model": asked["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": n_prompt, "completion_tokens": n_said, "total_tokens": n_prompt + n_said},
    }
    return Reply(json.dumps(body).encode(), n_prompt, n_said)


def _lost(fault: Fault, reply: Reply) -> Said:
    """An answer that was worked out, and billed, but does not arrive whole."""
    match fault.wrong:
        case "reset-body":
            whole = http(200, reply.content)
            return whole[: len(whole) * 2 // 3], "reset"
        case "truncated":
            return http(200, reply.content[: len(reply.content) * 2 // 3])
        case "garbage":
            return http(200, b"<html>upstream timed out</html>")
        case _:
            return http(200, {**json.loads(reply.content), "choices": []})


def _token(word: str, top: tuple[tuple[str, float], ...], shown: int, wrong: str) -> str:
    """One token of an answer with the likeliest at its place, as JSON."""
    if len(top) == 1:
        return _sure(word, top[0][1], min(shown, 1))
    listed = [(said, OUTSIDE if wrong == "outside" and place else log) for place, (said, log) in enumerate(top)]
    return _entry(word, dict(listed)[word], ", ".join(_top(*entry) for entry in listed[:shown]))


@functools.lru_cache(maxsize=4_096)
def _sure(word: str, log: float, shown: int) -> str:
    return _entry(word, log, _top(word, log) if shown else "")


def _entry(word: str, log: float, top: str) -> str:
    return f'{{"token": {json.dumps(word)}, "logprob": {log!r}, "bytes": null, "top_logprobs": [{top}]}}'


def _top(word: str, log: float) -> str:
    return f'{{"token": {json.dumps(word)}, "logprob": {log!r}, "bytes": null}}'
