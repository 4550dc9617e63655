"""Import and export, there and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from quorate.data.dataset import Dataset
from quorate.data.write import write_table


def rows(table: pa.Table, *columns: str) -> set[tuple[str, ...]]:
    return set(zip(*(table[name].to_pylist() for name in columns), strict=True))


def test_crowd_kit_there_and_back_keeps_every_label(run, tmp_path: Path) -> None:
    """Import, export: the same rows of task, worker and label, and of gold."""
    (tmp_path / "crowd.csv").write_text("task,worker,label\nt1,w1,cat\nt1,w2,dog\nt2,w1,dog\n")
    (tmp_path / "truth.csv").write_text("task,label\nt1,cat\n")
    made = run("import", "crowd-kit", "crowd.csv", "--gold", "truth.csv", "--question", "animal", "--out", "data")
    assert made.exit_code == 0, made.output
    back = run("export", "crowd-kit", "data", "--out", "back.csv", "--gold", "gold.csv", "--json")
    assert back.exit_code == 0, back.output
    assert json.loads(back.stdout) == {
        "format": "crowd-kit",
        "out": "back.csv",
        "rows": 3,
        "gold": "gold.csv",
        "gold_rows": 1,
    }
    for one, other in (("crowd.csv", "back.csv"), ("truth.csv", "gold.csv")):
        before, after = (pa_csv.read_csv(tmp_path / name) for name in (one, other))
        assert rows(before, *before.column_names) == rows(after, *before.column_names)


def test_cleanlab_there_and_back_keeps_labels_and_scores(run, tmp_path: Path) -> None:
    """The wide table and one array of scores per model."""
    (tmp_path / "wide.csv").write_text("item,ann,bo\nx,0,1\ny,1,\n")
    np.savez(tmp_path / "probs.npz", left=np.array([[0.75, 0.25], [0.5, 0.5]]))
    made = run("import", "cleanlab", "wide.csv", "--classes", "cat,dog", "--probs", "probs.npz", "--out", "data")
    assert made.exit_code == 0, made.output
    assert rows(Dataset.read(tmp_path / "data").labels, "item", "annotator", "label") == {
        ("x", "ann", "cat"),
        ("x", "bo", "dog"),
        ("y", "ann", "dog"),
    }
    back = run("export", "cleanlab", "data", "--out", "back.parquet", "--probs", "back.npz", "--json")
    assert back.exit_code == 0, back.output
    assert json.loads(back.stdout)["classes"] == ["cat", "dog"]
    assert pq.read_table(tmp_path / "back.parquet").to_pydict() == {"item": ["x", "y"], "ann": [0, 1], "bo": [1, None]}
    with np.load(tmp_path / "back.npz") as probs:
        np.testing.assert_allclose(probs["left"], [[0.75, 0.25], [0.5, 0.5]])


def test_choose_all_that_apply_there_and_back_keeps_every_list(run, tmp_path: Path) -> None:
    """One yes-or-no task per class in between; texts with a delimiter on both ends."""
    (tmp_path / "multi.csv").write_text("item,task,annotator,label\na,topics,ann,art; war\na,topics,bo,art\n")
    made = run("import", "multi-select", "multi.csv", "--delimiter", ";", "--out", "data", "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["data"]["tasks"] == 2
    back = run("export", "multi-select", "data", "--delimiter", ";", "--out", "back.csv")
    assert back.exit_code == 0, back.output
    found = pa_csv.read_csv(tmp_path / "back.csv")
    assert rows(found, "item", "task", "annotator", "label") == {
        ("a", "topics", "ann", "art;war"),
        ("a", "topics", "bo", "art"),
    }


def test_a_consensus_on_options_is_joined_to_one_list_per_question(run, tmp_path: Path) -> None:
    """`predict` on the yes-or-no tasks, `export --consensus` back to all that apply."""
    table = {"item": ["a"] * 3, "task": ["topics"] * 3, "annotator": ["x", "y", "z"]}
    write_table(pa.table({**table, "label": [["art", "war"], ["art"], ["art"]]}), tmp_path / "multi.jsonl")
    assert run("import", "multi-select", "multi.jsonl", "--out", "data").exit_code == 0
    assert run("predict", "data", "--estimator", "majority").exit_code == 0
    done = run("export", "multi-select", "data", "--consensus", "consensus.parquet", "--out", "joined.jsonl")
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "joined.jsonl").read_text()) == {"item": "a", "task": "topics", "label": ["art"]}


@pytest.mark.parametrize(
    ("arguments", "mend"),
    [
        (("import", "crowd-kit", "no.csv", "--out", "data"), "no.csv"),
        (("import", "spreadsheet", "no.csv", "--out", "data"), "cleanlab"),
        (("import", "cleanlab", "wide.csv", "--probs", "wide.csv", "--out", "data"), "numpy.savez"),
        (("import", "cleanlab", "wide.csv", "--on-bad", "quarantine", "--out", "data"), "no use for --on-bad"),
        (("export", "crowd-kit", "{folder}", "--delimiter", ";", "--out", "out.csv"), "--gold, --question"),
        (("export", "crowd-kit", "{folder}", "--out", "out.csv"), "name one of"),
        (("export", "crowd-kit", "{folder}", "--out", "o.csv", "--question", "safe", "--gold", "g.csv"), "no gold"),
    ],
)
def test_what_cannot_be_exchanged_ends_with_2_and_the_mend(
    arguments: tuple[str, ...], mend: str, run, folder: Path, tmp_path: Path
) -> None:
    """On stderr, without a traceback."""
    (tmp_path / "wide.csv").write_text("item,ann\nx,0\n")
    done = run(*(part.format(folder=folder) for part in arguments))
    assert done.exit_code == 2, done.output
    assert mend in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
