"""Prodigy's JSONL."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings

from quorate.data.dataset import Dataset
from quorate.data.formats.prodigy import from_prodigy
from quorate.data.formats.prodigy_write import to_prodigy
from quorate.errors import DataError
from unit.data.formats.mutants import mutants, read_or_refused
from unit.data.formats.worlds import assert_same, worlds

OPTIONS = [{"id": "POS", "text": "Positive"}, {"id": "NEG", "text": "Negative"}]
CHOICE = {
    "text": "Hi", "meta": {"source": "web"}, "options": OPTIONS, "accept": ["POS"], "answer": "accept",
    "_input_hash": -1080010644, "_task_hash": -1728445858, "_view_id": "choice", "config": {"choice_style": "single"},
    "_session_id": "ds-alice", "_annotator_id": "ds-alice", "_timestamp": 1700000000,
}  # fmt: skip
BINARY = {"text": "Hi", "label": "SPAM", "answer": "reject", "_input_hash": 7, "_session_id": "ds-bo"}
LINES = [CHOICE, BINARY, CHOICE | {"answer": "ignore"}, CHOICE | {"accept": [], "_annotator_id": "ds-cy"}]


@settings(max_examples=25)
@given(worlds())
def test_a_data_set_comes_back_whole(world):
    """All questions of all items, one line for each decision."""
    data = world.dataset()
    lines = json.loads(json.dumps(to_prodigy(data), allow_nan=False))
    back = from_prodigy(lines).data
    assert {task.name: task for task in back.schema.tasks} == {task.name: task for task in data.schema.tasks}
    assert_same(Dataset(**_tables(back), schema=data.schema), data)


def _tables(data):
    return {name: getattr(data, name) for name in ("labels", "scores", "model_labels", "gold", "items")}


def test_choices_and_single_labels():
    """An input hash is an item; what was ignored or left empty is no answer."""
    found = from_prodigy([CHOICE, *LINES[2:]], question="tone")
    assert found.data.labels.select(["item", "task", "annotator", "label"]).to_pylist() == [
        {"item": "-1080010644", "task": "tone", "annotator": "ds-alice", "label": "POS"}
    ]
    assert found.notes == ("1 choices accepted with nothing chosen", "1 ignored")
    binary = from_prodigy([BINARY, BINARY | {"answer": "accept", "_session_id": "ds-cy"}]).data
    assert binary.labels.select(["task", "label"]).to_pylist() == [
        {"task": "label: SPAM", "label": "no"},
        {"task": "label: SPAM", "label": "yes"},
    ]


def test_several_may_apply():
    """By the style of the choice, or because somebody chose two."""
    several = [CHOICE | {"accept": ["NEG", "POS"]}, CHOICE | {"accept": [], "config": {"choice_style": "multiple"}}]
    for line, label in zip(several, ("yes", "no"), strict=True):
        assert from_prodigy([line]).data.labels["label"].to_pylist() == [label, label]


def test_hashes_are_whole_numbers_of_32_bits_and_stay():
    """The same item and question get the same hashes in every export, so Prodigy knows them again."""
    labels = {"item": ["a"] * 2, "task": ["tone", "fun"], "annotator": ["ann"] * 2, "label": ["good", "2"]}
    lines = to_prodigy(Dataset(labels=pa.table(labels)))
    assert len({line["_input_hash"] for line in lines}) == 1
    assert len({line["_task_hash"] for line in lines}) == 2
    assert all(-(2**31) <= line[key] < 2**31 for line in lines for key in ("_input_hash", "_task_hash"))
    assert lines == to_prodigy(Dataset(labels=pa.table(labels)))


def test_only_open_questions_are_proposed():
    """With the answer chosen beforehand; a decision upon it counts as assisted."""
    labels = {"item": ["a", "b"], "task": ["tone"] * 2, "annotator": ["ann", "bo"], "label": ["good", "bad"]}
    consensus = {"item": ["a", "b"], "task": ["tone"] * 2, "label": ["good", "bad"], "confidence": [0.6, 0.99]}
    (line,) = to_prodigy(Dataset(labels=pa.table(labels)), pa.table(consensus), labels=False)
    assert (line["accept"], line["meta"]) == (["good"], {"confidence": 0.6})
    back = from_prodigy([line | {"answer": "accept", "_annotator_id": "cy"}]).data
    assert back.labels["assisted"].to_pylist() == [True]


@settings(max_examples=60)
@given(mutants(LINES))
def test_broken_lines_are_read_or_refused_with_their_place(lines):
    """Whatever stands where it should not."""
    read_or_refused(lambda: from_prodigy(lines))


def test_a_broken_line_is_known_by_its_number(tmp_path: Path):
    """The error names file and line."""
    path = tmp_path / "out.jsonl"
    path.write_text(json.dumps(CHOICE) + "\n{broken\n")
    with pytest.raises(DataError, match="row 2: this is not JSON"):
        from_prodigy(path)
