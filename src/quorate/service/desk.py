"""The desk: where people's requests for work and their answers meet the store.

Routes await it; one thread serves it. Whatever arrives while a transaction is being made durable goes into the next one
together: a commit costs milliseconds however much it holds (group commit [dewitt1984]), and so does a statement. A
request that is refused hinders no other of its transaction, and if a transaction as a whole fails, its requests are
served again one by one.
"""

from __future__ import annotations

import asyncio
import queue as queues
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection

from quorate.errors import QuorateError, StoreError
from quorate.store import queue, submit
from quorate.store.campaigns import read_campaign
from quorate.store.database import Database
from quorate.store.queue import Ask, Lease, lease_many
from quorate.store.records import Decider
from quorate.store.submit import Answer, Hand, NotYet, Receipt, Withdrawal, submit_many

MOST = 64  # requests in one transaction
PACE_S = 0.05  # between the beginnings of two transactions while many people are at work
MANY, RECENT, SOON_S = 16, 64, 1.0  # people among the last requests, within so long
LOOK_AGAIN_S = 1.0  # between two searches for expired seats on behalf of those for whom there is no work
GOLD_S = 10.0  # for how long a campaign's rate of gold questions is remembered


class Answered(NamedTuple):
    """What was kept of an answer, and the next seat where one was asked for."""

    receipt: Receipt
    next: Lease | None


Where = int | Literal["same"]  # the campaign of the next seat: this one, or that of the answered one


class _Request(NamedTuple):
    """Answers, or a question for work, or first the one and then the other; and who waits for it."""

    hand: Hand | None
    user_id: int
    ask: Where | None
    waits: asyncio.Future[Any]


