"""What a process does beside serving: webhooks, expired seats, the watch over people, fits, verdicts, models' scores.

Every piece of work is a turn that looks whether there is something to do, and does some of it. Turns of several
processes share one database: a chore (`store.chores`) is one process's at a time, so that nothing is done twice, and
another takes it up when that process is gone. A turn that fails is logged, and tried again later; the others go on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import uuid4

from sqlalchemy import Connection

from quorate.errors import ConflictError
from quorate.service.engine import Engine
from quorate.service.guard import Guard
from quorate.service.hooks import Postman
from quorate.service.refit import Refitter
from quorate.service.scorer import Scorer
from quorate.service.state import Service
from quorate.service.watch import Flag, Watch
from quorate.store import chores, fitting, queue, scoring, standing, watching
from quorate.store.chores import Chore
from quorate.store.submit import rejudge
from quorate.store.tail import Tail

T = TypeVar("T")
Count = Callable[[str, str, int], None]  # what, with which outcome, how often
SWEEP_S, POST_S, WATCH_S, REFIT_S, JUDGE_S, SCORE_S = 5.0, 1.0, 0.5, 5.0, 1.0, 2.0
AFTER_FAILURE_S = 10.0
HOLD_S = 60.0
WATCH_CHORE = "watch"
LOOK_BACK = 20_000  # events that a new watcher reads again, to know everybody's habits
EVENTS_AT_ONCE = 500
ITEMS_AT_ONCE = 50

log = logging.getLogger(__name__)
TURN_FAILED = "background work failed"


class Worker:
    """The background work of one process; `start` and `stop` on its event loop."""

    def __init__(self, service: Service, *, guard: Guard | None = None, count: Count | None = None) -> None:
        self.holder = uuid4().hex
        self._database, self._clock = service.database, service.clock
        self._count = count or (lambda _what, _outcome, _by: None)
        guard = guard or Guard(allow_private=service.settings.allow_private_urls)
        tell = lambda outcome: self._count("deliveries", outcome, 1)  # noqa: E731
        self._postman = Postman(self._database, guard, holder=self.holder, clock=self._clock, tell=tell)
        self.refitter = Refitter(self._database, service.settings.database, holder=self.holder, clock=self._clock)
        self._engine = Engine(most_sessions=1)  # requests keep theirs warm for themselves
        self.scorer = Scorer(service, self._engine, guard, holder=self.holder)
        self._watch, self._watched, self._tail = Watch(), -1, Tail()
        self._watching, self._watching_until = Chore(WATCH_CHORE, self.holder, {}), 0.0
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin all of it."""
        turns: dict[str, tuple[float, Callable[[], Awaitable[int]]]] = {
            "sweep": (SWEEP_S, self.sweep),
            "post": (POST_S, self.post),
            "watch": (WATCH_S, self.watch),
            "refit": (REFIT_S, self.refit),
            "judge": (JUDGE_S, self.judge),
            "score": (SCORE_S, self.score),
        }
        self._tasks = [
            asyncio.create_task(self._forever(name, every_s, turn), name=f"quorate {name}")
            for name, (every_s, turn) in turns.items()
        ]

    async def stop(self) -> None:
        """End all of it; what was begun and not finished is found again by whoever comes next."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._later(lambda connection: chores.leave(connection, self._watching))

    async def _forever(self, name: str, every_s: float, turn: Callable[[], Awaitable[int]]) -> None:
        while True:
            wait_s = every_s
            try:
                if await turn():
                    wait_s = 0.0  # there may be more
            except Exception:  # whatever it is, the other work and the next turn go on
                log.exception("%s: %s", TURN_FAILED, name)
                self._count("failures", name, 1)
                wait_s = AFTER_FAILURE_S
            await asyncio.sleep(wait_s)

    # ---- turns: each says how much it did, 0 when there was nothing to do -------------------------------------
    async def sweep(self) -> int:
        """Give the seats of expired leases back."""
        ended = await asyncio.to_thread(queue.sweep, self._database, now=self._clock())
        self._count("leases", "expired", ended)
        return 0

    async def post(self) -> int:
        """Send webhooks."""
        return await self._postman.round()

    async def watch(self) -> int:
        """Hold new answers against what turned out, and flag who answers without looking."""
        return await asyncio.to_thread(self._watch_some)

    async def refit(self) -> int:
        """Fit the models whose time has come, one after the other."""
        with_models = await asyncio.to_thread(self._read, fitting.campaigns_that_learn)
        for campaign_id in with_models:
            ended = await self.refitter.consider(campaign_id)
            if ended is not None:
                self._count("refits", ended.outcome, 1)
        return 0

    async def judge(self) -> int:
        """Judge items anew whose model, policy or settings have changed; people's requests go first."""
        for campaign_id, under in await asyncio.to_thread(self._read, standing.due):
            self._count("items", "judged", await self._judge(campaign_id, under))
        new = await asyncio.to_thread(self._read, standing.unjudged)
        for campaign_id in new:
            await asyncio.to_thread(self._judge_new, campaign_id)
        return len(new)

    async def score(self) -> int:
        """Ask models about items that have no scores of theirs."""
        looked_at = 0
        for campaign_id in await asyncio.to_thread(self._read, scoring.campaigns_to_score):
            try:
                done = await self.scorer.consider(campaign_id)
            except Exception:  # whatever it is, it keeps no other campaign from its scores
                log.exception("%s: score, campaign %d", TURN_FAILED, campaign_id)
                self._count("failures", "score", 1)
                continue
            self._count("items", "scored", done.scored)
            looked_at += done.looked_at
        return looked_at

    # ---- parts ------------------------------------------------------------------------------------------------
    def _watch_some(self) -> int:
        with self._database.reading() as connection:
            through = self._tail.look(connection)
        if through <= self._watched or not self._watches():
            return 0
        with self._database.reading() as connection:
            seen = watching.read_outcomes(connection, after=self._watched, through=through, most=EVENTS_AT_ONCE)
        flags, now, chore = self._watch.take(seen.outcomes), self._clock(), self._watching
        self._watched = seen.through
        if flags or seen.outcomes:
            try:
                self._database.write(lambda connection: _note_flags(connection, chore, flags, seen.through, now))
            except ConflictError:  # another process watches now
                self._watched, self._watching_until = -1, 0.0
        self._count("flags", "annotator", len(flags))
        return int(seen.through < through)

    def _watches(self) -> bool:
        """Whether it is this process that watches; one that begins reads some of the log again."""
        now = self._clock()
        if now < self._watching_until - HOLD_S / 2:
            return True
        chore = self._take(WATCH_CHORE)
        if chore is None:
            self._watched = -1  # what is known here goes stale
            return False
        if self._watched < 0:
            self._watch, self._watched = Watch(), max(0, chore.note.get("through", 0) - LOOK_BACK)
        self._watching, self._watching_until = chore, now + HOLD_S
        return True

    async def _judge(self, campaign_id: int, under: str) -> int:
        chore = await asyncio.to_thread(self._take, standing.chore_name(campaign_id))
        if chore is None:
            return 0
        left, judged = standing.rest(chore.note, campaign_id, under), 0
        try:
            last = left.after if left else None
            while last is not None:
                began = time.monotonic()
                last = await asyncio.to_thread(self._judge_some, chore, under, last)
                judged += ITEMS_AT_ONCE if last is not None else 0
                await asyncio.sleep(time.monotonic() - began)  # half of the time is the people's
            await self._later(lambda c: chores.note_down(c, chore, done=under, under=under, after=0))
        except ConflictError:
            return judged  # another process has taken over
        finally:
            await asyncio.shield(self._later(lambda c: chores.leave(c, chore)))
        return judged

    def _judge_new(self, campaign_id: int) -> None:
        """Some of the items that wait for their first verdict, should whoever uploaded them be gone before it."""
        chore = self._take(standing.chore_name(campaign_id))
        if chore is None:
            return
        now = self._clock()
        try:
            rejudge(self._database, self._engine, campaign_id, now=now, most=ITEMS_AT_ONCE, only_new=True)
        finally:
            self._database.write(lambda connection: chores.leave(connection, chore))

    def _judge_some(self, chore: Chore, under: str, after: int) -> int | None:
        campaign_id = int(chore.name.rpartition(" ")[2])
        last = rejudge(self._database, self._engine, campaign_id, now=self._clock(), after=after, most=ITEMS_AT_ONCE)
        if last is not None:
            self._database.write(lambda connection: chores.note_down(connection, chore, under=under, after=last))
            self._take(chore.name)
        return last

    def _take(self, name: str) -> Chore | None:
        now = self._clock()
        return self._database.write(
            lambda connection: chores.take(connection, name, self.holder, now=now, for_s=HOLD_S)
        )

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self._database.reading() as connection:
            return work(connection)

    async def _later(self, work: Callable[[Connection], T]) -> T:
        return await asyncio.to_thread(self._database.write, work)


def _note_flags(connection: Connection, chore: Chore, flags: list[Flag], through: int, now: float) -> None:
    chores.note_down(connection, chore, through=through)
    for each in flags:
        detail = {"answers": each.answers, "agreed": each.agreed, "log_odds": round(each.log_odds, 3)}
        watching.flag(connection, each.campaign_id, each.user_id, each.reason, detail, now=now)
