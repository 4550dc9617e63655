"""The commands as a user runs them: processes, on a folder, with the default estimator."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from quorate.simulate.world import world

WAIT_S = 120


def quorate(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quorate", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=WAIT_S * 3, check=False)


def pure(done: subprocess.CompletedProcess[str]) -> str:
    """Its stdout, if it ended well and said nothing else."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels of people and scores of three models on 300 items, ten tasks: a simulated world, without its truth."""
    place = tmp_path_factory.mktemp("campaign") / "data"
    done = quorate("simulate", place, "--items", 300, cwd=place.parent)
    assert done.returncode == 0, done.stderr
    return place


@pytest.mark.slow
def test_one_command_makes_a_folder_a_consensus_that_beats_counting_votes(folder: Path, tmp_path: Path) -> None:
    """`quorate predict FOLDER`: a row per item and task, probabilities that sum to 1, and the truth more often right.

    Judged as the latent class, since the simulated truth is one; the difference in units of its own standard error.
    """
    right: dict[str, np.ndarray] = {}
    for name in ("majority", "hybrid"):
        out = tmp_path / f"{name}.parquet"
        options = ("--estimator", name, "--target", "latent", "--out", out, "--json")
        assert json.loads(pure(quorate("predict", folder, *options, cwd=tmp_path)))["data"]["items"] == 300
        table = pq.read_table(out)
        assert len(table) == 3_000
        probs = np.array(table["probs"].to_pylist())
        np.testing.assert_allclose(probs.sum(axis=1), 1.0, atol=1e-9)
        right[name] = _right(table)
    gap = (
        (right["hybrid"].astype(float) - right["majority"]).reshape(10, 300).mean(axis=0)
    )  # item by item: tasks are dependent
    assert gap.mean() > 3 * gap.std(ddof=1) / np.sqrt(len(gap))


def _right(table) -> np.ndarray:
    simulated = world("paper", n_items=300)
    tasks = simulated.schema.tasks
    item = {name: place for place, name in enumerate(simulated.coded().items)}
    truth = [
        tasks[t].classes[simulated.truth[item[row], t]]
        for row, t in zip(
            table["item"].to_pylist(),
            [simulated.schema.code_of[name] for name in table["task"].to_pylist()],
            strict=True,
        )
    ]
    return np.array(truth) == np.array(table["label"].to_pylist())


@pytest.mark.slow
@pytest.mark.parametrize("verb", [("agents",), ("compare", "--estimators", "dawid-skene")], ids=lambda verb: verb[0])
def test_json_is_one_document_and_stderr_is_silent_off_a_terminal(
    verb: Sequence[str], folder: Path, tmp_path: Path
) -> None:
    """For programs: one document on stdout; no progress bar in a log."""
    assert isinstance(json.loads(pure(quorate(verb[0], folder, *verb[1:], "--json", cwd=tmp_path))), dict)


def test_ctrl_c_ends_with_130_and_leaves_no_half_file(tmp_path: Path) -> None:
    """An interrupted fit writes nothing, says so, and shows no traceback."""
    place = tmp_path / "data"
    assert quorate("simulate", place, "--items", 3_000, cwd=tmp_path).returncode == 0
    before = names(place)
    (place / "schema.json").unlink()  # written again as soon as the folder is read: then the fit has begun
    command = [sys.executable, "-m", "quorate", "predict", "data"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        _wait_for(place / "schema.json")
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=WAIT_S)
    assert running.returncode == 130
    assert out == ""
    assert err == "quorate: interrupted; nothing half written was left behind\n"
    assert names(tmp_path) == ["data"]
    assert names(place) == before


def _wait_for(path: Path) -> None:
    end = time.monotonic() + WAIT_S
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} never came"
        time.sleep(0.02)


def test_bad_input_is_one_message_without_a_traceback(tmp_path: Path) -> None:
    """Exit code 2; file, row, column and mend on stderr."""
    (tmp_path / "labels.csv").write_text("item,task,annotator,label\na,ok,ann,yes\na,ok,ann,no\n")
    done = quorate("predict", tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "labels.csv, row 2" in done.stderr
    assert "To mend:" in done.stderr
    assert "Traceback" not in done.stderr


def test_output_cut_off_by_a_pipe_is_no_traceback(folder: Path, tmp_path: Path) -> None:
    """`quorate agreement FOLDER | head -1` ends quietly."""
    command = f"{sys.executable} -m quorate agreement {folder} --resamples 2 | head -n 1"
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=WAIT_S, check=True
    )
    assert done.stdout.startswith("300 items")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_demonstration_writes_a_folder_that_other_verbs_take(tmp_path: Path) -> None:
    """`quorate demo`: at most 45 lines that fit 80 columns; consensus, model and data; says who is simulated."""
    done = quorate("demo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 80
    assert "people are simulated" in " ".join(done.stdout.split())
    made = tmp_path / "quorate-demo"
    assert {"consensus.parquet", "model.quorate", "schema.json", "labels.parquet"} <= set(names(made))
    again = quorate("predict", made, "--model", made / "model.quorate", "--target", "latent", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert pq.read_table(tmp_path / "consensus.parquet").equals(pq.read_table(made / "consensus.parquet"))
