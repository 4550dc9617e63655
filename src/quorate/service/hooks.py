"""Webhooks are sent: signed, oldest first, again and again until the receiver takes them.

A message is JSON, `{"hook", "events": [{id, campaign, kind, item, user, body, at, answers?}, ...]}`, and bears the time
of sending and the signature of time and body (`quorate.verify_webhook`). An answer of 2xx within 20 seconds takes all
of its events; anything else, a redirect too, takes none, and the same events come again: after 10 seconds, then after
twice as long each time, at most an hour. A receiver that was reached but whose answer was lost sees events twice; their
ids tell.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable

import aiohttp

from quorate.errors import QuorateError
from quorate.service.guard import Guard
from quorate.signature import SIGNATURE, TIMESTAMP, signature
from quorate.store import chores, outbox
from quorate.store.database import Database
from quorate.store.outbox import Parcel
from quorate.store.tail import Tail

AT_ONCE = 100  # events of one message
FIRST_WAIT_S, LONGEST_WAIT_S = 10.0, 3600.0
PATIENCE = 175  # tries, about a week
HOLD_S = 60.0  # longer than a try may last
TOGETHER = 16  # receivers that are sent to at the same time
GONE = 410
PRUNE_EVERY_S = 3600.0

log = logging.getLogger(__name__)
HOOK_FAILED = "hook failed"
Tell = Callable[[str], None]


class Postman:
    """Delivers what waits; one per process, and of one receiver only one in all processes at a time."""

    def __init__(
        self, database: Database, guard: Guard, *, holder: str, clock: Callable[[], float], tell: Tell | None = None
    ) -> None:
        self._database = database
        self._guard = guard
        self._holder = holder
        self._clock = clock
        self._tell = tell or (lambda _outcome: None)
        self._tail = Tail()
        self._pruned_at = clock()

    async def round(self) -> int:
        """Sort new events into the outboxes and send what is due; how many messages were taken."""
        waiting = await asyncio.to_thread(self._sort)
        if not waiting:
            return 0
        seats = asyncio.Semaphore(TOGETHER)
        async with self._guard.session() as session:

            async def deliver(hook_id: int) -> int:
                async with seats:
                    return await self._deliver(session, hook_id)

            return sum(await asyncio.gather(*map(deliver, waiting)))

    def _sort(self) -> list[int]:
        with self._database.reading() as connection:
            through = self._tail.look(connection)
            behind = outbox.behind(connection, through=through)
        now = self._clock()
        while behind and self._database.write(lambda connection: outbox.fill(connection, through=through, now=now)):
            pass
        if now - self._pruned_at > PRUNE_EVERY_S:
            self._pruned_at = now
            self._database.write(lambda connection: outbox.prune(connection, now=now))
        with self._database.reading() as connection:
            return outbox.due(connection, now=now)

    async def _deliver(self, session: aiohttp.ClientSession, hook_id: int) -> int:
        """Everything that waits for one receiver, message by message, until one is not taken."""
        taken, name = 0, f"hook {hook_id}"
        while chore := await asyncio.to_thread(self._take, name):
            try:
                sent = await asyncio.to_thread(self._parcel, hook_id)
                if sent is None:
                    break
                error = await self._send(session, sent)
                await asyncio.to_thread(self._note, sent, error)
                if error is not None:
                    break
                taken += 1
            finally:
                await asyncio.to_thread(self._database.write, lambda connection, c=chore: chores.leave(connection, c))
        return taken

    def _take(self, name: str) -> chores.Chore | None:
        now = self._clock()
        return self._database.write(
            lambda connection: chores.take(connection, name, self._holder, now=now, for_s=HOLD_S)
        )

    def _parcel(self, hook_id: int) -> Parcel | None:
        with self._database.reading() as connection:
            return outbox.parcel(connection, hook_id, now=self._clock(), most=AT_ONCE)

    async def _send(self, session: aiohttp.ClientSession, sent: Parcel) -> str | None:
        """Why the receiver has not taken it; None when it has."""
        body = json.dumps({"hook": sent.hook_id, "events": sent.bodies}, separators=(",", ":")).encode()
        stamp = int(self._clock())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "quorate",
            TIMESTAMP: str(stamp),
            SIGNATURE: signature(sent.secret, stamp, body),
        }
        try:
            answer = await self._guard.post(session, sent.url, body, headers)
        except (OSError, aiohttp.ClientError, QuorateError, ValueError) as error:  # no answer, or none that is HTTP
            return f"{type(error).__name__}: {error}"
        return None if 200 <= answer.status < 300 else f"HTTP {answer.status}"

    def _note(self, sent: Parcel, error: str | None) -> None:
        now = self._clock()
        self._tell("failed" if error else "delivered")
        if error is None:
            self._database.write(lambda connection: outbox.delivered(connection, sent, now=now))
            return
        log.info("%s hook=%d tries=%d error=%s", HOOK_FAILED, sent.hook_id, sent.tries + 1, error)
        if error == f"HTTP {GONE}" or sent.tries + 1 >= PATIENCE:
            self._database.write(lambda connection: outbox.stop(connection, sent, error, now=now))
        else:
            next_at = now + wait_s(sent.tries)
            self._database.write(lambda connection: outbox.failed(connection, sent, error, next_at=next_at))


def wait_s(tries: int) -> float:
    """Seconds until the next try, after so many before the last.

    >>> [wait_s(tries) for tries in (0, 1, 2, 20)]
    [10.0, 20.0, 40.0, 3600.0]
    """
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(tries, 30))
