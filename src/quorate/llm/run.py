"""Many calls at once: each answered from the journal or asked, retried, paid for and written down.

    with Journal("calls.sqlite") as journal:
        ledger = Ledger(read_prices(), cap_usd=5.0)
        client = ChatClient(url, api_key=key)
        for request, said in ask(requests, client, journal=journal, ledger=ledger):
            ...  # said is an Answer or a Failure

The order of things for one try: a place in the lane of its model; the most it can cost set aside; the intent written
down; the call sent; the answer written down; only then is it shown. Whatever moment the process is killed at, a known
answer is never asked for again, and what was in flight is booked as perhaps charged.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Iterator, Sequence, Sized
from functools import partial
from typing import Any

import numpy as np

from quorate.llm.boundary import problem_of
from quorate.llm.chat import most_usage
from quorate.llm.client import ChatClient
from quorate.llm.failures import FATAL, BrokenError, CallError, UnreachedError
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger
from quorate.llm.limits import Limits
from quorate.llm.progress import Progress, Standing
from quorate.llm.retry import Patience, tried_again, wait_s
from quorate.llm.rounds import Talk
from quorate.llm.toolbox import Toolbox
from quorate.llm.wire import Answer, Failure, Request, Transport

Said = tuple[Request, Answer | Failure]
BYTES_PER_TOKEN = 3  # a fair guess for the tokens-a-minute bucket; settled by what the server counts
TELL_EVERY_S = 0.1
UNREACHED = 8  # tries without a connection, and none with one before: there is no server
DRAIN_S = 10.0  # calls in flight may still land for so long when a run is left early: they are paid for


async def answers(
    requests: Iterable[Request],
    transport: Transport,
    *,
    journal: Journal,
    ledger: Ledger,
    limits: Limits,
    progress: Progress | None = None,
    patience: Patience = Patience(),  # noqa: B008 - a NamedTuple cannot change
    seed: int = 0,
    toolbox: Toolbox | None = None,
) -> AsyncGenerator[Said]:
    """Every request with its answer or failure, as they come; equal requests are asked once and all answered.

    Where a request declares tools and the model calls them, `toolbox` answers, and what is told is the last answer.

    Memory does not grow with the number of requests. After a failure that would meet every call (an empty account, a
    key that is not accepted, the cap, an address at which nobody was ever reached), nothing more is sent: what the
    journal does not know fails by the same kind.
    Raises SettingError before anything is sent where a price is unknown and that is not allowed.
    """
    run = _Run(requests, transport, journal, ledger, limits, patience, np.random.default_rng(seed), toolbox)
    began_s, told_s = limits.clock.now_s(), -TELL_EVERY_S
    try:
        async for said in run.results():
            yield said
            now_s = limits.clock.now_s() - began_s
            if progress is not None and now_s - told_s >= TELL_EVERY_S:
                told_s = now_s
                run.tell(progress, now_s)
    finally:
        await run.end()
    if progress is not None:
        run.tell(progress, limits.clock.now_s() - began_s)


def ask(
    requests: Iterable[Request],
    transport: Transport,
    *,
    journal: Journal,
    ledger: Ledger,
    limits: Limits | None = None,
    progress: Progress | None = None,
    patience: Patience = Patience(),  # noqa: B008 - a NamedTuple cannot change
    seed: int = 0,
) -> list[Said]:
    """`answers`, waited for: all of them, in the order of the requests. Works inside a notebook too."""
    asked = list(requests)

    async def gather() -> dict[str, Answer | Failure]:
        found: dict[str, Answer | Failure] = {}
        try:
            async for request, said in answers(
                asked,
                transport,
                journal=journal,
                ledger=ledger,
                limits=limits or Limits(),
                progress=progress,
                patience=patience,
                seed=seed,
            ):
                found[request.key()] = said
        finally:
            if isinstance(transport, ChatClient):
                await transport.aclose()
        return found

    found = _wait_for(gather)
    return [(request, found[request.key()]) for request in asked]


def _wait_for(gather: Any) -> dict[str, Answer | Failure]:
    """The result of a coroutine function; in a thread of its own where a loop already runs, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(gather())
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(gather())).result()


