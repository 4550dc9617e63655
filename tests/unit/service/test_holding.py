"""Long work goes on only while it is held and wanted, and is over before it is left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from quorate.service.holding import NOT_RENEWED, apart, held

SOON_S = 0.01


class Chore:
    """Renews as long as told, and remembers what was done in which order."""

    def __init__(self, renewals: Callable[[int], bool] = lambda _n: True) -> None:
        self.seen: list[str] = []
        self.renewed = 0
        self._renewals = renewals

    def renew(self) -> bool:
        """The answers in their order."""
        self.renewed += 1
        return self._renewals(self.renewed)

    def leave(self) -> None:
        """The last of all."""
        self.seen.append("left")

    async def work(self, wait_s: float = 0.0) -> str:
        """Something that can be called off."""
        try:
            await asyncio.sleep(wait_s)
        except asyncio.CancelledError:
            self.seen.append("called off")
            await asyncio.sleep(2 * SOON_S)  # calls in flight land
            self.seen.append("landed")
            raise
        self.seen.append("done")
        return "found"

    def run(self, wait_s: float = 0.0) -> str | None:
        """Held with this chore."""
        return asyncio.run(held(self.work(wait_s), self.renew, self.leave, every_s=SOON_S))


def test_work_comes_to_what_it_found_and_is_left_last() -> None:
    """The result; the chore is renewed meanwhile and left once, at the end."""
    chore = Chore()
    assert chore.run(10 * SOON_S) == "found"
    assert chore.seen == ["done", "left"]
    assert chore.renewed >= 2


def test_work_that_is_not_wanted_any_more_lands_before_it_is_left() -> None:
    """Called off it may still write down what was paid; nobody else takes the chore before."""
    chore = Chore(lambda n: n < 3)
    assert chore.run(60) is None
    assert chore.seen == ["called off", "landed", "left"]
    assert chore.renewed == 3


def test_a_database_that_is_away_for_a_moment_calls_nothing_off(caplog) -> None:
    """It is said in the log, and asked again."""

    def away(n: int) -> bool:
        if n < 3:
            raise OperationalError("update chores", {}, OSError("the server closed the connection"))
        return True

    chore = Chore(away)
    assert chore.run(10 * SOON_S) == "found"
    assert caplog.text.count(NOT_RENEWED) == 2


def test_work_that_fails_is_left_and_its_error_is_raised() -> None:
    """No error is lost, and no chore stays taken."""
    chore = Chore()

    async def fails() -> None:
        raise LookupError("a folder is gone")

    with pytest.raises(LookupError, match="a folder is gone"):
        asyncio.run(held(fails(), chore.renew, chore.leave, every_s=SOON_S))
    assert chore.seen == ["left"]


def test_a_service_that_stops_waits_until_it_is_left() -> None:
    """Whoever waits for the work is called off himself: the work lands, the chore is left, then it is over."""
    chore = Chore()

    async def stopped() -> None:
        waiting = asyncio.create_task(held(chore.work(60), chore.renew, chore.leave, every_s=SOON_S))
        await asyncio.sleep(3 * SOON_S)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert chore.seen == ["called off", "landed", "left"]

    asyncio.run(stopped())


def test_apart_gives_what_work_found_or_failed_with() -> None:
    """In another thread, so that requests do not wait for it."""

    async def name() -> str:
        return threading.current_thread().name

    async def fails() -> None:
        raise LookupError("a folder is gone")

    assert asyncio.run(apart(name)) != threading.current_thread().name
    with pytest.raises(LookupError, match="a folder is gone"):
        asyncio.run(apart(fails))


def test_requests_are_served_while_work_is_apart() -> None:
    """A loop of its own: work that never yields keeps nobody waiting."""

    async def busy() -> str:
        stop.wait(30)  # blocks its loop
        return "found"

    async def served() -> Any:
        working = asyncio.create_task(apart(busy))
        for _ in range(5):
            await asyncio.sleep(SOON_S)
        assert not working.done()
        stop.set()
        return await working

    stop = threading.Event()
    assert asyncio.run(served()) == "found"


@pytest.mark.parametrize("after_s", [0.0, 5 * SOON_S])
def test_called_off_here_it_is_called_off_there(after_s: float) -> None:
    """Also before it has begun; and it has ended there when it has ended here."""
    seen = list[str]()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            seen.append("ended")

    async def stopped() -> None:
        working = asyncio.create_task(apart(work))
        await asyncio.sleep(after_s)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert seen in (["ended"], [])

    asyncio.run(stopped())
    if after_s:
        assert seen == ["ended"]
