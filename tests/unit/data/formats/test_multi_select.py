"""Choose all that apply."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.data.dataset import Dataset
from quorate.data.formats.multi_select import from_multi_select, join_options, to_multi_select
from quorate.errors import DataError, FormatError, SchemaError
from quorate.schema import Option, Schema, Task

TOPICS = ("art", "sport", "war")
ROWS = {
    "item": ["a", "a", "b", "b"],
    "task": ["topics"] * 4,
    "annotator": ["ann", "bo", "ann", "bo"],
    "label": [["war", "art"], [], ["sport"], ["art"]],
}


def test_one_task_per_class_and_one_answer_per_task():
    """Yes where it was chosen, no where it was not; the schema keeps the trace."""
    data = from_multi_select(pa.table(ROWS), classes={"topics": TOPICS})
    assert data.schema.tasks[2] == Task("topics: war", ("no", "yes"), option_of=Option("topics", "war"))
    assert [task.name for task in data.schema.tasks] == ["topics: art", "topics: sport", "topics: war"]
    assert data.labels.num_rows == 4 * 3
    first = data.labels.slice(0, 3)
    assert first["task"].to_pylist() == ["topics: art", "topics: sport", "topics: war"]
    assert first["label"].to_pylist() == ["yes", "no", "yes"]
    assert data.encode().counts(0).tolist() == [[1, 1], [1, 1]]


CHOICES = st.lists(st.lists(st.sampled_from(TOPICS), unique=True), min_size=1, max_size=6)


@settings(deadline=None, max_examples=30)
@given(CHOICES, st.booleans())
def test_joined_again_is_what_it_was(choices, as_text):
    """In the order of the schema, whatever the order in which people clicked; lists or texts."""
    rows = {"item": [f"i{k}" for k in range(len(choices))], "task": "topics", "annotator": "ann", "label": choices}
    frame = pd.DataFrame({**rows, "seconds": 1.5})
    delimiter = "|" if as_text else None
    if as_text:
        frame["label"] = ["|".join(choice) for choice in choices]
    data = from_multi_select(frame, classes={"topics": TOPICS}, delimiter=delimiter)
    back = to_multi_select(data, delimiter)["labels"]
    expected = [[topic for topic in TOPICS if topic in choice] for choice in choices]
    assert back["label"].to_pylist() == (["|".join(choice) for choice in expected] if as_text else expected)
    assert back.drop_columns(["label"]).to_pandas().equals(frame.drop(columns="label"))
    again = from_multi_select(back, classes={"topics": TOPICS}, delimiter=delimiter)
    assert again.labels.equals(data.labels)
    assert again.schema == data.schema


def test_the_trace_survives_the_folder(tmp_path):
    """Written, read, joined: the schema file knows which tasks belong together."""
    data = from_multi_select(pa.table(ROWS), classes={"topics": TOPICS})
    data.write(tmp_path, format="csv")
    back = to_multi_select(Dataset.read(tmp_path))["labels"]
    assert back["label"].to_pylist() == [["art", "war"], [], ["sport"], ["art"]]


def test_models_and_gold_answer_the_same_questions():
    """All three tables, with the classes of all three; single-choice tasks stay beside them."""
    gold = pa.table({"item": ["a", "a"], "task": ["topics", "tone"], "label": [["music"], ["kind"]]})
    machine = pa.table({"item": ["a"], "task": ["topics"], "model": ["llm"], "label": [["art", "art"]]})
    data = from_multi_select(pa.table(ROWS), gold=gold, model_labels=machine, questions=["topics"])
    assert [task.name for task in data.schema.tasks] == [
        "tone", "topics: art", "topics: music", "topics: sport", "topics: war",
    ]  # fmt: skip
    back = to_multi_select(data)
    assert back["gold"]["label"].to_pylist() == [["music"], ["kind"]]
    assert back["model_labels"].to_pylist() == [{"item": "a", "task": "topics", "model": "llm", "label": ["art"]}]


def test_a_consensus_is_joined_too():
    """Any table with item, task and label."""
    schema = Schema(tuple(Task(f"topics: {t}", ("no", "yes"), option_of=Option("topics", t)) for t in TOPICS))
    table = pa.table({"task": [task.name for task in schema.tasks], "item": ["a"] * 3, "label": ["yes", "no", "yes"]})
    assert join_options(table, schema).to_pylist() == [{"task": "topics", "item": "a", "label": ["art", "war"]}]
    with pytest.raises(DataError, match="the answer to 'topics: war' about item 'a' is missing"):
        join_options(table.slice(0, 2), schema)


@pytest.mark.parametrize(
    ("label", "options", "kind", "problem"),
    [
        (None, {}, DataError, "the answer is missing"),
        (["art", None], {}, DataError, "a class in the list is missing"),
        (["art", "x" * 2000], {}, DataError, "is longer than 1,000 characters"),
        (["art", ["war"]], {}, DataError, r"\['war'\] is not one value"),
        (
            ["music"],
            {"classes": {"topics": TOPICS}},
            SchemaError,
            "'music' is not offered by 'topics', which has 'art'",
        ),
        (["art", "war"], {"questions": ["other"]}, DataError, "2 answers, but 'topics' is not among"),
    ],
)
def test_a_bad_answer_is_named(label, options, kind, problem):
    """Row and column of the source."""
    frame = pd.DataFrame({**ROWS, "label": [["art"], label, ["art"], ["art"]]})
    with pytest.raises(kind, match=f"labels, row 2, column 'label': .*{problem}"):
        from_multi_select(frame, **options)


def test_a_question_that_nobody_answered_needs_its_classes():
    """From empty lists no class can be known."""
    frame = pa.table({**ROWS, "label": pa.array([[], [], [], []], pa.list_(pa.string()))})
    with pytest.raises(SchemaError, match="nobody chose anything for question 'topics'"):
        from_multi_select(frame)
    assert from_multi_select(frame, classes={"topics": ["art"]}).labels["label"].to_pylist() == ["no"] * 4


def test_its_columns_are_asked_for():
    """As everywhere."""
    with pytest.raises(FormatError, match="column 'label': the column is missing"):
        from_multi_select(pa.table(ROWS).drop_columns(["label"]))
    with pytest.raises(DataError, match="row 1, column 'task': the task is missing"):
        from_multi_select(pa.table({**ROWS, "task": [None, "t", "t", "t"]}))
