"""`quorate cascade` beside what acceptance tests run: prices, tasks, and bad calls."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

PRICES = ("--price", "left=1", "--price", "right=4")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("fit", "{folder}"), "needs prices: give --price MODEL=NUMBER"),
        (("fit", "{folder}", "--price", "left"), "--price takes a name"),
        (("fit", "{folder}", "--price", "left=1"), "2 to 12 agents"),
        (("fit", "{folder}", "--price", "tiny=1", "--price", "left=1"), "price for 'tiny'"),
        (("fit", "{folder}", "--prices", "list.json"), "list.json: not prices of models"),
        (("fit", "{folder}", *PRICES, "--budget", "much"), "--budget takes a number"),
        (("fit", "{folder}", *PRICES, "--budget", "0.5"), "less than the cheapest call"),
        (("fit", "{folder}", *PRICES, "--budget", "5", "--cost-weight", "1"), "not both"),
        (("fit", "{folder}", *PRICES, "--strategies", "single,oracle"), "no strategy 'oracle'"),
        (("fit", "{folder}", *PRICES, "--estimator", "oracle"), "no estimator 'oracle'"),
        (("fit", "{folder}", *PRICES, "--positive", "maybe"), "no class 'maybe'"),
        (("fit", "{folder}", *PRICES, "--task", "nosuch"), "no task 'nosuch'"),
        (("apply", "{folder}", "--cascade", "list.json"), "list.json: this cascade is incomplete"),
        (("apply", "{folder}"), "cascade.json"),
        (("explain", "nowhere.json"), "nowhere.json"),
    ],
)
def test_a_bad_call_is_one_sentence(arguments: tuple[str, ...], says: str, run, folder: Path, tmp_path: Path) -> None:
    """What is wrong and what would do, on stderr; exit code 2, nothing on stdout, nothing written."""
    (tmp_path / "list.json").write_text("[1]")
    done = run("cascade", *(part.format(folder=folder) for part in arguments))
    assert done.exit_code == 2
    assert says in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert not (tmp_path / "cascade.json").exists()


def test_prices_come_from_a_file_or_from_what_calls_cost(run, folder: Path, tmp_path: Path) -> None:
    """An option goes before the file, the file before recorded costs."""
    (tmp_path / "prices.json").write_text('{"left": 2, "right": 3}')
    quick = ("--resamples", "10", "--task", "safe", "--json")
    told = json.loads(run("cascade", "fit", folder, "--prices", "prices.json", "--price", "left=1", *quick).stdout)
    assert [(each["name"], each["price"]) for each in told["cascades"][0]["agents"]] == [("left", 1.0), ("right", 3.0)]
    rows = [{"item": f"item-{at:02d}", "task": "safe", "model": model, "label": "no", "cost_usd": cost}
            for at in range(60) for model, cost in (("paid", 0.2 + 0.1 * (at % 2)), ("other", 0.5))]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "model_labels.parquet")
    found = json.loads(run("cascade", "fit", folder, "--price", "left=1", *quick).stdout)["cascades"][0]["agents"]
    assert {each["name"]: round(each["price"], 6) for each in found} == {"paid": 0.25, "other": 0.5, "left": 1.0}


def test_a_task_that_cannot_be_fitted_is_left_out_and_says_why(run, folder: Path) -> None:
    """The others are fitted; where none is left, its reason is the error."""
    labels = (folder / "labels.csv").read_text().splitlines()
    few = [row for row in labels if ",quality," not in row or row.startswith(("item-00", "item-01"))]
    (folder / "labels.csv").write_text("\n".join(few) + "\n")
    told = json.loads(run("cascade", "fit", folder, *PRICES, "--resamples", "10", "--json").stdout)
    assert [each["schema"]["tasks"][0]["name"] for each in told["cascades"]] == ["safe"]
    assert [each["task"] for each in told["left_out"]] == ["quality"]
    refused = run("cascade", "fit", folder, *PRICES, "--task", "quality")
    assert refused.exit_code == 2
    assert "items of task 'quality' have a known answer" in " ".join(refused.stderr.split())


def test_one_positive_class_is_kept_for_later_tables(run, folder: Path) -> None:
    """`explain --on` judges the same class again."""
    run("cascade", "fit", folder, *PRICES, "--task", "safe", "--positive", "yes", "--resamples", "10")
    assert "of class yes" in run("cascade", "explain", "cascade.json").stdout
    assert "of class yes" in run("cascade", "explain", "cascade.json", "--on", folder, "--resamples", "10").stdout
