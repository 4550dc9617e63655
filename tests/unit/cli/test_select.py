"""`quorate select next | try` on a small folder with texts, two models and people."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from quorate.data.dataset import Dataset

N, LABELED = 90, 30
WORDS = {"a": "kettle boils water", "b": "train leaves late", "c": "garden grows green"}


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Ninety texts of three kinds; thirty labeled by two people; i31 restricted; both models torn about i40."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, N)
    names = [f"i{at}" for at in range(N)]
    items = {"item": names, "text": [f"{WORDS['abc'[k]]} {rng.integers(20)}" for k in truth],
             "restricted": ["yes" if at == 31 else "no" for at in range(N)]}  # fmt: skip
    scores = [
        (name, "kind", model, label, float(p))
        for model in ("m1", "m2")
        for name, k in zip(names, truth, strict=True)
        for label, p in zip("abc", [1 / 3] * 3 if name == "i40" else rng.dirichlet(1 + 8 * np.eye(3)[k]), strict=True)
    ]
    labels = [(names[at], "kind", who, "abc"[truth[at]]) for at in range(LABELED) for who in ("p", "q")]
    gold = {"item": names, "task": ["kind"] * N, "label": ["abc"[k] for k in truth]}
    of = Dataset(
        items=pa.table(items),
        scores=pa.table(dict(zip(("item", "task", "model", "label", "score"), zip(*scores, strict=True), strict=True))),
        labels=pa.table(dict(zip(("item", "task", "annotator", "label"), zip(*labels, strict=True), strict=True))),
    )
    of.write(tmp_path / "texts")
    Dataset(items=of.items, gold=pa.table(gold)).write(tmp_path / "known")
    return tmp_path / "texts"


def listed(path: str = "select.csv") -> list[dict[str, str]]:
    with Path(path).open() as file:
        return list(csv.DictReader(file))


def test_the_item_that_models_are_torn_about_comes_first_and_labeled_and_restricted_ones_never(
    texts: Path, run
) -> None:
    """By entropy; all that is open is listed where all is asked for."""
    done = run("select", "next", texts, "--strategy", "entropy", "--n", "1000", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["items"][0] == "i40"
    assert set(found["items"]) == {f"i{at}" for at in range(LABELED, N)} - {"i31"}
    rows = listed()
    assert [row["item"] for row in rows] == found["items"]
    assert [int(row["rank"]) for row in rows] == list(range(1, N - LABELED))
    assert all(float(a["worth"]) >= float(b["worth"]) for a, b in pairwise(rows))
    assert rows[0]["text"]


@pytest.mark.parametrize("strategy", ["hybrid", "badge", "core-set", "jensen-shannon", "information", "random"])
def test_every_strategy_lists_as_many_as_were_asked_for(strategy: str, texts: Path, run) -> None:
    """Also what was named is left out; the same seed lists the same."""
    Path("seen.csv").write_text("item\ni40\ni41\n")
    options = ("--strategy", strategy, "--n", "7", "--without", "seen.csv", "--estimator", "dawid-skene")
    done = run("select", "next", texts, *options, "--out", "one.csv")
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert len(listed("one.csv")) == 7
    assert not {row["item"] for row in listed("one.csv")} & {"i40", "i41", "i31", *(f"i{at}" for at in range(LABELED))}
    run("select", "next", texts, *options, "--out", "two.csv")
    assert listed("one.csv") == listed("two.csv")


def test_a_consensus_may_say_what_is_unsure(texts: Path, run) -> None:
    """With people's labels taken in, what they labeled is surer than the rest."""
    done = run("select", "next", texts, "--by", "consensus", "--strategy", "margin", "--enough", "3", "--n", "1000",
               "--estimator", "calibrated-dawid-skene", "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    order = json.loads(done.stdout)["items"]
    labeled = [order.index(f"i{at}") for at in range(LABELED)]
    assert np.mean(labeled) > len(order) / 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--strategy", "best"), "there is no strategy 'best'"),
        (("--task", "nope"), "there is no task 'nope'"),
        (("--model", "m3"), "there is no model 'm3'"),
        (("--out", "list.txt"), "must end in"),
        (("--without", "texts/labels.csv"), "labels.csv"),
        (("--show", "title"), "title"),
    ],
)
def test_a_bad_call_is_one_line(options: tuple[str, ...], says: str, texts: Path, run) -> None:
    """It names the option."""
    done = run("select", "next", texts, *options)
    assert done.exit_code != 0
    assert says in done.stderr
    assert "Traceback" not in done.output


def test_nothing_left_to_choose_is_said(texts: Path, run) -> None:
    """Gold counts as labeled."""
    assert "every item is labeled" in run("select", "next", texts.parent / "known").stderr


def test_a_trial_is_played_drawn_and_kept(texts: Path, run) -> None:
    """Curves beside random order; a second run computes nothing anew; the picture is a picture."""
    call = (
        "select",
        "try",
        texts.parent / "known",
        "--strategy",
        "hybrid",
        "--batch",
        "8",
        "--most",
        "40",
        "--seeds",
        "2",
    )
    done = run(*call)
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert Path("select/select.png").read_bytes().startswith(b"\x89PNG")
    stamps = {path: path.stat().st_mtime_ns for path in Path("select").glob("*.json")}
    assert len(stamps) == 4
    found = json.loads(run(*call, "--json").stdout)
    assert {path: path.stat().st_mtime_ns for path in Path("select").glob("*.json")} == stamps
    assert found["tested"] == 30
    assert found["curves"]["hybrid"][-1]["labels"] == 40
    assert found["curves"]["random"][-1]["accuracy"] > 0.9
    assert 0 < found["labels_needed"]["hybrid"]["estimate"] <= 1


def test_a_trial_stops_at_its_target(texts: Path, run) -> None:
    """Runs of different lengths are drawn together; labels for the target are compared."""
    call = ("select", "try", texts.parent / "known", "--target", "0.9", "--batch", "5", "--seeds", "3", "--out", "goal")
    done = run(*call, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["curves"]["hybrid"][-1]["labels"] < 30
    assert found["labels_needed"]["hybrid"]["estimate"] > 0
    assert "Labels needed for 90.0% right" in " ".join(run(*call).stdout.split())


def test_a_trial_needs_labels(texts: Path, run, tmp_path: Path) -> None:
    """The error says how many."""
    Dataset(items=Dataset.read(texts).items).write(tmp_path / "bare")
    assert run("select", "try", tmp_path / "bare").exit_code != 0
