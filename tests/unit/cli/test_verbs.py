"""Every verb, with the estimators that take no time; `tests/acceptance` runs them as processes with the default."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

QUICK = ("--estimator", "dawid-skene")
VERBS = {
    "fit": ("fit", "{folder}", *QUICK),
    "predict": ("predict", "{folder}", *QUICK),
    "agents": ("agents", "{folder}", *QUICK),
    "agreement": ("agreement", "{folder}", "--resamples", "20"),
    "compare": ("compare", "{folder}", "--estimators", "dawid-skene"),
    "simulate": ("simulate", "world", "--items", "20"),
    "replay": ("replay", "{folder}", *QUICK),
    "policy": ("policy", "{folder}", "--floor", "0.6", *QUICK),
    "calibrate": ("calibrate", "{folder}", "--resamples", "20"),
    "report": ("report", "{folder}", *QUICK),
    "select next": ("select", "next", "{folder}", "--strategy", "information", "--enough", "99", *QUICK),
    "cascade fit": ("cascade", "fit", "{folder}", "--price", "left=1", "--price", "right=2", "--resamples", "20"),
}
OTHERS = (
    "judge seed",
    "judge calibrate",
    "judge gate",
    "judge amplify",
    "judge watch",
    "judge estimate",
    "judge discrepancy",
    "judge status",
    "act choose",
    "select try",
    "student fit",
    "student predict",
    "ranker fit",
    "ranker predict",
    "act annotate",
    "act criticize",
    "act review",
    "act train",
    "act report",
    "act status",
    "demo",
    "import",
    "export",
    "label",
    "fake-llm",
    "cascade apply",
    "cascade explain",
)
NO_COUNTS = ("simulate", "report")  # what it read is on the page that it writes


def command(verb: str, folder: Path) -> list[str]:
    return [part.format(folder=folder) for part in VERBS[verb]]


@pytest.mark.parametrize("verb", VERBS)
def test_with_json_stdout_is_one_json_document_and_nothing_else(verb: str, run, folder: Path) -> None:
    """A program reads stdout; what is meant for people stays away from it."""
    done = run(*command(verb, folder), "--json")
    assert done.exit_code == 0, done.output
    assert isinstance(json.loads(done.stdout), dict)
    assert done.stderr == ""


@pytest.mark.parametrize("verb", VERBS)
def test_for_people_a_verb_is_legible_at_80_columns(verb: str, run, folder: Path) -> None:
    """No line is longer than 80 characters, and no markup is left over."""
    done = run(*command(verb, folder))
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "[bold]" not in done.stdout
    if verb not in NO_COUNTS:
        assert "1,200 labels by 5 people" in done.stdout or "600 labels by 5 people" in done.stdout


@pytest.mark.parametrize("verb", [*VERBS, *OTHERS])
def test_every_verb_explains_itself(verb: str, run) -> None:
    """--help says what the verb does and names --json."""
    done = run(*verb.split(), "--help")
    assert done.exit_code == 0
    assert "--json" in done.stdout


def test_the_consensus_is_written_in_every_format_alike(run, folder: Path, tmp_path: Path) -> None:
    """Parquet, CSV and JSONL hold the same labels and probabilities."""
    for ending in ("parquet", "csv", "jsonl"):
        assert run("predict", folder, *QUICK, "--out", f"c.{ending}").exit_code == 0
    table = pq.read_table(tmp_path / "c.parquet")
    rows = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    text = pa_csv.read_csv(tmp_path / "c.csv").column("confidence").to_pylist()
    assert table.column_names == ["item", "task", "label", "confidence", "entropy", "n_labels", "probs"]
    assert rows == table.to_pylist()
    assert text == pytest.approx(table["confidence"].to_pylist())


def test_a_saved_model_predicts_what_a_fresh_one_does(run, folder: Path, tmp_path: Path) -> None:
    """`fit` and then `predict --model` is `predict`."""
    run("fit", folder, *QUICK, "--out", "models/m.quorate")
    run("predict", folder, "--model", "models/m.quorate", "--out", "two.parquet")
    run("predict", folder, *QUICK, "--out", "one.parquet")
    assert pq.read_table(tmp_path / "one.parquet").equals(pq.read_table(tmp_path / "two.parquet"))


def test_the_summary_counts_every_answer_once(run, folder: Path) -> None:
    """Over the histogram and over the tasks: items times tasks."""
    found = json.loads(run("predict", folder, *QUICK, "--json").stdout)
    assert sum(step["answers"] for step in found["confidence"]) == 120
    assert sum(task["answers"] for task in found["tasks"].values()) == 120
    assert 0 < found["all_tasks_right"] <= 1


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("panel:7", "the majority of 7 people"),
        ("panel:1", "the label of one person"),
        ("latent", "the latent class"),
    ],
)
def test_the_target_is_what_was_asked_for_and_is_named(target: str, words: str, run, folder: Path) -> None:
    """The summary says what is predicted, task by task."""
    found = json.loads(run("predict", folder, *QUICK, "--target", target, "--json").stdout)
    assert {task["predicts"] for task in found["tasks"].values()} == {words}


def test_gold_can_only_be_predicted_where_it_was_learned(run, folder: Path) -> None:
    """Without gold in the data the error says so."""
    done = run("predict", folder, *QUICK, "--target", "gold")
    assert done.exit_code == 2
    assert "no gold labels" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "mend"),
    [
        (("predict", "nowhere"), "no such folder"),
        (("predict", "{folder}", "--target", "panel"), "panel:N"),
        (("predict", "{folder}", "--target", "panel:0"), "at least one person"),
        (("predict", "{folder}", "--out", "consensus.xlsx"), ".parquet, .csv, .jsonl"),
        (("predict", "{folder}", "--model", "no.quorate"), "no.quorate"),
        (("fit", "{folder}", "--estimator", "oracle"), "majority"),
        (("compare", "{folder}", "--estimators", "oracle"), "majority"),
        (("fit", "{folder}", "--on-bad", "ignore"), "quarantine"),
        (("fit",), "FOLDER"),
        (("no-such-verb",), "no-such-verb"),
    ],
)
def test_bad_usage_ends_with_2_and_a_message_that_helps(
    arguments: tuple[str, ...], mend: str, run, folder: Path
) -> None:
    """The message on stderr names the mend; stdout stays empty; no traceback."""
    done = run(*(part.format(folder=folder) for part in (*arguments, *(QUICK if arguments[0] == "predict" else ()))))
    assert done.exit_code == 2
    assert mend in done.stderr.replace("\n", "")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_bad_row_stops_the_verb_or_is_set_aside_and_told(run, folder: Path) -> None:
    """By default an error with file and row; with --on-bad quarantine a line on stderr and a result."""
    with (folder / "labels.csv").open("a") as file:
        file.write("item-00,safe,,yes\n")
    refused = run("predict", folder, *QUICK)
    assert refused.exit_code == 2
    assert "labels.csv, row 601, column 'annotator'" in refused.stderr
    told = run("predict", folder, *QUICK, "--on-bad", "quarantine", "--json")
    assert told.exit_code == 0
    assert json.loads(told.stdout)["data"]["labels"] == 600
    assert "1 bad row set aside" in told.stderr
    assert (folder / "quarantine" / "labels.jsonl").is_file()


def test_the_version_is_the_package_s(run) -> None:
    """--version prints it and nothing else."""
    import quorate

    assert run("--version").stdout == f"{quorate.__version__}\n"
