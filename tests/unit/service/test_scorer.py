"""Models score a campaign's items in the background: a real server of models, real sockets, both databases."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select

from quorate.llm.testing.faults import Fault
from quorate.llm.testing.replies import Row
from quorate.llm.testing.server import FakeServer
from quorate.service.desk import Desk
from quorate.service.engine import Engine
from quorate.service.guard import Guard
from quorate.service.offer import Offer
from quorate.service.scorer import HOLD_S, Scorer
from quorate.service.state import Service, ServiceSettings
from quorate.store import chores
from quorate.store.asking import Labeler
from quorate.store.campaigns import change_campaign, change_state, read_campaign, settings_json
from quorate.store.database import Database
from quorate.store.items import NewItem, add_items
from quorate.store.log import read_events
from quorate.store.reading import scores_of_item
from quorate.store.rebuild import compare
from quorate.store.records import Settings
from quorate.store.scoring import chore_name, read_scoring
from quorate.store.tables import items, scores
from unit.service.campaign import ready
from unit.service.test_hooks import Clock
from unit.store.world import World, running

MODELS = ("fake-small", "fake-large")
PRICE = {"prompt": 1.0, "completion": 2.0, "date": "2026-11-01", "source": "a test"}
CAP = 0.004  # US dollars, for some of thirty items
KEY = "sk-very-secret"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Asked(NamedTuple):
    """A campaign with a labeler, and a process's background work on it."""

    world: World
    scorer: Scorer
    clock: Clock

    def once(self) -> Any:
        """One turn."""
        return asyncio.run(self.scorer.consider(self.world.campaign.id))

    def all(self) -> None:
        """Turns until there is nothing to do."""
        while self.once().looked_at:
            pass

    def standing(self) -> Any:
        """How it stands, for a lead."""
        with self.world.database.reading() as connection:
            settings = read_campaign(connection, self.world.campaign.id).settings
            return read_scoring(connection, self.world.campaign.id, settings)

    def kinds(self) -> list[tuple[str, Any]]:
        """Events about it."""
        with self.world.database.reading() as connection:
            return [(e.kind, dict(e.body)) for e in read_events(connection, self.world.campaign.id)][2:]

    def scored(self) -> set[tuple[str, str, str]]:
        """Item, model and task of every score."""
        chosen = select(items.c.external_id, scores.c.model, scores.c.task).join(items, items.c.id == scores.c.item_id)
        with self.world.database.reading() as connection:
            return {tuple(row) for row in connection.execute(chosen)}


def scorer_of(database: Database, url: str, offer: Offer | None, clock: Clock, **more: Any) -> Scorer:
    """The scorer of a process of its own."""
    engine = Engine()
    settings = ServiceSettings(database=url, offer=offer)
    service = Service(settings, database, engine, Desk(database, engine, clock=clock), clock)
    chosen = {"holder": f"process {id(service)}", "environment": {"QUORATE_API_KEY": KEY}} | more
    return Scorer(service, engine, Guard(allow_private=True), **chosen)


def offer_of(server: FakeServer | str, folder: Path, **more: Any) -> Offer:
    """An offer of the fake models at a known price."""
    prices = folder / "prices.json"
    prices.write_text(json.dumps({"models": dict.fromkeys(MODELS, PRICE)}))
    url = server if isinstance(server, str) else server.url
    return Offer(MODELS, url, folder=str(folder / "calls"), prices=str(prices), **more)


def asked_of(database: Database, url: str, offer: Offer, *, n_items: int = 6, **labeler: Any) -> Asked:
    """A running campaign of two tasks."""
    wanted = Labeler(**{"models": MODELS[:1], "cap_usd": 1.0, **labeler})
    world, clock = running(database, n_items=n_items, n_users=1, settings=Settings(labeler=wanted)), Clock()
    return Asked(world, scorer_of(database, url, offer, clock), clock)


def read_campaign_of(world: World) -> Any:
    """The campaign as it is now."""
    with world.database.reading() as connection:
        return read_campaign(connection, world.campaign.id)


def relabel(asked: Asked, **labeler: Any) -> None:
    """Another labeler from now on."""

    def work(connection: Any) -> None:
        before = read_campaign(connection, asked.world.campaign.id)
        settings = settings_json(Settings(labeler=Labeler(**{"models": MODELS[:1], "cap_usd": 1.0, **labeler})))
        change_campaign(connection, before.id, {"settings": settings}, version=before.version, now=1.0)

    asked.world.database.write(work)


