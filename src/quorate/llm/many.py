"""Many calls, each with what it is about: answered or failed as they come, and told with what they cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing
from typing import Any, Generic, TypeVar

from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger
from quorate.llm.limits import Limits
from quorate.llm.progress import Progress
from quorate.llm.run import answers
from quorate.llm.toolbox import Toolbox
from quorate.llm.wire import Answer, Failure, Request, Transport

About = TypeVar("About")
Result = TypeVar("Result")
Take = Callable[[About, Answer | Failure, float], None]


class Entries(Generic[About]):
    """Requests in order with a length, that remember what each is about until it is answered."""

    def __init__(self, entries: Iterator[tuple[About, Request]], n: int) -> None:
        self._entries, self._n = entries, n
        self._waiting: dict[int, tuple[About, Request]] = {}  # by identity: a key would hash the whole prompt again

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[Request]:
        for about, request in self._entries:
            self._waiting[id(request)] = about, request
            yield request

    def of(self, request: Request) -> About:
        """What an answer is about: a run gives back the very requests that it took."""
        return self._waiting.pop(id(request))[0]


def ask_many(
    entries: Iterator[tuple[About, Request]],
    n: int,
    transport: Transport,
    take: Take[About],
    *,
    journal: Journal,
    ledger: Ledger,
    limits: Limits,
    progress: Progress | None = None,
    toolbox: Toolbox | None = None,
) -> None:
    """Every call answered or failed, and told to `take` with what it cost (US dollars). Works in a notebook too.

    Raises SettingError before anything is sent where a price is unknown and that is not allowed.
    """
    wait_for(
        asking_many(
            entries,
            n,
            transport,
            take,
            journal=journal,
            ledger=ledger,
            limits=limits,
            progress=progress,
            toolbox=toolbox,
        )
    )


async def asking_many(
    entries: Iterator[tuple[About, Request]],
    n: int,
    transport: Transport,
    take: Take[About],
    *,
    journal: Journal,
    ledger: Ledger,
    limits: Limits,
    progress: Progress | None = None,
    toolbox: Toolbox | None = None,
) -> None:
    """`ask_many`, for who has an event loop and may call it off: calls in flight then land, and are kept."""
    calls = Entries(entries, n)
    run = answers(calls, transport, journal=journal, ledger=ledger, limits=limits, progress=progress, toolbox=toolbox)
    try:
        async with aclosing(run):  # a run that is left lets calls in flight land before the transport closes
            async for request, said in run:
                cost_usd = ledger.cost_usd(request.model, said.usage) if isinstance(said, Answer) else 0.0
                take(calls.of(request), said, cost_usd)
    finally:
        close = getattr(transport, "aclose", None)
        if close is not None:
            await close()


def wait_for(work: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end; in a thread of its own where a loop already runs, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
