"""The desk on both databases: many at once are served as one after the other would be."""

from __future__ import annotations

import asyncio
import random

import pytest

from quorate.errors import ConflictError, DataError, NotFoundError, StoreError
from quorate.service.desk import Desk
from quorate.store.database import Database
from quorate.store.overlap import Overlap
from quorate.store.records import Settings
from quorate.store.submit import Answer
from unit.store.conftest import database, postgres_server, url  # noqa: F401 # fixtures
from unit.store.laws import check
from unit.store.world import World, running

BOTH = (Answer("tone", "good"), Answer("topic", "food"))


def served(world: World, work, **settings):
    """What `work` gives with a desk that is closed afterwards."""
    desk = Desk(world.database, Overlap(), clock=lambda: 1.0, **settings)
    try:
        return asyncio.run(work(desk))
    finally:
        desk.close()


async def work_off(desk: Desk, campaign: int, user: int, *, chained: bool) -> int:
    """Answer everything that this person is asked; how many items there were."""
    n, held = 0, await desk.next(campaign, user)
    while held:
        then = campaign if chained else None
        done = await desk.submit(held.id, user, BOTH[: len(held.tasks)], key=held.id, then_next=then)
        n += 1
        held = done.next if chained else await desk.next(campaign, user)
    return n


@pytest.mark.parametrize("chained", [False, True])
def test_a_crowd_empties_the_queue_and_every_law_holds(database: Database, chained: bool):  # noqa: F811
    """16 people at 40 items with overlap 3: exactly 120 answers, whether or not the next item comes at once."""
    world = running(database, n_items=40, n_users=16)

    async def crowd(desk: Desk) -> list[int]:
        return await asyncio.gather(*(work_off(desk, world.campaign.id, user, chained=chained) for user in world.users))

    assert sum(served(world, crowd)) == 120
    check(database, world.campaign.id)


def test_one_refused_request_hinders_no_other(database: Database):  # noqa: F811
    """Of requests that share a transaction the good ones are kept, each bad one hears its own error."""
    world = running(database, n_items=8, n_users=8)
    users, campaign = world.users, world.campaign.id

    async def work(desk: Desk):
        held = await asyncio.gather(*(desk.next(campaign, user) for user in users))
        return await asyncio.gather(
            desk.submit(held[0].id, users[0], BOTH, key="a"),
            desk.submit(held[1].id, users[0], BOTH, key="b"),
            desk.submit(held[2].id, users[2], [Answer("tone", "blue")], key="c"),
            desk.submit("none", users[3], BOTH, key="d"),
            desk.submit(held[4].id, users[4], BOTH, key="e"),
            desk.submit(held[4].id, users[4], BOTH, key="e"),
            desk.submit(held[4].id, users[4], BOTH, key="f"),
            desk.next(campaign, 10**6),
            desk.next(10**6, users[5]),
            desk.next(campaign, users[6]),
            return_exceptions=True,
        )

    found = served(world, work)
    kinds = [type(each).__name__ for each in found]
    assert kinds[:2] == ["Answered", "NotFoundError"]
    assert [type(each) for each in found[2:4]] == [DataError, NotFoundError]
    assert found[4] == found[5]
    assert [type(each) for each in found[6:9]] == [ConflictError, NotFoundError, NotFoundError]
    assert found[9].fence >= 1
    check(database, world.campaign.id)


def test_an_expired_seat_is_found_before_anybody_is_told_that_there_is_no_work(database: Database):  # noqa: F811
    """The only item is in dead hands; who asks next gets it."""
    world = running(database, n_items=1, n_users=2, settings=Settings(overlap=1, lease_s=10.0))
    now = [0.0]
    desk = Desk(database, Overlap(), clock=lambda: now[0])

    async def work() -> tuple[bool, bool, bool]:
        first = await desk.next(world.campaign.id, world.users[0])
        second = await desk.next(world.campaign.id, world.users[1])
        now[0] = 11.0
        third = await desk.next(world.campaign.id, world.users[1])
        return first is not None, second is not None, third is not None

    try:
        assert asyncio.run(work()) == (True, False, True)
    finally:
        desk.close()
    check(database, world.campaign.id)


def test_a_closed_desk_says_so(database: Database):  # noqa: F811
    """What was asked before is served; afterwards every request is refused."""
    world = running(database, n_items=1, n_users=1)
    desk = Desk(database, Overlap(), clock=lambda: 1.0, rng=random.Random(0))  # noqa: S311
    desk.close()
    with pytest.raises(StoreError, match="shutting down"):
        asyncio.run(desk.next(world.campaign.id, world.users[0]))
