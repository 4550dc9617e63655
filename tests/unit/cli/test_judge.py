"""`quorate judge`, verb by verb, with a fake server on a real socket."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quorate.llm.testing.server import FakeServer
from unit.judge import loop

pytestmark = pytest.mark.slow
PRICES = {"models": {name: {**loop.PRICES[name]._asdict()} for name in loop.PRICES}}


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A dataset folder with people's grades and texts, its rubric and prices."""
    loop.PEOPLE.write(tmp_path / "data")
    (tmp_path / "rubric.yaml").write_text(loop.TEXT)
    (tmp_path / "prices.json").write_text(json.dumps(PRICES))
    return tmp_path


def means_are_right(found: dict) -> None:
    """The mean grade of the set is inside its interval, which the judge's own, one too kind before its map, need not
    be; prevalences sum to 1.
    """
    rows = {row["of"]: row["corrected"] for row in found["tasks"][0]["rows"]}
    assert rows[None]["low"] < 1 + loop.TRUTH.mean() < rows[None]["high"]
    assert sum(row["estimate"] for name, row in rows.items() if name) == pytest.approx(1)


def test_from_the_seed_to_an_alarm(world: Path, run) -> None:
    """Every step says what it did and what comes next; a swapped model ends with 5, a closed gate with 3."""
    data, where = str(world / "data"), ("--judge", str(world / "judge"))
    rubric = ("--rubric", str(world / "rubric.yaml"))
    done = run("judge", "seed", data, *where, *rubric, "--items", "350", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["people"][0]["says"] == "agree"
    with FakeServer(table=loop.GOOD, models=("weak", "strong")) as server:
        way = ("--base-url", server.url, "--prices", str(world / "prices.json"), "--cap", "5")
        done = run("judge", "gate", data, *where, *way)
        assert done.exit_code == 2
        assert "calibrate first" in done.stderr
        done = run("judge", "calibrate", data, *where, *way, "--models", "weak,strong")
        assert done.exit_code == 0, done.output
        assert "the judge: strong" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80
        done = run("judge", "gate", data, *where, *way, "--figure", "agreement", "--threshold", "0.99")
        assert done.exit_code == 3, done.output
        assert "closed" in done.stdout
        done = run("judge", "amplify", data, *where, *way)
        assert done.exit_code == 2
        assert "the gate is closed" in done.stderr
        done = run("judge", "gate", data, *where, *way, "--figure", "agreement", "--threshold", "0.6")
        assert done.exit_code == 0, done.output
        assert (world / "judge" / "gate.html").is_file()
        done = run("judge", "amplify", data, *where, *way, "--chunk", "300", "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["labels"] == loop.N
        means_are_right(json.loads(done.stdout)["estimates"])
        done = run("judge", "estimate", *where)
        assert "mean grade" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80
        assert pq.read_table(world / "judge" / "amplified" / "model_labels.parquet").num_rows == loop.N
        told = json.loads((world / "judge" / "amplified" / "provenance.json").read_text())["strong v1"]
        assert told["model"] == "strong"
        assert {"calibration.json", "asked.json", "rubric.yaml", "gate.json"} <= set(told["files"])
        assert len(told["prompt"]) == 64
        assert set(told["gate"]) == {"care"}
        done = run("judge", "watch", data, *where, *way, "--anchors", "20")
        assert done.exit_code == 0, done.output
    done = run("judge", "status", *where)
    assert "watched, the gate is open for care" in done.stdout
    with FakeServer(table=loop.SWAPPED, models=("strong",)) as other:
        way = ("--base-url", other.url, "--prices", str(world / "prices.json"))
        codes = [run("judge", "watch", data, *where, *way, "--anchors", "60").exit_code for _ in range(1)]
        while codes[-1] == 0 and len(codes) < 6:
            codes.append(run("judge", "watch", data, *where, *way, "--anchors", "60").exit_code)
    assert codes[-1] == 5
    done = run("judge", "status", *where, "--json")
    said = json.loads(done.stdout)
    assert (said["stage"], said["gate"], said["alarm"]["tasks"]) == ("gated", [], ["care"])


def test_a_judge_among_recorded_answers_is_calibrated_and_gated_without_a_call(world: Path, run) -> None:
    """Answers that are in the tables are enough to choose a judge and to decide; amplifying needs somebody to ask."""
    said = [str(2 + code) for code in loop.TRUTH.tolist()]
    pq.write_table(
        pa.table(
            {
                "item": list(loop.NAMES),
                "task": ["care"] * loop.N,
                "model": ["kind"] * loop.N,
                "label": said,
            }
        ),
        world / "data" / "model_labels.parquet",
    )
    data, where = str(world / "data"), ("--judge", str(world / "judge"))
    assert run("judge", "seed", data, *where, "--items", "300").exit_code == 0
    done = run("judge", "calibrate", data, *where)
    assert done.exit_code == 0, done.output
    done = run("judge", "gate", data, *where, "--figure", "agreement", "--threshold", "0.6", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["open"] == ["care"]
    assert run("judge", "watch", data, *where, "--anchors", "30").exit_code == 0
    done = run("judge", "amplify", data, *where)
    assert done.exit_code == 2
    assert "calibrate with --models" in done.stderr


def test_nothing_where_there_is_no_judge(tmp_path: Path, run) -> None:
    """The message says how to begin."""
    done = run("judge", "status", "--judge", str(tmp_path))
    assert done.exit_code == 2
    assert "quorate judge seed" in done.stderr
