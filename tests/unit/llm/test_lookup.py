"""What models look up: terms of a glossary, and passages by words."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import FormatError, QuorateError, SchemaError, SettingError
from quorate.llm.lookup import K1, B, Glossary, Passages
from quorate.llm.rubric import Declared
from quorate.llm.rubric_file import parse_rubric
from quorate.llm.toolbox import MOST_ARGUMENTS, MOST_RESULT, Toolbox
from quorate.llm.wire import ToolCall

WORDS = st.lists(st.sampled_from(["red", "green", "blue", "apple", "pear", "plum"]), max_size=8).map(" ".join)


@given(st.lists(WORDS, min_size=1, max_size=8), WORDS)
def test_the_score_is_the_formula_word_by_word(texts: list[str], query: str) -> None:
    """Computed here from the definition, passage by passage."""
    split = [text.split() for text in texts]
    mean = sum(map(len, split)) / len(split)

    def score(words: list[str]) -> float:
        total = 0.0
        for word in set(query.split()):
            n, f = sum(word in each for each in split), words.count(word)
            if f:
                slack = K1 * (1 - B + B * len(words) / mean)
                total += math.log(1 + (len(split) - n + 0.5) / (n + 0.5)) * f * (K1 + 1) / (f + slack)
        return total

    np.testing.assert_allclose(Passages(texts).scores(query), [score(words) for words in split], atol=1e-12)


@given(st.lists(WORDS, min_size=1, max_size=8), WORDS)
def test_the_best_are_in_order_and_hold_a_word(texts: list[str], query: str) -> None:
    """Scores fall; what has no word of the query is not found; the same question has the same answer."""
    passages = Passages(texts)
    scores, found = passages.scores(query), passages.best(query, 3)
    assert sorted(found, key=lambda place: (-scores[place], place)) == found
    assert all(set(texts[place].split()) & set(query.split()) for place in found)
    assert len(found) == min(3, int((scores > 0).sum()))


def test_a_term_is_found_in_any_case_and_one_that_is_not_there_names_its_neighbors() -> None:
    """And never guesses a meaning."""
    words = Glossary({"Average Order Value": "dollars by order", "SKU": "a kind of thing"})
    assert words.answer({"term": " average  order VALUE "}) == "Average Order Value: dollars by order"
    assert words.answer({"term": "SKUs"}) == "there is no term 'SKUs'; near it: SKU"
    assert words.answer({"term": "zzzzzz"}) == "there is no term 'zzzzzz'"


def test_a_rubric_declares_tools_with_their_files(tmp_path: Path) -> None:
    """By kind, with a name and words of their own."""
    rubric = parse_rubric(
        "tools: [{glossary: words.csv}, {search: docs.jsonl, name: rules, about: House rules., results: 2}]\n"
        "rounds: 5\ntasks: [{name: safe, kind: yes-no}]"
    )
    assert rubric.tools == (
        Declared("glossary", "words.csv"),
        Declared("search", "docs.jsonl", "rules", "House rules.", 2),
    )
    (tmp_path / "words.csv").write_text("term,meaning,note\nAOV,average order value,in dollars\nAOV,area of view,\n")
    (tmp_path / "docs.jsonl").write_text('{"id": "7", "title": "Nights", "text": "No deliveries."}\n')
    box = Toolbox.read(rubric.tools, tmp_path, rubric.rounds)
    assert [(tool.name, tool.about) for tool in box.tools][1] == ("rules", "House rules.")
    assert box.rounds == 5
    said = box.result(ToolCall("", "glossary", '{"term": "aov"}'))
    assert said == "AOV: average order value; in dollars; or: area of view"
    assert box.result(ToolCall("", "rules", '{"query": "nights"}')) == "1. Nights\nNo deliveries."


@pytest.mark.parametrize(
    ("tools", "problem"),
    [
        ("[{glossary: a.csv, search: b.csv}]", "a tool of no kind, or of two"),
        ("[{name: x}]", "a tool of no kind"),
        ("[{shell: run.sh}]", "nobody knows the key 'shell'"),
        ("[{search: a.csv, results: many}]", "results is 'many'"),
    ],
)
def test_a_tool_that_cannot_be_used_is_told_with_its_line(tools: str, problem: str) -> None:
    """A rubric declares what there is, and nothing else."""
    with pytest.raises(SchemaError, match=f"line 2.*{problem}"):
        parse_rubric(f"tasks: [{{name: safe, kind: yes-no}}]\ntools: {tools}")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("gone.csv", None, "cannot be read"),
        ("a.txt", "x", "reads .csv and .jsonl"),
        ("a.csv", "term,meaning\n", "is empty"),
        ("a.csv", "term,meaning\nAOV\n", "row 1: the row has 1 cells"),
        ("a.csv", "term,meaning\nAOV,\n", "row 1: a term without a meaning"),
        ("a.jsonl", "[1]\n", "row 1: the line is no JSON object"),
        (
            "a.csv",
            "term,meaning,restricted\nAOV,secret words,true\n",
            "row 1, column 'restricted': the row is restricted",
        ),
    ],
)
def test_a_file_of_a_tool_that_is_no_use_is_told(tmp_path: Path, name: str, content: str | None, problem: str) -> None:
    """With its row and the mend; what is restricted is no tool's to tell."""
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(QuorateError, match=problem):
        Toolbox.read([Declared("glossary", name)], tmp_path)


def test_a_call_never_fails_and_never_floods() -> None:
    """A tool that raises, a result without end, arguments without end."""

    class Broken(Glossary):
        def answer(self, arguments: object) -> str:  # noqa: ARG002
            raise ValueError("the secret path of a file")

    class Endless(Glossary):
        def answer(self, arguments: object) -> str:  # noqa: ARG002
            return "x" * 10**6

    box = Toolbox((Broken({}, "broken"), Endless({}, "endless")))
    assert box.result(ToolCall("", "broken", '{"term": "a"}')) == "error: the tool failed (ValueError)"
    assert len(box.result(ToolCall("", "endless", '{"term": "a"}'))) < MOST_RESULT + 10
    assert "JSON object of at most" in box.result(ToolCall("", "endless", f'{{"term": "{"a" * MOST_ARGUMENTS}"}}'))
    assert "JSON object" in box.result(ToolCall("", "endless", "[" * 900))


def test_two_tools_of_one_name_are_refused() -> None:
    """A model could not tell them apart."""
    with pytest.raises(SettingError, match="two tools are called 'glossary'"):
        Toolbox((Glossary({}), Glossary({})))
    with pytest.raises(FormatError, match="cannot be read"):
        Toolbox.read([Declared("search", "gone.csv")], Path())