def test_every_item_gets_scores_of_every_model_and_what_came_later_too(database, url, tmp_path):
    """Each item, model and task once; an upload meanwhile is found; nothing is asked twice, and money is told."""
    with FakeServer() as server:
        asked = asked_of(database, url, offer_of(server, tmp_path), models=MODELS)
        asked.all()
        calls = server.counts.received
        database.write(lambda c: add_items(c, asked.world.campaign, [NewItem("late", {"text": "more"})], now=2.0))
        asked.all()
        asked.all()
        assert (calls, server.counts.received) == (12, 14)
    every = [*(f"i{i}" for i in range(6)), "late"]
    assert asked.scored() == {(item, model, task) for item in every for model in MODELS for task in ("tone", "topic")}
    found = asked.standing()
    assert (found.items, found.scored, found.failed, found.stopped) == (7, 7, 0, None)
    prompts, completions = server.counts.prompt_tokens, server.counts.completion_tokens
    assert found.spent_usd == pytest.approx((prompts + 2 * completions) / 1e6)


def test_scores_close_what_the_policy_is_sure_of(database, url, tmp_path):
    """With a fitted model, the items touched are judged at once, and stand as a rebuild from the log says."""
    ground = ready(database, n_items=12)
    with database.reading() as connection:
        campaign = read_campaign(connection, ground.campaign)
    new = [NewItem(f"new {i}", {"text": f"new {i}"}) for i in range(4)]
    models = sorted({model for said in ground.scores.values() for of in said.values() for model in of})
    sure = [
        Row(f"new {i}", None, None, {task.name: [0.98, 0.01, 0.01] for task in campaign.schema.tasks}, None)
        for i in range(4)
    ]
    settings = Settings(overlap=8, together=1, labeler=Labeler(tuple(models), 5.0))

    def add(connection: Any) -> None:
        values = {"settings": settings_json(settings)}
        after = change_campaign(connection, campaign.id, values, version=campaign.version, now=1.0)
        add_items(connection, after, new, now=1.0)

    database.write(add)
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"models": dict.fromkeys(models, PRICE)}))
    with FakeServer(table=sure) as server:
        offer = Offer(tuple(models), server.url, folder=str(tmp_path / "calls"), prices=str(prices))
        done = asyncio.run(scorer_of(database, url, offer, Clock()).consider(campaign.id))
    assert done.scored == 4
    assert server.counts.received == 4 * len(models)  # what has scores of these models is not asked about
    with database.reading() as connection:
        states = connection.execute(select(items.c.state).where(items.c.external_id.like("new %"))).scalars().all()
    assert not any(task["open"] for state in states for task in state.values())
    assert compare(database, Engine(), campaign.id).differences == ()


def test_the_cap_holds_over_restarts_and_a_higher_one_goes_on(database, url, tmp_path):
    """Never more than the cap is spent, whoever starts anew; the reason is told once, and mends with the setting."""
    with FakeServer() as server:
        offer = offer_of(server, tmp_path, in_flight=2)
        asked = asked_of(database, url, offer, n_items=30, cap_usd=CAP)
        asked.all()
        spent, calls = asked.standing().spent_usd, server.counts.received
        assert 0 < spent <= CAP
        assert 0 < calls < 30
        asked.clock.now += 10**6
        scorer_of(database, url, offer, asked.clock)
        again = Asked(asked.world, scorer_of(database, url, offer, asked.clock), asked.clock)
        again.all()
        assert server.counts.received == calls
        found = asked.standing()
        assert (found.stopped, found.next_at) == ("the cap is reached; raise it to go on", None)
        assert [kind for kind, _ in asked.kinds()].count("models not asked") == 1
        relabel(asked, cap_usd=1.0)
        again.all()
        assert server.counts.received == 30
    assert asked.standing().scored == 30
    assert asked.standing().spent_usd > CAP


def test_a_lost_record_of_calls_gives_no_money_back(database, url, tmp_path):
    """What the database knows was spent counts even where the file is gone."""
    with FakeServer() as server:
        offer = offer_of(server, tmp_path, in_flight=2)
        asked = asked_of(database, url, offer, n_items=30, cap_usd=CAP)
        asked.all()
        spent = asked.standing().spent_usd
        for path in (tmp_path / "calls").iterdir():
            path.unlink()
        relabel(asked, cap_usd=spent + 0.002)
        asked.all()
    assert spent < asked.standing().spent_usd <= spent + 0.002


