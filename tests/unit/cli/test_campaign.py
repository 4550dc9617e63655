"""`quorate campaign`: a service's campaigns, directly in its database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from quorate.cli.app import app
from quorate.store.database import Database
from quorate.store.tables import items


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The command line in a folder of its own, with a schema and some items."""
    monkeypatch.chdir(tmp_path)
    Path("schema.json").write_text('{"tasks": [{"name": "tone", "classes": ["good", "bad"]}]}')
    Path("items.csv").write_text("item,text\na,one\nb,two\n")

    def call(*words: str):
        return CliRunner().invoke(app, ["campaign", *words])

    assert call("create", "reviews", "--schema", "schema.json").exit_code == 0
    return call


def test_a_campaign_is_made_filled_listed_and_exported(run) -> None:
    """What goes in by one verb comes out by another; adding the same file twice adds nothing."""
    assert json.loads(run("add", "reviews", "items.csv", "--json").stdout) == {"added": 2, "unchanged": 0}
    assert json.loads(run("add", "1", "items.csv", "--json").stdout) == {"added": 0, "unchanged": 2}
    (shown,) = json.loads(run("list", "--json").stdout)["campaigns"]
    assert shown == {"id": 1, "name": "reviews", "state": "draft", "items": 2, "closed": 0}
    assert run("export", "reviews", "out.jsonl", "--table", "items").exit_code == 0
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [(row["item"], row["content"]) for row in rows] == [("a", {"text": "one"}), ("b", {"text": "two"})]


def test_rebuild_tells_and_mends_what_differs_from_the_log(run) -> None:
    """A row that was tampered with is told by --check with exit code 3, mended, and then found equal."""
    run("add", "reviews", "items.csv")
    assert run("rebuild", "reviews", "--check").exit_code == 0
    database = Database.open("sqlite:///quorate.db")
    database.write(lambda connection: connection.execute(items.update().values(room=0)))
    database.close()
    told = run("rebuild", "reviews", "--check")
    assert told.exit_code == 3
    assert "a: room" in told.stdout
    assert run("rebuild", "reviews").exit_code == 0
    assert run("rebuild", "reviews", "--check").exit_code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "absent", "items.csv"), "there is no campaign 'absent'"),
        (("add", "reviews", "items.txt"), "must end in"),
        (("add", "reviews", "bad.csv"), "row 1"),
        (("create", "reviews", "--schema", "schema.json"), "already"),
        (("list", "--database", "mysql://x"), "postgresql"),
    ],
)
def test_bad_usage_is_told_in_one_line(run, words: tuple[str, ...], told: str) -> None:
    """Exit code 2, and the mend."""
    Path("bad.csv").write_text("text\nno item\n")
    Path("items.txt").write_text("x")
    done = run(*words)
    assert done.exit_code == 2
    assert told in done.stderr
