"""The desk: where people's requests for work and their answers meet the store.

Routes await it; the store's transactions run beside the event loop. Whoever asks for the next item, answers, skips or
takes an answer back does so here, so that how requests share a transaction is decided in one place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from quorate.store import queue, submit
from quorate.store.database import Database
from quorate.store.queue import Lease
from quorate.store.records import Decider
from quorate.store.submit import Answer, Receipt, Withdrawal


class Answered(NamedTuple):
    """What was kept of an answer, and the next seat where one was asked for."""

    receipt: Receipt
    next: Lease | None


class Desk:
    """Serves people; one per process."""

    def __init__(self, database: Database, decider: Decider, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._decider = decider
        self._clock = clock

    async def next(self, campaign_id: int, user_id: int) -> Lease | None:
        """The seat that this person holds or is given now; None when there is nothing to ask. Raises NotFoundError."""
        return await asyncio.to_thread(queue.lease, self._database, campaign_id, user_id, now=self._clock())

    async def submit(
        self, lease_id: str, user_id: int, answers: Sequence[Answer], *, key: str, then_next: int | None = None
    ) -> Answered:
        """Keep the answers, once per key; with `then_next`, also the next seat in that campaign.

        Raises as `store.submit.submit` does.
        """
        receipt = await asyncio.to_thread(
            submit.submit, self._database, self._decider, lease_id, user_id, answers, key=key, now=self._clock()
        )
        return Answered(receipt, None if then_next is None else await self.next(then_next, user_id))

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
