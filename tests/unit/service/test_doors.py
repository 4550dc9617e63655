"""Every door by which an item could come before a person, tried with items that say that they may not be shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from quorate.cli.app import app
from quorate.data.dataset import Dataset
from quorate.data.formats.argilla import from_argilla
from quorate.data.formats.argilla_write import to_argilla
from quorate.data.formats.label_studio import from_label_studio
from quorate.data.formats.label_studio_write import to_label_studio
from quorate.data.formats.prodigy import from_prodigy
from quorate.data.formats.prodigy_write import to_prodigy
from quorate.data.restricted import restricted_items
from quorate.errors import DataError
from quorate.report.disagree import item_texts
from quorate.store.records import Settings
from quorate.store.tables import items
from unit.service.api.house import House
from unit.service.api.house import house as house_of
from unit.store.world import SCHEMA

HIDDEN = "words that nobody may read"
MARKS: dict[str, dict[str, Any]] = {  # as a row of an upload says it
    "a column": {"restricted": True},
    "a column in other letters": {"Restricted": "yes"},
    "in the content": {"content": {"text": HIDDEN, "restricted": "1"}},
    "in the content, in other letters": {"content": {"text": HIDDEN, " RESTRICTED ": True}},
}
CONFIG = '<View><Text name="t" value="$text"/><Choices name="tone" toName="t"><Choice value="good"/></Choices></View>'
RESULT = [{"from_name": "tone", "to_name": "t", "type": "choices", "value": {"choices": ["good"]}}]


@pytest.fixture
def house(url: str):
    """A campaign without items that takes in what a connected tool shows it."""
    with house_of(url, n_items=0, settings=Settings(adopt=True)) as made:
        yield made


def nothing_came_in(house: House) -> bool:
    """Whether no item is there, nobody is asked, and nothing that is kept tells the words."""
    with house.database.reading() as connection:
        none = not connection.execute(select(items.c.id)).all()
        kept = [str(connection.execute(select(table)).all()) for table in items.metadata.sorted_tables]
    return none and house.call("POST", house.of("/next"), who="annotator").status == 204 and HIDDEN not in str(kept)


def refused(status: int, text: str) -> bool:
    """Whether the refusal says why, and nothing of the words."""
    return status == 422 and "restricted" in text and HIDDEN not in text


def tool(house: House, path: str, body: Any) -> tuple[int, str]:
    """A request as Label Studio makes it."""
    headers = {"Authorization": f"Bearer {house.tokens['lead']}"}
    sent = house.call("POST", f"/label-studio/{house.campaign}{path}", body, headers=headers)
    return sent.status, sent.raw.decode()


def test_no_upload_brings_one_in(house):
    """By API in three formats, however it is marked; also where only one of many rows is."""
    for mark in MARKS.values():
        row = {"item": "b", "text": HIDDEN} | mark
        rows = [{"item": "a", "text": "fine"}, row]
        sent = house.call("POST", house.of("/items"), rows, who="lead")
        assert refused(sent.status, sent.raw.decode()), mark
        lines = "\n".join(map(json.dumps, rows)).encode()
        kind = {"Content-Type": "application/x-ndjson"}
        sent = house.call("POST", house.of("/items"), lines, who="lead", headers=kind)
        assert refused(sent.status, sent.raw.decode()), mark
    for header in ("restricted", "RESTRICTED"):
        table = f"item,text,{header}\na,fine,\nb,{HIDDEN},true\n".encode()
        sent = house.call("POST", house.of("/items"), table, who="lead", headers={"Content-Type": "text/csv"})
        assert refused(sent.status, sent.raw.decode()), header
    assert nothing_came_in(house)


@pytest.mark.parametrize("where", ["data", "meta"])
def test_no_connected_tool_brings_one_in(house, where):
    """Neither by a prediction that Label Studio asks for nor by an answer that it sends."""
    for mark in (True, "true", "perhaps"):
        marked = {"id": 5, "data": {"text": HIDDEN}, "meta": {}}
        marked[where] = marked[where] | {"Restricted": mark}
        asked = {"tasks": [{"id": 4, "data": {"text": "fine"}}, marked], "label_config": CONFIG, "params": {}}
        assert refused(*tool(house, "/predict", asked)), mark
        answered = {"id": 1, "completed_by": 2, "result": RESULT, "task": 5}
        hook = {"action": "ANNOTATION_CREATED", "annotation": answered, "task": marked}
        assert refused(*tool(house, "/webhook", hook)), mark
    assert nothing_came_in(house)
    assert tool(house, "/predict", {"tasks": [{"id": 4, "data": {"text": "fine"}}], "label_config": CONFIG})[0] == 200


def test_no_form_and_no_command_brings_one_in(house, tmp_path):
    """The page for new campaigns, whatever columns are chosen; and `quorate campaign add`."""
    rows = f"id,text,Restricted\na,fine,no\nb,{HIDDEN},yes\n".encode()
    boundary = "x" * 20
    fields = {"task": "tone", "classes": "good, bad", "name": "by form"}
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    parts += [f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n']
    body = "".join(parts).encode() + rows + f"\r\n--{boundary}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    sent = house.call("POST", "/campaigns/new", body, who="lead", headers=kind)
    assert refused(sent.status, sent.raw.decode())
    path = tmp_path / "items.csv"
    path.write_bytes(rows.replace(b"id,", b"item,"))
    url = house.database.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    said = CliRunner().invoke(app, ["campaign", "add", str(house.campaign), str(path), "--database", url])
    assert said.exit_code == 2
    assert "restricted" in said.output + str(said.exception)
    assert nothing_came_in(house)


def data_of(folder: Path) -> Dataset:
    """A data set of two items, one of which is marked; a model has labeled both."""
    said = [{"item": item, "task": task, "model": "m", "label": label} for item in "ab" for task, label in
            (("tone", "good"), ("topic", "food"))]  # fmt: skip
    rows = {"item": ["a", "b"], "text": ["fine", HIDDEN], "restricted": [False, True]}
    assert folder.is_dir()
    return Dataset(items=pa.table(rows), model_labels=pa.Table.from_pylist(said), schema=SCHEMA)


@pytest.mark.parametrize("write", [to_label_studio, to_argilla, to_prodigy])
def test_no_file_for_another_tool_shows_one(write, tmp_path):
    """Label Studio, Argilla and Prodigy show people what they are given."""
    with pytest.raises(DataError, match="item 'b' is restricted, and a labeling tool shows its") as told:
        write(data_of(tmp_path))
    assert HIDDEN not in str(told.value)


def test_no_report_shows_one(tmp_path):
    """What people and models disagree about is shown with its text, but not that of a marked item."""
    data = data_of(tmp_path)
    assert item_texts(data.items, {"a", "b"}) == {"a": (("text", "fine"),)}


@pytest.mark.parametrize("mark", [True, "yes"])
def test_no_file_of_another_tool_loses_the_mark(mark):
    """Label Studio's meta, Argilla's metadata and Prodigy's meta come in as the items' own column."""
    studio = [{"id": 5, "data": {"text": HIDDEN}, "meta": {"restricted": mark}, "annotations": [
        {"id": 1, "completed_by": 2, "result": RESULT}]}]  # fmt: skip
    answer = {"values": {"tone": {"value": "good"}}, "user_id": "u", "status": "submitted"}
    argilla = [{"id": "5", "fields": {"text": HIDDEN}, "metadata": {"restricted": mark}, "responses": [answer]}]
    flat = [{"id": "5", "text": HIDDEN, "metadata.restricted": mark, "tone.responses": ["good"],
             "tone.responses.users": ["u"], "tone.responses.status": ["submitted"]}]  # fmt: skip
    option = {"options": [{"id": "good"}, {"id": "bad"}], "accept": ["good"], "answer": "accept"}
    prodigy = [{"text": HIDDEN, "meta": {"Restricted": mark}, "_input_hash": 5, **option}]
    for found in (from_label_studio(studio), from_argilla(argilla), from_argilla(flat), from_prodigy(prodigy)):
        assert restricted_items(found.data.items) == {"5"}
