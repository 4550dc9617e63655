"""`quorate policy` as a user runs it: the policy in words, its proof, what else there is; plain words on bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from quorate.policy.stopping import policy_from_json

WAIT_S = 300
QUICK = ("--estimator", "dawid-skene")


def quorate(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quorate", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=WAIT_S, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated world of 300 items and ten tasks, without its truth."""
    place = tmp_path_factory.mktemp("campaign") / "data"
    done = quorate("simulate", place, "--items", 300, cwd=place.parent)
    assert done.returncode == 0, done.stderr
    return place


def test_a_lead_reads_the_policy_its_proof_and_what_else_there_is(folder: Path, tmp_path: Path) -> None:
    """Within 80 columns: what to do, what it saves, the certificate, the other choices; and a file that reads back."""
    done = quorate("policy", folder, "--floor", 0.75, "--price", 0.08, *QUICK, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    words = " ".join(done.stdout.split())
    assert max(map(len, done.stdout.splitlines())) <= 80
    for part in (
        "% saved)",
        "At least 75 % of the answers",
        "the risk that this is wrong is at most 10 %",
        "everything",
    ):
        assert part in words
    policy_from_json((tmp_path / "policy.json").read_text())


def test_for_programs_it_is_one_document(folder: Path, tmp_path: Path) -> None:
    """The policy printed is the policy written; no word beside it."""
    done = quorate("policy", folder, "--budget", 3_000, "--json", "--out", "a/p.json", *QUICK, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["policy"] == json.loads((tmp_path / "a" / "p.json").read_text())
    assert told["chosen"]["at_most"]["cost"] <= 3_000
    assert len(told["choices"]) > 10


def test_where_no_policy_does_it_ends_with_3_says_what_would_and_writes_nothing(folder: Path, tmp_path: Path) -> None:
    """A result, not an error: the constraint in the way, an amount that would do, the nearest; --json is complete."""
    asked = ("policy", folder, "--floor", 0.75, "--budget", 10, *QUICK)
    done = quorate(*asked, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (3, "")
    words = " ".join(done.stdout.split())
    for part in ("No policy keeps to the constraints", "In the way: budget", "needs a budget of", "The nearest:"):
        assert part in words
    told = json.loads(quorate(*asked, "--json", cwd=tmp_path).stdout)
    assert told["policy"] is None
    assert told["binding"] == ["budget"]
    assert told["advice"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "nothing to optimize for"),
        (("--floor", "1.5"), "between 0 and 1"),
        (("--floor", "95"), "95 % is 0.95"),
        (("--floor-task", "nosuch=0.9"), "there is no task 'nosuch'"),
        (("--floor-task", "0.9"), "--floor-task takes a name, = and a number"),
        (("--floor", "0.9", "--price", "-1"), "price"),
        (("--floor", "0.9", "--price-task", "nosuch=1"), "'nosuch'"),
        (("--floor", "0.9", "--deadline-days", "3"), "labels_per_day"),
        (("--floor", "0.9", "--delta", "0"), "delta"),
        (("--budget", "5", "--aim", "cost"), "without a floor"),
        (("--floor", "0.9", "--estimator", "oracle"), "majority"),
    ],
)
def test_bad_constraints_end_with_2_and_one_sentence(
    options: tuple[str, ...], says: str, folder: Path, tmp_path: Path
) -> None:
    """What is wrong and what would do, on stderr, before any work; no traceback."""
    done = quorate("policy", folder, *options, *(QUICK if "--estimator" not in options else ()), cwd=tmp_path)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alttest_cebab", "nk_frames", "crowd_classics"])
def test_recorded_labelings_have_a_policy_or_reasons(name: str, recorded, tmp_path: Path) -> None:
    """People's labels with models, with two people per item, and without models: exit code 0 or 3, never an error."""
    asked = ("policy", recorded(name), "--floor", 0.95, "--price", 0.08, "--most-items", 600, "--json", *QUICK)
    done = quorate(*asked, cwd=tmp_path)
    assert done.returncode in {0, 3}, done.stderr
    told = json.loads(done.stdout)
    assert (told["policy"] is None) == (done.returncode == 3)
    assert told["policy"] is not None or told["advice"]
