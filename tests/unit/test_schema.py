"""Tasks, classes, and the file that holds them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import DataError, SchemaError
from quorate.schema import MAX_CLASSES, Option, Schema, Task

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6).filter(str.strip)
TASKS = st.tuples(
    TEXTS,
    st.lists(TEXTS, min_size=1, max_size=4, unique=True).map(tuple),
    st.booleans(),
    st.none() | st.builds(Option, TEXTS, TEXTS),
)


@given(st.lists(TASKS, max_size=4, unique_by=lambda task: task[0]))
def test_a_schema_reads_back_as_it_was_written(tasks):
    """Names, classes in order, scales, and where options come from."""
    schema = Schema(tuple(Task(*task) for task in tasks))
    assert Schema.from_json(schema.to_json()) == schema


def test_the_file_is_as_the_data_contract_has_it():
    """Other programs read it."""
    text = Schema((Task("quality", ("1", "2"), ordered=True),)).to_json()
    assert json.loads(text) == {"tasks": [{"name": "quality", "classes": ["1", "2"], "ordered": True}]}
    assert Schema.from_json('{"tasks": [{"name": "q", "classes": ["a"]}]}').tasks[0].ordered is False


def test_codes_are_places():
    """Of tasks in the schema, of classes in the task."""
    schema = Schema((Task("b", ("z", "a")), Task("a", ("y",))))
    assert schema.code_of == {"b": 0, "a": 1}
    assert schema.task("b").code_of == {"z": 0, "a": 1}
    assert len(schema) == 2


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda: Task("", ("a",)), "a task has no name"),
        (lambda: Task("q", ()), "task 'q' has no classes"),
        (lambda: Task("q", ("a", "b", "a")), "task 'q' names class 'a' twice"),
        (lambda: Task("q", tuple(map(str, range(MAX_CLASSES + 1)))), "has 1001 distinct classes, more than 1000"),
        (lambda: Schema((Task("q", ("a",)), Task("q", ("b",)))), "task 'q' is listed twice"),
        (lambda: Schema((Task("q", ("a",)),)).task("p"), "there is no task 'p'. To mend: use one of 'q'"),
    ],
)
def test_a_contradiction_is_told(build, problem):
    """With task and class."""
    with pytest.raises(SchemaError, match=problem.replace(".", r"\.")):
        build()


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "3", "[]", "{}", '{"tasks": null}', '{"tasks": [1]}', '{"tasks": [{}]}',
        '{"tasks": [{"name": 1, "classes": ["a"]}]}', '{"tasks": [{"name": "q", "classes": "ab"}]}',
        '{"tasks": [{"name": "q", "classes": ["a", 1]}]}', '{"tasks": [{"name": "q", "classes": ["a", " "]}]}',
        '{"tasks": [{"name": "q\\n", "classes": ["a"]}]}', '{"tasks": [{"name": "q", "classes": ["\\ud800"]}]}',
        '{"tasks": [{"name": "q", "classes": ["a"], "ordered": 1}]}',
        '{"tasks": [{"name": "q", "classes": ["a"], "option_of": "x"}]}',
        '{"tasks": [{"name": "q", "classes": ["a"], "option_of": {"question": "x"}}]}', "[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_schema_is_refused_with_the_layout(text):
    """Never an error of the JSON reader; the file is named."""
    with pytest.raises(SchemaError, match=r"^folder/schema\.json") as caught:
        Schema.from_json(text, source="folder/schema.json")
    assert isinstance(caught.value, DataError)
    assert caught.value.mend
