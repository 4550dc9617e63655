"""The walk without a key: a fake server, `quorate label`, `fit` and `report`, as processes over a real socket."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

WAIT_S = 300
README = Path(__file__).resolve().parents[2] / "README.md"
MODELS = ("fake-small", "fake-large")


def quorate(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quorate", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=WAIT_S, check=False)


def well(done: subprocess.CompletedProcess[str]) -> str:
    """Its stdout, if it ended well and said nothing else."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


class Walk(NamedTuple):
    """A folder with the example in it, and the address of a server that answers for its models."""

    place: Path
    url: str


def started(place: Path, *arguments: object) -> tuple[subprocess.Popen[str], str]:
    """A fake server of its own process, and its address once it listens."""
    command = [sys.executable, "-u", "-m", "quorate", "fake-llm", "--port", "0", *map(str, arguments)]
    running = subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert running.stderr is not None
    found = re.search(r"http://\S+", running.stderr.readline())
    assert found is not None
    return running, found[0]


def ended(running: subprocess.Popen[str]) -> str:
    """What a server says when it is stopped by Ctrl-C."""
    running.send_signal(signal.SIGINT)
    said, told = running.communicate(timeout=WAIT_S)
    return said + told


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    place = tmp_path_factory.mktemp("walk")
    well(quorate("label", "--example", "reviews", cwd=place))
    running, url = started(place, "--table", "reviews/answers.jsonl", "--latency-ms", 5)
    yield Walk(place, url)
    ended(running)


def label(walk: Walk, out: str, *more: object, url: str | None = None) -> subprocess.CompletedProcess[str]:
    return quorate(
        "label", "reviews", "--rubric", "reviews/rubric.yaml", "--models", ",".join(MODELS), "--base-url",
        url or walk.url, "--out", out, *more, cwd=walk.place,
    )  # fmt: skip


@pytest.mark.slow
def test_the_walk_ends_in_a_report_that_makes_sense(walk: Walk) -> None:
    """Label, fit, report: scores of both models, people's labels carried along, a page with a saving above nothing."""
    said = json.loads(well(label(walk, "labeled", "--cap", 1, "--json")))
    assert said["labels"] == dict.fromkeys(MODELS, 480)
    assert 0 < said["spent_usd"] < 1
    scores = pq.read_table(walk.place / "labeled" / "scores.parquet")
    assert len(scores) == 240 * (3 + 2) * len(MODELS)
    fitted = json.loads(well(quorate("fit", "labeled", "--out", "m.quorate", "--json", cwd=walk.place)))
    assert fitted["data"] == {"items": 240, "tasks": 2, "labels": 1440, "annotators": 6, "models": 2, "gold": 0}
    report = json.loads(well(quorate("report", "labeled", "--floor", 0.9, "--json", cwd=walk.place)))
    assert Path(walk.place / report["page"]).is_file()
    page = (walk.place / report["page"]).read_text()
    assert all(model in page for model in MODELS)


@pytest.mark.slow
def test_the_commands_of_the_readme_are_those_that_the_example_names_and_they_work(walk: Walk) -> None:
    """Word by word, but for the address of the server."""
    from quorate.llm.testing.example import COMMANDS

    told = [command.format(folder="reviews") for command in COMMANDS]
    readme = README.read_text("utf-8")
    assert all(command in " ".join(readme.replace("\\\n", " ").split()) for command in told)
    asked = shlex.split(told[1].replace("http://127.0.0.1:8123/v1", walk.url))
    assert asked.pop(0) == "quorate"
    shown = well(quorate(*asked[:-1], "as-told", cwd=walk.place))
    assert "quorate report as-told" in shown


@pytest.mark.slow
def test_a_killed_labeling_goes_on_and_ends_with_the_table_of_an_unkilled_one(walk: Walk) -> None:
    """Kill -9 in the middle, three times; bit-equal tables; the journal's answers are not asked for again."""
    well(label(walk, "whole"))
    running, url = started(walk.place, "--table", "reviews/answers.jsonl", "--latency-ms", 150)
    command = [sys.executable, "-m", "quorate", "label", "reviews", "--rubric", "reviews/rubric.yaml", "--models",
               ",".join(MODELS), "--base-url", url, "--out", "killed", "--in-flight", "8"]  # fmt: skip
    for _ in range(3):
        labeling = subprocess.Popen(command, cwd=walk.place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        began = time.monotonic()
        journal = walk.place / "killed" / "calls.sqlite-wal"
        size = journal.stat().st_size if journal.is_file() else 0
        while time.monotonic() - began < WAIT_S and not (journal.is_file() and journal.stat().st_size > size + 100_000):
            time.sleep(0.02)
        time.sleep(0.2)
        os.kill(labeling.pid, signal.SIGKILL)
        labeling.wait()
    assert not (walk.place / "killed" / "scores.parquet").is_file()
    last = label(walk, "killed", "--json", url=url)
    figures = json.loads(well(last))
    for table in ("scores", "model_labels"):
        killed, whole = (pq.read_table(walk.place / folder / f"{table}.parquet") for folder in ("killed", "whole"))
        assert killed.equals(whole)
    assert figures["failures"] == 0
    received = re.search(r"([\d,]+) calls received", ended(running))
    assert received is not None
    asked = int(received[1].replace(",", ""))
    assert 480 <= asked <= 480 + 3 * 8  # what was in flight at a kill may be asked again, and nothing else


@pytest.mark.slow
def test_a_labeling_survives_a_server_that_fails_in_every_way(walk: Walk) -> None:
    """Overloaded, cut, broken, refused: retried or listed, never lost; the rest of the table is as without faults."""
    faults = "overload:0.05=.03,reset=.02,reset-body=.02,truncated=.02,refusal=.02,no-logprobs=.02"
    running, url = started(walk.place, "--table", "reviews/answers.jsonl", "--latency-ms", 2, "--faults", faults)
    figures = json.loads(well(label(walk, "faulty", "--json", url=url)))
    ended(running)
    well(label(walk, "sound"))
    assert set(figures["failed"]) <= {"refusal", "no log probabilities", "broken", "overload"}
    lines = [json.loads(line) for line in (walk.place / "faulty" / "failures.jsonl").read_text().splitlines()]
    failed = {(line["item"], task, line["model"]) for line in lines for task in line["tasks"]}
    key = ("item", "task", "model")
    found, sound = (
        {(*(row[k] for k in key), row["label"]): row["score"] for row in table.to_pylist()}
        for table in (pq.read_table(walk.place / folder / "scores.parquet") for folder in ("faulty", "sound"))
    )
    assert found == {cell: score for cell, score in sound.items() if cell[:3] not in failed}
    assert 0 < len(failed) < 0.2 * 960
