"""Labels that were given in another tool."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from quorate.errors import DataError, NotFoundError
from quorate.store import queue, submit
from quorate.store.campaigns import add_campaign
from quorate.store.database import Database
from quorate.store.items import NewItem, add_items
from quorate.store.labels import Said, delete_imported, import_labels
from quorate.store.log import read_events
from quorate.store.overlap import Overlap
from quorate.store.reading import labels_of_item, read_item
from quorate.store.rebuild import compare
from quorate.store.records import Settings
from quorate.store.submit import Answer
from quorate.store.tables import campaigns, users
from unit.store.laws import check
from unit.store.world import running

DECIDER = Overlap()


def take(world, *rows, now=10.0):
    return world.database.write(lambda connection: import_labels(connection, DECIDER, world.campaign, rows, now))


def gone(world, *sources, now=20.0):
    return world.database.write(lambda connection: delete_imported(connection, DECIDER, world.campaign, sources, now))


def standing(world, item="i0"):
    """Task and person to the label that stands."""
    with world.database.reading() as connection:
        rows = labels_of_item(connection, read_item(connection, world.campaign.id, item).id)
    return {(row["task"], row["annotator"]): row["label"] for row in rows if not row["withdrawn"]}


def sound(world):
    """The queue's laws hold, and every row is what the log says."""
    check(world.database, world.campaign.id)
    assert compare(world.database, DECIDER, world.campaign.id).differences == ()


def test_what_is_sent_again_changes_nothing(database):
    """With the tool's own name for it, and without."""
    world = running(database, n_items=2, n_users=0)
    rows = [
        Said("i0", "ann@x.org", {"tone": "good", "topic": "food"}, at=3.0, seconds=4.0, source="ls:1", version="a"),
        Said("i1", "bo", {"tone": "bad"}),
    ]
    assert take(world, *rows)[:4] == (3, 0, 0, 0)
    assert take(world, *rows)[:4] == (0, 0, 3, 0)
    assert standing(world) == {("tone", "ann@x.org"): "good", ("topic", "ann@x.org"): "food"}
    with database.reading() as connection:
        kinds = [event.kind for event in read_events(connection, world.campaign.id)]
        (ann,) = connection.execute(select(users).where(users.c.name == "ann@x.org")).all()
    assert kinds.count("labels") == 2
    assert (ann.role, ann.password_hash) == ("annotator", None)
    sound(world)


def test_a_changed_annotation_replaces_a_deleted_one_goes_and_neither_comes_back(database):
    """Versions decide, not the order of arrival; after a deletion nothing of the annotation is taken."""
    world = running(database, n_items=1, n_users=0)
    first = Said("i0", "ann", {"tone": "good", "topic": "food"}, source="ls:1", version="2026-01-01")
    second = Said("i0", "ann", {"tone": "bad"}, source="ls:1", version="2026-01-02")
    take(world, first)
    assert take(world, second)[:2] == (1, 2)
    assert take(world, first)[:2] == (0, 0)
    assert standing(world) == {("tone", "ann"): "bad"}
    assert gone(world, "ls:1", "ls:unknown")[:2] == (0, 1)
    assert take(world, second._replace(version="2026-01-03"))[:2] == (0, 0)
    assert standing(world) == {}
    sound(world)


def test_an_annotation_that_was_given_to_another_person_moves(database):
    """Label Studio lets its users do that."""
    world = running(database, n_items=1, n_users=0)
    take(world, Said("i0", "ann", {"tone": "good"}, source="ls:1", version="1"))
    assert take(world, Said("i0", "bo", {"tone": "good"}, source="ls:1", version="2"))[:2] == (1, 1)
    assert standing(world) == {("tone", "bo"): "good"}
    sound(world)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["ls:1", "ls:2", "ls:3", "ls:4"]),
        st.dictionaries(st.sampled_from(["tone", "topic"]), st.integers(0, 1), min_size=0),
    ),
    min_size=1,
    max_size=10,
)
OF = {"ls:1": ("i0", "ann"), "ls:2": ("i0", "ann"), "ls:3": ("i0", "bo"), "ls:4": ("i1", "ann")}
CLASSES = {"tone": ("good", "bad"), "topic": ("food", "price")}


