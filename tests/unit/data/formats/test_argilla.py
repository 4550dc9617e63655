"""Argilla's records."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from quorate.data.dataset import Dataset
from quorate.data.formats.argilla import from_argilla
from quorate.data.formats.argilla_write import to_argilla
from quorate.errors import FormatError
from unit.data.formats.mutants import mutants, read_or_refused
from unit.data.formats.worlds import assert_same, worlds


def options(kind, *values):
    return {"type": kind, "options": [{"value": value} for value in values]}


SETTINGS = {
    "guidelines": "Be kind.",
    "fields": [{"name": "text", "settings": {"type": "text"}}],
    "questions": [
        {"id": "q-1", "name": "tone", "settings": options("label_selection", "good", "bad")},
        {"id": "q-2", "name": "fun", "settings": options("rating", 1, 2, 3)},
        {"id": "q-3", "name": "topics", "settings": options("multi_label_selection", "art", "war")},
        {"id": "q-4", "name": "why", "settings": {"type": "text"}},
    ],
}
VALUES = {"tone": {"value": "good"}, "topics": {"value": ["war"]}, "why": {"value": "so"}}
API = [
    {
        "id": "0c4d", "external_id": "a", "fields": {"text": "Hi"}, "metadata": {"source": "web"},
        "responses": [
            {"user_id": "u1", "status": "submitted", "values": VALUES},
            {"user_id": "u2", "status": "draft", "values": {"tone": {"value": "bad"}}},
        ],
        "suggestions": [
            {"question_id": "q-2", "type": "model", "value": 2, "agent": "m", "score": 0.5},
            {"question_id": "q-1", "type": "human", "value": "bad"},
        ],
    }
]  # fmt: skip
CLIENT = [
    {
        "id": "a", "fields": {"text": "Hi"}, "metadata": {"source": "web"}, "_server_id": "0c4d",
        "responses": {"tone": [{"value": "good", "user_id": "u1"}], "topics": [{"value": ["war"], "user_id": "u1"}]},
        "suggestions": {"fun": {"value": 2, "agent": "m", "score": 0.5}}, "vectors": {},
    }
]  # fmt: skip
FLAT = [
    {
        "id": "a", "status": "completed", "_server_id": "0c4d", "text": "Hi", "source": "web",
        "tone.responses": ["good"], "tone.responses.users": ["u1"], "tone.responses.status": ["submitted"],
        "topics.responses": [["war"]], "topics.responses.users": ["u1"], "topics.responses.status": None,
        "fun.suggestion": 2, "fun.suggestion.score": 0.5, "fun.suggestion.agent": "m",
    }
]  # fmt: skip


@settings(max_examples=25)
@given(worlds())
def test_a_data_set_comes_back_whole(world):
    """Records and settings as JSON hold them."""
    data = world.dataset()
    made = to_argilla(data)
    records, told = json.loads(json.dumps([made.records, made.settings], allow_nan=False))
    assert_same(from_argilla(records, settings=told).data, data)


@settings(max_examples=15)
@given(worlds())
def test_flat_columns_come_back_whole(world):
    """The same through the columns of an export to the Hub."""
    data = world.dataset()
    made = to_argilla(data)
    assert_same(from_argilla(made.table().to_pylist(), settings=made.settings).data, data)


@pytest.mark.parametrize("records", [API, CLIENT, FLAT], ids=["api", "client", "hub"])
def test_three_layouts_say_the_same(records):
    """Drafts, texts and what people suggested are left out."""
    data = from_argilla(records, settings=SETTINGS).data
    assert data.labels.to_pylist() == [
        {"item": "a", "task": "tone", "annotator": "u1", "label": "good"},
        {"item": "a", "task": "topics: art", "annotator": "u1", "label": "no"},
        {"item": "a", "task": "topics: war", "annotator": "u1", "label": "yes"},
    ]
    assert data.model_labels.to_pylist() == [
        {"item": "a", "task": "fun", "model": "m", "label": "2", "confidence": 0.5}
    ]
    assert data.items.to_pylist() == [{"item": "a", "source": "web", "text": "Hi"}]
    assert data.schema.task("fun").ordered


def test_a_parquet_file_of_the_hub_is_read(tmp_path: Path):
    """With its settings beside it."""
    pq.write_table(pa.Table.from_pylist(FLAT), tmp_path / "records.parquet")
    (tmp_path / "settings.json").write_text(json.dumps(SETTINGS))
    found = from_argilla(tmp_path / "records.parquet", settings=tmp_path / "settings.json")
    assert len(found.data.labels) == 3


def test_one_suggestion_a_question_and_only_where_it_is_open():
    """Argilla holds one; its name and score are those of the consensus."""
    labels = {"item": ["a", "b"], "task": ["tone"] * 2, "annotator": ["ann", "bo"], "label": ["good", "bad"]}
    consensus = {"item": ["a", "b"], "task": ["tone"] * 2, "label": ["good", "bad"], "confidence": [0.6, 0.99]}
    (record,) = to_argilla(Dataset(labels=pa.table(labels)), pa.table(consensus), labels=False).records
    assert record["suggestions"] == {"tone": {"value": "good", "score": 0.6, "agent": "quorate"}}
    assert record["responses"] == {}


@settings(max_examples=60)
@given(mutants([*API, *CLIENT, *FLAT]))
def test_broken_records_are_read_or_refused_with_their_place(records):
    """Whatever stands where it should not."""
    for told in (SETTINGS, None):
        read_or_refused(lambda told=told: from_argilla(records, settings=told))


@settings(max_examples=60)
@given(mutants([SETTINGS]))
def test_broken_settings_are_read_or_refused(found):
    """One error that names the place."""
    for told in found:
        read_or_refused(lambda told=told: from_argilla(API, settings=told))


def test_a_response_without_its_user_is_refused():
    """Columns of an export stand side by side."""
    broken = [FLAT[0] | {"tone.responses.users": []}]
    with pytest.raises(FormatError, match="not one user for each response"):
        from_argilla(broken, settings=SETTINGS)