class Desk:
    """Serves people; one per process. Close it to end its thread, after what it has in hand."""

    def __init__(
        self,
        database: Database,
        decider: Decider,
        *,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self._database = database
        self._decider = decider
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 # mixes gold questions in, guards nothing
        self._gold: dict[int, tuple[float, float]] = {}  # campaign -> rate, known until
        self._looked: dict[int, float] = {}
        self._requests: queues.SimpleQueue[_Request | None] = queues.SimpleQueue()
        self._recent: deque[tuple[float, int]] = deque(maxlen=RECENT)  # when, and who
        self._began = float("-inf")
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name="quorate-desk", daemon=True)
        self._thread.start()

    # ---- what routes await ------------------------------------------------------------------------------------------
    async def next(self, campaign_id: int, user_id: int) -> Lease | None:
        """The seat that this person holds or is given now; None when there is nothing to ask. Raises NotFoundError."""
        return (await self._asked(None, user_id, campaign_id)).next

    async def submit(
        self, lease_id: str, user_id: int, answers: Sequence[Answer], *, key: str, then_next: Where | None = None
    ) -> Answered:
        """Keep the answers, once per key; with `then_next`, also the next seat in that campaign, or in the same.

        Raises as `store.submit.submit` does.
        """
        return await self._asked(Hand(lease_id, user_id, tuple(answers), key), user_id, then_next)

    async def renew(self, lease_id: str, user_id: int) -> Lease:
        """The same seat for as long as a new one. Raises NotFoundError, ConflictError."""
        return await asyncio.to_thread(queue.renew, self._database, lease_id, user_id, now=self._clock())

    async def skip(self, lease_id: str, user_id: int) -> None:
        """Give the seat back and be asked about the item no more. Raises NotFoundError, ConflictError."""
        await asyncio.to_thread(queue.skip, self._database, lease_id, user_id, now=self._clock())

    async def undo(self, lease_id: str, user_id: int, *, key: str) -> Withdrawal:
        """Take back what was answered under that lease. Raises NotFoundError, ConflictError."""
        return await asyncio.to_thread(
            submit.undo, self._database, self._decider, lease_id, user_id, key=key, now=self._clock()
        )

    def close(self) -> None:
        """Serve what is waiting, then end."""
        with self._lock:
            self._closed = True
            self._requests.put(None)
        self._thread.join()

    # ---- the thread -------------------------------------------------------------------------------------------------
    async def _asked(self, hand: Hand | None, user_id: int, ask: Where | None) -> Any:
        waits = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._closed:
                raise StoreError("the service is shutting down; try again in a moment")
            self._requests.put(_Request(hand, user_id, ask, waits))
        return await waits

    def _serve(self) -> None:
        left: list[_Request] = []  # those whose item another request of the last transaction had in hand
        while not (self._closed and self._requests.empty() and not left):
            requests = self._gathered(left)
            try:
                left = self._served(requests) if requests else []
            except Exception as error:  # noqa: BLE001 # whatever it is, those who wait must hear it
                left = []
                self._one_by_one(requests, error)

    def _gathered(self, left: Sequence[_Request]) -> list[_Request]:
        """What is left, and everything that waits, at most so much; with nothing left, the next that comes."""
        batch = list(left) or self._first()
        wait_s = self._began + PACE_S - time.monotonic()
        if batch and wait_s > 0 and not self._closed and self._crowded():
            time.sleep(wait_s)
        self._began = time.monotonic()
        while batch and len(batch) < MOST and not self._requests.empty():
            request = self._requests.get()
            if request is None:  # the desk is closing
                break
            batch.append(request)
        self._recent.extend((self._began, request.user_id) for request in batch)
        return batch

    def _first(self) -> list[_Request]:
        request = self._requests.get()
        return [] if request is None else [request]

    def _crowded(self) -> bool:
        """Whether many people are at work: then a short wait lets them share the cost of a transaction."""
        recent = self._recent
        full = len(recent) == RECENT and self._began - recent[0][0] < SOON_S
        return full and len({user for _, user in recent}) >= MANY

    def _one_by_one(self, requests: Sequence[_Request], error: Exception) -> None:
        if len(requests) == 1:
            _tell([(requests[0], error)])
            return
        for request in requests:
            try:
                self._served([request])
            except Exception as own:  # noqa: BLE001 # as above
                _tell([(request, own)])

    def _served(self, requests: Sequence[_Request]) -> list[_Request]:
        """Serve them in one transaction; those that have to wait for the next one."""
        now, luck = self._clock(), [self._rng.random() for _ in requests]

        def work(connection: Connection) -> tuple[list[Any], dict[int, Ask]]:
            return self._work(connection, requests, luck, now)

        outcomes, asks = self._database.write(work, by_index=True)
        idle = {place: ask for place, ask in asks.items() if _is_idle(outcomes[place])}
        outcomes = self._looked_again(outcomes, idle, now) if idle else outcomes
        told = [each for each in zip(requests, outcomes, strict=True) if not isinstance(each[1], NotYet)]
        _tell(told)
        return [request for request, outcome in zip(requests, outcomes, strict=True) if isinstance(outcome, NotYet)]

    def _work(
        self, connection: Connection, requests: Sequence[_Request], luck: Sequence[float], now: float
    ) -> tuple[list[Any], dict[int, Ask]]:
        """What becomes of each request, and who asked for work where."""
        handing = [place for place, request in enumerate(requests) if request.hand]
        hands = [hand for request in requests if (hand := request.hand)]
        kept: dict[int, Any] = {}
        if hands:
            kept = dict(zip(handing, submit_many(connection, self._decider, hands, now=now), strict=True))
        asks = dict[int, Ask]()
        for place, request in enumerate(requests):
            receipt = kept.get(place, _NONE)
            if request.ask is not None and isinstance(receipt, Receipt):
                campaign_id = receipt.campaign_id if request.ask == "same" else request.ask
                is_gold = luck[place] < self._gold_rate(connection, campaign_id, now)
                asks[place] = Ask(campaign_id, request.user_id, is_gold)
        leases = dict(zip(asks, lease_many(connection, list(asks.values()), now=now), strict=True)) if asks else {}
        return [_outcome(kept.get(place, _NONE), leases.get(place)) for place in range(len(requests))], asks

    def _looked_again(self, outcomes: list[Any], idle: dict[int, Ask], now: float) -> list[Any]:
        """Search for expired seats, now and then, before anybody is told that there is no work; and wait for rows."""
        due = {campaign_id for campaign_id in {ask.campaign_id for ask in idle.values()} if self._due(campaign_id, now)}
        for campaign_id in due:
            queue.sweep(self._database, now=now, campaign_id=campaign_id)
        again = {place: ask._replace(gold=False) for place, ask in idle.items() if ask.campaign_id in due}
        if again:
            found = self._database.write(
                lambda connection: lease_many(connection, list(again.values()), now=now, waits=True), by_index=True
            )
            for place, lease in zip(again, found, strict=True):
                outcomes[place] = _outcome(outcomes[place].receipt, lease)
        return outcomes

    def _due(self, campaign_id: int, now: float) -> bool:
        if now - self._looked.get(campaign_id, float("-inf")) < LOOK_AGAIN_S:
            return False
        self._looked[campaign_id] = now
        return True

    def _gold_rate(self, connection: Connection, campaign_id: int, now: float) -> float:
        rate, until = self._gold.get(campaign_id, (0.0, float("-inf")))
        if now < until:
            return rate
        try:
            rate = read_campaign(connection, campaign_id).settings.gold_rate
        except QuorateError:
            rate = 0.0
        self._gold[campaign_id] = (rate, now + GOLD_S)
        return rate


_NONE = Receipt(0, {}, (), (), 0)  # of a request that hands nothing in


def _is_idle(outcome: Any) -> bool:
    """Whether there was no seat for one who asked."""
    return isinstance(outcome, Answered) and outcome.next is None


def _outcome(kept: Any, lease: Any) -> Any:
    """What a request is answered with: a refusal, `NotYet`, or what was kept and the next seat."""
    if not isinstance(kept, Receipt):
        return kept
    if isinstance(lease, QuorateError):
        return lease if kept is _NONE else Answered(kept, None)
    return Answered(kept, lease)


def _tell(told: Sequence[tuple[_Request, Any]]) -> None:
    """Wake those who wait, each loop once."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for request, outcome in told:
        loops.setdefault(request.waits.get_loop(), []).append((request.waits, outcome))
    for loop, waiting in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_wake, waiting)


def _wake(waiting: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, outcome in waiting:
        if future.done():  # the client is gone; what was kept is kept
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
