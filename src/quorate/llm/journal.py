"""Every call and every answer in one SQLite file: a killed run goes on and pays for no known answer again.

A call is written down before it is sent, and its answer before anybody sees it. A call that stands as sent without an
answer when the file is opened was in flight when the run was killed: it may have been charged, so what was set aside
for it stays booked as lost, and it may be sent once more. Writes of one moment share one transaction. A kill of the
process loses nothing that `kept` has confirmed; a cut of power can lose the last moments.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from quorate.errors import FormatError, QuorateError, SettingError
from quorate.llm.ledger import Booked
from quorate.llm.wire import Answer, Kind

MARK, VERSION = 0x51754C6A, 1  # says that a file is a journal, and of which form
TABLES = """
CREATE TABLE answers (          -- one row for every call that was ever answered
    key TEXT PRIMARY KEY,       -- Request.key()
    model TEXT NOT NULL,        -- as asked for
    answer TEXT NOT NULL,       -- Answer.to_json()
    cost INTEGER NOT NULL       -- millionths of a millionth of a US dollar
);
CREATE TABLE calls (            -- one row for every try
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    model TEXT NOT NULL,
    held INTEGER NOT NULL,      -- set aside for it: the most it can cost
    state TEXT NOT NULL,        -- sent -> answered | free (gave no answer, cost nothing) | lost (may have been charged)
    why TEXT,                   -- kind and words of the failure
    begun_at REAL NOT NULL,     -- seconds since 1970
    ended_at REAL
);
"""


class Call(NamedTuple):
    """One try as the journal knows it."""

    key: str
    model: str
    state: str
    why: str | None


class Journal:
    """The record of a campaign's calls, in a file or, without a path, in memory. One run at a time may hold it."""

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._dirty = False
        self._waiting: list[asyncio.Future[None]] = []
        self._then: list[Callable[[], None]] = []
        self._scheduled = False
        self._failed: QuorateError | None = None
        self._file = sqlite3.connect(
            ":memory:" if path is None else path,
            isolation_level=None,
            check_same_thread=False,  # one thread at a time uses it, not always the one that made it
            timeout=0.5,
        )
        try:
            self._open()
        except sqlite3.OperationalError as error:
            self._file.close()
            if "locked" in str(error):
                raise SettingError(f"journal {path} is in use by another run; wait for it, or name another") from None
            raise
        except sqlite3.DatabaseError as error:
            self._file.close()
            raise FormatError(str(error), mend="name a journal or a new file", source=str(path)) from None

    # ---- what is known ------------------------------------------------------------------------------------------

    def find(self, key: str) -> Answer | None:
        """The answer of the call of that key, if it is known."""
        row = self._file.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else Answer.from_json(row[0])

    def booked(self) -> Booked:
        """What all runs with this journal have spent, and what they may have lost."""
        spent = self._file.execute("SELECT coalesce(sum(cost), 0) FROM answers").fetchone()[0]
        lost = self._file.execute(
            "SELECT coalesce(sum(held), 0) FROM calls WHERE state IN ('sent', 'lost')"
        ).fetchone()[0]
        return Booked(spent, lost)

    def answers(self) -> Iterator[tuple[str, Answer]]:
        """All answers with their keys, in the order of the keys."""
        for key, line in self._file.execute("SELECT key, answer FROM answers ORDER BY key"):
            yield key, Answer.from_json(line)

    def calls(self, key: str | None = None) -> list[Call]:
        """All tries in order, or those of one call."""
        rows = self._file.execute(
            "SELECT key, model, state, why FROM calls WHERE ?1 IS NULL OR key = ?1 ORDER BY id", (key,)
        )
        return [Call(*row) for row in rows]

    # ---- what happens -------------------------------------------------------------------------------------------

    def send(self, key: str, model: str, held: int) -> int:
        """Write down that a call is about to be sent; the number of the try."""
        self._begin()
        sql = "INSERT INTO calls (key, model, held, state, begun_at) VALUES (?, ?, ?, 'sent', ?)"
        number = self._file.execute(sql, (key, model, held, time.time())).lastrowid
        assert number is not None
        return number

    def answer(self, number: int, key: str, model: str, answer: Answer, cost: int) -> None:
        """Write down the answer to a try, and what it cost."""
        self._begin()
        self._file.execute(
            "INSERT OR REPLACE INTO answers (key, model, answer, cost) VALUES (?, ?, ?, ?)",
            (key, model, answer.to_json(), cost),
        )
        self._end(number, "answered", None)

    def fail(self, number: int, kind: Kind, detail: str, *, lost: bool) -> None:
        """Write down that a try gave no answer, and whether it may have been charged."""
        self._begin()
        self._end(number, "lost" if lost else "free", f"{kind}: {detail}")

    async def kept(self) -> None:
        """Wait until all that was written down so far is in the file. Raises QuorateError where it cannot be."""
        if self._failed is not None:
            raise self._failed
        if self._dirty:
            told = asyncio.get_running_loop().create_future()
            self._waiting.append(told)
            self._schedule()
            await told

    def after_kept(self, then: Callable[[], None]) -> None:
        """Call `then` when all that was written down so far is in the file; never, where it cannot be."""
        self._then.append(then)
        self._schedule()

    def flush(self) -> None:
        """Put all that was written down into the file, now."""
        if self._dirty:
            self._dirty = False
            self._file.execute("COMMIT")

    def close(self) -> None:
        """Put everything into the file and let go of it."""
        self.flush()
        self._file.close()

    def __enter__(self) -> Journal:  # noqa: PYI034 - the checker of axes knows no Self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- inside -------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        run = self._file.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        run("BEGIN IMMEDIATE")
        mark, version = run("PRAGMA application_id").fetchone()[0], run("PRAGMA user_version").fetchone()[0]
        empty = run("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if not empty and (mark != MARK or version > VERSION):
            what = "a journal of a newer version of quorate" if mark == MARK else "no journal"
            run("ROLLBACK")
            self._file.close()
            raise FormatError(f"this is {what}", mend="name a journal or a new file", source=str(self.path))
        if empty:
            for statement in TABLES.split(";\n"):
                run(statement)
            run(f"PRAGMA application_id = {MARK}")
            run(f"PRAGMA user_version = {VERSION}")
        run("UPDATE calls SET state = 'lost', why = 'in flight when the run was killed' WHERE state = 'sent'")
        run("COMMIT")

    def _begin(self) -> None:
        if not self._dirty:
            self._file.execute("BEGIN")
            self._dirty = True

    def _end(self, number: int, state: str, why: str | None) -> None:
        sql = "UPDATE calls SET state = ?, why = ?, ended_at = ? WHERE id = ?"
        self._file.execute(sql, (state, why, time.time(), number))

    def _schedule(self) -> None:
        if not self._scheduled:  # at the end of this round of the loop: what the round writes shares one transaction
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._keep)

    def _keep(self) -> None:
        waiting, self._waiting = self._waiting, []
        then, self._then = self._then, []
        self._scheduled = False
        try:
            self.flush()
        except sqlite3.Error as error:
            self._failed = QuorateError(f"the journal {self.path} cannot be written: {error}")
            then = []
        for told in waiting:
            if told.done():  # called off meanwhile
                continue
            if self._failed is None:
                told.set_result(None)
            else:
                told.set_exception(self._failed)
        for call in then:
            call()
