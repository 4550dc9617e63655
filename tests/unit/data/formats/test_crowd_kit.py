"""crowd-kit's layout, in and out."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from quorate.data.dataset import Dataset
from quorate.data.formats.crowd_kit import from_crowd_kit, to_crowd_kit
from quorate.errors import DataError, FormatError, SchemaError, SettingError
from quorate.schema import Schema, Task
from unit.data.small import dataset

LABELS = pd.DataFrame({"worker": ["w1", "w2", "w1"], "task": ["t2", "t2", "t1"], "label": [1, 0, 1]})
GOLD = pd.DataFrame({"task": ["t1"], "label": [1]})


def test_task_and_worker_become_item_and_annotator():
    """One question; the schema is inferred, or given."""
    data = from_crowd_kit(LABELS, gold=GOLD, question="spam")
    assert data.labels.to_pylist()[0] == {"annotator": "w1", "item": "t2", "label": "1", "task": "spam"}
    assert data.gold.to_pylist() == [{"item": "t1", "label": "1", "task": "spam"}]
    assert data.schema == Schema((Task("spam", ("0", "1")),))
    given = Schema((Task("label", ("1", "0", "2")),))
    assert from_crowd_kit(LABELS, schema=given).schema == given


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_there_and_back_again_is_no_change(tmp_path, kind):
    """Frame to data set to frame to file to data set; other columns stay."""
    labels = LABELS.assign(seconds=[1.5, 2.0, 3.0], label=["yes", "no", "yes"])
    data = from_crowd_kit(labels, gold=GOLD.assign(label="yes"))
    theirs = to_crowd_kit(data)
    pd.testing.assert_frame_equal(theirs.labels.to_pandas()[list(labels)], labels, check_dtype=False)
    Dataset(labels=data.labels, gold=data.gold).write(tmp_path, format=kind)
    write = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}[kind]
    again = from_crowd_kit(
        write(theirs.labels, tmp_path / f"l.{kind}"), gold=write(theirs.gold, tmp_path / f"g.{kind}")
    )
    assert again.labels.select(data.labels.column_names).equals(data.labels)
    assert again.gold.select(data.gold.column_names).equals(data.gold)


def _csv(table, path):
    table.to_pandas().to_csv(path, index=False)
    return path


def _jsonl(table, path):
    table.to_pandas().to_json(path, orient="records", lines=True)
    return str(path)


def _parquet(table, path):
    table.to_pandas().to_parquet(path)
    return path


def test_one_question_goes_out_at_a_time():
    """Their layout has no room for more."""
    data = dataset()
    with pytest.raises(SettingError, match="name one of 'food', 'stars' as `question`"):
        to_crowd_kit(data)
    labels, gold = to_crowd_kit(data, "stars")
    assert set(labels["label"].to_pylist()) <= {"1", "2", "3"}
    assert labels.num_rows + to_crowd_kit(data, "food").labels.num_rows == data.labels.num_rows
    assert gold.column_names == ["task", "label"]
    with pytest.raises(SchemaError, match="there is no task 'fod'"):
        to_crowd_kit(data, "fod")


def test_a_data_set_without_labels_has_none_to_give():
    """Their columns, no rows; no gold is no table."""
    only = Dataset(items=pa.table({"item": ["a"]}), schema=Schema((Task("q", ("y", "n")),)))
    labels, gold = to_crowd_kit(only)
    assert (labels.column_names, labels.num_rows, gold) == (["task", "worker", "label"], 0, None)


def test_errors_speak_their_words():
    """The column that the user knows is `worker`."""
    with pytest.raises(FormatError, match="give a table with the columns task, worker, label"):
        from_crowd_kit(LABELS.rename(columns={"worker": "annotator"}))
    with pytest.raises(DataError, match="labels, row 2, column 'worker'"):
        from_crowd_kit(LABELS.assign(worker=["a", None, "b"]))
    with pytest.raises(DataError, match="labels, row 3, column 'task'"):
        from_crowd_kit(LABELS.assign(task=["a", "b", " "]))
    kept = from_crowd_kit(LABELS.assign(worker=["a", None, "b"]), on_bad="quarantine")
    assert kept.quarantined["row"].to_pylist() == [2]
