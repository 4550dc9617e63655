"""The queue's laws, read from the tables: what must hold between any two transactions."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import select

from quorate.store.campaigns import read_campaign
from quorate.store.database import Database
from quorate.store.records import room, state_from_json
from quorate.store.rows import read_labels
from quorate.store.tables import items, labels, leases


def check(database: Database, campaign_id: int) -> set[tuple[int, str, int]]:
    """No item and task has more labels in time than the overlap; all counters are what they count.

    What stands is given back: item, task and person of every live label.
    """
    standing: set[tuple[int, str, int]] = set()
    with database.reading() as connection:
        settings = read_campaign(connection, campaign_id).settings
        open_leases = connection.execute(select(leases).where(leases.c.state == "open")).all()
        seats = Counter((row.item_id, task) for row in open_leases for task in row.tasks)
        people = Counter(row.item_id for row in open_leases)
        for item in connection.execute(select(items).where(items.c.campaign_id == campaign_id)).all():
            live = read_labels(connection, item.id).live
            state = state_from_json(item.state)
            assert item.leased == people[item.id]
            assert item.room == room(state, settings, item.leased)
            for name, task in state.items():
                given = [row for row in live if row.task == name]
                assert task.given == len(given)
                assert task.leased == seats[item.id, name]
                assert sum(not row.late for row in given) <= settings.overlap
                assert len({row.user_id for row in given}) == len(given), "a person answered twice"
            standing |= {(item.id, row.task, row.user_id) for row in live}
            turns = connection.execute(
                select(labels.c.task, labels.c.user_id, labels.c.turn).where(labels.c.item_id == item.id)
            ).all()
            assert len(set(turns)) == len(turns)
    return standing
