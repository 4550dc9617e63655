"""Conditions on lists."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from quorate.store import elsewhere, labels, opinions, rows, submit
from quorate.store.among import among
from quorate.store.database import Database
from quorate.store.people import add_user
from quorate.store.tables import users

STATEMENTS = {
    "items by id": rows.BY_IDS,
    "leases by id": rows.LEASES,
    "labels by item": rows.LABELS,
    "scores by item": rows.SCORES,
    "requests by user and key": submit.SEEN,
    "items by name": labels.ITEMS,
    "opinions by name": opinions.BY_NAMES,
    "people by name": labels.PEOPLE,
    "annotations by item": elsewhere.SEEN,
    "seats by item": elsewhere.SEATS,
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_what_is_read_by_a_list_is_looked_up_and_never_searched_for(tmp_path, name):
    """SQLite finds each value in an index: no such statement grows with its table."""
    database = Database.open(f"sqlite:///{tmp_path / 'q.db'}")
    with database.reading() as connection:
        text = str(STATEMENTS[name].compile(database.engine))
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", ("[]",) * text.count("?")).all()
    database.close()
    steps = [row[3] for row in plan if "json_each" not in row[3]]
    assert steps
    assert not [step for step in steps if step.startswith("SCAN")], steps


def test_a_list_of_any_length_chooses_its_members(database):
    """None of an empty one; texts as they are spelled."""
    names = ["ann", "it's", 'b"o', "ü, {}"]
    database.write(lambda connection: [add_user(connection, name, "reader", now=0.0) for name in names])
    chosen = select(users.c.name).where(among(users.c.name, "names", str)).order_by(users.c.id)
    with database.reading() as connection:
        for listed in ([], names[1:3], ["nobody"], names):
            assert connection.execute(chosen, {"names": listed}).scalars().all() == [n for n in names if n in listed]
