"""Long work beside requests: in a loop of its own, and only while the chore that it belongs to is held and wanted."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

T = TypeVar("T")
NOT_RENEWED = "the database did not hear that a chore is still in hand"

log = logging.getLogger(__name__)


async def held(
    work: Coroutine[Any, Any, T], renew: Callable[[], bool], leave: Callable[[], None], *, every_s: float
) -> T | None:
    """What the work comes to; None where it was called off, once `renew` said that it is not ours or wanted any more.

    Both callables run in threads; `leave` comes last, when nothing renews any more, however the work ends.
    """
    working, ended = asyncio.create_task(work), asyncio.Event()
    renewing = asyncio.create_task(_renewed(working, renew, ended, every_s))
    try:
        await asyncio.wait({working})
        return None if working.cancelled() else working.result()
    finally:
        working.cancel()
        ended.set()
        await asyncio.shield(_left(working, renewing, leave))


async def apart(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run it in a thread with an event loop of its own, beside that of requests; called off here, it is there too."""
    begun: concurrent.futures.Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = concurrent.futures.Future()

    async def main() -> tuple[T | None, bool]:
        task = asyncio.current_task()
        assert task is not None
        begun.set_result((asyncio.get_running_loop(), task))
        try:
            return await work(), True
        except asyncio.CancelledError:
            return None, False

    running = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(main())))
    try:
        found, done = await asyncio.shield(running)
    except asyncio.CancelledError:
        loop, task = await asyncio.wrap_future(begun)
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            loop.call_soon_threadsafe(task.cancel)
        await asyncio.gather(running, return_exceptions=True)
        raise
    if not done:
        raise asyncio.CancelledError
    return found  # type: ignore[return-value]


# ---- parts ----------------------------------------------------------------------------------------------------------
async def _renewed(working: asyncio.Task[Any], renew: Callable[[], bool], ended: asyncio.Event, every_s: float) -> None:
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), every_s)
            return
        try:
            wanted = await asyncio.to_thread(renew)
        except (SQLAlchemyError, OSError) as error:  # the database may be back before the time is over
            log.warning("%s: %s", NOT_RENEWED, error)
            continue
        if not wanted:
            working.cancel()
            return


async def _left(working: asyncio.Task[Any], renewing: asyncio.Task[None], leave: Callable[[], None]) -> None:
    await asyncio.gather(working, renewing, return_exceptions=True)
    await asyncio.to_thread(leave)
