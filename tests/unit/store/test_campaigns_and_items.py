"""Campaigns, items, people: versions, idempotent uploads, tokens; on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from quorate.errors import ConflictError, DataError, NotFoundError, SchemaError, SettingError
from quorate.store.campaigns import (
    add_campaign,
    add_model,
    change_policy,
    change_state,
    read_archive,
    read_campaign,
)
from quorate.store.items import NewItem, Uploaded, add_items, add_scores
from quorate.store.log import read_events
from quorate.store.overlap import Overlap
from quorate.store.people import add_token, add_user, disable_user, revoke_token, user_of_token
from quorate.store.queue import lease
from quorate.store.rebuild import compare, rebuild
from quorate.store.records import Settings
from quorate.store.rows import read_scores
from quorate.store.submit import Answer, rejudge, submit
from quorate.store.tables import items, scores
from unit.store.world import SCHEMA, running

GOOD = {"tone": {"m": {"good": 0.75, "bad": 0.25}}}


def test_of_two_changes_under_one_version_one_is_refused(database):
    """Fault 5: nothing is lost without a word."""
    world = running(database, n_items=1, n_users=1)
    policies = [{"policy": "minimum", "threshold": t} for t in (0.8, 0.9)]

    def change(policy):
        try:
            return database.write(
                lambda c: change_policy(c, world.campaign.id, policy, version=world.campaign.version, now=1.0)
            )
        except ConflictError:
            return None

    with ThreadPoolExecutor(2) as pool:
        done = [found for found in pool.map(change, policies) if found]
    assert len(done) == 1
    with database.reading() as connection:
        assert read_campaign(connection, world.campaign.id) == done[0]


def test_a_campaigns_life_has_no_short_cuts(database):
    """A draft is not done; nothing is asked while it is paused; every step is in the log."""
    world = running(database, n_items=1, n_users=1)
    paused = database.write(lambda c: change_state(c, world.campaign.id, "paused", version=2, now=1.0))
    assert lease(database, world.campaign.id, world.users[0], now=1.0) is None
    with pytest.raises(ConflictError, match="cannot become draft"):
        database.write(lambda c: change_state(c, world.campaign.id, "draft", version=paused.version, now=1.0))
    with database.reading() as connection:
        kinds = [event.kind for event in read_events(connection, world.campaign.id)]
    assert kinds == ["campaign made", "items added", "campaign state", "campaign state"]


def test_the_same_upload_twice_makes_no_item_twice(database):
    """Fault 9: idempotent by external id; another content under the same id is refused, whole."""
    world = running(database, n_items=3, n_users=1)
    new = [NewItem(f"x{i}", {"text": f"{i}"}, gold={"tone": "good"}, scores=GOOD) for i in range(1100)]
    first = database.write(lambda c: add_items(c, world.campaign, iter(new), now=1.0))
    again = database.write(lambda c: add_items(c, world.campaign, iter(new), now=2.0))
    assert (first, again) == (Uploaded(1100, 0), Uploaded(0, 1100))
    changed = [NewItem("new", {}), NewItem("x7", {"text": "other"})]
    with pytest.raises(ConflictError, match="'x7'"):
        database.write(lambda c: add_items(c, world.campaign, changed, now=3.0))
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(items)).scalar_one() == 1103
        assert connection.execute(select(func.count()).select_from(scores)).scalar_one() == 1100


@pytest.mark.parametrize(
    "bad",
    [
        NewItem("", {}),
        NewItem("a\x00b", {}),
        NewItem("x" * 501, {}),
        NewItem("a", {"n": float("nan")}),
        NewItem("a", {}, gold={"tone": "nope"}),
        NewItem("a", {}, gold={"nope": "good"}),
        NewItem("a", {}, scores={"tone": {"m": {"good": 2.5}}}),
        NewItem("a", {}, scores={"tone": {"m": {"good": float("nan"), "bad": 0.5}}}),
        NewItem("a", {}, scores={"tone": {"m": {"good": 0.5, "nope": 0.5}}}),
        NewItem("b", {}),
    ],
)
def test_one_bad_item_keeps_the_whole_upload_out(database, bad):
    """Fault 8: one error, and the tables are as before (the last is there twice in its own file)."""
    world = running(database, n_items=1, n_users=1)
    with pytest.raises((DataError, SchemaError)):
        database.write(lambda c: add_items(c, world.campaign, [NewItem("b", {}), bad], now=1.0))
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(items)).scalar_one() == 1


def test_new_scores_stand_in_the_place_of_the_old(database):
    """Per item, model and task the last ones count; an item that there is not is refused."""
    world = running(database, n_items=2, n_users=1)
    other = {"tone": {"m": {"good": 0.125, "bad": 0.875}}}
    for said in (GOOD, other):
        touched = database.write(lambda c, said=said: add_scores(c, world.campaign, {"i0": said}, now=1.0))
    with database.reading() as connection:
        assert read_scores(connection, world.campaign, touched[0]) == other
    with pytest.raises(DataError, match="no item"):
        database.write(lambda c: add_scores(c, world.campaign, {"nope": GOOD}, now=1.0))


def test_a_rebuild_finds_and_mends_what_was_altered(database):
    """A row that is not what its log says is named, and after the rebuild it is."""
    world = running(database, n_items=3, n_users=1)
    user = world.users[0]
    held = lease(database, world.campaign.id, user, now=1.0)
    submit(database, Overlap(), held.id, user, [Answer("tone", "bad")], key="k", now=1.0)
    assert compare(database, Overlap(), world.campaign.id).differences == ()
    database.write(lambda c: c.execute(items.update().where(items.c.id == held.item_id).values(room=0, priority=9.0)))
    found = rebuild(database, Overlap(), world.campaign.id)
    assert {(each.external_id, each.what) for each in found.differences} == {
        (held.external_id, "room"),
        (held.external_id, "priority"),
    }
    assert compare(database, Overlap(), world.campaign.id) == (3, ())


def test_judging_anew_under_a_tighter_cap_closes_what_has_enough(database):
    """After a change of policy or settings the items follow when they are judged anew."""
    world = running(database, n_items=2, n_users=1)
    user = world.users[0]
    held = lease(database, world.campaign.id, user, now=1.0)
    submit(database, Overlap(), held.id, user, [Answer("tone", "bad")], key="k", now=1.0)

    class Once(Overlap):
        def decide(self, campaign, evidence):
            return super().decide(campaign._replace(settings=Settings(overlap=1)), evidence)

    last = rejudge(database, Once(), world.campaign.id, now=2.0)
    assert rejudge(database, Once(), world.campaign.id, now=2.0, after=last) is None
    with database.reading() as connection:
        closed = [e.body["closed"] for e in read_events(connection, world.campaign.id) if e.kind == "judged"]
    assert closed == [["tone"]]


def test_models_take_their_versions_one_after_the_other(database):
    """The last one decides; each can be read again."""
    world = running(database, n_items=1, n_users=1)
    for n in (1, 2):
        made = database.write(
            lambda c, n=n: add_model(c, world.campaign.id, b"%d" % n, "hybrid", through_event=n, now=1.0)
        )
        assert made == n
    with database.reading() as connection:
        assert read_campaign(connection, world.campaign.id).model_version == 2
        assert read_archive(connection, world.campaign.id, 1) == b"1"
        with pytest.raises(NotFoundError):
            read_archive(connection, world.campaign.id, 3)


def test_a_token_opens_until_it_is_revoked_expires_or_its_user_leaves(database):
    """Fault 16, as far as the store: the text is nowhere in the tables, and a void token is nobody's."""

    def make(c):
        user = add_user(c, "ann", "lead", now=0.0)
        return user, add_token(c, user.id, "laptop", now=0.0), add_token(c, user.id, "day", now=0.0, days=1.0)

    user, token, daily = database.write(make)

    def who(text, now):
        with database.reading() as connection:
            return user_of_token(connection, text, now=now)

    assert who(token.text, 1.0) == who(daily.text, 1.0) == user
    assert who(daily.text, 86_400.0) is None
    assert who(token.text + "x", 1.0) is None
    database.write(lambda c: revoke_token(c, user.id, daily.id, now=2.0))
    assert who(daily.text, 3.0) is None
    database.write(lambda c: disable_user(c, user.id, now=4.0))
    assert who(token.text, 5.0) is None


def test_names_are_taken_once(database):
    """A second user or campaign of a name is refused; so is a campaign that asks nothing."""
    world = running(database, n_items=1, n_users=1)
    with pytest.raises(ConflictError):
        database.write(lambda c: add_user(c, "person 0", "reader", now=0.0))
    with pytest.raises(ConflictError):
        database.write(lambda c: add_campaign(c, world.campaign.name, SCHEMA, now=0.0))
    with pytest.raises(SettingError):
        database.write(lambda c: add_campaign(c, "empty", type(SCHEMA)(()), now=0.0))
