"""Webhooks on real sockets: nothing lost, nothing twice, in order, signed."""

from __future__ import annotations

import asyncio
import json

import pytest

from quorate.errors import NotFoundError
from quorate.service.guard import Guard
from quorate.service.hooks import PATIENCE, Postman
from quorate.signature import signature, verify_webhook
from quorate.store import outbox
from quorate.store.log import read_events, record
from quorate.store.overlap import Overlap
from quorate.store.queue import lease
from quorate.store.records import Settings
from quorate.store.submit import Answer, submit
from quorate.store.tail import Tail, last_event
from unit.service.receiver import receiving
from unit.store.world import running

OPEN = Guard(allow_private=True)


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """Seconds since 1970."""
        return self.now


def happen(world, *kinds: str) -> None:
    """So many events, each in a transaction of its own."""
    for kind in kinds:
        world.database.write(lambda connection, kind=kind: record(connection, world.campaign.id, kind, {}, now=1.0))


def hook_to(world, url: str, *kinds: str):
    return world.database.write(lambda connection: outbox.add_hook(connection, world.campaign.id, url, kinds, now=1.0))


def hook_of(world):
    with world.database.reading() as connection:
        return outbox.read_hooks(connection, world.campaign.id)[0]


@pytest.mark.slow
def test_a_receiver_that_was_down_for_a_day_gets_everything_once_in_order(database):
    """Events of a whole day wait, and come in their order, each once, under valid signatures, when it is up again."""
    world, clock = running(database, n_items=0, n_users=0), Clock()

    async def day():
        async with receiving() as receiver:
            port, url = int(receiver.url.split(":")[2].strip("/")), receiver.url
        hook = hook_to(world, url)
        with database.reading() as connection:
            before = last_event(connection)
        postman = Postman(database, OPEN, holder="a", clock=clock)
        for _hour in range(24 * 6):
            happen(world, "labels", "skipped")
            await postman.round()
            clock.now += 600
        assert hook_of(world).waiting == 288 + 1  # the hook's own making is told too
        assert "Connect" in hook_of(world).error
        async with receiving(port=port) as receiver:
            receiver.status = 503
            clock.now += 3600
            await postman.round()
            assert not receiver.requests
            receiver.status = 200
            clock.now += 3600
            await postman.round()
            with database.reading() as connection:
                made = [e.id for e in read_events(connection, world.campaign.id, after=before - 1)]
            assert receiver.events == made
            await postman.round()
            clock.now += 86_400
            await postman.round()
            assert len(receiver.events) == len(made)
            for headers, body in receiver.requests:
                at = float(headers["X-Quorate-Timestamp"])
                assert verify_webhook(hook.secret, headers, body, now=at)
                assert not verify_webhook(hook.secret + "x", headers, body, now=at)
                assert not verify_webhook(hook.secret, headers, body + b" ", now=at)
                assert not verify_webhook(hook.secret, headers, body, now=at + 301)
        assert hook_of(world).waiting == 0

    asyncio.run(day())


def test_two_postmen_send_nothing_twice(database):
    """Of two processes only one is at a receiver at a time, and neither repeats what the other sent."""
    world, clock = running(database, n_items=0, n_users=0), Clock()

    async def both():
        async with receiving() as receiver:
            hook_to(world, receiver.url)
            postmen = [Postman(database, OPEN, holder=name, clock=clock) for name in "ab"]
            for _ in range(6):
                happen(world, *["labels"] * 40)
                await asyncio.gather(*(postman.round() for postman in postmen))
            await postmen[0].round()
            assert len(receiver.events) == 241
            assert receiver.events == sorted(set(receiver.events))

    asyncio.run(both())


def test_a_hook_is_told_only_the_kinds_it_asks_for(database):
    """Other kinds stay at home; a campaign's events never go to the hook of another."""
    world, clock = running(database, n_items=0, n_users=0), Clock()

    async def some():
        async with receiving() as receiver:
            hook_to(world, receiver.url, "labels")
            happen(world, "labels", "skipped", "labels", "judged")
            await Postman(database, OPEN, holder="a", clock=clock).round()
            await Postman(database, OPEN, holder="a", clock=clock).round()
            kinds = [e["kind"] for _, body in receiver.requests for e in json.loads(body)["events"]]
            assert kinds == ["labels", "labels"]

    asyncio.run(some())