class _Run:
    """One run over many requests."""

    def __init__(
        self,
        requests: Iterable[Request],
        transport: Transport,
        journal: Journal,
        ledger: Ledger,
        limits: Limits,
        patience: Patience,
        rng: np.random.Generator,
        toolbox: Toolbox | None,
    ) -> None:
        self._total = len(requests) if isinstance(requests, Sized) else None
        self._requests: Iterator[Request] = iter(requests)
        self._transport, self._journal, self._ledger = transport, journal, ledger
        self._limits, self._patience, self._rng = limits, patience, rng
        self._toolbox = toolbox
        self._open: dict[str, list[Request]] = {}  # calls under way, with the equal requests that wait for them
        self._ready: deque[Said] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._stop: CallError | None = None
        self._left = False
        self._unreached: int | None = 0  # tries without a connection; None once there was one
        self._done = self._known = self._failed = 0
        ledger.carry(journal.booked())
        self._spent_before_usd = ledger.spent_usd
        if isinstance(transport, ChatClient) and transport.observe is None:
            transport.observe = limits.observe
        # more hands than places: answers are written down and shown while other calls fly
        self._most_ready = 2 * limits.most_in_flight + 16
        self._hands = [asyncio.ensure_future(self._work()) for _ in range(2 * limits.most_in_flight + 2)]

    async def results(self) -> AsyncIterator[Said]:
        """What comes back, as it comes."""
        everything = asyncio.ensure_future(_all_of(self._hands, self._journal))
        everything.add_done_callback(lambda _: self._news.set())
        while True:
            while self._ready:
                said = self._ready.popleft()
                if len(self._ready) < self._most_ready:
                    self._room.set()
                yield said
            if everything.done():
                everything.result()  # raises what a hand raised
                if not self._ready:
                    return
                continue
            self._news.clear()
            await self._news.wait()

    def tell(self, progress: Progress, passed_s: float) -> None:
        """Say where the run stands."""
        spent_usd = self._ledger.spent_usd - self._spent_before_usd
        standing = Standing(
            self._done, self._total, self._known, self._failed, passed_s, spent_usd, in_flight=len(self._open)
        )
        progress(standing.share, standing.line())

    async def end(self) -> None:
        """Let calls in flight land, then leave."""
        self._left = True
        self._room.set()
        flying = [hand for hand in self._hands if not hand.done()]
        if flying:
            await asyncio.wait(flying, timeout=DRAIN_S)
            for hand in flying:
                hand.cancel()
            await asyncio.gather(*flying, return_exceptions=True)
        self._journal.flush()

    # ---- one hand -----------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while not self._left:
            if len(self._ready) >= self._most_ready:
                self._room.clear()
                await self._room.wait()
                continue
            request = next(self._requests, None)
            if request is None:
                return
            key = request.key()
            if key in self._open:
                self._open[key].append(request)
                continue
            self._open[key] = [request]
            said, is_new = await self._talked(request, key)
            if is_new:
                self._journal.after_kept(partial(self._show, key, said))  # the hand goes on meanwhile
            else:
                await self._journal.kept()
                self._show(key, said)

    async def _talked(self, request: Request, key: str) -> tuple[Answer | Failure, bool]:
        """What came of a call, all its rounds taken, and whether anything had to be asked."""
        talk, is_new = Talk(request, self._toolbox), False
        while True:
            known = self._journal.find(key)
            is_new = is_new or known is None
            final = talk.take(await self._said(talk.request, key) if known is None else known)
            if final is not None:
                self._known += not is_new
                return final, is_new
            key = talk.request.key()

    async def _said(self, request: Request, key: str) -> Answer | Failure:
        self._ledger.price(request.model)  # an unknown price is refused before anything is sent
        outside = problem_of(self._transport) if request.restricted else None
        if outside is not None:
            await asyncio.sleep(0)  # others may read meanwhile
            return Failure("restricted", outside, 0)
        if self._stop is not None:
            await asyncio.sleep(0)  # others may read meanwhile: a million calls may follow
            return Failure(self._stop.kind, self._stop.detail, 0)
        failures = 0

        def waits(error: CallError) -> float:
            # a closed lane holds the next try back for all; only what is not the lane's matter waits by itself
            told = error.retry_after_s is not None or error.kind in {"rate", "tokens"}
            return 0.0 if told else wait_s(error, failures, self._patience, self._rng)

        async def attempt() -> Answer:
            nonlocal failures
            try:
                return await self._try(request, key, failures + 1)
            except CallError:
                failures += 1
                raise

        retried = 0
        try:
            return await attempt()
        except CallError as error:
            said, retried = await tried_again(
                error, attempt, patience=self._patience, clock=self._limits.clock, waits=waits
            )
        if isinstance(said, Answer):
            return said
        if said.kind in FATAL:
            self._stop = self._stop or said
        return Failure(said.kind, said.detail, retried)

    async def _try(self, request: Request, key: str, number: int) -> Answer:
        """One try. Raises CallError."""
        lane, journal, ledger = self._limits.of(request.model), self._journal, self._ledger
        most = most_usage(request)
        held_tokens = most.prompt_tokens / BYTES_PER_TOKEN + most.completion_tokens
        await lane.enter(held_tokens, self._check)
        try:
            self._check()
            hold = await ledger.reserve(request.model, most)
        except BaseException:
            lane.drop()
            raise
        call = journal.send(key, request.model, hold.amount)
        try:
            await journal.kept()
            sent_s = await lane.start(self._check)
        except BaseException as error:
            lane.drop()
            ledger.release(hold)
            journal.fail(call, "broken", f"not sent: {type(error).__name__}", lost=False)
            raise
        try:
            answer = await self._send(request, key)
            self._unreached = None
        except CallError as error:
            if _stops(error, self._patience) or self._nobody(error):
                self._stop = self._stop or error
                error.retry_after_s, error.retry = None, False  # nobody is going to wait
            lane.failed(error, sent_s, wait_s(error, number, self._patience, self._rng))
            (ledger.lose if error.paid else ledger.release)(hold)
            journal.fail(call, error.kind, error.detail, lost=error.paid)
            raise
        except BaseException as error:  # called off, or a fault of ours: the server may have worked it out
            lane.call_off()
            ledger.lose(hold)
            journal.fail(call, "broken", type(error).__name__, lost=True)
            raise
        journal.answer(call, key, request.model, answer, ledger.settle(hold, answer.usage))
        lane.answered(held_tokens, sum(answer.usage))
        return answer

    def _nobody(self, error: CallError) -> bool:
        """Whether it is time to think that there is no server at the address."""
        if not isinstance(error, UnreachedError):
            self._unreached = None
        elif self._unreached is not None:
            self._unreached += 1
        return self._unreached is not None and self._unreached >= UNREACHED

    def _send(self, request: Request, key: str) -> Awaitable[Answer]:
        transport = self._transport
        return transport.send(request, name=key) if isinstance(transport, ChatClient) else transport.send(request)

    def _check(self) -> None:
        """Raises CallError where nothing more may be sent."""
        if self._stop is not None:
            raise self._stop
        if self._left:
            raise BrokenError("the run was left before this call was sent", retry=False)

    def _show(self, key: str, said: Answer | Failure) -> None:
        equals = self._open.pop(key)
        self._done += len(equals)
        if isinstance(said, Failure):
            self._failed += len(equals)
        self._ready.extend((request, said) for request in equals)
        self._news.set()


def _stops(error: CallError, patience: Patience) -> bool:
    """Whether every further call would fail alike, now or for longer than anybody waits."""
    return error.kind in FATAL or (error.retry_after_s or 0.0) > patience.told_s


async def _all_of(hands: Sequence[asyncio.Future[None]], journal: Journal) -> None:
    """Until every hand is done and all is kept, or something raises."""
    await asyncio.gather(*hands)
    await journal.kept()
