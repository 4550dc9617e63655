"""The data set as a whole: reading, writing, parts."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quorate.data.dataset import Dataset
from quorate.data.faults import check_way
from quorate.data.tables import TABLES
from quorate.data.write import check_format
from quorate.errors import DataError, FormatError, QuorateError, SettingError
from quorate.schema import Schema, Task
from unit.data.small import SCHEMA, dataset, labels, world

NAMES = ("labels", "scores", "model_labels", "gold", "items")


def same(one: Dataset, other: Dataset) -> None:
    """Equal schemas, tables and rows."""
    assert one.schema == other.schema
    for name in TABLES:
        mine, yours = getattr(one, name), getattr(other, name)
        assert (mine is None) == (yours is None), name
        if mine is not None:
            assert mine.schema == yours.schema, name
            assert mine.equals(yours), name


# ---- in and out -----------------------------------------------------------------------------------------------------

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(str.strip)
NOTES = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            WORDS,
            WORDS,
            WORDS,
            WORDS,
            NOTES,
            st.none() | st.datetimes(timezones=st.just(dt.UTC)),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda row: row[:3],
    )
)
def test_what_is_written_reads_back_the_same(tmp_path_factory, rows):
    """In every format, whatever the names and notes; and from each format into the next."""
    columns = ("item", "task", "annotator", "label", "note", "created_at", "confidence")
    kinds = (*[pa.string()] * 5, pa.timestamp("us", "UTC"), pa.float64())
    table = pa.table(
        {
            name: pa.array(values, kind)
            for name, kind, values in zip(columns, kinds, zip(*rows, strict=True), strict=True)
        }
    )
    classes: dict[str, dict[str, None]] = {}
    for row in rows:
        classes.setdefault(row[1], {})[row[3]] = None
    data = Dataset(labels=table, schema=Schema(tuple(Task(task, tuple(found)) for task, found in classes.items())))
    assert data.labels.equals(table)
    for kind in ("csv", "jsonl", "parquet", "csv"):
        folder = tmp_path_factory.mktemp("written")
        data.write(folder, format=kind)
        again = Dataset.read(folder)
        same(data, again)
        data = again


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_all_five_tables_read_back_the_same(tmp_path, kind):
    """Scores to the last digit, vectors, gaps."""
    data = dataset()
    data.write(tmp_path / "new", format=kind)
    again = Dataset.read(tmp_path / "new")
    same(data, again)
    for mine, yours in zip(data.encode().outputs, again.encode().outputs, strict=True):
        np.testing.assert_array_equal(mine.scores, yours.scores)
    np.testing.assert_array_equal(data.encode().features, again.encode().features)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, lambda columns: pl.DataFrame(columns).lazy(), pa.table])
def test_any_dataframe_will_do(frame):
    """pandas, polars (lazy too), Arrow: one data set."""
    tables = {name: frame(table.to_pydict()) for name, table in world().items()}
    data = Dataset(**tables, schema=SCHEMA)
    expected = dataset().encode()
    found = data.encode()
    assert found.items == expected.items
    for mine, yours in zip(found.labels, expected.labels, strict=True):
        np.testing.assert_array_equal(mine, yours)
    np.testing.assert_array_equal(found.features, expected.features)
    np.testing.assert_array_equal(found.outputs[1].scores, expected.outputs[1].scores)


def test_categories_and_numbers_will_do():
    """Integer and categorical columns, a float column that only has gaps elsewhere."""
    frame = pd.DataFrame(
        {"item": [3, 1], "task": pd.Categorical(["q", "q"]), "annotator": [7, 8], "label": [1.0, 0.0]}, index=[5, 5]
    )
    data = Dataset(labels=frame)
    assert data.labels.to_pydict() == {
        "item": ["3", "1"],
        "task": ["q", "q"],
        "annotator": ["7", "8"],
        "label": ["1", "0"],
    }
    assert data.schema.tasks[0].classes == ("0", "1")


@pytest.mark.parametrize("frame", [3, "labels.csv", [{"item": "a"}], {"item": ["a"]}, pd.Series(["a"])])
def test_what_is_no_table_is_refused(frame):
    """With the words of a person who wanted to help."""
    with pytest.raises(FormatError, match="is no table"):
        Dataset(labels=frame)


def test_two_columns_of_one_name_are_refused():
    """Which one was meant?"""
    table = pa.table([pa.array(["a"])] * 5, names=["item", "task", "annotator", "label", "item"])
    with pytest.raises(FormatError, match="two columns have this name"):
        Dataset(labels=table)
    with pytest.raises(FormatError, match="two columns have this name"):
        Dataset(labels=table.to_pandas())


def test_a_data_set_needs_a_table():
    """Nothing is not a data set."""
    with pytest.raises(DataError, match="needs a table"):
        Dataset(schema=SCHEMA)


def test_an_unknown_way_with_bad_rows_is_refused():
    """A misspelled option must not mean `raise` or `quarantine` by chance."""
    with pytest.raises(SettingError, match="on_bad is 'raise' or 'quarantine', not 'skip'"):
        check_way("skip")


def test_the_tables_are_kept_with_all_their_columns():
    """In the order of the source; names as text."""
    table = labels(("a", "food", "ann", "good"), group=["x"], created_at=["2024-01-31"])
    found = Dataset(labels=table.select(["label", "group", "annotator", "task", "created_at", "item"])).labels
    assert found.column_names == ["label", "group", "annotator", "task", "created_at", "item"]
    assert found.schema.field("item").type == pa.string()
    assert found["created_at"].to_pylist() == [dt.datetime(2024, 1, 31, tzinfo=dt.UTC)]


# ---- folders --------------------------------------------------------------------------------------------------------


def test_a_schema_is_inferred_and_written_once(tmp_path):
    """The next reading finds it; what people write into it stays."""
    (tmp_path / "labels.csv").write_text("item,task,annotator,label\na,stars,ann,2\nb,stars,ann,10\n")
    data = Dataset.read(tmp_path)
    assert (
        Schema.from_json((tmp_path / "schema.json").read_text()) == data.schema == Schema((Task("stars", ("2", "10")),))
    )
    edited = Schema((Task("stars", ("2", "5", "10"), ordered=True),))
    (tmp_path / "schema.json").write_text(edited.to_json())
    assert Dataset.read(tmp_path).schema == edited


def test_a_folder_for_reading_only_is_read(tmp_path):
    """The schema is inferred again each time; rows cannot be set aside there, which is told."""
    (tmp_path / "labels.csv").write_text("item,task,annotator,label\na,stars,ann,2\nb,stars,ann,\n")
    (tmp_path / "quarantine").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="bad rows cannot be set aside here"):
        Dataset.read(tmp_path, on_bad="quarantine")


def test_other_files_stay_untouched_and_old_bad_rows_go(tmp_path):
    """The quarantine folder shows the last reading."""
    (tmp_path / "meta.json").write_text("{}")
    (tmp_path / "label_counts.parquet").write_bytes(b"not even Parquet")
    text = "item,task,annotator,label\na,stars,ann,2\nb,stars,ann,"
    (tmp_path / "labels.csv").write_text(text)
    Dataset.read(tmp_path, on_bad="quarantine")
    assert len((tmp_path / "quarantine" / "labels.jsonl").read_text().splitlines()) == 1
    (tmp_path / "labels.csv").write_text(text + "2")
    assert Dataset.read(tmp_path, on_bad="quarantine").quarantined.num_rows == 0
    assert list((tmp_path / "quarantine").iterdir()) == []
    assert (tmp_path / "meta.json").read_text() == "{}"


def test_one_table_in_two_files_is_refused(tmp_path):
    """Which one is true?"""
    for kind in ("csv", "jsonl"):
        dataset().write(tmp_path / kind, format=kind)
    (tmp_path / "csv" / "labels.jsonl").write_bytes((tmp_path / "jsonl" / "labels.jsonl").read_bytes())
    with pytest.raises(FormatError, match=r"labels.csv and labels.jsonl are the same table"):
        Dataset.read(tmp_path / "csv")


@pytest.mark.parametrize(
    ("name", "problem"), [(".", "there is no table in this folder"), ("nowhere", "no such folder")]
)
def test_a_folder_without_tables_is_told(tmp_path, name, problem):
    """With the names that it may have."""
    with pytest.raises(FormatError, match=problem) as caught:
        Dataset.read(tmp_path / name)
    assert "labels.csv" in caught.value.mend


def test_writing_does_not_mix_data_sets(tmp_path):
    """A folder with a table of another kind, or one that this data set does not have, is left as it is."""
    data = dataset()
    data.write(tmp_path, format="csv")
    data.write(tmp_path, format="csv")
    with pytest.raises(FormatError, match=r"holds labels.csv of another data set"):
        data.write(tmp_path, format="jsonl")
    only_labels = Dataset(labels=data.labels, schema=SCHEMA)
    with pytest.raises(FormatError, match=r"holds scores.csv of another data set"):
        only_labels.write(tmp_path, format="csv")
    with pytest.raises(SettingError, match="format is one of parquet, csv, jsonl, not 'xlsx'"):
        check_format("xlsx")
    assert not list(tmp_path.glob(".*"))


def test_what_cannot_be_written_is_told(tmp_path):
    """And nothing half-written stays."""
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match="cannot be written"):
        dataset().write(tmp_path / "file" / "folder")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"tasks": 3}',
        '{"tasks": [{"name": "a", "classes": []}]}',
        '{"tasks": [{"name": "a", "classes": [1]}]}',
    ],
)
def test_a_schema_file_that_is_none_is_named(tmp_path, text):
    """With the layout that it should have."""
    (tmp_path / "labels.csv").write_text("item,task,annotator,label\na,stars,ann,2\n")
    (tmp_path / "schema.json").write_text(text)
    with pytest.raises(QuorateError, match=r"schema.json") as caught:
        Dataset.read(tmp_path)
    assert caught.value.mend


# ---- parts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stamps", [["2024-01-03", "2024-01-01", None, "2024-01-02", "2024-01-01"], [3, 1, None, 2, 1], [3.5, 1, None, 2, 1]]
)
def test_labels_arrive_in_the_order_of_their_times(stamps):
    """Those without a time last; equal times in the order of their rows."""
    rows = [("a", "food", f"p{k}", "good") for k in range(5)]
    data = Dataset(labels=labels(*rows, created_at=stamps))
    coded = data.encode()
    assert coded.labels.annotator.tolist() == [1, 4, 3, 0, 2]
    assert coded.labels.row.tolist() == [1, 4, 3, 0, 2]
    assert data.first_labels(2).labels["annotator"].to_pylist() == ["p1", "p4"]


def test_without_times_labels_arrive_in_the_order_of_their_rows():
    """Also where the column is there and empty."""
    rows = [("a", "food", f"p{k}", "good") for k in (2, 0, 1)]
    for more in ({}, {"created_at": pa.nulls(3)}):
        assert Dataset(labels=labels(*rows, **more)).encode().labels.annotator.tolist() == [2, 0, 1]


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 100), st.integers(0, 4))
def test_first_labels_of_the_tables_are_first_labels_of_the_codes(seed, n):
    """Encoding and taking the first commute."""
    data = dataset(seed)
    one, other = data.first_labels(n).encode(), data.encode().first_labels(n)
    inside = [one.items.index(item) if item in one.items else -1 for item in other.items]
    assert -1 not in inside
    same_order = one.select(np.array(inside))
    kept = {other.annotators[a] for a in other.labels.annotator}
    assert set(one.annotators) == kept
    aligned = other.aligned(other.schema, one.annotators, one.models)
    for mine, yours in zip(same_order.labels[:3], aligned.labels[:3], strict=True):
        np.testing.assert_array_equal(mine, yours)


def test_chosen_items_are_chosen_in_every_table():
    """In the order of the data set; ids may be numbers."""
    data = dataset()
    part = data.select(["i3", "i1"])
    assert set(part.encode().items) == {"i1", "i3"}
    for name in NAMES:
        table = getattr(data, name)
        mask = [item in {"i1", "i3"} for item in table["item"].to_pylist()]
        kept = table.filter(pa.array(mask))
        found = getattr(part, name)
        assert (found is None and not kept.num_rows) or found.equals(kept)
    numbers = Dataset(labels=labels((1, "food", "ann", "good"), (2, "food", "ann", "bad")))
    assert numbers.select([2]).encode().items == ("2",)
    with pytest.raises(DataError, match="there is no item 'i99'"):
        data.select(["i1", "i99"])


def test_a_split_is_a_partition_and_repeats_with_its_seed():
    """Every item on one side; the share is rounded."""
    data = dataset()
    items = data.encode().items
    one, other = data.split(0.3, seed=1)
    left, right = one.encode().items, other.encode().items
    assert len(left) == round(0.3 * len(items))
    assert sorted(left + right) == sorted(items)
    assert one.encode().items == data.split(0.3, seed=1)[0].encode().items
    assert data.split(0.3, seed=2)[0].encode().items != left
    assert [len(part.encode().items) for part in data.split(0.0)] == [0, len(items)]
    with pytest.raises(SettingError, match="fraction"):
        data.split(1.5)


def test_parts_know_what_they_are_parts_of():
    """Schema and models stay; a negative number of labels is refused."""
    data = dataset()
    assert data.first_labels(0).labels is None
    assert data.first_labels(0).schema == data.schema
    assert data.first_labels(0).encode().n_items == data.encode().n_items
    with pytest.raises(SettingError, match="at least 0"):
        data.first_labels(-1)


def test_the_summary_fits_on_a_line():
    """For notebooks."""
    assert repr(dataset()).startswith("Dataset(2 tasks; rows of labels: ")


# ---- recorded labelings ---------------------------------------------------------------------------------------------

RECORDED = {  # items, tasks, annotators as its README lists them
    "alttest_10k_prompts": (1698, 1, 13), "alttest_cebab": (1611, 5, 20), "alttest_lesion": (100, 5, 6),
    "alttest_lgbteen": (88, 10, 4), "alttest_mtbench": (60, 2, 3), "alttest_wax": (246, 1, 8),
    "argq_novices": (320, 11, 108), "cifar10h": (10000, 1, 0), "crowd_classics": (53191, 15, 3403),
    "crowdtruth_medrel": (975, 14, 304), "gwsd_stance": (2055, 2, 398), "hanna": (1056, 6, 3),
    "latent_content": (100, 4, 33), "lewidi_convabuse": (4050, 13, 8), "lewidi_hsbrexit": (1120, 3, 6),
    "lewidi_mdagreement": (10753, 1, 819), "llm_rubric": (473, 9, 24), "llmbar": (1200, 1, 0),
    "medical_safety": (860, 4, 12), "nk_frames": (499, 1, 2), "pandalm": (999, 1, 3),
    "popquorn_politeness": (3718, 1, 506), "topical_chat_gpt35": (360, 4, 3), "trec_dl_relevance": (31474, 2, 0),
    "truthfulness_multidim": (180, 9, 200), "vaccine_stance": (757, 1, 0), "varierr_nli": (878, 1, 4),
    "vlm_mmbench": (4377, 1, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_labelings_are_read_as_they_are_described(recorded, name):
    """Every row stands in the arrays; items, tasks and people are as many as its README says."""
    folder = recorded(name)
    data = Dataset.read(folder)
    coded = data.encode()
    assert (coded.n_items, coded.n_tasks, len(coded.annotators)) == RECORDED[name]
    assert data.quarantined.num_rows == 0
    assert len(coded.labels.code) == (
        0 if data.labels is None else pq.read_metadata(folder / "labels.parquet").num_rows
    )
    assert (coded.gold >= 0).sum() == (0 if data.gold is None else pq.read_metadata(folder / "gold.parquet").num_rows)
    for output in coded.outputs:
        np.testing.assert_allclose(output.scores.sum(axis=2), output.kind > 0, atol=1e-5)
        assert ((output.answer >= 0) == (output.kind > 0)).all()
