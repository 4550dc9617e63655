"""Requests and clocks for the tests of language model calls."""

from __future__ import annotations

import asyncio
import json
import time
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from quorate.llm.client import ChatClient
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger, Price, read_prices
from quorate.llm.limits import Limits
from quorate.llm.retry import Patience
from quorate.llm.run import Said, ask
from quorate.llm.testing.server import FakeServer
from quorate.llm.wire import Message, Request

SCHEMA = {"type": "object", "properties": {"label": {"enum": ["A", "B", "C"]}}}
DEAR = {"m": Price(100.0, 100.0, "2026-11-22", "a test")}


class QuickClock:
    """A clock whose sleepers wake at once and find that the time has passed."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []
        self._skipped_s = 0.0

    def now_s(self) -> float:
        """Seconds, those slept included."""
        return time.monotonic() + self._skipped_s

    async def sleep(self, seconds: float) -> None:
        """No wait at all."""
        self.slept_s.append(seconds)
        self._skipped_s += seconds
        await asyncio.sleep(0)


def request(item: int, *, model: str = "fake-small", sample: int = 0) -> Request:
    """A request about an item."""
    messages = (Message("system", "Label the text."), Message("user", f"item {item}\nA: good\nB: bad\nC: neither"))
    return Request(model, messages, 16, 0.0, 5, SCHEMA, sample=sample)


def requests(n: int, *, model: str = "fake-small") -> list[Request]:
    """So many different requests."""
    return [request(item, model=model) for item in range(n)]


def asked(
    wanted: list[Request],
    server: FakeServer,
    *,
    journal: Journal | None = None,
    ledger: Ledger | None = None,
    limits: Limits | None = None,
    patience: Patience = Patience(),  # noqa: B008 - a NamedTuple cannot change
    timeout_s: float = 20.0,
) -> list[Said]:
    """What a server answers, asked through everything there is."""
    return ask(
        wanted,
        ChatClient(server.url, api_key="sk-secret", timeout_s=timeout_s),
        journal=journal or Journal(),
        ledger=ledger or Ledger(read_prices()),
        limits=limits or Limits(clock=QuickClock()),
        patience=patience,
    )


def posted(url: str, body: Any) -> Any:
    """The JSON that a server answers to a JSON document, without any of our own client."""
    place = urlsplit(url)
    connection = HTTPConnection(place.netloc)
    connection.request("POST", place.path, json.dumps(body))
    said = json.loads(connection.getresponse().read())
    connection.close()
    return said
