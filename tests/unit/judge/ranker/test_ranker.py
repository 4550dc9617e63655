"""A ranker: it ranks as it was taught, comes back from its folder the same, and is measured on queries it never saw."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from quorate.data.dataset import Dataset
from quorate.errors import ArchiveError, DataError, MissingExtraError, SchemaError, SettingError
from quorate.judge.ranker.kept import load, save
from quorate.judge.ranker.model import Options, class_gains, levels, ranked
from quorate.judge.ranker.teaching import Meant, Teaching, queries_of, query_texts, task_of, teach
from quorate.judge.student.contents import Contents, contents_of
from quorate.judge.student.teaching import Source
from quorate.llm.items import Items
from quorate.schema import Schema, Task
from unit.judge.ranker.searches import GRADE, searches

DATA = searches()
FEW = Options(most_trees=60, patience=15, leaves=7, least_in_leaf=5, threads=1)


def contents(data: Dataset) -> Contents:
    """The documents of a search log."""
    assert data.items is not None
    texts = {"text": data.items["text"].to_pylist()}
    return contents_of(Items(tuple(data.items["item"].to_pylist()), texts, {}, data=data))


@pytest.fixture(scope="module")
def done() -> Teaching:
    """Taught by the judge, measured on a third of the documents."""
    here = contents(DATA)
    return teach(here, queries_of(here, "query"), Source(DATA, DATA), options=FEW, share=0.34)


def test_it_ranks_better_than_chance_and_about_as_its_teacher(done: Teaching) -> None:
    """NDCG with intervals on held-out queries; the teacher's errors are its own, the ranker reads the words."""
    found = {each.party: each for each in done.figures}
    assert set(found) == {"ranker", "teacher", "bm25", "random", "ranker - teacher", "ranker - bm25"}
    assert {each.n_queries for each in done.figures} == {done.n_held_out}
    assert done.n_held_out >= 12
    assert found["ranker"].low is not None
    assert found["ranker"].low > found["random"].estimate
    assert found["ranker - teacher"].estimate == pytest.approx(found["ranker"].estimate - found["teacher"].estimate)
    for each in done.figures:
        assert each.low is not None
        assert each.high is not None
        assert each.low <= each.estimate <= each.high


def test_held_out_queries_teach_nothing(done: Teaching) -> None:
    """Whole queries are held out, so those taught and those measured make up all."""
    assert done.ranker.n_queries + done.n_held_out == 40
    assert done.ranker.n_documents == done.ranker.n_queries * 12


def test_a_ranking_lists_every_document_once_by_falling_score(done: Teaching) -> None:
    """Ranks count from 1 in every query."""
    here = contents(DATA)
    table = done.ranker.rank(here, queries_of(here, "query")).to_pylist()
    assert sorted(row["item"] for row in table) == sorted(here.ids)
    for before, after in pairwise(table):
        if before["query"] == after["query"]:
            assert after["rank"] == before["rank"] + 1
            assert after["score"] <= before["score"]
        else:
            assert after["rank"] == 1


def test_it_comes_back_the_same_and_teaching_again_gives_the_same_trees(done: Teaching, tmp_path: Path) -> None:
    """Scores to the last bit; nothing is left to chance."""
    here = contents(searches(6, seed=9))
    queries = queries_of(here, "query")
    save(done.ranker, tmp_path / "r", [{"party": "ranker"}])
    again = load(tmp_path / "r")
    assert again == done.ranker
    np.testing.assert_array_equal(again.scores(here, queries), done.ranker.scores(here, queries))
    all_of = contents(DATA)
    twice = teach(all_of, queries_of(all_of, "query"), Source(DATA, DATA), options=FEW, share=0.34)
    assert twice.ranker.trees == done.ranker.trees
    assert twice.figures == done.figures


def test_its_trees_are_lightgbm_s_own_text(done: Teaching, tmp_path: Path) -> None:
    """Any LightGBM reads them."""
    import lightgbm

    save(done.ranker, tmp_path / "r")
    booster = lightgbm.Booster(model_file=str(tmp_path / "r" / "model.txt"))
    assert booster.num_trees() == done.ranker.n_trees
    assert booster.num_feature() == len(json.loads((tmp_path / "r" / "ranker.json").read_text())["features"])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("model.txt", "tree\n", "is not the one"),
        ("model.txt", None, "cannot be read"),
        ("ranker.json", None, "no ranker.json"),
        ("ranker.json", '{"kind": "quorate ran', "torn"),
        ("ranker.json", '{"kind": "quorate student", "format": 1}', "no ranker"),
        ("ranker.json", '{"kind": "quorate ranker", "format": 2, "quorate": "9.9"}', "format 2"),
        ("ranker.json", "[]", "cannot be read"),
    ],
)
def test_a_torn_or_foreign_folder_is_refused(
    name: str, text: str | None, message: str, done: Teaching, tmp_path: Path
) -> None:
    """The error names the folder and the mend."""
    save(done.ranker, tmp_path / "r")
    if text is None:
        (tmp_path / "r" / name).unlink()
    else:
        (tmp_path / "r" / name).write_text(text)
    with pytest.raises(ArchiveError, match=f"{message}.*To mend"):
        load(tmp_path / "r")


