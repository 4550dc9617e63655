"""Fault 19: the schema's steps, up and down, with data, on both databases."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from quorate.errors import SettingError, StoreError
from quorate.store.database import Database
from quorate.store.migrations import downgrade, head, revision, steps, upgrade
from quorate.store.overlap import Overlap
from quorate.store.queue import lease
from quorate.store.submit import Answer, submit
from quorate.store.tables import METADATA
from unit.store.world import running


def test_the_steps_make_the_tables_that_the_code_speaks_of(database):
    """A fresh database, migrated, is the metadata: no table, column, index or constraint more or less."""
    with database.alone() as connection:
        assert revision(connection) == head()
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_every_step_goes_down_and_up_with_data_in_the_tables(database):
    """Down to each step and up again; at the bottom nothing is left behind."""
    world = running(database, n_items=3, n_users=2)
    held = lease(database, world.campaign.id, world.users[0], now=1.0)
    submit(database, Overlap(), held.id, world.users[0], [Answer("tone", "good")], key="k", now=1.0)
    for step in reversed(["base", *steps()[:-1]]):
        with database.alone() as connection:
            downgrade(connection, step)
            upgrade(connection)
            assert revision(connection) == head()
    with database.alone() as connection:
        downgrade(connection, "base")
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}


def test_a_database_of_a_newer_quorate_is_refused(database, url):
    """An unknown step is left as it is, and the message says what to install."""
    with database.alone() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer quorate"):
        Database.open(url)


def test_opening_twice_changes_nothing(database, url):
    """The second process finds the schema in place and the data as it was."""
    world = running(database, n_items=2, n_users=1)
    again = Database.open(url)
    assert lease(again, world.campaign.id, world.users[0], now=1.0) is not None
    again.close()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/name", "sqlite://", "sqlite:///:memory:"])
def test_an_address_that_is_none_is_refused(url):
    """One error that shows how an address looks."""
    with pytest.raises(SettingError):
        Database.open(url)
