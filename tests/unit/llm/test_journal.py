"""Laws of the record of calls."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from quorate.errors import FormatError, QuorateError, SettingError
from quorate.llm.journal import Journal
from quorate.llm.ledger import Booked
from quorate.llm.wire import Answer, Usage

SAID = Answer("A", None, "stop", Usage(3, 1), "m-1")


def test_an_answer_is_found_again_in_the_same_file(tmp_path: Path):
    """What was kept is there for the next run, and is booked."""
    with Journal(tmp_path / "j") as journal:
        journal.answer(journal.send("k", "m", 50), "k", "m", SAID, 7)
    with Journal(tmp_path / "j") as journal:
        assert journal.find("k") == SAID
        assert journal.find("l") is None
        assert journal.booked() == Booked(7, 0)
        assert list(journal.answers()) == [("k", SAID)]


def test_a_call_that_was_in_flight_is_booked_as_lost(tmp_path: Path):
    """Sent and not answered: it may have been charged; a failure that cost nothing is not."""
    path = tmp_path / "j"
    journal = Journal(path)
    journal.send("sent", "m", 50)
    journal.fail(journal.send("free", "m", 60), "rate", "slow down", lost=False)
    journal.fail(journal.send("lost", "m", 70), "broken", "cut", lost=True)
    journal.flush()
    assert journal.booked() == Booked(0, 120)
    journal.close()
    with Journal(path) as journal:
        assert journal.booked() == Booked(0, 120)
        assert [(call.key, call.state) for call in journal.calls()] == [
            ("sent", "lost"),
            ("free", "free"),
            ("lost", "lost"),
        ]
        assert journal.calls("free")[0].why == "rate: slow down"


def test_writes_of_one_moment_are_kept_together_before_anybody_is_told(tmp_path: Path):
    """Who waits for `kept` waits for one transaction, and then it is in the file."""
    path = tmp_path / "j"

    async def run(journal: Journal) -> list[str]:
        told: list[str] = []

        async def write(key: str) -> None:
            journal.answer(journal.send(key, "m", 1), key, "m", SAID, 1)
            journal.after_kept(lambda: told.append(key))
            assert key not in told
            await journal.kept()
            assert key in told

        await asyncio.gather(*(write(str(k)) for k in range(50)))
        await journal.kept()
        return told

    journal = Journal(path)
    assert len(asyncio.run(run(journal))) == 50
    copy = tmp_path / "copy"
    for end in ("", "-wal"):  # what a killed process leaves behind
        copy.with_name(copy.name + end).write_bytes(path.with_name(path.name + end).read_bytes())
    with closing(sqlite3.connect(copy)) as file:
        assert file.execute("SELECT count(*) FROM answers").fetchone() == (50,)
    journal.close()


def test_two_runs_cannot_hold_one_journal(tmp_path: Path):
    """The second is told, at once, and the first is not harmed."""
    with Journal(tmp_path / "j") as journal:
        with pytest.raises(SettingError, match="in use"):
            Journal(tmp_path / "j")
        journal.send("k", "m", 1)


@pytest.mark.parametrize("other", ["text", "database", "newer"])
def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path, other: str):
    """A wrong path destroys nothing; a journal of a newer form is not guessed at."""
    path = tmp_path / "j"
    if other == "text":
        path.write_text("something dear " * 1_000)
    elif other == "database":
        with closing(sqlite3.connect(path)) as file:
            file.execute("CREATE TABLE dear (x)")
            file.commit()
    else:
        Journal(path).close()
        with closing(sqlite3.connect(path)) as file:
            file.execute("PRAGMA user_version = 99")
    before = path.read_bytes()[100:]
    with pytest.raises(FormatError):
        Journal(path)
    assert path.read_bytes()[100:] == before


def test_a_journal_that_cannot_be_written_says_so_and_shows_nothing(tmp_path: Path):
    """An answer that is not kept is not shown."""
    journal = Journal(tmp_path / "j")
    shown: list[int] = []

    async def run() -> None:
        journal.send("k", "m", 1)
        journal._file.execute("ROLLBACK")  # as after a full disk: the commit that follows fails
        journal.after_kept(lambda: shown.append(1))
        await journal.kept()

    with pytest.raises(QuorateError, match="cannot be written"):
        asyncio.run(run())
    assert not shown
    with pytest.raises(QuorateError, match="cannot be written"):
        asyncio.run(journal.kept())
    journal._file.close()
