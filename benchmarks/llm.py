"""What a call to a language model costs in our own processor time, and how well a limit is used.

    python benchmarks/llm.py [--calls 10000] [--minutes 2] [--only throughput,clients,limits]

The fake server runs in a process of its own with a latency of 50 ms. Times of a busy machine are too long: the least of
several rounds is printed, and a reference (a fixed loop of Python) beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from quorate.llm import chat
from quorate.llm.client import ChatClient
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger, read_prices
from quorate.llm.limits import Lane, Limits
from quorate.llm.run import answers
from quorate.llm.wire import Answer, Message, Request

LATENCY_MS = 50
IN_FLIGHT = 200
SCHEMA = {"type": "object", "properties": {"label": {"enum": ["A", "B", "C"]}}, "required": ["label"]}
SERVER = "import typer; from quorate.cli.fake_llm import fake_llm; typer.run(fake_llm)"
RUBRIC = "You label texts by a rubric: A is praise, B is blame, C is neither. Answer with one letter. " * 4


class Flight(NamedTuple):
    """What one round took."""

    calls: int
    passed_s: float
    cpu_s: float
    in_flight: float  # mean, as the client sees it


class Watch:
    """The mean number of calls in flight, looked at every few milliseconds."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._seen: list[int] = []
        self._task = asyncio.ensure_future(self._look())

    def mean(self) -> float:
        """The mean, and the end of looking. The last tenth is left out: there the requests run out."""
        self._task.cancel()
        whole = self._seen[: len(self._seen) * 9 // 10]
        return sum(whole) / len(whole)

    async def _look(self) -> None:
        while True:
            self._seen.append(self._lane.in_flight)
            await asyncio.sleep(0.005)


def requests(n: int, start: int = 0) -> Iterator[Request]:
    for item in range(start, start + n):
        text = f"<item>{item}: a text of some sentences that somebody wrote about something they bought.</item>"
        yield Request("fake-small", (Message("system", RUBRIC), Message("user", text)), 16, 0.0, 5, SCHEMA)


@contextlib.contextmanager
def fake_server(*options: str) -> Iterator[str]:
    command = [sys.executable, "-c", SERVER, "--port", "0", "--latency-ms", str(LATENCY_MS), *options]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own command line
    try:
        assert server.stderr is not None
        yield server.stderr.readline().split()[2]
    finally:
        server.terminate()
        server.wait()


def counts(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.replace("/v1", "/counts")) as response:  # noqa: S310 - our own server
        return json.load(response)


def reference_ms() -> float:
    """The processor time of a fixed loop (ms): about 10 on a quiet core of 2024."""
    began_s = time.process_time()
    total = 0
    for k in range(200_000):
        total += k % 7
    return 1e3 * (time.process_time() - began_s)


async def through_everything(url: str, n: int, start: int) -> Flight:
    """Journal, ledger, limits and client together, as a user runs them."""
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "calls.sqlite") as journal:
        async with ChatClient(url) as client:
            limits, ledger = Limits(most_in_flight=IN_FLIGHT), Ledger(read_prices(), cap_usd=1e6)
            options: dict[str, Any] = {"journal": journal, "ledger": ledger, "limits": limits}
            async for _ in answers(requests(2 * IN_FLIGHT, 10**9 + start), client, **options):
                pass
            watch = Watch(limits.of("fake-small"))
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            async for _, said in answers(requests(n, start), client, **options):
                assert isinstance(said, Answer), said
            return Flight(n, time.perf_counter() - began_s, time.process_time() - began_cpu_s, watch.mean())


async def alone(send: Callable[[Request], Any], n: int) -> Flight:
    """A transport by itself, with so many workers."""
    wanted = requests(n)
    await asyncio.gather(*(send(request) for request in requests(IN_FLIGHT, 10**9)))

    async def work() -> None:
        for request in wanted:
            await send(request)

    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return Flight(n, time.perf_counter() - began_s, time.process_time() - began_cpu_s, 0.0)


