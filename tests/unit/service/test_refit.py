"""Fits in a process of their own: the service goes on whatever becomes of them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from quorate.service.engine import Engine, model_of_bytes
from quorate.service.refit import Refitter
from quorate.store.campaigns import read_archive, read_campaign
from quorate.store.fitting import Learning, ask_refit, read_models
from quorate.store.log import read_events
from quorate.store.rebuild import compare
from quorate.store.submit import rejudge
from unit.service.labeled import able, answer, campaign_of, constant
from unit.service.test_hooks import Clock

pytestmark = pytest.mark.slow  # every fit is a process
PEOPLE = (able(0.95), able(0.85), able(0.85), constant)
QUICK = Learning(estimator="dawid-skene", least_labels=100, every_s=60.0)


def refitter(world, url, clock, holder="a") -> Refitter:
    return Refitter(world.database, url, holder=holder, clock=clock)


def events(world, *kinds):
    with world.database.reading() as connection:
        return [e for e in read_events(connection, world.campaign.id, most=10**6) if e.kind in kinds]


def test_a_model_is_fitted_when_there_are_labels_enough(database, url):
    """With few labels the bootstrap stays; then the model comes, and again when labels have grown, not before."""
    world, clock = campaign_of(database, PEOPLE, 60, learning=QUICK), Clock()
    with_it = refitter(world, url, clock)

    async def campaign():
        answer(world, PEOPLE, most=10)
        assert await with_it.consider(world.campaign.id) is None
        answer(world, PEOPLE, most=10)
        assert (await with_it.consider(world.campaign.id)).version == 1
        assert await with_it.consider(world.campaign.id) is None
        answer(world, PEOPLE, most=1)
        clock.now += 61
        assert await with_it.consider(world.campaign.id) is None
        answer(world, PEOPLE, most=10)
        assert (await with_it.consider(world.campaign.id)).version == 2

    asyncio.run(campaign())
    with database.reading() as connection:
        assert read_campaign(connection, world.campaign.id).model_version == 2
        last, first = read_models(connection, world.campaign.id)
        model = model_of_bytes(read_archive(connection, world.campaign.id, 2))
    assert (last.estimator, model.name) == ("dawid-skene", "dawid-skene")
    assert (first.note["labels"], last.note["labels"]) == (160, 248)
    assert last.through_event > first.through_event


def test_a_spammer_weighs_less_after_the_fit(database, url):
    """Who always gives the same answer moves the consensus less than anybody else, once a model is fitted."""
    learning = Learning(least_labels=100)
    world, clock = campaign_of(database, PEOPLE, 120, learning=learning), Clock()
    answer(world, PEOPLE)
    assert asyncio.run(refitter(world, url, clock).consider(world.campaign.id)).outcome == "fitted"
    with database.reading() as connection:
        (fitted,) = read_models(connection, world.campaign.id)
        model = model_of_bytes(read_archive(connection, world.campaign.id, 1))
    moved = {}
    for person in ("person 0", "person 1", "person 2", "person 3"):
        session = model.session()
        before = session.probs("tone")[0]
        session.update("tone", person, "good")
        moved[person] = session.probs("tone")[0] - before
    assert moved["person 3"] < min(moved[f"person {i}"] for i in range(3))
    figures = {(each["agent"], each["task"]): each for each in fitted.note["agents"]}
    assert "constant" in figures["person 3", "tone"]["flags"]
    assert figures["person 0", "tone"]["accuracy"] > 0.85


def test_people_label_on_while_the_model_is_swapped(database, url):
    """Answers given during fit and swap are all kept, and afterwards every item stands as its log says."""
    world, clock, engine = campaign_of(database, PEOPLE, 80, learning=QUICK), Clock(), Engine()
    answer(world, PEOPLE, most=30)

    async def both():
        fitting = asyncio.create_task(refitter(world, url, clock).consider(world.campaign.id))
        given = 0
        while not fitting.done():
            given += await asyncio.to_thread(answer, world, PEOPLE, most=1, decider=engine, seed=given)
            await asyncio.sleep(0.05)
        assert (await fitting).outcome == "fitted"
        given += await asyncio.to_thread(answer, world, PEOPLE, decider=engine, seed=given)
        return given

    given = asyncio.run(both())
    assert given > 0
    last = 0
    while last is not None:
        last = rejudge(database, engine, world.campaign.id, now=2.0, after=last)
    assert len(events(world, "labels")) == 120 + given
    assert compare(database, Engine(), world.campaign.id).differences == ()


def test_two_processes_never_fit_the_same_campaign_at_the_same_time(database, url):
    """Of many who begin at once, one fits; when it ends the others find nothing to do."""
    world, clock = campaign_of(database, PEOPLE, 40, learning=QUICK), Clock()
    answer(world, PEOPLE)
    fitters = [refitter(world, url, clock, holder) for holder in "abcd"]

    async def together():
        found = await asyncio.gather(*(each.consider(world.campaign.id) for each in fitters))
        again = await asyncio.gather(*(each.consider(world.campaign.id) for each in fitters))
        return found, again

    found, again = asyncio.run(together())
    assert [each.outcome for each in found if each] == ["fitted"]
    assert again == [None] * 4
    assert len(events(world, "model fitted")) == 1


def test_who_lost_the_chore_swaps_nothing(database, url):
    """A process that slept so long that another took over cannot put its old model in."""
    world, clock = campaign_of(database, PEOPLE, 40, learning=QUICK), Clock()
    answer(world, PEOPLE)
    first, second = (refitter(world, url, clock, holder) for holder in "ab")

    async def overtaken():
        slow = asyncio.create_task(first.consider(world.campaign.id))
        while not first.running:  # noqa: ASYNC110 # a process is starting
            await asyncio.sleep(0.01)
        clock.now += 61
        database.write(lambda c: ask_refit(c, world.campaign.id, now=clock.now))
        quick = await second.consider(world.campaign.id)
        return await slow, quick

    slow, quick = asyncio.run(overtaken())
    assert (slow.outcome, quick.outcome) in {("taken over", "fitted"), ("fitted", "fitted")}
    assert len(events(world, "model fitted")) == [slow.outcome, quick.outcome].count("fitted")


def test_kill_9_of_the_fit_leaves_the_service_whole(database, url):
    """A fit that is killed is told in the log; the campaign goes on as it was, and the next fit succeeds."""
    learning = Learning(least_labels=100, every_s=60.0)
    world, clock = campaign_of(database, PEOPLE, 40, learning=learning), Clock()
    answer(world, PEOPLE, most=30)
    with_it = refitter(world, url, clock)

    async def killed():
        fitting = asyncio.create_task(with_it.consider(world.campaign.id))
        while not with_it.running:  # noqa: ASYNC110 # a process is starting
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        os.kill(with_it.running[world.campaign.id], signal.SIGKILL)
        ended = await fitting
        assert ended.outcome == "failed"
        assert "-9" in ended.reason
        assert not with_it.running
        assert answer(world, PEOPLE, most=2) == 8
        assert await with_it.consider(world.campaign.id) is None
        clock.now += 121
        return await with_it.consider(world.campaign.id)

    assert asyncio.run(killed()).version == 1
    assert [e.kind for e in events(world, "refit failed", "model fitted")] == ["refit failed", "model fitted"]


def test_a_fit_on_demand_begins_at_once_or_says_why_not(database, url):
    """What a lead asks for is not put off to the schedule; with too few labels the log says so."""
    learning = Learning(estimator="dawid-skene", least_labels=40, every_s=None)
    world, clock = campaign_of(database, PEOPLE, 20, learning=learning), Clock()
    with_it = refitter(world, url, clock)

    async def asked():
        database.write(lambda c: ask_refit(c, world.campaign.id, now=1.0))
        first = await with_it.consider(world.campaign.id)
        assert await with_it.consider(world.campaign.id) is None
        answer(world, PEOPLE)
        assert await with_it.consider(world.campaign.id) is None
        database.write(lambda c: ask_refit(c, world.campaign.id, now=1.0))
        return first, await with_it.consider(world.campaign.id)

    first, second = asyncio.run(asked())
    assert (first.outcome, second.outcome) == ("put off", "fitted")
    assert events(world, "refit put off")[0].body["reason"] == "0 labels are too few; the first fit needs 40"


def test_no_fit_outlives_the_service():
    """When the service is killed, the process that fits sees its input closed and ends too."""
    code = (
        "import asyncio, json, sys\n"
        "async def main():\n"
        "    p = await asyncio.create_subprocess_exec(sys.executable, '-c',"
        " 'import threading, time; from quorate.service.refit import _end_with_the_service;"
        " threading.Thread(target=_end_with_the_service, daemon=True).start(); time.sleep(600)',"
        " stdin=asyncio.subprocess.PIPE)\n"
        "    print(json.dumps(p.pid), flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    service = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    child = json.loads(service.stdout.readline())
    time.sleep(2)
    os.kill(service.pid, signal.SIGKILL)
    service.wait()
    service.stdout.close()
    for _ in range(600):  # it may still be starting
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("the fit lives on")
