"""The client: chat completions over one pool of connections, one try a call; retries are decided in `run`.

It speaks HTTP itself (aiohttp), since the openai package spends several milliseconds of its own on a call, and httpx2
two: `benchmarks/llm.py` prints the figures. `quorate.llm.sdk` carries the same calls through the openai package.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from quorate.errors import MissingExtraError, SettingError
from quorate.llm import chat
from quorate.llm.boundary import Boundary
from quorate.llm.failures import (
    AuthError,
    BadRequestError,
    BrokenError,
    RestrictedError,
    SlowError,
    UnreachedError,
    of_response,
)
from quorate.llm.limits import LIMIT
from quorate.llm.wire import Answer, Request

if TYPE_CHECKING:
    import asyncio

    import aiohttp

OPENAI = "https://api.openai.com/v1"
OPENAI_KEY, OTHER_KEY = "OPENAI_API_KEY", "QUORATE_API_KEY"  # variables with the key of it, and of any other server
CONNECTIONS = 256
OTHER: dict[chat.LengthField, chat.LengthField] = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
}
BODY = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode  # made once: making it costs more than its work
CONNECT_S = 20.0
Observe = Callable[[str, Mapping[str, str]], None]  # the model, and what the server says of its limits in headers


class ChatClient:
    """A transport to one OpenAI-compatible server, under one key. `aclose` when done; the next send opens it anew."""

    def __init__(
        self,
        base_url: str = OPENAI,
        *,
        api_key: str | None = None,
        timeout_s: float = 120.0,
        connections: int = CONNECTIONS,
        headers: Mapping[str, str] | None = None,
        length_field: chat.LengthField = "max_completion_tokens",
        proxy: str | None = None,
        observe: Observe | None = None,
        wall: Callable[[], float] = time.time,
        boundary: Boundary = Boundary(),  # noqa: B008 - frozen
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise SettingError(f"base URL {base_url!r}: it must begin with http:// or https://")
        self.observe = observe
        self._url = base_url.rstrip("/") + chat.PATH
        self._key = api_key
        self._headers = {
            "Content-Type": "application/json",
            **({} if api_key is None else {"Authorization": f"Bearer {api_key}"}),
            **(headers or {}),
        }
        self._timeout_s = timeout_s
        self._connections = connections
        self._proxy = proxy
        self._length_field: chat.LengthField = length_field
        self._fields: dict[str, chat.LengthField] = {}  # of models that asked for the other word
        self._wall = wall
        self._boundary = boundary
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(self, request: Request, *, name: str | None = None) -> Answer:
        """The answer, after one try. Raises CallError by kind; the key never stands in its words.

        `name` is `request.key()`, for who knows it already: the server's log then has one name for all tries of a call.
        """
        import aiohttp

        problem = self.problem() if request.restricted else None
        if problem is not None:
            raise RestrictedError(problem)
        session = self._open()
        field = self._fields.get(request.model, self._length_field)
        content = BODY(chat.body(request, field)).encode()
        try:
            posted = session.post(
                self._url,
                data=content,
                headers={"X-Client-Request-Id": name or request.key()},
                allow_redirects=False,  # a redirect would carry key and item elsewhere
            )
            async with posted as response:
                body = await response.read()
                status, headers = response.status, response.headers
        except aiohttp.ConnectionTimeoutError as error:
            raise SlowError(f"no connection in {CONNECT_S:.0f} s: {error}") from None
        except TimeoutError:
            raise SlowError(f"no answer in {self._timeout_s:g} s", paid=True) from None
        except aiohttp.ClientConnectorError as error:
            why = error.os_error.strerror or str(error.os_error)
            raise UnreachedError(f"no connection to {error.host}:{error.port}: {self._redacted(why)}") from None
        except aiohttp.InvalidURL as error:
            raise UnreachedError(f"no connection: {self._redacted(str(error))}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise BrokenError(f"{type(error).__name__}: {self._redacted(str(error))}", paid=True) from None
        if self.observe is not None and any(LIMIT + what in headers for what in ("requests", "tokens")):
            self.observe(request.model, headers)
        return self._read(status, headers, body, request, field)

    def problem(self) -> str | None:
        """Why nothing restricted may be sent: its server or the proxy lies outside the boundary; None where it may."""
        from yarl import URL  # what connects reads addresses so

        try:
            places = [URL(url) for url in (self._url, self._proxy) if url is not None]
            return self._boundary.problem(*((place.host, place.port) for place in places))
        except ValueError:
            return "the item is restricted, and the address of the server or the proxy cannot be read"

    async def aclose(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def __aenter__(self) -> ChatClient:  # noqa: PYI034 - the checker of axes knows no Self
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _open(self) -> aiohttp.ClientSession:
        """The pool of connections of the running loop."""
        import asyncio

        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            self._session, self._loop = self._connect(), loop
        return self._session

    def _connect(self) -> aiohttp.ClientSession:
        try:
            import aiohttp
        except ImportError:
            raise MissingExtraError("aiohttp", "llm") from None
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=CONNECT_S),
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=self._proxy,
        )

    def _read(
        self, status: int, headers: Mapping[str, str], body: bytes, request: Request, field: chat.LengthField
    ) -> Answer:
        if status == 200 and not _is_error(body):
            return chat.answer(body, request)
        told = self._redacted(body.decode(errors="replace")).encode()
        error = of_response(_status(status, body), headers, told, wall_s=self._wall())
        if isinstance(error, BadRequestError) and f"'{field}'" in error.detail and "nsupported" in error.detail:
            self._fields[request.model] = OTHER[field]
            raise BrokenError(error.detail) from None  # the next try says it in the other word
        if isinstance(error, AuthError) and self._key is None:
            raise AuthError(f"{error.detail} (no key was given)") from None
        raise error

    def _redacted(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text


def key_of(environment: Mapping[str, str], base_url: str, variable: str = "") -> str | None:
    """The key for a server, from the variable of that name; OpenAI's usual one is sent to OpenAI only.

    Raises SettingError where a key is needed and there is none.
    """
    url = base_url or OPENAI
    key = environment.get(variable or (OPENAI_KEY if url == OPENAI else OTHER_KEY))
    if key is None and (variable or url == OPENAI):
        raise SettingError(f"no key: set the environment variable {variable or OPENAI_KEY}, or name another server")
    return key


def environment_proxy(url: str) -> str | None:
    """The proxy that the environment names for a URL (HTTPS_PROXY, NO_PROXY and their like), if any."""
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _is_error(body: bytes) -> bool:
    """Whether a body under status 200 is an error all the same, as some gateways send it."""
    return body.startswith((b'{"error":', b'{"error" :')) and not body.startswith((b'{"error":null', b'{"error": null'))


def _status(status: int, body: bytes) -> int:
    """The status that a body under 200 speaks of, 502 where it does not."""
    if status != 200:
        return status
    try:
        said: Any = json.loads(body)["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return 502
    return said if isinstance(said, int) and said >= 400 else 502
