"""`quorate judge estimate` and `discrepancy`, on a folder in which a judge has labeled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.csv as pa_csv
import pytest

from unit.judge import afterwards as after


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder, what was labeled, and a log in which some rows stand lower."""
    folder = after.seeded(tmp_path / "judge")
    after.passed(folder)
    after.labeled(folder, 0, slice(None))
    items = after.data().items
    assert items is not None
    pa_csv.write_csv(items, tmp_path / "items.csv")
    rng = np.random.default_rng(5)
    rows = ["item,query,signal,position"]
    for name, code in zip(after.NAMES, after.TRUTH.tolist(), strict=True):
        rate = np.array([0.1, 0.3, 0.6])[code] / (1 + np.arange(20) % 2)
        clicked = (rng.random(20) < rate).astype(int).tolist()
        rows += [f"{name},shoes,{click},{1 + at % 2}" for at, click in enumerate(clicked)]
    (tmp_path / "clicks.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_the_means_of_the_set_are_told_in_words_and_as_json(place: Path, run) -> None:
    """80 columns; JSON alone on stdout; a level that is none is refused."""
    where = ("--judge", place / "judge")
    done = run("judge", "estimate", *where)
    assert done.exit_code == 0, done.output
    assert "mean grade" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    done = run("judge", "estimate", *where, "--level", "0.8", "--json")
    found = json.loads(done.stdout)
    assert (found["tasks"][0]["level"], done.stderr) == (0.8, "")
    done = run("judge", "estimate", *where, "--level", "95")
    assert done.exit_code == 2
    assert "between 0 and 1" in done.stderr


def test_items_in_dispute_are_told_and_brought_to_people(place: Path, run) -> None:
    """From the log to a seed that has them, none of them restricted; positions are told."""
    where = ("--judge", place / "judge")
    done = run("judge", "discrepancy", place / "items.csv", place / "clicks.csv", *where, "--most", "25")
    assert done.exit_code == 0, done.output
    assert max(len(line) for line in done.stdout.splitlines() if not line.startswith("for people:")) <= 80
    assert "too high" in done.stdout
    assert "25 items listed" in done.stdout.replace("\n", " ")
    done = run("judge", "discrepancy", place / "items.csv", place / "clicks.csv", *where, "--most", "25", "--json")
    found = json.loads(done.stdout)
    assert found["positions"][1] == pytest.approx(0.5, abs=0.1)
    listed = [each["item"] for each in found["disputes"]]
    assert not set(listed) & after.HIDDEN
    after.data().write(place / "data")
    done = run(
        "judge", "seed", place / "data", *where, "--items", "300", "--also", place / "judge" / "to_people.csv", "--json"
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["roles"] == {"calibration": 145, "gate": 90, "anchor": 90}
    (place / "bad.csv").write_text("item,signal\na,1\n")
    done = run("judge", "discrepancy", place / "items.csv", place / "bad.csv", *where)
    assert done.exit_code == 2
    assert "item, query, signal" in done.stderr
