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
from typing import Any, NamedTuple

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


class _Request(NamedTuple):
    """Answers, or a question for work, or first the one and then the other; and who waits for it."""

    hand: Hand | None
    ask: tuple[int, int] | None  # campaign, user
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
        return (await self._asked(None, (campaign_id, user_id))).next

    async def submit(
        self, lease_id: str, user_id: int, answers: Sequence[Answer], *, key: str, then_next: int | None = None
    ) -> Answered:
        """Keep the answers, once per key; with `then_next`, also the next seat in that campaign.

        Raises as `store.submit.submit` does.
        """
        ask = None if then_next is None else (then_next, user_id)
        return await self._asked(Hand(lease_id, user_id, tuple(answers), key), ask)

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
    async def _asked(self, hand: Hand | None, ask: tuple[int, int] | None) -> Any:
        waits = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._closed:
                raise StoreError("the service is shutting down; try again in a moment")
            self._requests.put(_Request(hand, ask, waits))
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
        self._recent.extend((self._began, _who(request)) for request in batch)
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
        now = self._clock()
        rates = {request.ask[0]: self._gold_rate(request.ask[0], now) for request in requests if request.ask}
        gold = {id(request): self._rng.random() < rates[request.ask[0]] for request in requests if request.ask}

        def work(connection: Connection) -> list[Any]:
            return self._work(connection, requests, gold, now)

        outcomes = self._database.write(work, by_index=True)
        idle = [place for place, outcome in enumerate(outcomes) if isinstance(outcome, Answered) and not outcome.next]
        outcomes = self._looked_again(requests, outcomes, [place for place in idle if requests[place].ask], now)
        told = [each for each in zip(requests, outcomes, strict=True) if not isinstance(each[1], NotYet)]
        _tell(told)
        return [request for request, outcome in zip(requests, outcomes, strict=True) if isinstance(outcome, NotYet)]

    def _work(
        self, connection: Connection, requests: Sequence[_Request], gold: dict[int, bool], now: float
    ) -> list[Any]:
        handing = [place for place, request in enumerate(requests) if request.hand]
        hands = [hand for request in requests if (hand := request.hand)]
        kept: dict[int, Any] = {}
        if hands:
            kept = dict(zip(handing, submit_many(connection, self._decider, hands, now=now), strict=True))
        asking = [p for p, request in enumerate(requests) if request.ask and isinstance(kept.get(p, _NONE), Receipt)]
        asks = [Ask(*ask, gold[id(requests[p])]) for p in asking if (ask := requests[p].ask)]
        leases = dict(zip(asking, lease_many(connection, asks, now=now), strict=True)) if asks else {}
        return [_outcome(kept.get(place, _NONE), leases.get(place)) for place in range(len(requests))]

    def _looked_again(
        self, requests: Sequence[_Request], outcomes: list[Any], idle: Sequence[int], now: float
    ) -> list[Any]:
        """Search for expired seats, now and then, before anybody is told that there is no work; and wait for rows."""
        due = {ask[0] for place in idle if (ask := requests[place].ask) and self._due(ask[0], now)}
        for campaign_id in due:
            queue.sweep(self._database, now=now, campaign_id=campaign_id)
        again = [place for place in idle if (ask := requests[place].ask) and ask[0] in due]
        asks = [Ask(*ask) for place in again if (ask := requests[place].ask)]
        if asks:
            found = self._database.write(
                lambda connection: lease_many(connection, asks, now=now, waits=True), by_index=True
            )
            for place, lease in zip(again, found, strict=True):
                outcomes[place] = _outcome(outcomes[place].receipt, lease)
        return outcomes

    def _due(self, campaign_id: int, now: float) -> bool:
        if now - self._looked.get(campaign_id, float("-inf")) < LOOK_AGAIN_S:
            return False
        self._looked[campaign_id] = now
        return True

    def _gold_rate(self, campaign_id: int, now: float) -> float:
        rate, until = self._gold.get(campaign_id, (0.0, float("-inf")))
        if now < until:
            return rate
        try:
            with self._database.reading() as connection:
                rate = read_campaign(connection, campaign_id).settings.gold_rate
        except QuorateError:
            rate = 0.0
        self._gold[campaign_id] = (rate, now + GOLD_S)
        return rate


def _who(request: _Request) -> int:
    return request.hand.user_id if request.hand else request.ask[1] if request.ask else 0


_NONE = Receipt(0, {}, (), ())  # of a request that hands nothing in


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