def test_a_server_that_is_down_is_told_and_asked_again_later(database, url, tmp_path):
    """Nobody answers: the reason and the time of the next try are told, waits double, and then it goes on."""
    with FakeServer() as server:
        address = server.url
    offer = offer_of(address, tmp_path)
    asked = asked_of(database, url, offer)
    assert asked.once() == (0, 0)
    found = asked.standing()
    assert found.stopped == "the models' server cannot be reached, or breaks off; it is tried again later"
    assert found.next_at == asked.clock.now + 15
    assert asked.once() == (0, 0)
    asked.clock.now += 16
    asked.once()
    assert asked.standing().next_at == asked.clock.now + 30
    asked.clock.now += 31
    host, _, port = address.removeprefix("http://").removesuffix("/v1").partition(":")
    with FakeServer(host=host, port=int(port)):
        asked.all()
    assert (asked.standing().scored, asked.standing().stopped) == (6, None)
    told = [body["reason"] for kind, body in asked.kinds() if kind == "models not asked"]
    assert told == [found.stopped, None]


def test_an_item_that_fails_is_tried_again_and_told_by_name(database, url, tmp_path):
    """One refused item hinders no other; after three tries it is left, and the lead sees which and why."""
    faults = [Fault("bad-request", at=(3,)), Fault("bad-request", at=(7, 8))]
    with FakeServer(faults=faults) as server:
        asked = asked_of(database, url, offer_of(server, tmp_path, in_flight=1))
        asked.all()
        found = asked.standing()
        assert (found.scored, found.failed, found.failures[0]["tries"]) == (5, 1, 1)
        assert found.failures[0]["why"] == "the server cannot use it: too long, perhaps"
        for wait_s in (61, 601, 10**6):
            asked.clock.now += wait_s
            asked.all()
        assert server.counts.received == 8
    assert asked.standing().failures[0]["tries"] == 3
    assert asked.standing().scored == 5


def test_what_shows_no_probabilities_is_told_before_much_is_paid(database, url, tmp_path):
    """Labels without probabilities are no scores; another kind of confidence is a setting away."""
    with FakeServer(faults=[Fault("no-logprobs", share=1.0)]) as server:
        asked = asked_of(database, url, offer_of(server, tmp_path))
        asked.all()
        assert asked.scored() == set()
        assert "labeler.confidence" in asked.standing().stopped
        relabel(asked, confidence="verbalised")
        asked.all()
    assert asked.standing().scored == 6


def test_restricted_items_are_never_sent(database, url, tmp_path):
    """Neither one that is marked in its row, nor one whose content says so, whoever put it there."""
    with FakeServer(keep_bodies=True) as server:
        asked = asked_of(database, url, offer_of(server, tmp_path), n_items=3)

        def mark(connection: Any) -> None:
            of = items.update().where
            connection.execute(of(items.c.external_id == "i0").values(restricted=True))
            connection.execute(of(items.c.external_id == "i1").values(content={"text": "text 1", "Restricted": "yes"}))

        database.write(mark)
        asked.all()
        sent = b"".join(server.bodies).decode()
    assert "text 2" in sent
    assert "text 0" not in sent
    assert "text 1" not in sent
    assert {item for item, _, _ in asked.scored()} == {"i2"}
    assert [each["why"] for each in asked.standing().failures] == ["it is restricted"]


def test_pictures_go_by_content_and_what_models_cannot_read_is_said(database, url, tmp_path):
    """A PNG in the item is sent as it is; a drawing is not, and the lead is told."""
    inline = "data:image/png;base64," + base64.b64encode(PNG).decode()
    new = [
        NewItem("photo", {"image": inline, "caption": "a dot"}),
        NewItem("drawing", {"image": "data:image/svg+xml,<svg/>"}),
        NewItem("chat", {"turns": [{"role": "user", "content": "hi there"}], "n": 3}),
    ]
    with FakeServer(keep_bodies=True) as server:
        asked = asked_of(database, url, offer_of(server, tmp_path), n_items=0)
        database.write(lambda c: add_items(c, asked.world.campaign, new, now=1.0))
        asked.all()
        sent = b"".join(server.bodies).decode()
    assert base64.b64encode(PNG).decode() in sent
    assert "a dot" in sent
    assert "user: hi there" in sent
    assert {item for item, _, _ in asked.scored()} == {"photo", "chat"}
    assert [each["why"] for each in asked.standing().failures] == [
        "its picture cannot be shown to a model: models read PNG, JPEG, GIF and WebP"
    ]


def test_neither_key_nor_address_is_kept_or_told(database, url, tmp_path, caplog):
    """Not in a row of the database, in what leads read, in the log, or in the settings handed to other processes."""
    caplog.set_level(logging.DEBUG)
    with FakeServer(faults=[Fault("auth", share=1.0)], keep_bodies=True) as server:
        offer = offer_of(server, tmp_path)
        asked = asked_of(database, url, offer)
        asked.all()
        sent = b"".join(server.bodies).decode()
        address = server.url
    assert KEY in sent
    assert asked.standing().stopped.startswith("the models' server does not accept the key")
    with database.reading() as connection:
        rows = [str(connection.execute(select(table)).all()) for table in items.metadata.sorted_tables]
    for text in (*rows, caplog.text, str(asked.standing()), ServiceSettings(offer=offer).to_json()):
        assert KEY not in text
    for text in (*rows, caplog.text, str(asked.standing())):
        assert address not in text


