"""What every request passes first: its rate, the size of its body, and the headers that its answer bears."""

from __future__ import annotations

import math
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quorate.service.problems import Refusal, problem

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
SMALL_BODY = 1 << 20  # bytes, of all but uploads
UPLOADS = re.compile(r"^/(api/v1/campaigns/[^/]+/(items|scores|labels)|label-studio/.*|campaigns/.*)/?$")
ASSETS = "/static/"
COOKIE = "quorate_session"


class Buckets:
    """A rate per key: so many at once, refilled within a minute. Remembers a bounded number of keys."""

    def __init__(self, per_minute: int, clock: Callable[[], float], *, most: int = 20_000) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._most = most
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()  # key -> what is left, at that time
        self._lock = threading.Lock()

    def take(self, key: Hashable) -> None:
        """Count one request. Raises Refusal when there were too many."""
        wait_s = self._wait(key)
        if wait_s > 0:
            raise Refusal(
                429, "too many requests; wait a little", headers={"Retry-After": str(max(1, math.ceil(wait_s)))}
            )

    def _wait(self, key: Hashable) -> float:
        """Seconds until one more may come; 0 when it may now, and then it is counted."""
        now, per_second = self._clock(), self._per_minute / 60
        with self._lock:
            left, at = self._left.pop(key, (float(self._per_minute), now))
            left = min(self._per_minute, left + max(0.0, now - at) * per_second)
            self._left[key] = (left - 1 if left >= 1 else left, now)
            if len(self._left) > self._most:
                self._left.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) / per_second


class Gate:
    """Bounds bodies, limits who comes without a name, and writes the headers; plain ASGI, since it is on every path."""

    def __init__(self, app: ASGIApp, *, buckets: Buckets, max_body: int, https: bool) -> None:
        self._app = app
        self._buckets = buckets
        self._max_body = max_body
        self._headers = HEADERS | ({"strict-transport-security": "max-age=31536000"} if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), scope["path"]
        answer = self._with_headers(send, private=not path.startswith(ASSETS))
        limit = self._max_body if UPLOADS.match(path) else min(SMALL_BODY, self._max_body)
        try:
            if not (path.startswith(ASSETS) or "authorization" in headers or COOKIE in headers.get("cookie", "")):
                self._buckets.take(("address", address_of(scope)))
            _check_length(headers.get("content-length"), limit)
        except HTTPException as refusal:
            response = problem(refusal.status_code, refusal.detail, headers=refusal.headers)
            await response(scope, receive, answer)
            return
        await self._app(scope, _bounded(receive, limit), answer)

    def _with_headers(self, send: Send, *, private: bool) -> Send:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if private:
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        return answer


def address_of(scope: Scope) -> str:
    """Where a request comes from; behind a proxy that uvicorn trusts, its client's address."""
    client = scope.get("client")
    return client[0] if client else "unknown"


def _check_length(given: str | None, limit: int) -> None:
    if given is not None and given.isdigit() and int(given[:20]) > limit:
        raise _too_large(limit)


def _bounded(receive: Receive, limit: int) -> Receive:
    """The same body, cut off with a refusal when it grows beyond the limit: a length may be missing or a lie."""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _too_large(limit)
        return message

    return bounded


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"the body is larger than {limit} bytes; send it in parts", headers={"Connection": "close"})
