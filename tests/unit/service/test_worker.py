"""The background work of a whole service, and of two beside each other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from sqlalchemy import select

import quorate.service.worker as module
from quorate.service.desk import Desk
from quorate.service.engine import Engine
from quorate.service.state import Service, ServiceSettings
from quorate.service.worker import Worker
from quorate.store import outbox
from quorate.store.campaigns import change_policy, read_campaign
from quorate.store.fitting import Learning, ask_refit, read_models
from quorate.store.items import NewItem, add_items
from quorate.store.log import read_events
from quorate.store.queue import lease
from quorate.store.rebuild import compare
from quorate.store.records import Settings
from quorate.store.tables import decisions, items, leases
from unit.service.labeled import able, answer, campaign_of, constant
from unit.service.receiver import receiving
from unit.service.test_hooks import Clock
from unit.store.world import running

PEOPLE = (able(0.95), able(0.9), able(0.9), constant)
QUICK = Learning(estimator="dawid-skene", least_labels=100, every_s=60.0)


def worker_of(database, url, clock, **settings) -> Worker:
    """The background work of a process of its own on that database."""
    engine = Engine()
    chosen = ServiceSettings(database=url, allow_private_urls=True, **settings)
    return Worker(Service(chosen, database, engine, Desk(database, engine, clock=clock), clock))


def kinds(world) -> list[str]:
    with world.database.reading() as connection:
        return [each.kind for each in read_events(connection, world.campaign.id, most=10**6)]


async def until(done: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for it."""
    ends = time.monotonic() + seconds
    while not await asyncio.to_thread(done):
        assert time.monotonic() < ends, "it did not happen"
        await asyncio.sleep(0.05)


def test_a_seat_that_nobody_filled_is_given_back(database, url):
    """The sweeper ends expired leases without anybody asking for work."""
    world = running(database, n_items=2, n_users=1, settings=Settings(lease_s=10.0))
    clock = Clock()
    lease(database, world.campaign.id, world.users[0], now=clock.now)
    with_it = worker_of(database, url, clock)
    asyncio.run(with_it.sweep())
    clock.now += 11
    asyncio.run(with_it.sweep())
    with database.reading() as connection:
        assert list(connection.execute(select(leases.c.state)).scalars()) == ["expired"]


def test_a_spammer_is_flagged_within_a_turn(database, url):
    """The next turn after the telling labels writes one flag, whoever else watches."""
    world, clock = campaign_of(database, PEOPLE, 60), Clock()
    answer(world, PEOPLE)
    workers = [worker_of(database, url, clock) for _ in range(2)]

    async def watch():
        for _ in range(3):
            await asyncio.gather(*(each.watch() for each in workers))
        while await workers[0].watch() or await workers[1].watch():
            pass
        clock.now += 3600  # both may take the chore up anew
        for _ in range(3):
            await asyncio.gather(*(each.watch() for each in reversed(workers)))

    asyncio.run(watch())
    assert kinds(world).count("annotator flagged") == 1


@pytest.mark.slow
def test_after_a_fit_all_items_are_judged_by_the_new_model(database, url):
    """Fit, swap and judgment follow each other; every item then stands as the log and the new model say."""
    world, clock = campaign_of(database, PEOPLE, 60, learning=QUICK), Clock()
    answer(world, PEOPLE, most=30)
    with_it = worker_of(database, url, clock)

    async def turns():
        await with_it.judge()
        await with_it.refit()
        await with_it.judge()
        await with_it.judge()

    asyncio.run(turns())
    with database.reading() as connection:
        assert read_campaign(connection, world.campaign.id).model_version == 1
        versions = set(connection.execute(select(decisions.c.model_version)).scalars())
    assert 1 in versions
    assert compare(database, Engine(), world.campaign.id).differences == ()


