"""What goes out is what is there, in every format."""

from __future__ import annotations

import csv
import io
import json
import zipfile

import pyarrow.parquet as pq
import pytest

from unit.service.api.house import House

LABELS = [{"task": "tone", "label": "good"}, {"task": "topic", "label": "price"}]


@pytest.fixture
def worked(house: House) -> House:
    """A campaign in which three people answered."""
    for who in ("annotator", "lead", house.user()[1]):
        assert house.submit(house.next(who)["id"], LABELS, who=who).status == 200
    return house


@pytest.mark.parametrize("table", ["consensus", "labels", "scores", "items", "decisions"])
def test_a_table_is_the_same_in_three_formats(worked: House, table: str) -> None:
    """Parquet, JSONL and CSV hold the same rows."""
    files = {
        kind: worked.call("GET", worked.of(f"/export?table={table}&format={kind}"), who="reader").raw
        for kind in ("parquet", "jsonl", "csv")
    }
    rows = pq.read_table(io.BytesIO(files["parquet"])).to_pylist()
    lines = [json.loads(line) for line in files["jsonl"].splitlines()]
    cells = list(csv.DictReader(io.StringIO(files["csv"].decode())))
    assert len(rows) == len(lines) == len(cells)
    assert len(rows) == {"consensus": 100, "labels": 6, "scores": 0, "items": 50, "decisions": 2}[table]
    for row, line, cell in zip(rows, lines, cells, strict=True):
        known = {name: value for name, value in row.items() if value is not None}
        assert {name for name, text in cell.items() if text} == known.keys() == line.keys()
        assert line["item"] == row["item"] == cell["item"]


def test_a_spreadsheet_runs_nothing_that_was_exported(house: House) -> None:
    """A text that begins like a formula has an apostrophe before it."""
    evil = ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0"]
    sent = [{"item": text, "text": "x"} for text in evil]
    assert house.call("POST", house.of("/items"), sent, who="lead").status == 200
    text = house.call("GET", house.of("/export?table=items&format=csv"), who="reader").raw.decode()
    names = [row["item"] for row in csv.DictReader(io.StringIO(text))]
    assert names[-len(evil) :] == [f"'{each}" for each in evil]


def test_exported_items_are_known_when_they_come_back(house: House) -> None:
    """An export of the items, uploaded again, adds nothing."""
    for kind, media in (("jsonl", "application/x-ndjson"), ("csv", "text/csv"), ("parquet", "application/parquet")):
        file = house.call("GET", house.of(f"/export?table=items&format={kind}"), who="reader").raw
        reply = house.call("POST", house.of("/items"), file, who="lead", headers={"Content-Type": media})
        assert reply.body == {"added": 0, "unchanged": 50}, kind


def test_a_hugging_face_folder_names_its_tables(worked: House) -> None:
    """The zip holds a card that names every table, and a Parquet file for each."""
    raw = worked.call("GET", worked.of("/export?format=huggingface"), who="reader").raw
    with zipfile.ZipFile(io.BytesIO(raw)) as folder:
        card = folder.read("README.md").decode()
        for table, rows in {"consensus": 100, "labels": 6, "items": 50}.items():
            assert f"config_name: {table}\n  data_files: {table}/*.parquet" in card
            part = folder.read(f"{table}/train-00000-of-00001.parquet")
            assert pq.read_table(io.BytesIO(part)).num_rows == rows


def test_figures_agree_with_the_rows(worked: House) -> None:
    """Overview, consensus, agents and disagreements tell of the same labels."""
    overview = worked.call("GET", worked.of("/overview"), who="reader").body
    assert (overview["items"], overview["labels"], overview["people"]) == (50, 6, 3)
    page = worked.call("GET", worked.of("/consensus?limit=30"), who="reader").body
    rest = worked.call("GET", worked.of(f"/consensus?limit=30&after={page['next']}"), who="reader").body
    assert len(page["rows"]) + len(rest["rows"]) == 100
    assert rest["next"] is None
    assert sum(row["n_labels"] for row in [*page["rows"], *rest["rows"]]) == 6
    agents = worked.call("GET", worked.of("/agents"), who="reader").body
    assert sum(person["labels"] for person in agents["people"]) == 6
    assert worked.call("GET", worked.of("/disagreements"), who="reader").body == []