def throughput(n: int) -> None:
    print("\nThroughput: 50 ms latency, no limit, 200 in flight (target: < 1 ms of our own processor time a call)")
    with fake_server() as url:
        for k in range(3):
            before = counts(url)
            flight = asyncio.run(through_everything(url, n, start=k * n))
            after = counts(url)
            served = after["received"] - before["received"]
            server_ms = 1e3 * (after["cpu_s"] - before["cpu_s"]) / served
            print(
                f"  {_line(flight)}; mean in flight {flight.in_flight:.0f}; reference {reference_ms():.0f} ms; "
                f"the server itself {server_ms:.3f} ms a call (enough for {1e3 / server_ms:,.0f}/s on one core)"
            )


def clients(n: int) -> None:
    print("\nTransports by themselves (no journal, ledger or limits)")
    with fake_server() as url:
        for name, transport in _transports(url):
            flights = [asyncio.run(_once(transport, n)) for _ in range(2)]
            print(f"  {name:28} {_line(min(flights, key=lambda flight: flight.cpu_s))}")


async def _once(transport: Callable[[], AsyncIterator[Callable[[Request], Any]]], n: int) -> Flight:
    async with contextlib.asynccontextmanager(transport)() as send:
        return await alone(send, n)


def _transports(url: str) -> list[tuple[str, Callable[[], AsyncIterator[Callable[[Request], Any]]]]]:
    async def ours() -> AsyncIterator[Callable[[Request], Any]]:
        async with ChatClient(url) as client:
            yield client.send

    async def sdk() -> AsyncIterator[Callable[[Request], Any]]:
        import openai

        from quorate.llm.sdk import OpenAIClient

        client = OpenAIClient(openai.AsyncOpenAI(base_url=url, api_key="none"))
        yield client.send
        await client.aclose()

    async def whole_sdk() -> AsyncIterator[Callable[[Request], Any]]:
        import openai

        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            yield lambda request: client.chat.completions.create(**chat.body(request))

    async def httpx() -> AsyncIterator[Callable[[Request], Any]]:
        import httpx2

        pool = httpx2.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
        async with httpx2.AsyncClient(limits=pool, timeout=60) as client:

            async def send(request: Request) -> Answer:
                posted = await client.post(url + chat.PATH, content=json.dumps(chat.body(request)).encode())
                return chat.answer(posted.content, request)

            yield send

    return [
        ("ChatClient (aiohttp)", ours),
        ("httpx2", httpx),
        ("openai package, raw response", sdk),
        ("openai package, its objects", whole_sdk),
    ]


def limits(minutes: float) -> None:
    print(f"\nA limit of 500 requests a minute, {minutes:g} minutes each (target: 95 % used, 1 % refused)")
    for name, options, given in (
        ("given to us", ["--quiet-limits"], 500.0),
        ("told in headers", [], None),
        ("neither: learnt from refusals", ["--quiet-limits"], None),
    ):
        with fake_server("--rpm", "500", *options) as url:
            asyncio.run(_limited(url, int(490 * minutes), given))
            found = counts(url)
            print(
                f"  {name:30} {found['used']:.1%} used, {found['limited'] / found['received']:.2%} refused "
                f"({found['limited']} of {found['received']})"
            )


async def _limited(url: str, n: int, given: float | None) -> None:
    async with ChatClient(url) as client:
        ledger, lanes = Ledger(read_prices()), Limits(requests_per_min=given)
        with Journal() as journal:
            async for _, said in answers(requests(n), client, journal=journal, ledger=ledger, limits=lanes):
                assert isinstance(said, Answer), said


def _line(flight: Flight) -> str:
    return (
        f"{flight.calls / flight.passed_s:6.0f} calls/s, {1e3 * flight.cpu_s / flight.calls:.3f} ms of processor a call"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--only", default="throughput,clients,limits")
    chosen = parser.parse_args(arguments)
    wanted = chosen.only.split(",")
    if "throughput" in wanted:
        throughput(chosen.calls)
    if "clients" in wanted:
        clients(min(chosen.calls, 2_000))
    if "limits" in wanted:
        limits(chosen.minutes)


if __name__ == "__main__":
    main()
