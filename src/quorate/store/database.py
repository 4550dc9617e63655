"""A database by its URL: connections that wait for their turn, transactions that are tried again, the schema's version.

SQLite has one writer: every transaction that writes takes the write lock when it begins, so it never finds half-way
that another was faster. PostgreSQL locks rows. Both make a commit durable before it is acknowledged.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, bindparam, create_engine, event, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import QueuePool

from quorate.errors import SettingError, StoreError

T = TypeVar("T")
BUSY_MS = 30_000  # how long SQLite waits for its writer
TRIES = 8  # of one transaction
LEAVING_S = 5.0  # for transactions in hand when the database is closed
AGAIN = {"40001", "40P01", "55P03"}  # PostgreSQL: serialization failure, deadlock, lock not available
ADVISORY = 7_281_337_001  # one number that all processes of quorate lock on while they migrate
WRITES = {"quorate_writes": True}
BY_INDEX = text("SET LOCAL enable_seqscan = off")


class Database:
    """An engine, and transactions on it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"

    @classmethod
    def open(cls, url: str, *, pool: int = 10, migrate: bool = True) -> Database:
        """The database at that URL, `sqlite:///file` or `postgresql://...`, brought to the present schema.

        Raises SettingError for another kind of URL, StoreError for a database that a newer quorate has written, or
        that cannot be reached.
        """
        database = cls(_engine(url, pool))
        try:
            if migrate:
                with database.alone() as connection:
                    from quorate.store.migrations import upgrade

                    upgrade(connection)
        except OperationalError as error:
            database.close()
            raise StoreError(
                f"the database cannot be used: {error.orig}. Check its address, file and rights."
            ) from None
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Wait a moment for transactions that other threads have in hand, then give all connections back."""
        end = time.monotonic() + LEAVING_S
        while isinstance(self.engine.pool, QueuePool) and self.engine.pool.checkedout() and time.monotonic() < end:
            time.sleep(0.01)
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """One transaction that only reads."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def snapshot(self) -> Generator[Connection]:
        """One transaction that reads everything as of one moment, however long it takes."""
        level = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self.engine.connect().execution_options(**level) as connection, connection.begin():
            yield connection

    def write(self, work: Callable[[Connection], T], *, by_index: bool = False) -> T:
        """What `work` gives, in one transaction; tried again when another transaction came between.

        `work` may therefore run several times and must touch nothing but the connection. With `by_index`, PostgreSQL
        plans no reading of whole tables: it keeps the plans of prepared statements, and one that was made while the
        tables were nearly empty would go on reading them whole when they are full.
        """
        for attempt in range(TRIES):
            try:
                with self.engine.connect().execution_options(**WRITES) as connection, connection.begin():
                    if by_index and not self.is_sqlite:
                        connection.execute(BY_INDEX)
                    return work(connection)
            except DBAPIError as error:
                if attempt == TRIES - 1 or not _passes(error):
                    raise
                time.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 # spreads the tries, guards nothing
        raise AssertionError

    @contextmanager
    def alone(self) -> Generator[Connection]:
        """One writing transaction that no other process of quorate may be in at the same time."""
        with self.engine.connect().execution_options(**WRITES) as connection, connection.begin():
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY})
            yield connection


def insert_into(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that can say what to do on a conflict; both databases spell it alike."""
    return insert_for(connection.dialect.name, table)


def insert_for(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """The same, for the dialect of that name."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def fresh_ids(connection: Connection, table: Table, count: int) -> list[int]:
    """So many ids that no row of the table has or will be given, rising; in a transaction that writes.

    With them rows are written in one prepared statement, and their ids are known.
    """
    if connection.dialect.name == "sqlite":  # one writer: what it reads stays true until it commits
        last = connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()
        return list(range(last + 1, last + 1 + count))
    sequence = f"{table.name}_id_seq"
    numbers = select(func.nextval(sequence)).select_from(func.generate_series(1, bindparam("count")))
    return sorted(connection.execute(numbers, {"count": count}).scalars())


def _engine(url: str, pool: int) -> Engine:
    try:
        address = make_url(url)
        if address.drivername in {"postgresql", "postgres"}:
            address = address.set(drivername="postgresql+psycopg")
        if address.get_backend_name() == "sqlite":
            return _sqlite(address.database, address.render_as_string(hide_password=False), pool)
        if address.drivername == "postgresql+psycopg":
            return create_engine(address, pool_size=pool, max_overflow=0, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError):
        pass
    raise SettingError("a database is given as sqlite:///path/to/file.db or postgresql://user:password@host/name")


def _sqlite(file: str | None, url: str, pool: int) -> Engine:
    if not file or file == ":memory:":
        raise SettingError("SQLite needs a file: several connections cannot share one in memory")
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, pool_size=pool, max_overflow=0, connect_args={"timeout": BUSY_MS / 1000})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver would begin on its own, too late and without the write lock
    cursor = connection.cursor()
    for pragma in ("foreign_keys=ON", f"busy_timeout={BUSY_MS}", "journal_mode=WAL", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("quorate_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _passes(error: DBAPIError) -> bool:
    """Whether the same transaction, tried again, may go through."""
    if isinstance(error, IntegrityError):  # somebody inserted the same key meanwhile: the next try sees it
        return True
    if isinstance(error.orig, sqlite3.OperationalError):
        return error.orig.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
    return getattr(error.orig, "sqlstate", None) in AGAIN
