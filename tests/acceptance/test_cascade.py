"""`quorate cascade fit | apply | explain` as a user runs them: processes, folders, JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

WAIT_S = 240
PRICES = ("--price", "small=1", "--price", "middle=4", "--price", "large=20")


def quorate(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quorate", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=WAIT_S, check=False)


def pure(done: subprocess.CompletedProcess[str]) -> str:
    """Its stdout, if it ended well and said nothing else."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def written(place: Path, *, seed: int, n: int = 400, models: tuple[str, ...] = ("small", "middle", "large")) -> Path:
    """Three models, the dearer the better, all too sure; gold, and one label by a person who is right on 95 %."""
    place.mkdir()
    rng = np.random.default_rng(seed)
    skill = {"small": 1.0, "middle": 1.8, "large": 2.6}
    scores, gold, labels = ["item,task,model,label,score"], ["item,task,label"], ["item,task,annotator,label"]
    for item in range(n):
        truth = rng.integers(0, 3)
        gold.append(f"i{item},topic,{'abc'[truth]}")
        labels.append(f"i{item},topic,ann,{'abc'[truth if rng.random() < 0.95 else rng.integers(0, 3)]}")
        for model, each in skill.items():
            logits = 2 * (each * (np.arange(3) == truth) + rng.normal(size=3))
            probs = np.exp(logits - logits.max())
            if model in models:
                scores += [
                    f"i{item},topic,{model},{name},{p:.6f}" for name, p in zip("abc", probs / probs.sum(), strict=True)
                ]
    for name, rows in (("scores", scores), ("gold", gold), ("labels", labels)):
        (place / f"{name}.csv").write_text("\n".join(rows) + "\n")
    return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the cascade is fitted on."""
    return written(tmp_path_factory.mktemp("campaign") / "data", seed=0)


@pytest.fixture(scope="module")
def fitted(folder: Path) -> dict[str, object]:
    """A cascade within half the cost of calling all, beside the folder, as --json told it."""
    return json.loads(pure(quorate("cascade", "fit", folder, *PRICES, "--budget", "50%", "--resamples", 50, "--json",
                                   cwd=folder.parent)))  # fmt: skip


def test_it_fits_applies_and_explains(folder: Path, fitted: dict, tmp_path: Path) -> None:
    """Budget kept out of sample; new items labeled and paid for; tree and table from the file alone."""
    figures = fitted["cascades"][0]["figures"]
    rows = {row["policy"]: row for row in figures["policies"]}
    assert rows["cascade"]["cost"]["estimate"] <= 12.5 * 1.1
    assert rows["weighted majority"]["relative"]["cost"]["estimate"] == pytest.approx(25)
    assert {"accuracy", "f1", "precision", "recall", "cost", "relative"} < set(rows["cascade"])
    file = folder.parent / "cascade.json"
    assert json.loads(file.read_text())["version"] == 1
    new = written(tmp_path / "new", seed=1)
    told = json.loads(pure(quorate("cascade", "apply", new, "--cascade", file, "--out", "l.parquet", "--json",
                                   cwd=tmp_path)))["tasks"][0]  # fmt: skip
    labels = pq.read_table(tmp_path / "l.parquet").to_pylist()
    prices = {"small": 1, "middle": 4, "large": 20}
    assert told["cost"] == pytest.approx(sum(row["cost"] for row in labels))
    assert all(row["cost"] == sum(prices[name] for name in row["called"]) for row in labels)
    assert told["calls"]["large"] < 400
    tree = pure(quorate("cascade", "explain", file, cwd=tmp_path))
    assert "call small" in tree or "call middle" in tree
    assert "Relative to small alone" in tree
    assert max(map(len, tree.splitlines())) <= 80
    again = json.loads(
        pure(quorate("cascade", "explain", file, "--on", new, "--resamples", 50, "--json", cwd=tmp_path))
    )
    found = {row["policy"]: row for row in again["cascades"][0]["figures"]["policies"]}
    gold = dict(line.split(",")[::2] for line in (new / "gold.csv").read_text().splitlines()[1:])
    right = np.mean([row["label"] == gold[row["item"]] for row in labels])
    assert found["cascade"]["accuracy"]["estimate"] == pytest.approx(right)


def test_models_are_called_in_rounds(folder: Path, fitted: dict, tmp_path: Path) -> None:
    """With the scores of the first models only, apply says which items need the next one."""
    assert fitted
    new = written(tmp_path / "new", seed=2, models=("small", "middle"))
    asked = ("cascade", "apply", new, "--cascade", folder.parent / "cascade.json")
    told = json.loads(pure(quorate(*asked, "--json", cwd=tmp_path)))["tasks"][0]
    assert set(told["waits_for"]) == {"large"}
    rows = pq.read_table(tmp_path / "cascade-labels.parquet").to_pylist()
    assert sum(row["waits_for"] == "large" for row in rows) == told["waits_for"]["large"]
    assert "wait for large" in pure(quorate(*asked, cwd=tmp_path))


def test_a_person_can_be_the_last_to_be_asked(folder: Path, tmp_path: Path) -> None:
    """At a price; what they are worth is learned from their labels."""
    done = pure(quorate("cascade", "fit", folder, *PRICES, "--person-price", 30, "--budget", 25, "--resamples", 20,
                        cwd=tmp_path))  # fmt: skip
    assert "person alone" in done
    kept = json.loads((tmp_path / "cascade.json").read_text())["cascades"][0]
    assert kept["agents"][-1] == {"name": "person", "kind": "person", "price": 30.0}
    assert 0.9 < np.mean(np.diag(kept["readings"][-1]["rows"])) < 1.0
