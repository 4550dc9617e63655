"""A campaign's events as they happen, for many readers: server-sent events.

One poller per process reads the log and writes every batch of events once, as the bytes that all readers of that
campaign are sent. A reader is a place in the log, nothing more: one that is slow holds no queue, and when what it has
not read is no longer at hand it reads on from the database. So memory does not grow with what slow readers miss.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple

from quorate.service.problems import Refusal
from quorate.store.database import Database
from quorate.store.tail import Tail, Told, last_event, told

POLL_S = 0.5
HEARTBEAT_S = 15.0
AT_HAND = 256  # batches
AT_ONCE = 200  # events read at a time
MOST_BYTES = 16_384  # of a batch: so much, and what sockets hold, is what a slow reader costs
MOST_READERS = 2000
HEARTBEAT = b": still here\n\n"
OPENING = b"retry: 3000\n\n"

log = logging.getLogger(__name__)
POLL_FAILED = "reading the log for streams failed"


class Batch(NamedTuple):
    """Events after one id up to another, as they are sent."""

    after: int
    through: int
    text: bytes


class Channel:
    """The last events of one campaign, and who reads them."""

    def __init__(self, at: int) -> None:
        self.at = at  # the log is told up to here
        self.batches: deque[Batch] = deque(maxlen=AT_HAND)
        self.readers = 0
        self.changed = asyncio.Event()

    def put(self, events: Sequence[Told]) -> None:
        """Tell these events, which follow on those told before."""
        for batch in batches(self.at, events):
            self.batches.append(batch)
            self.at = batch.through
        self.wake()

    def wake(self) -> None:
        """Have all readers look."""
        self.changed.set()
        self.changed = asyncio.Event()

    def following(self, at: int) -> Batch | None:
        """The batch that begins just there, if it is at hand."""
        return next((batch for batch in self.batches if batch.after == at), None)


class Stream:
    """All channels of one process; used on its event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tail = Tail()
        self._looking = threading.Lock()
        self._at = 0
        self._channels: dict[int, Channel] = {}
        self._poller: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._closed = False

    @property
    def readers(self) -> int:
        """How many there are."""
        return sum(channel.readers for channel in self._channels.values())

    def start(self) -> None:
        """Begin to follow the log."""
        self._poller = asyncio.create_task(self._poll(), name="quorate stream")

    async def stop(self) -> None:
        """End all streams."""
        self.close()
        if self._poller is not None:
            self._poller.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._poller

    def close(self) -> None:
        """Have every reader's stream end, so that a server can shut down."""
        self._closed = True
        for channel in self._channels.values():
            channel.wake()

    def safe(self) -> int:
        """The id up to which the log can be read without a gap; for any thread."""
        with self._looking, self._database.reading() as connection:
            return self._tail.look(connection)

    async def read(
        self, campaign_id: int, after: int | None, *, still: Callable[[], Awaitable[bool]]
    ) -> AsyncGenerator[bytes]:
        """The campaign's events after that one, or from now on; ends when `still` says no at a heartbeat.

        Raises Refusal when there are too many readers.
        """
        if self.readers >= MOST_READERS:
            raise Refusal(503, "too many streams are open; try again later", headers={"Retry-After": "30"})
        channel = self._channels.setdefault(campaign_id, Channel(self._at))
        channel.readers += 1
        try:
            yield OPENING
            await self._ready.wait()
            at = channel.at if after is None else after
            while not self._closed:
                text, at = await self._next(channel, campaign_id, at)
                if not text and not await still():
                    return
                yield text or HEARTBEAT
        finally:
            channel.readers -= 1
            if not channel.readers and self._channels.get(campaign_id) is channel:
                del self._channels[campaign_id]

    async def _next(self, channel: Channel, campaign_id: int, at: int) -> tuple[bytes, int]:
        """What comes after that place and the place after it; nothing when nothing came for a while."""
        if at >= channel.at:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(channel.changed.wait(), HEARTBEAT_S)
        if at >= channel.at:
            return b"", at
        batch = channel.following(at)
        if batch is not None:
            return batch.text, batch.through
        events = await asyncio.to_thread(self._read, [campaign_id], at, channel.at)
        first = next(batches(at, events), Batch(at, channel.at, b""))
        return first.text, first.through

    # ---- the poller -------------------------------------------------------------------------------------------
    async def _poll(self) -> None:
        await self._begin()
        while True:
            try:
                await self._look()
            except Exception:  # the database may be away for a while
                log.exception(POLL_FAILED)
            await asyncio.sleep(POLL_S)

    async def _begin(self) -> None:
        """Wait until the log is safe up to what could be seen at first."""
        while not self._ready.is_set():
            try:
                goal = await asyncio.to_thread(self._last)
                while (safe := await asyncio.to_thread(self.safe)) < goal:  # noqa: ASYNC110 # others' transactions
                    await asyncio.sleep(POLL_S / 10)
                self._at = safe
                for channel in self._channels.values():
                    channel.at = self._at
                self._ready.set()
            except Exception:  # as above
                log.exception(POLL_FAILED)
                await asyncio.sleep(POLL_S)

    def _last(self) -> int:
        with self._database.reading() as connection:
            return last_event(connection)

    async def _look(self) -> None:
        safe, channels = await asyncio.to_thread(self.safe), dict(self._channels)
        while self._at < safe and channels:
            events = await asyncio.to_thread(self._read, list(channels), self._at, safe)
            for campaign_id, channel in channels.items():
                mine = [event for event in events if event.campaign == campaign_id and event.id > channel.at]
                if mine:
                    channel.put(mine)
            self._at = events[-1].id if len(events) == AT_ONCE else safe
        self._at = max(self._at, safe)
        for campaign_id, channel in self._channels.items():
            if channels.get(campaign_id) is not channel and channel.at < self._at:
                channel.at = self._at  # it came while we read: its readers find in the database what they missed
                channel.wake()

    def _read(self, campaigns: Sequence[int], after: int, through: int) -> list[Told]:
        with self._database.reading() as connection:
            return told(connection, campaigns, after=after, through=through, most=AT_ONCE)


def batches(after: int, events: Sequence[Told]) -> Iterator[Batch]:
    """The events in parts of bounded size, each following on the one before."""
    text, through = bytearray(), after
    for event in events:
        more = message(event)
        if text and len(text) + len(more) > MOST_BYTES:
            yield Batch(after, through, bytes(text))
            text, after = bytearray(), through
        text += more
        through = event.id
    if text:
        yield Batch(after, through, bytes(text))


def message(event: Told) -> bytes:
    """The event as a stream says it."""
    shown = {name: value for name, value in event._asdict().items() if name != "campaign"}
    return f"id: {event.id}\ndata: {json.dumps(shown, separators=(',', ':'))}\n\n".encode()