@settings(max_examples=12)
@given(CHANGES, st.sets(st.sampled_from(sorted(OF))), st.randoms())
def test_what_stands_is_what_the_tool_said_last(changes, deleted, chance):
    """In whatever order and however often its messages come: of each person and task the latest annotation decides."""
    rows, last = [], {}
    for number, (source, answers) in enumerate(changes):
        item, person = OF[source]
        said = {task: CLASSES[task][label] for task, label in answers.items()}
        rows.append(Said(item, person, said, source=source, version=f"{number:04}"))
        last[source] = rows[-1]
    sent = [*rows, *rows]
    chance.shuffle(sent)
    with TemporaryDirectory() as folder:
        database = Database.open(f"sqlite:///{Path(folder) / 'q.db'}")
        world = running(database, n_items=2, n_users=0)
        for row in sent:
            take(world, row)
        gone(world, *deleted)
        for row in rows:
            take(world, row)
        sound(world)
        stays = sorted((r for s, r in last.items() if s not in deleted), key=lambda row: row.version)
        for item in ("i0", "i1"):
            expected = {
                (task, row.person): label for row in stays if row.item == item for task, label in row.answers.items()
            }
            assert standing(world, item) == expected
        database.close()


def test_who_answered_elsewhere_gives_the_seat_back(database):
    """The seat held here ends with its money; the person is asked about the item no more, until all is taken back."""
    world = running(database, n_items=1, n_users=1)
    seat = queue.lease(database, world.campaign.id, world.users[0], now=1.0)
    take(world, Said("i0", "person 0", {"tone": "good"}, source="ls:1", version="1"))
    sound(world)
    with pytest.raises(NotFoundError):
        submit.submit(database, DECIDER, seat.id, world.users[0], [Answer("tone", "bad")], key="k", now=11.0)
    assert queue.lease(database, world.campaign.id, world.users[0], now=12.0) is None
    gone(world, "ls:1")
    again = queue.lease(database, world.campaign.id, world.users[0], now=21.0)
    submit.submit(database, DECIDER, again.id, world.users[0], [Answer("tone", "bad")], key="k2", now=22.0)
    assert standing(world) == {("tone", "person 0"): "bad"}
    sound(world)


def test_more_than_were_asked_are_late_or_refused(database):
    """The tool does not hold the overlap; what is beyond it is evidence marked late, or refused by the campaign."""
    rows = [Said("i0", f"p{n}", {"tone": "good"}) for n in range(3)]
    for late, expected in (("keep", (3, 0)), ("refuse", (2, 1))):
        path = Settings(overlap=2, late=late)
        world = running(database, n_items=1, n_users=0, settings=path) if late == "keep" else _second(world, path)
        taken = take(world, *rows)
        assert (taken.added, taken.refused) == expected
        assert taken.closed == 1
        sound(world)


def _second(world, path):
    def make(connection):
        campaign = add_campaign(connection, "second", world.campaign.schema, settings=path, now=0.0)
        add_items(connection, campaign, [NewItem("i0", {})], now=0.0)
        return campaign

    return world._replace(campaign=world.database.write(make))


def test_labels_cost_what_they_cost_here(database):
    """Spending grows with labels and falls with those withdrawn."""
    world = running(database, n_items=1, n_users=0)
    priced = world.campaign._replace(prices={"label": 0.5})
    world = world._replace(campaign=priced)
    with database.engine.begin() as connection:
        connection.execute(campaigns.update().values(prices={"label": 0.5}))
    take(world, Said("i0", "ann", {"tone": "good", "topic": "food"}, source="ls:1", version="1"))
    assert _spent(world) == 1.0
    take(world, Said("i0", "ann", {"tone": "good"}, source="ls:1", version="2"))
    assert _spent(world) == 0.5


def _spent(world):
    with world.database.reading() as connection:
        return connection.execute(select(campaigns.c.spent)).scalar_one()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Said("nowhere", "ann", {}), "row 2, column 'item'"),
        (Said("i0", "ann", {"taste": "good"}), "there is no task 'taste'"),
        (Said("i0", "ann", {"tone": "Bogus"}), "no class 'Bogus'"),
        (Said("i0", "", {}), "column 'annotator'"),
        (Said("i0", "a\x00", {}), "column 'annotator'"),
        (Said("i0", "ann", {}, seconds=-1.0), "is no time"),
        (Said("\x00", "ann", {}), "there is no item"),
        (Said("i0", "ann", {}, source="x" * 300), "column 'source'"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_kept(database, row, message):
    """All or nothing; the error says which row."""
    world = running(database, n_items=1, n_users=0)
    with pytest.raises(DataError, match=message):
        take(world, Said("i0", "ann", {"tone": "good"}), row)
    assert standing(world) == {}