def test_a_closed_answer_is_told_with_its_label(database):
    """An event that closes tasks names item and person, and brings the answers."""
    world, clock = running(database, n_items=1, n_users=1, settings=Settings(overlap=1)), Clock()

    async def one():
        async with receiving() as receiver:
            hook_to(world, receiver.url, "labels")
            seat = lease(database, world.campaign.id, world.users[0], now=2.0)
            answers = [Answer("tone", "bad"), Answer("topic", "price")]
            submit(database, Overlap(), seat.id, world.users[0], answers, key="k", now=3.0)
            postman = Postman(database, OPEN, holder="a", clock=clock)
            await postman.round()
            await postman.round()
            (event,) = json.loads(receiver.requests[0][1])["events"]
            assert (event["item"], event["user"], event["kind"]) == ("i0", "person 0", "labels")
            assert event["answers"]["tone"] == {"label": "bad", "confidence": 1.0}

    asyncio.run(one())


def test_after_a_replay_everything_comes_again_from_there(database):
    """A replay sends what came after an event once more, in order; a stopped hook goes on with it."""
    world, clock = running(database, n_items=0, n_users=0), Clock()

    async def again():
        async with receiving() as receiver:
            hook = hook_to(world, receiver.url)
            happen(world, *["labels"] * 5)
            postman = Postman(database, OPEN, holder="a", clock=clock)
            await postman.round()
            await postman.round()
            first = list(receiver.events)
            receiver.status = 410
            happen(world, "labels")
            await postman.round()
            await postman.round()
            assert hook_of(world).stopped_at is not None
            receiver.status = 200
            database.write(lambda c: outbox.replay(c, world.campaign.id, hook.id, after=first[2]))
            await postman.round()
            await postman.round()
            assert receiver.events[: len(first)] == first
            rest = receiver.events[len(first) :]
            assert rest[:3] == first[3:]
            assert rest == sorted(set(rest))
            assert hook_of(world).waiting == 0
            with pytest.raises(NotFoundError):
                database.write(lambda c: outbox.replay(c, world.campaign.id + 1, hook.id, after=0))

    asyncio.run(again())


@pytest.mark.slow
def test_after_a_week_without_success_the_hook_stops_and_keeps_what_waits(database):
    """The last of the tries stops the hook; its events stay, and the log says so."""
    world, clock = running(database, n_items=0, n_users=0), Clock()

    async def week():
        async with receiving() as receiver:
            receiver.status = 500
            hook_to(world, receiver.url)
            postman = Postman(database, OPEN, holder="a", clock=clock)
            start = clock.now
            await postman.round()
            while hook_of(world).stopped_at is None:
                await postman.round()
                clock.now += 3600
            assert 6 * 86_400 < clock.now - start < 9 * 86_400
            assert hook_of(world).waiting == 1
            assert hook_of(world).error == "HTTP 500"
            with database.reading() as connection:
                assert [e.kind for e in read_events(connection, world.campaign.id)][-1] == "hook stopped"

    asyncio.run(week())
    assert PATIENCE > 100


def test_a_private_address_is_told_nothing(database):
    """A hook whose URL leads into the private network fails, and its receiver hears nothing."""
    world, clock = running(database, n_items=0, n_users=0), Clock()

    async def inside():
        async with receiving() as receiver:
            hook_to(world, receiver.url)
            postman = Postman(database, Guard(), holder="a", clock=clock)
            await postman.round()
            await postman.round()
            assert not receiver.requests
            assert "no public address" in hook_of(world).error

    asyncio.run(inside())


def test_the_log_is_followed_without_a_gap(database):
    """An event that comes to light after a later one is still told: the end that is followed waits for it."""
    world, tail = running(database, n_items=0, n_users=0), Tail()

    def look() -> int:
        with database.reading() as connection:
            return tail.look(connection)

    def write(connection) -> None:
        record(connection, world.campaign.id, "labels", {}, now=1.0)

    if database.is_sqlite:
        write_and_look = []
        database.write(lambda c: (write(c), write_and_look.append(last_event(c))))
        assert look() == write_and_look[0]
        return
    look()
    before = look()
    with database.engine.connect() as slow, slow.begin():
        write(slow)
        database.write(write)
        with database.reading() as connection:
            assert last_event(connection) == before + 2
        assert [look() for _ in range(3)] == [before] * 3
    look()
    assert look() == before + 2


def test_a_signature_says_who_when_and_what():
    """Neither a later time, nor other bytes, nor another secret, nor no signature at all, passes."""
    good = {"x-quorate-timestamp": "1000", "x-quorate-signature": signature("s", 1000, b"{}")}
    assert verify_webhook("s", good, b"{}", now=1000.0)
    assert verify_webhook("s", {name.title(): value for name, value in good.items()}, b"{}", now=1299.0)
    stamp, signed = good
    for wrong in ({}, good | {stamp: "1001"}, good | {stamp: "²"}, good | {signed: "é"}):
        assert not verify_webhook("s", wrong, b"{}", now=1000.0)
