"""`quorate study` as a user runs it: JSON, the page, interruption, data of one's own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WAIT_S = 120
FEW = ("--items", 40, "--estimators", "majority-all,dawid-skene")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "quorate", "study", *map(str, arguments)]


def study(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=cwd, capture_output=True, text=True, timeout=WAIT_S, check=False)


def found(done: subprocess.CompletedProcess[str]) -> dict:
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_the_theorem_is_table_2_as_json_and_figure_3_as_png(tmp_path: Path) -> None:
    """`quorate study theorem --json`: the printed digits; three panels; one page."""
    rows = found(study("theorem", "--quick", "--json", cwd=tmp_path))["rows"]
    assert [row["agents"] for row in rows] == [2, 5, 10, 50, 100, 500]
    assert [round(row["relative_error"], 2) for row in rows] == [0.5, 2.0, 4.5, 24.5, 49.5, 249.5]
    assert all(set(row) == {"agents", "relative_error", "bias_trace", "naive_trace"} for row in rows)
    out = tmp_path / "quorate-study"
    pictures = list(out.glob("theorem-*.png"))
    assert len(pictures) == 3
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    assert "Theorem 1" in (out / "study.html").read_text("utf-8")


@pytest.mark.slow
def test_an_interrupted_study_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Ctrl-C ends with 130 and keeps the finished parts; the second run does not touch them."""
    arguments = ("efficiency", "--seeds", 400, *FEW)
    with subprocess.Popen(command(*arguments), cwd=tmp_path, stderr=subprocess.PIPE, text=True) as running:
        parts = tmp_path / "quorate-study" / "parts"
        end = time.monotonic() + WAIT_S
        while len(list(parts.glob("*.json"))) < 3:
            assert time.monotonic() < end, "no part was ever kept"
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=WAIT_S)
    assert running.returncode == 130
    kept = {path.name: path.stat().st_mtime_ns for path in parts.iterdir() if "seed-1." in path.name}
    assert len(kept) == 3
    assert all(path.suffix == ".json" for path in parts.iterdir())
    figures = found(study("efficiency", "--seeds", 2, *FEW, "--json", cwd=tmp_path))
    assert list(figures["estimators"]) == ["majority-all", "dawid-skene", "oracle"]
    assert kept == {name: (parts / name).stat().st_mtime_ns for name in kept}


def test_recorded_needs_a_folder_and_the_others_take_none(tmp_path: Path) -> None:
    """One line, exit code 2, no traceback."""
    for arguments in (("recorded",), ("recorded", tmp_path / "nowhere"), ("theorem", tmp_path)):
        done = study(*arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("quorate: ")
        assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_folder_of_data_sets_is_judged_set_by_set(tmp_path: Path) -> None:
    """`quorate study recorded FOLDER`: every set, all estimators; for people it fits 80 columns."""
    for seed in (1, 2):
        made = [sys.executable, "-m", "quorate", "simulate", f"sets/world-{seed}", "--items", "40", "--seed", str(seed)]
        subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
    arguments = ("recorded", "sets", *FEW[2:])
    figures = found(study(*arguments, "--json", cwd=tmp_path))
    assert list(figures["sets"]) == ["world-1", "world-2"]
    shown = study(*arguments, cwd=tmp_path)
    assert shown.returncode == 0
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "Mean rank" in shown.stdout
