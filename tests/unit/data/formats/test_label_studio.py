"""Label Studio's JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.data.dataset import Dataset
from quorate.data.formats.label_studio import from_label_studio
from quorate.data.formats.label_studio_write import to_label_studio
from quorate.errors import DataError, FormatError, SchemaError
from unit.data.formats.mutants import mutants, read_or_refused
from unit.data.formats.worlds import assert_same, worlds

CONFIG = """<View><Text name="text" value="$text"/>
  <Choices name="tone" toName="text" choice="single"><Choice value="good"/><Choice value="bad"/></Choices>
  <Choices name="topics" toName="text" choice="multiple"><Choice value="art"/><Choice value="war"/></Choices>
  <Rating name="fun" toName="text" maxRating="4"/><TextArea name="why" toName="text"/></View>"""


def region(control, kind, value):
    return {"id": "r1", "from_name": control, "to_name": "text", "type": kind, "value": value}


TONE = region("tone", "choices", {"choices": ["good"]})
FUN = region("fun", "rating", {"rating": 3})
TOPICS = region("topics", "choices", {"choices": ["war"]})
WHY = region("why", "textarea", {"text": ["because"]})


def annotation(number, person, *result, **more):
    at = f"2026-01-0{number}T00:00:00.000000Z"
    kept = {"id": number, "completed_by": person, "result": list(result), "was_cancelled": False, "ground_truth": False}
    return {**kept, "created_at": at, "updated_at": at, "lead_time": 6.0, "prediction": {}, **more}


def task(number=1, *annotations, **more):
    return {"id": number, "data": {"text": "Hi"}, "annotations": list(annotations), "predictions": [], **more}


EXPORT = [
    task(
        1,
        annotation(1, 2, TONE, FUN, WHY),
        annotation(2, {"id": 3, "email": "bo@x.org"}, TOPICS, prediction={"model_version": "m", "result": [TONE]}),
        annotation(3, 2, was_cancelled=True),
        annotation(4, 5, region("tone", "choices", {"choices": ["bad"]}), ground_truth=True),
        predictions=[{"id": 1, "model_version": "m", "score": 0.7, "result": [FUN]}, 17],
        meta={"quorate": {"scores": {"m2": {"tone": {"good": 0.25, "bad": 0.75}}}}},
    ),
    task(2, data={"text": "Ho", "quorate_id": "mine", "item": 3, "x_left": "far"}),
]
FLAT = [
    {"id": 1, "text": "Hi", "tone": "good", "fun": [{"rating": 3}], "topics": {"choices": ["art", "war"]},
     "annotator": 2, "annotation_id": 5, "created_at": "2026-01-01T00:00:00Z", "lead_time": 3.0},
    {"id": 1, "text": "Hi", "tone": "bad", "annotator": 3, "annotation_id": 6, "lead_time": None},
]  # fmt: skip


@settings(max_examples=25)
@given(worlds())
def test_a_data_set_comes_back_whole(world):
    """Labels, models' labels and scores, gold, contents and schema; ground truth is never left unsaid."""
    data = world.dataset()
    made = to_label_studio(data)
    tasks = json.loads(json.dumps(made.tasks, allow_nan=False))
    back = from_label_studio(tasks, config=made.config)
    assert_same(back.data, data)
    assert not back.notes
    assert all("ground_truth" in each for task in tasks for each in task.get("annotations", []))


def test_an_export_becomes_tables():
    """Controls are tasks; skipped is no label; ground truth is gold; a rating is ordered."""
    found = from_label_studio(EXPORT, config=CONFIG)
    data = found.data
    assert [(t.name, t.classes, t.ordered) for t in data.schema.tasks] == [
        ("tone", ("good", "bad"), False),
        ("topics: art", ("no", "yes"), False),
        ("topics: war", ("no", "yes"), False),
        ("fun", ("1", "2", "3", "4"), True),
    ]
    labels = data.labels.select(["item", "task", "annotator", "label", "seconds", "assisted"]).to_pylist()
    assert [tuple(row.values()) for row in labels] == [
        ("1", "tone", "label-studio:2", "good", 3.0, False),
        ("1", "fun", "label-studio:2", "3", 3.0, False),
        ("1", "topics: art", "bo@x.org", "no", 3.0, True),
        ("1", "topics: war", "bo@x.org", "yes", 3.0, True),
    ]
    assert data.gold.to_pylist() == [{"item": "1", "task": "tone", "label": "bad"}]
    assert data.model_labels.to_pylist() == [
        {"item": "1", "task": "tone", "model": "m", "label": "good", "confidence": None},
        {"item": "1", "task": "fun", "model": "m", "label": "3", "confidence": 0.7},
    ]
    assert data.scores["score"].to_pylist() == [0.25, 0.75]
    assert data.items.to_pylist()[1] == {"item": "mine", "text": "Ho", "data_item": 3, "data_x_left": "far"}
    assert found.notes == (
        "1 results of kind 'other controls'",
        "1 predictions of which the export holds only the number",
        "1 skipped by a person",
    )


def test_without_a_configuration_the_answers_say_what_was_asked():
    """Classes are those that were chosen; a rating has five stars unless somebody gave more."""
    schema = from_label_studio(EXPORT[:1]).data.schema
    assert [(t.name, t.classes) for t in schema.tasks] == [
        ("fun", ("1", "2", "3", "4", "5")),
        ("tone", ("bad", "good")),
        ("topics", ("war",)),
    ]


