"""Rubrics as files: what they may say, and what is said of those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from quorate.errors import DataError
from quorate.llm.rubric_file import parse_rubric, read_rubric
from quorate.schema import Option, Task

WHOLE = """\
about: Reviews.
guidelines: Be fair.
calls: apart
thinking: steps
show: [title, text]
tasks:
  - name: tone
    question: Which tone?
    guidelines: As the writer means it.
    classes:
      calm: no heat
      angry:
  - name: stars
    kind: scale
    classes: [1, 2, 3]
  - name: safe
    kind: yes-no
    classes: {yes: nobody is hurt}
  - name: topics
    kind: any
    question: What is it about?
    classes: [price, quality]
examples:
  - text: Good
    labels: {tone: calm, stars: 3, safe: yes, topics: [price]}
    reasoning: It says so.
"""


def test_every_kind_of_task_fits_the_data_contract() -> None:
    """Choose-all questions are yes-no tasks that know where they come from; a scale is ordered; words stay words."""
    rubric = parse_rubric(WHOLE)
    assert rubric.schema.tasks == (
        Task("tone", ("calm", "angry")),
        Task("stars", ("1", "2", "3"), ordered=True),
        Task("safe", ("no", "yes")),
        Task("topics: price", ("no", "yes"), option_of=Option("topics", "price")),
        Task("topics: quality", ("no", "yes"), option_of=Option("topics", "quality")),
    )
    assert rubric.examples[0].labels == {
        "tone": "calm", "stars": "3", "safe": "yes", "topics: price": "yes", "topics: quality": "no",
    }  # fmt: skip
    assert (rubric.calls, rubric.thinking, rubric.show) == ("apart", "steps", ("title", "text"))
    assert rubric.questions[0].options[0] == ("A", "calm", "no heat")
    assert len(rubric.groups()) == 5
    assert parse_rubric(WHOLE.replace("apart", "together")).groups() == [rubric.questions]


def test_a_schema_of_a_rubric_is_read_back_by_a_dataset_folder() -> None:
    """The schema is one of the data contract."""
    schema = parse_rubric(WHOLE).schema
    assert type(schema).from_json(schema.to_json()) == schema


TASK = "tasks:\n  - name: tone\n    classes: [calm, angry]\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "empty"),
        ("about: x\n", 1, "no key 'tasks'"),
        ("tasks: []\n", 1, "no task"),
        ("tasks:\n  - name: a\n  bad\n", 3, "not YAML"),
        ("tasks: [\n", 2, "not YAML"),
        (TASK + "guidelnes: x\n", 4, "write 'guidelines'"),
        (TASK + "    kid: one\n", 4, "write 'kind'"),
        (TASK + "    kind: two\n", 4, "one of one, scale, yes-no, any"),
        (TASK + "    classes: [x, y]\n", 4, "there twice"),
        ("tasks:\n  - classes: [a, b]\n", 2, "'name' is missing"),
        ("tasks:\n  - name: a\n", 2, "'classes' is missing"),
        ("tasks:\n  - name: a\n    classes: [x]\n", 3, "at least two classes"),
        ("tasks:\n  - name: a\n    classes: [x, x]\n", 3, "listed twice"),
        ("tasks:\n  - name: a\n    kind: yes-no\n    classes: [maybe, yes]\n", 4, "'maybe'"),
        (TASK + "  - name: tone\n    kind: yes-no\n", 4, "name every task once"),
        ("tasks:\n  - name: ''\n    kind: yes-no\n", 2, "no name"),
        ("tasks:\n  - name: [a]\n    kind: yes-no\n", 2, "must be a text"),
        (TASK + "examples:\n  - text: x\n    labels: {tone: calmer}\n", 6, "'calm', 'angry'"),
        (TASK + "examples:\n  - text: x\n    labels: {ton: calm}\n", 6, "no task 'ton'"),
        (TASK + "examples:\n  - text: x\n", 5, "without labels"),
        (TASK + "examples:\n  - labels: {tone: calm}\n", 5, "shows nothing"),
        (TASK + "thinking: hard\n", 4, "none, steps"),
        ("a: &a [*a, *a]\ntasks: *a\n", 1, "aliases"),
        ("? [x]\n: y\n", 1, "key must be a text"),
    ],
)
def test_what_cannot_be_used_is_told_with_file_line_and_mend(tmp_path: Path, text: str, line: int, words: str) -> None:
    """One error that says where and how to mend it."""
    path = tmp_path / "rubric.yaml"
    path.write_text(text)
    with pytest.raises(DataError) as told:
        read_rubric(path)
    assert f"rubric.yaml, line {line}" in str(told.value)
    assert words in str(told.value)
    assert "To mend: " in str(told.value)


def test_an_alias_bomb_ends_in_an_error_and_not_in_memory() -> None:
    """Ten levels of nine aliases would be billions of values."""
    levels = "\n".join(f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]" for n in range(1, 12))
    with pytest.raises(DataError, match="aliases"):
        parse_rubric(f"k0: &k0 [x]\n{levels}\n")


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    """Not a traceback of the reader."""
    with pytest.raises(DataError, match="cannot be read"):
        read_rubric(tmp_path / "no.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"about: caf\xe9\n")
    with pytest.raises(DataError, match="UTF-8"):
        read_rubric(tmp_path / "latin.yaml")
