"""One kept connection to a service: requests are sent again where that is safe, and errors are those of quorate."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from selectors import EVENT_READ, DefaultSelector
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from quorate.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    QuorateError,
    ServiceError,
    SettingError,
    SignInError,
)

TRIES = 5
LONGEST_WAIT_S = 30.0
IDLE_S = 4.0  # servers close a connection that was silent a little longer
LOST = (OSError, HTTPException)
KIND_OF: Mapping[int, type[QuorateError]] = {
    401: SignInError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
}
SAFE = frozenset({"GET", "HEAD", "PUT", "DELETE"})


class Answer(NamedTuple):
    """A success."""

    status: int
    body: bytes

    def json(self) -> Any:
        """What the body says; None without one."""
        return json.loads(self.body) if self.body else None


class Connection:
    """Speaks HTTP with one service; of one thread at a time."""

    def __init__(
        self, url: str, token: str, *, timeout_s: float = 60.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingError(f"a service is given as http://host:port or https://host, not {url!r}")
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._place = (parts.hostname, parts.port)
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "User-Agent": "quorate"}
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._open: HTTPConnection | None = None
        self._used_at = 0.0

    def close(self) -> None:
        """Hang up; the next request connects again."""
        if self._open is not None:
            self._open.close()
        self._open = None

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        again: bool | None = None,
    ) -> Answer:
        """The answer to a request, which is sent again after a loss of the connection if it is safe to do so.

        `again` says whether it is; methods that change nothing twice are. A service that is busy is waited for.
        Raises NotFoundError, ConflictError, ForbiddenError, SignInError, or ServiceError for all else.
        """
        safe = method in SAFE if again is None else again
        for attempt in range(TRIES):
            last = attempt == TRIES - 1
            try:
                answer, said = self._once(method, path, query, body, headers)
            except LOST as error:
                self.close()
                if last or not safe:
                    raise ServiceError(f"the service does not answer: {error or type(error).__name__}") from None
                self._sleep(wait_s(attempt))
                continue
            if answer.status < 400:
                return Answer(answer.status, said)
            busy = answer.status == 429 or (answer.status == 503 and safe)
            if last or not busy:
                raise error_of(answer.status, said)
            self._sleep(_asked_wait(answer) or wait_s(attempt))
        raise AssertionError

    @contextmanager
    def stream(
        self, path: str, *, query: Mapping[str, Any] | None = None, headers: Mapping[str, str]
    ) -> Generator[HTTPResponse]:
        """An answer that goes on, on a connection of its own. Raises as `send` does."""
        connection = self._kind(*self._place, timeout=self._timeout_s)
        with closing(connection):
            try:
                connection.request("GET", self._target(path, query), headers={**self._headers, **headers})
                answer = connection.getresponse()
            except LOST as error:
                raise ServiceError(f"the service does not answer: {error or type(error).__name__}") from None
            with answer:
                if answer.status >= 400:
                    raise error_of(answer.status, answer.read())
                yield answer

    def _once(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> tuple[HTTPResponse, bytes]:
        if self._open is not None and (time.monotonic() - self._used_at > IDLE_S or _has_ended(self._open)):
            self.close()
        if self._open is None:
            self._open = self._kind(*self._place, timeout=self._timeout_s)
        self._open.request(method, self._target(path, query), body, {**self._headers, **(headers or {})})
        answer = self._open.getresponse()
        said = answer.read()
        self._used_at = time.monotonic()
        if answer.will_close:
            self.close()
        return answer, said

    def _target(self, path: str, query: Mapping[str, Any] | None) -> str:
        given = {name: _written(value) for name, value in (query or {}).items() if value is not None}
        return self._prefix + path + (f"?{urlencode(given)}" if given else "")


def _has_ended(connection: HTTPConnection) -> bool:
    """Whether the server has hung up meanwhile: nothing else comes without being asked for."""
    if connection.sock is None:
        return True
    with DefaultSelector() as selector:
        selector.register(connection.sock, EVENT_READ)
        return bool(selector.select(0))


def error_of(status: int, body: bytes) -> QuorateError:
    """The error that an answer tells of."""
    try:
        error = json.loads(body)["error"]
        message, rows = str(error["message"]), tuple(error.get("rows") or ())
        code, path = str(error["code"]), error.get("path")
    except (ValueError, KeyError, TypeError):
        message, code, path, rows = f"the service answered HTTP {status}", "unknown", None, ()
    kind = KIND_OF.get(status)
    return kind(message) if kind else ServiceError(message, status=status, code=code, path=path, rows=rows)


def wait_s(attempt: int) -> float:
    """Seconds until the next try: longer each time, and never the same for all who wait."""
    return min(LONGEST_WAIT_S, 0.2 * 2.0**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 # spreads, guards nothing


def _asked_wait(answer: HTTPResponse) -> float | None:
    text = answer.getheader("Retry-After") or ""
    return min(LONGEST_WAIT_S, float(text)) if text.isascii() and text.isdigit() and len(text) < 9 else None


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