def test_parts_that_do_not_fit_are_refused(done: Teaching, tmp_path: Path) -> None:
    """Features that are not those of the trees, a field that is none."""
    save(done.ranker, tmp_path / "r")
    head = json.loads((tmp_path / "r" / "ranker.json").read_text())
    for change in ({"features": ["bm25(text)"]}, {"fields": [{}]}, {"schema": {"tasks": []}}, {"numbers": 3}):
        (tmp_path / "r" / "ranker.json").write_text(json.dumps({**head, **change}))
        with pytest.raises(ArchiveError, match="do not fit"):
            load(tmp_path / "r")


# ---- gains ----------------------------------------------------------------------------------------------------------
def test_a_grade_is_worth_what_stands_above_the_lowest() -> None:
    """2^grade - 1, or the grade; or 1 for the one class that is relevant."""
    assert class_gains(Task("t", ("1", "2", "4"), ordered=True)).tolist() == [0, 1, 7]
    assert class_gains(Task("t", ("1", "2", "4"), ordered=True), "linear").tolist() == [0, 1, 3]
    yes = Task("t", ("yes", "no"))
    assert class_gains(yes, positive="yes").tolist() == [1, 0]
    with pytest.raises(SettingError, match="no scale"):
        class_gains(yes)
    with pytest.raises(SettingError, match="no class 'maybe'"):
        class_gains(yes, positive="maybe")


def test_levels_are_exact_where_gains_are_few_and_near_where_they_are_many() -> None:
    """LightGBM takes whole numbers: each has its gain."""
    label, worth = levels(np.array([7.0, 0.0, 3.0, 7.0]))
    assert (label.tolist(), worth) == ([2, 0, 1, 2], [0.0, 3.0, 7.0])
    many = np.random.default_rng(0).uniform(0, 7, 2_000)
    label, worth = levels(many)
    assert len(worth) <= 255
    assert np.abs(np.array(worth)[label] - many).max() <= 7 / 254 / 2 + 1e-12


def test_too_little_to_rank_is_told() -> None:
    """Few queries, grades that are all alike, nothing to read, settings out of range."""
    here = contents(DATA)
    queries = queries_of(here, "query")
    first = np.flatnonzero(queries.code < 3)
    with pytest.raises(DataError, match="only 3 queries"):
        ranked(here.select(first), queries.select(first), np.ones(len(first)), GRADE, "x")
    with pytest.raises(DataError, match="different grades"):
        ranked(here, queries, np.ones(len(here)), GRADE, "x")
    bare = Contents(here.ids, {}, np.zeros((len(here), 0), np.float32), here.known)
    with pytest.raises(DataError, match="nothing to rank by"):
        ranked(bare, queries, np.arange(len(here)) % 3.0, GRADE, "x")
    with pytest.raises(SettingError, match="rate"):
        ranked(here, queries, np.ones(len(here)), GRADE, "x", Options(rate=0.0))


def test_documents_that_lack_what_it_reads_are_refused(done: Teaching) -> None:
    """A number by its name."""
    here = contents(DATA)
    bare = Contents(here.ids, here.texts, np.zeros((len(here), 0), np.float32), here.known)
    with pytest.raises(SchemaError, match="x_fresh"):
        done.ranker.scores(bare, queries_of(here, "query"))


# ---- what is asked --------------------------------------------------------------------------------------------------
def test_queries_have_names_and_words(tmp_path: Path) -> None:
    """The words are the names, or those of a table; a query without words is told with its row."""
    table = pa.table({"item": ["a", "b", "c"], "query": ["7", "8", "7"]})
    here = contents_of(Items(("a", "b", "c"), {}, {}, data=Dataset(items=table)))
    found = queries_of(here, "query")
    assert (found.code.tolist(), found.names, found.texts) == ([0, 1, 0], ("7", "8"), ("7", "8"))
    (tmp_path / "q.csv").write_text("query,text\n7,red fox\n8,blue sky\n")
    assert queries_of(here, "query", query_texts(tmp_path / "q.csv")).texts == ("red fox", "blue sky")
    with pytest.raises(DataError, match=r"row 2, column 'query'.*'8'"):
        queries_of(here, "query", {"7": "red fox"})
    with pytest.raises(DataError, match="no column 'topic'"):
        queries_of(here, "topic")
    (tmp_path / "q.csv").write_text("query,words\n7,red fox\n")
    with pytest.raises(DataError, match="column 'text'"):
        query_texts(tmp_path / "q.csv")


def test_the_task_is_the_only_one_or_the_only_scale() -> None:
    """Else it must be named."""
    kind = Task("kind", ("a", "b"))
    assert task_of(Schema((kind,)), Meant()) == kind
    assert task_of(Schema((kind, GRADE)), Meant()) == GRADE
    with pytest.raises(SettingError, match="not clear"):
        task_of(Schema((kind, Task("other", ("a", "b")))), Meant())


def test_without_people_it_ranks_and_says_that_it_was_not_measured() -> None:
    """No figure, one note."""
    here = contents(DATA)
    done = teach(here, queries_of(here, "query"), Source(DATA, None), options=FEW)
    assert done.figures == ()
    assert "not measured" in done.notes[0]
    assert done.ranker.n_queries == 40


def test_without_lightgbm_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package and how to install it."""
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    here = contents(DATA)
    with pytest.raises(MissingExtraError, match=r"quorate\[rank\]"):
        teach(here, queries_of(here, "query"), Source(DATA, DATA), options=FEW)