@pytest.mark.slow
def test_a_judgment_that_was_broken_off_goes_on(database, url, monkeypatch):
    """Killed in the midst, the judging of items is taken up by the next process where it stood."""
    world, clock = campaign_of(database, PEOPLE, 120, learning=QUICK), Clock()
    answer(world, PEOPLE, most=30)
    first, second = (worker_of(database, url, clock) for _ in range(2))
    passes = iter([True, False])
    judge_some = first._judge_some

    def break_off(*arguments):
        if not next(passes):
            raise RuntimeError("killed")
        return judge_some(*arguments)

    monkeypatch.setattr(module, "ITEMS_AT_ONCE", 40)
    monkeypatch.setattr(first, "_judge_some", break_off)
    seen = []
    judge_rest = second._judge_some
    monkeypatch.setattr(second, "_judge_some", lambda *of: (seen.append(of[2]), judge_rest(*of))[1])

    async def turns():
        await first.judge()
        await first.refit()
        with pytest.raises(RuntimeError):
            await first.judge()
        clock.now += 3600
        await second.judge()

    asyncio.run(turns())
    assert seen[0] > 0
    assert compare(database, Engine(), world.campaign.id).differences == ()


def test_under_another_policy_items_are_judged_anew(database, url):
    """A change of policy is seen and carried out by whoever works in the background."""
    world, clock = campaign_of(database, PEOPLE[:2], 6), Clock()
    answer(world, PEOPLE[:2])
    with_it = worker_of(database, url, clock)
    judged = []

    async def turns():
        await with_it.judge()
        policy = {"policy": "minimum", "threshold": 0.5}
        database.write(lambda c: change_policy(c, world.campaign.id, policy, version=world.campaign.version, now=2.0))
        with_it._count = lambda *of: judged.append(of)
        await with_it.judge()
        await with_it.judge()

    asyncio.run(turns())
    assert [what for what, _, n in judged if n] == ["items"]


@pytest.mark.slow
def test_two_whole_workers_do_everything_once(database, url):
    """Two processes' background work, started beside each other: one fit, one flag, every event delivered once."""
    world = campaign_of(database, PEOPLE, 60, learning=QUICK)
    workers = [worker_of(database, url, time.time) for _ in range(2)]

    async def together():
        async with receiving() as receiver:
            database.write(lambda c: outbox.add_hook(c, world.campaign.id, receiver.url, [], now=1.0))
            for each in workers:
                await each.start()
            try:
                await asyncio.to_thread(answer, world, PEOPLE)
                await until(lambda: "annotator flagged" in kinds(world))
                await until(lambda: "model fitted" in kinds(world))
                database.write(lambda c: ask_refit(c, world.campaign.id, now=time.time()))
                await until(lambda: kinds(world).count("model fitted") == 2)
                await until(lambda: compare(database, Engine(), world.campaign.id).differences == ())

                def waiting() -> int:
                    with database.reading() as connection:
                        return outbox.read_hooks(connection, world.campaign.id)[0].waiting

                await until(lambda: waiting() == 0 and len(receiver.events) == len(kinds(world)) - first)
            finally:
                for each in workers:
                    await each.stop()
            return receiver.events

    first = len(kinds(world))
    events = asyncio.run(together())
    assert events == sorted(set(events))
    assert kinds(world).count("annotator flagged") == 1
    with database.reading() as connection:
        assert len(read_models(connection, world.campaign.id)) == 2


def test_items_whose_uploader_is_gone_get_their_first_verdict(database, url):
    """Where there is a model nobody is asked about an item before it was judged; the worker sees to it in the end."""
    world, clock = campaign_of(database, PEOPLE, 60, learning=QUICK), Clock()
    answer(world, PEOPLE, most=60)
    with_it = worker_of(database, url, clock)

    async def turns():
        await with_it.refit()
        while await with_it.judge():
            pass

    asyncio.run(turns())
    campaign_id = world.campaign.id
    with database.reading() as connection:
        campaign = read_campaign(connection, campaign_id)
    new = [NewItem(f"late {i}", {"text": "came late"}) for i in range(120)]
    database.write(lambda connection: add_items(connection, campaign, new, now=clock.now))
    rooms = select(items.c.room).where(items.c.external_id.like("late %"))
    with database.reading() as connection:
        assert set(connection.execute(rooms).scalars()) == {0}
    asyncio.run(turns())
    with database.reading() as connection:
        assert min(connection.execute(rooms).scalars()) > 0
    assert compare(database, Engine(), campaign_id).differences == ()
