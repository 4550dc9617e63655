"""`quorate calibrate` and `quorate study calibration` as a user runs them: processes, folders, JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

WAIT_S = 240


def quorate(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quorate", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=WAIT_S, check=False)


def pure(done: subprocess.CompletedProcess[str]) -> str:
    """Its stdout, if it ended well and said nothing else."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is too sure and one that is not, on two tasks, 240 items with gold and three people's labels."""
    place = tmp_path_factory.mktemp("campaign") / "data"
    place.mkdir()
    rng = np.random.default_rng(0)
    scores, gold, labels = ["item,task,model,label,score"], ["item,task,label"], ["item,task,annotator,label"]
    for task, item in ((task, item) for task in ("ok", "fun") for item in range(240)):
        odds = rng.normal() * 2
        truth = "yes" if rng.random() < 1 / (1 + np.exp(-odds)) else "no"
        gold.append(f"i{item},{task},{truth}")
        labels += [f"i{item},{task},p{person},{truth if rng.random() < 0.9 else 'no'}" for person in range(3)]
        for model, slope in (("sure", 3.0), ("honest", 1.0)):
            yes = 1 / (1 + np.exp(-odds * slope))
            scores += [f"i{item},{task},{model},yes,{yes:.6f}", f"i{item},{task},{model},no,{1 - yes:.6f}"]
    for name, rows in (("scores", scores), ("gold", gold), ("labels", labels)):
        (place / f"{name}.csv").write_text("\n".join(rows) + "\n")
    return place


def test_one_command_makes_scores_mean_what_they_say(folder: Path, tmp_path: Path) -> None:
    """Before and after per model and task; a folder that reads as data, with calibrated scores and calibrators."""
    told = json.loads(pure(quorate("calibrate", folder, "--json", "--resamples", 50, cwd=tmp_path)))
    of = {(each["task"], each["model"]): each for each in told["models"]}
    assert len(of) == 4
    for (_, model), each in of.items():
        assert each["before"]["ace"]["low"] <= each["before"]["ace"]["estimate"] <= each["before"]["ace"]["high"]
        if model == "sure":
            assert each["gain_nats"]["low"] > 0
            assert each["after"]["ace"]["estimate"] < each["before"]["ace"]["estimate"]
    scales = {(each["task"], each["model"]): each["calibrator"]["scale"] for each in told["calibrators"]}
    assert scales["ok", "sure"] < 0.6
    assert json.loads((tmp_path / "calibrated" / "calibrators.json").read_text())["calibrators"] == told["calibrators"]
    assert sorted(path.name for path in (tmp_path / "calibrated").iterdir()) == [
        "calibrators.json", "gold.parquet", "labels.parquet", "schema.json", "scores.parquet"
    ]  # fmt: skip
    again = json.loads(pure(quorate("calibrate", "calibrated", "--json", "--out", "twice.json", cwd=tmp_path)))
    assert all(abs(np.log(each["calibrator"]["scale"])) < 0.3 for each in again["calibrators"])


def test_calibrators_are_applied_to_other_data(folder: Path, tmp_path: Path) -> None:
    """`--out FILE.json` keeps calibrators alone; `--calibrators FILE` needs no truth and makes the same scores."""
    pure(quorate("calibrate", folder, "--out", "kept.json", "--method", "vector", "--resamples", 20, cwd=tmp_path))
    pure(quorate("calibrate", folder, "--out", "whole", "--method", "vector", "--resamples", 20, cwd=tmp_path))
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "scores.csv").write_text((folder / "scores.csv").read_text())
    done = pure(quorate("calibrate", bare, "--calibrators", "kept.json", "--out", "applied", cwd=tmp_path))
    assert "applied" in done
    order = [(name, "ascending") for name in ("item", "task", "model", "label")]
    one, other = (pq.read_table(tmp_path / name / "scores.parquet").sort_by(order) for name in ("whole", "applied"))
    np.testing.assert_allclose(np.array(one["score"]), np.array(other["score"]), atol=1e-7)


def test_for_people_it_fits_80_columns_and_says_how_to_read_it(folder: Path, tmp_path: Path) -> None:
    """A line per model and task; what was left out and why."""
    done = pure(quorate("calibrate", folder, "--shots", 50, "--selection", "importance", "--truth", "majority",
                        "--resamples", 20, cwd=tmp_path))  # fmt: skip
    assert max(map(len, done.splitlines())) <= 80
    assert done.count(" > ") == 12
    assert "did not see" in " ".join(done.split())


def test_bad_calls_are_one_line(folder: Path, tmp_path: Path) -> None:
    """No scores, no truth, options that contradict, a file that is none: exit code 2, no traceback."""
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "scores.csv").write_text((folder / "scores.csv").read_text())
    people = tmp_path / "people"
    people.mkdir()
    (people / "labels.csv").write_text((folder / "labels.csv").read_text())
    (tmp_path / "no.json").write_text("{}")
    for arguments, says in (
        ((bare,), "nothing can be calibrated"),
        ((people,), "no table of scores"),
        ((folder, "--selection", "importance"), "needs a number of shots"),
        ((folder, "--calibrators", "no.json"), "holds no calibrators"),
    ):
        done = quorate("calibrate", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert says in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_study_prints_table_5(recorded, tmp_path: Path) -> None:
    """`quorate study calibration FOLDER --quick`: 24 rows of five statistics that fit a terminal, and the page."""
    done = pure(quorate("study", "calibration", recorded("vlm_mmbench"), "--quick", "--seeds", 1, cwd=tmp_path))
    assert max(map(len, done.splitlines())) <= 80
    rows = [line.split() for line in done.splitlines() if line.split()[:1] in (["10"], ["20"], ["50"], ["100"])]
    rows = [row for row in rows if len(row) == 8]
    assert len(rows) == 24
    assert "Calibration" in (tmp_path / "quorate-study" / "study.html").read_text("utf-8")
