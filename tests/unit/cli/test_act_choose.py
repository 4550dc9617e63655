"""`quorate act choose`, on a small folder with two models of known strength."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from quorate.data.dataset import Dataset

N = 200
RIGHT = {"strong": 0.9, "weak": 0.7}


@pytest.fixture
def tested(tmp_path: Path) -> Path:
    """Two hundred items with gold; both models are surer of what is right; an answer of the strong one costs a cent."""
    rng = np.random.default_rng(7)
    truth = rng.integers(0, 2, N)
    scores, answers = [], []
    for model, share in RIGHT.items():
        right = rng.random(N) < share
        sure = np.where(right, rng.uniform(0.7, 1.0, N), rng.uniform(0.5, 0.9, N))
        for at in range(N):
            said = truth[at] if right[at] else 1 - truth[at]
            scores += [(f"i{at}", "t", model, "ab"[k], sure[at] if k == said else 1 - sure[at]) for k in (0, 1)]
            answers.append((f"i{at}", "t", model, "ab"[said], 0.01 if model == "strong" else None))
    of = dict(zip(("item", "task", "model", "label", "score"), zip(*scores, strict=True), strict=True))
    said = dict(zip(("item", "task", "model", "label", "cost_usd"), zip(*answers, strict=True), strict=True))
    gold = {"item": [f"i{at}" for at in range(N)], "task": ["t"] * N, "label": ["ab"[k] for k in truth]}
    Dataset(scores=pa.table(of), model_labels=pa.table(said), gold=pa.table(gold)).write(tmp_path / "tested")
    return tmp_path / "tested"


def test_the_better_model_annotates_and_the_plan_is_priced(tested: Path, run) -> None:
    """Table 13's form: models for all items, people for the budget; prices of calls are those that were recorded."""
    done = run("act", "choose", tested, "--items", "10000", "--person-price", "0.1", "--price", "weak=0.002", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["tasks"]["t"]
    price = found["price"]
    assert (found["annotator"], found["way"], found["clear"]) == ("strong", "measured", True)
    wrong = N - round(found["models"][0]["accuracy"]["estimate"] * N)
    assert found["wrong"]["estimate"] == pytest.approx(10_000 * wrong / N)
    assert found["budget"] >= max(found["wrong"]["estimate"] + 1_000, found["wrong"]["high"]) - 1
    assert price["annotation_usd"] == pytest.approx(100)
    assert price["criticism_usd"] == pytest.approx({"strong": 100, "weak": 20}[found["criticizer"]])
    assert price["review_usd"] == pytest.approx(found["budget"] * 0.1)
    assert price["saved"] == pytest.approx(1 - price["total_usd"] / 1_000)


def test_for_people_it_says_who_and_how_much(tested: Path, run) -> None:
    """Legible at 80 columns; what has no price is named."""
    done = run("act", "choose", tested, "--way", "second", "--person-price", "0.1")
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= 80
    said = " ".join(done.stdout.split())
    assert "strong annotates, criticized by weak, the second best" in said
    assert "No price of weak is known" in said
    assert "people alone" in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--task", "u"), "there is no task 'u'; there are: t"),
        (("--items", "50"), "200 items were tested already"),
        (("--price", "weak"), "--price"),
    ],
)
def test_a_bad_call_is_one_line(options: tuple[str, ...], says: str, tested: Path, run) -> None:
    """It names the option or the task."""
    done = run("act", "choose", tested, *options)
    assert done.exit_code != 0
    assert says in done.stderr
    assert "Traceback" not in done.output


def test_one_model_is_not_enough(tested: Path, run) -> None:
    """What is needed is said."""
    data = Dataset.read(tested)
    assert data.scores is not None
    one = data.scores.filter(pa.compute.equal(data.scores["model"], "weak"))
    Dataset(scores=one, gold=data.gold).write(Path("one"))
    assert "fewer than two models" in run("act", "choose", "one").stderr