def test_of_two_processes_one_asks(database, url, tmp_path):
    """Both at once ask about every item once; the second goes on when the first is gone."""
    with FakeServer(latency_s=0.05) as server:
        offer = offer_of(server, tmp_path)
        asked = asked_of(database, url, offer, n_items=20)
        other = scorer_of(database, url, offer, asked.clock)

        async def both() -> Any:
            campaign = asked.world.campaign.id
            return await asyncio.gather(asked.scorer.consider(campaign), other.consider(campaign))

        assert sorted(asyncio.run(both())) == [(0, 0), (20, 20)]
        assert server.counts.received == 20


def test_called_off_in_the_midst_it_lands_and_nothing_is_paid_twice(database, url, tmp_path):
    """A service that ends in good order lets calls in flight land; the next goes on and asks only the rest."""
    with FakeServer(latency_s=0.2) as server:
        offer = offer_of(server, tmp_path, in_flight=4)
        asked = asked_of(database, url, offer, n_items=16)

        async def ended() -> None:
            working = asyncio.create_task(asked.scorer.consider(asked.world.campaign.id))
            while server.counts.received < 6:  # noqa: ASYNC110 # the server counts in a thread of its own
                await asyncio.sleep(0.01)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

        asyncio.run(ended())
        assert server.counts.received < 16
        Asked(asked.world, scorer_of(database, url, offer, asked.clock), asked.clock).all()
        assert server.counts.received == 16
        assert server.counts.totals()["billed_twice"] == 0
    assert asked.standing().scored == 16


@pytest.mark.parametrize("change", ["pause", "another labeler", "another process"])
def test_what_is_not_wanted_any_more_is_called_off_in_the_midst(database, url, tmp_path, change):
    """A lead who pauses or changes the labeler stops paying at once, and so does a process that lost its chore."""
    with FakeServer(latency_s=0.2) as server:
        offer = offer_of(server, tmp_path, in_flight=2)
        asked = asked_of(database, url, offer, n_items=40)
        scorer = scorer_of(database, url, offer, asked.clock, renew_s=0.05)

        def changed() -> None:
            campaign = read_campaign_of(asked.world)
            if change == "pause":
                database.write(lambda c: change_state(c, campaign.id, "paused", version=campaign.version, now=1.0))
            elif change == "another labeler":
                relabel(asked, models=MODELS[1:])
            else:
                asked.clock.now += 2 * HOLD_S  # the process slept for so long that its chore was free
                taken = database.write(
                    lambda c: chores.take(c, chore_name(campaign.id), "another", now=asked.clock(), for_s=HOLD_S)
                )
                assert taken is not None

        async def worked() -> Any:
            working = asyncio.create_task(scorer.consider(asked.world.campaign.id))
            while server.counts.received < 6:  # noqa: ASYNC110 # the server counts in a thread of its own
                await asyncio.sleep(0.01)
            await asyncio.to_thread(changed)
            return await working

        assert asyncio.run(worked()) == (0, 0)
        assert server.counts.received < 20


def test_scores_that_a_gone_process_kept_are_judged_by_the_next(database, url, tmp_path, monkeypatch):
    """Between scores and verdicts the process dies: whoever comes next judges those items first."""
    with FakeServer() as server:
        offer = offer_of(server, tmp_path)
        asked = asked_of(database, url, offer)

        def die(_campaign: Any, ids: Any) -> None:
            if ids:
                raise RuntimeError("killed")

        judged: list[Any] = []
        monkeypatch.setattr(asked.scorer, "_judge", die)
        with pytest.raises(RuntimeError):
            asked.once()
        other = scorer_of(database, url, offer, asked.clock)
        monkeypatch.setattr(other, "_judge", lambda _campaign, ids: judged.append(list(ids)))
        Asked(asked.world, other, asked.clock).all()
        assert server.counts.received == 6
    with database.reading() as connection:
        every = list(connection.execute(select(items.c.id).order_by(items.c.id)).scalars())
        assert scores_of_item(connection, every[0])
    assert judged[0] == every


def test_a_model_that_is_no_longer_offered_is_named(database, url, tmp_path):
    """The campaign says what it misses, and what there is."""
    with FakeServer() as server:
        asked = asked_of(database, url, offer_of(server, tmp_path), models=("gone",))
        asked.all()
        assert server.counts.received == 0
    expected = "model 'gone' is not offered here; choose among fake-small, fake-large"
    assert asked.standing().stopped == expected