def test_json_min_needs_and_takes_the_configuration():
    """A row is an annotation; what the configuration does not ask is the item's content."""
    with pytest.raises(FormatError, match="labeling configuration"):
        from_label_studio(FLAT)
    data = from_label_studio(FLAT, config=CONFIG).data
    assert data.labels.select(["task", "annotator", "label"]).to_pylist() == [
        {"task": "tone", "annotator": "label-studio:2", "label": "good"},
        {"task": "topics: art", "annotator": "label-studio:2", "label": "yes"},
        {"task": "topics: war", "annotator": "label-studio:2", "label": "yes"},
        {"task": "fun", "annotator": "label-studio:2", "label": "3"},
        {"task": "tone", "annotator": "label-studio:3", "label": "bad"},
    ]
    assert data.items.to_pylist() == [{"item": "1", "text": "Hi"}]


@given(st.permutations([annotation(1, 2, TONE), annotation(2, 2, region("tone", "choices", {"choices": ["bad"]}))]))
def test_of_two_answers_of_one_person_the_later_stands(annotations):
    """In whatever order the export lists them: Label Studio lets a person answer twice."""
    found = from_label_studio([task(1, *annotations)], config=CONFIG)
    assert found.data.labels["label"].to_pylist() == ["bad"]
    assert found.notes == ("1 answers that a later one replaced",)


def test_only_open_tasks_are_proposed():
    """A prediction holds what the consensus is not sure of, the least sure gives its score; the rest is left out."""
    rows = [("a", "tone", "good", 0.6), ("a", "fun", "2", 0.99), ("b", "tone", "bad", 0.97), ("b", "fun", "3", 0.98)]
    consensus = pa.table(dict(zip(["item", "task", "label", "confidence"], zip(*rows, strict=True), strict=True)))
    labels = {"item": ["a", "b"], "task": ["tone", "tone"], "annotator": ["ann", "bo"], "label": ["good", "bad"]}
    gold = {"item": ["a", "b"], "task": ["fun", "fun"], "label": ["2", "3"]}
    data = Dataset(labels=pa.table(labels), gold=pa.table(gold))
    (only,) = to_label_studio(data, consensus, labels=False).tasks
    assert only["data"]["quorate_id"] == "a"
    (said,) = only["predictions"]
    assert (said["model_version"], said["score"]) == ("quorate", 0.6)
    assert [each["from_name"] for each in said["result"]] == ["tone"]
    assert "annotations" not in only
    again = from_label_studio([only])
    assert again.data.model_labels is None  # a consensus is no model
    assert again.notes == ("1 our own predictions",)


@settings(max_examples=60)
@given(mutants(EXPORT), st.sampled_from([None, CONFIG]))
def test_a_broken_export_is_read_or_refused_with_its_place(document, config):
    """Whatever stands where it should not: a data set, or one error with a mend."""
    read_or_refused(lambda: from_label_studio(document, config=config))


@settings(max_examples=60)
@given(mutants(FLAT))
def test_a_broken_json_min_is_read_or_refused_with_its_place(document):
    """The same for JSON_MIN."""
    read_or_refused(lambda: from_label_studio(document, config=CONFIG))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b"[", "not JSON"),
        (b"[]", "there is no record"),
        (b'{"id": 1,\n "data": {}}', "not a list of records"),
        (b'[{"id": 1, "data": {"t": "caf\xe9"}}]', "not UTF-8"),
        (b"PK\x03\x04", "Excel"),
        (b'[{"id": 1, "data": {"t": "\\ud800"}}]', "not valid Unicode"),
        (b"[" * 100_000, "not JSON"),
        (b"3", "an object is expected"),
    ],
)
def test_a_file_that_is_no_export_says_what_it_is(tmp_path: Path, content: bytes, problem: str):
    """The error names the file."""
    path = tmp_path / "export.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=problem) as error:
        from_label_studio(path)
    assert error.value.source == str(path)


def test_an_answer_that_was_never_offered_names_its_place():
    """Label Studio itself takes it."""
    bogus = task(1, annotation(1, 2, region("tone", "choices", {"choices": ["Bogus"]})))
    with pytest.raises(SchemaError, match=r"row 1, column 'annotations\[0\].result\[0\]': 'tone' has no class 'Bogus'"):
        from_label_studio([bogus], config=CONFIG)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"confidence": ["sure"]}, "row 1, column 'confidence': the confidence is no number"),
        ({"confidence": [1.5]}, "no number from 0 to 1"),
        ({"label": ["ugly"]}, "row 1, column 'label': 'ugly' is no answer to 'tone' here"),
        ({"task": ["taste"]}, "is no answer to 'taste' here"),
    ],
)
def test_a_consensus_of_something_else_is_refused(change, problem):
    """What is proposed must be an answer to what is asked."""
    labels = {"item": ["a"], "task": ["tone"], "annotator": ["ann"], "label": ["good"]}
    consensus = {"item": ["a"], "task": ["tone"], "label": ["good"], "confidence": [0.5]} | change
    with pytest.raises(DataError, match=problem):
        to_label_studio(Dataset(labels=pa.table(labels)), pa.table(consensus))
