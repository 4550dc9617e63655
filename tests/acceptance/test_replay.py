"""`quorate replay` as a user runs it: a process, on a simulated folder and on recorded ones."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from acceptance.test_commands import pure, quorate

QUICK = ("--estimator", "dawid-skene")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five labels each on 200 items of ten tasks."""
    place = tmp_path_factory.mktemp("campaign") / "data"
    done = quorate("simulate", place, "--items", 200, cwd=place.parent)
    assert done.returncode == 0, done.stderr
    return place


def test_every_policy_stands_between_no_labels_and_all(folder: Path, tmp_path: Path) -> None:
    """Labels, cost and what is saved add up, overall and over tasks; stderr is silent off a terminal."""
    found = json.loads(pure(quorate("replay", folder, *QUICK, "--price", 0.08, "--json", cwd=tmp_path)))
    assert len(found["policies"]) == 9
    assert found["no_labels"]["labels"] == 0
    assert found["all_labels"]["labels"] == 10_000
    assert found["all_labels"]["cost"] == pytest.approx(800.0)
    for each in found["policies"]:
        assert each["cost"] == pytest.approx(0.08 * each["labels"])
        assert each["cost"] + each["saved"] == pytest.approx(800.0)
        assert each["efficiency"] == pytest.approx(1 - each["labels"] / 10_000)
        assert sum(task["labels"] for task in each["tasks"].values()) == each["labels"]
        assert 0.3 < each["accuracy"]["value"] <= 1


def test_for_people_it_fits_80_columns_and_says_what_right_means(folder: Path, tmp_path: Path) -> None:
    """A line per policy, then a line per task of the usual one."""
    told = pure(quorate("replay", folder, *QUICK, cwd=tmp_path))
    assert max(map(len, told.splitlines())) <= 80
    assert "200 items, 10 tasks, 10,000 labels by 50 people" in told
    assert "all labels" in told
    assert "Right means the majority of the people who labeled it" in " ".join(told.split())
    assert told.count("task-10") == 1


@pytest.mark.slow
def test_curves_go_to_a_file_with_policies_that_can_be_used(folder: Path, tmp_path: Path) -> None:
    """Each row is a policy in JSON that `--policy` takes; along a curve labels rise, and it ends where it is asked."""
    wanted = ("--policy", "minimum:0.8", "--policy", "per-task-confidence")
    pure(quorate("replay", folder, *QUICK, *wanted, "--out", "curves.csv", cwd=tmp_path))
    with (tmp_path / "curves.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if not row["task"]]
    minimum = [row for row in rows if json.loads(row["policy"])["policy"] == "minimum"]
    assert len(minimum) > 10
    assert all(int(few["labels"]) < int(more["labels"]) for few, more in pairwise(minimum))
    some = minimum[len(minimum) // 2]
    again = json.loads(pure(quorate("replay", folder, *QUICK, "--policy", some["policy"], "--json", cwd=tmp_path)))
    assert again["policies"][0]["labels"] == int(some["labels"])
    assert again["policies"][0]["accuracy"]["value"] == pytest.approx(float(some["accuracy"]))


@pytest.mark.slow
def test_prices_of_tasks_and_people_count(folder: Path, tmp_path: Path) -> None:
    """A task that costs more costs more; nothing else is bought."""
    wanted = (*QUICK, "--policy", "fixed-overlap:2", "--json")
    plain = json.loads(pure(quorate("replay", folder, *wanted, cwd=tmp_path)))["policies"][0]
    priced = json.loads(pure(quorate("replay", folder, *wanted, "--price-task", "task-01=3", cwd=tmp_path)))
    assert priced["policies"][0]["labels"] == plain["labels"] == 4_000
    assert priced["policies"][0]["cost"] == pytest.approx(400 * 3 + 3_600)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--policy", "minium"), "there is no policy 'minium'"),
        (("--policy", "minimum:high"), "as minimum:0.95"),
        (("--policy", '{"policy": "per-task-confidence", "threshold": 0.9, "of_task": {"x": 1}}'), "'x'"),
        (("--price", "-1"), "the price of a label is a number of 0 or more"),
        (("--price-task", "tone=2"), "task 'tone', which the data does not have"),
        (("--price-annotator", "zed=2"), "annotator 'zed', which the data does not have"),
        (("--price-task", "tone"), "--price-task takes a name"),
        (("--out", "curves.doc"), "must end in"),
    ],
)
def test_bad_options_are_one_message_before_any_work(
    options: tuple[str, ...], says: str, folder: Path, tmp_path: Path
) -> None:
    """Exit code 2, what is wrong on stderr, no traceback, nothing written."""
    done = quorate("replay", folder, *options, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_data_without_people_says_so(tmp_path: Path) -> None:
    """There is nothing to replay where models alone spoke."""
    rows = "".join(f"i{n},ok,m,{'yes' if n % 2 else 'no'}\n" for n in range(6))
    (tmp_path / "model_labels.csv").write_text("item,task,model,label\n" + rows)
    done = quorate("replay", tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert "people labeled 0 items" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alttest_cebab", "popquorn_politeness", "crowdtruth_medrel", "medical_safety"])
def test_recorded_labelings_are_replayed_with_the_default_estimator(
    name: str, recorded: Callable[[str], Path], tmp_path: Path
) -> None:
    """Between nobody and everybody; per-task confidence saves labels at an area above fixed overlap's."""
    wanted = ("--policy", "per-task-confidence", "--policy", "fixed-overlap")
    found = json.loads(pure(quorate("replay", recorded(name), *wanted, "--json", cwd=tmp_path)))
    sure, overlap = found["policies"]
    assert sure["efficiency"] > 0
    assert sure["auc"] > overlap["auc"]
    assert found["all_labels"]["efficiency"] == 0
