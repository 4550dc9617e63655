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


LABELS = "item,task,annotator,label\na,tone,ann,good\na,tone,bo,bad\nb,tone,ann,good\nb,fun,ann,2\n"
ITEMS = "item,text\na,Hi\nb,Ho\n"


@pytest.mark.parametrize(
    ("tool", "name", "config"),
    [
        ("label-studio", "tasks.json", "config.xml"),
        ("argilla", "records.json", "settings.json"),
        ("argilla", "records.jsonl", "settings.json"),
        ("argilla", "records.parquet", "settings.json"),
        ("prodigy", "lines.jsonl", None),
    ],
)
def test_a_labeling_tool_there_and_back_keeps_every_label(run, tmp_path: Path, tool, name, config) -> None:
    """Export, import: the same rows of item, task, annotator and label, and the same tasks."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "labels.csv").write_text(LABELS)
    (tmp_path / "data" / "items.csv").write_text(ITEMS)
    more = ("--config", config) if config else ()
    made = run("export", tool, "data", "--out", name, *more, "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["out"] == name
    back = run("import", tool, name, "--out", "back", *more, "--json")
    assert back.exit_code == 0, back.output
    before, after = Dataset.read(tmp_path / "data"), Dataset.read(tmp_path / "back")
    assert {task.name: set(task.classes) for task in after.schema.tasks} == {
        task.name: set(task.classes) for task in before.schema.tasks
    }
    columns = ("item", "task", "annotator", "label")
    assert rows(after.labels, *columns) == rows(before.labels, *columns)


@pytest.mark.parametrize(("tool", "name"), [("label-studio", "t.json"), ("argilla", "t.jsonl"), ("prodigy", "t.jsonl")])
def test_only_what_is_open_goes_to_a_labeling_tool(run, tmp_path: Path, tool, name) -> None:
    """With a consensus, one record for each item of which something is not yet sure, and no labels if so wished."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "labels.csv").write_text(LABELS)
    (tmp_path / "sure.csv").write_text("item,task,label,confidence\na,tone,good,0.5\nb,tone,good,0.97\nb,fun,2,0.99\n")
    made = run("export", tool, "data", "--out", name, "--consensus", "sure.csv", "--no-labels", "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["records"] == 1
    assert '"ann"' not in (tmp_path / name).read_text()
    surer = run("export", tool, "data", "--out", name, "--consensus", "sure.csv", "--sure", "0.98", "--json")
    assert json.loads(surer.stdout)["records"] == 2
    assert run("export", tool, "data", "--out", name, "--consensus", "sure.csv", "--sure", "2").exit_code == 2


def test_what_an_import_leaves_out_is_told(run, tmp_path: Path) -> None:
    """Skipped tasks, texts, predictions that an export only numbers."""
    result = [{"from_name": "tone", "to_name": "t", "type": "choices", "value": {"choices": ["good"]}}]
    said = [{"id": 1, "completed_by": 1, "result": result}, {"id": 2, "completed_by": 2, "was_cancelled": True}]
    (tmp_path / "e.json").write_text(json.dumps([{"id": 1, "data": {"t": "Hi"}, "annotations": said}]))
    told = run("import", "label-studio", "e.json", "--out", "data")
    assert "left out: 1 skipped by a person" in told.output
    assert run("import", "label-studio", "e.json", "--out", "data", "--question", "tone").exit_code == 2
    assert run("export", "prodigy", "data", "--out", "p.jsonl", "--question", "tone").exit_code == 2
    assert run("export", "label-studio", "data", "--out", "p.csv").exit_code == 2
