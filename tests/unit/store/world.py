"""A running campaign to test with."""

from __future__ import annotations

from typing import NamedTuple

from quorate.schema import Schema, Task
from quorate.store.campaigns import add_campaign, change_state, read_campaign
from quorate.store.database import Database
from quorate.store.items import NewItem, add_items
from quorate.store.people import add_member, add_user
from quorate.store.records import Campaign, Settings

SCHEMA = Schema((Task("tone", ("good", "bad")), Task("topic", ("food", "price", "staff"))))


class World(NamedTuple):
    """A running campaign."""

    database: Database
    campaign: Campaign
    users: tuple[int, ...]


def running(
    database: Database, *, n_items: int, n_users: int, settings: Settings | None = None, now: float = 0.0
) -> World:
    """A running campaign with items "i0", "i1", ... and that many members."""

    def make(connection):
        people = [add_user(connection, f"person {i}", "annotator", now=now).id for i in range(n_users)]
        campaign = add_campaign(connection, "reviews", SCHEMA, settings=settings, now=now)
        for person in people:
            add_member(connection, campaign.id, person)
        add_items(connection, campaign, (NewItem(f"i{i}", {"text": f"text {i}"}) for i in range(n_items)), now=now)
        change_state(connection, campaign.id, "running", version=campaign.version, now=now)
        return World(database, read_campaign(connection, campaign.id), tuple(people))

    return database.write(make)
