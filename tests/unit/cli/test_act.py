"""`quorate act`, verb by verb, with a fake server on a real socket, on the example that comes with `quorate label`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from quorate.llm.testing.example import write_example
from quorate.llm.testing.faults import parse
from quorate.llm.testing.replies import read_table
from quorate.llm.testing.server import FakeServer


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """Forty reviews, people's labels of all, a rubric, and what two pretended models answer."""
    write_example(tmp_path / "reviews", n_items=40)
    return tmp_path / "reviews"


@pytest.mark.slow
def test_from_the_items_to_the_page(reviews: Path, run, tmp_path: Path) -> None:  # noqa: PLR0915 # one walk, whole
    """Every step says what it did and what comes next; the page asks nobody and holds the figures."""
    with FakeServer(table=read_table(reviews / "answers.jsonl")) as server:
        way = ("--base-url", server.url, "--cap", "1")
        done = run("act", "criticize", "--critic", "fake-large", *way)
        assert done.exit_code == 2
        assert "quorate act annotate" in done.stderr
        rubric = ("--rubric", reviews / "rubric.yaml")
        done = run("act", "annotate", reviews, *rubric, "--models", "fake-small", *way)
        assert done.exit_code == 0, done.output
        assert "next: quorate act criticize" in done.stdout
        done = run("act", "review")
        assert "first: quorate act criticize" in done.stderr
        done = run("act", "criticize", "--critic", "fake-large", "--base-url", server.url, "--dry-run", "--json")
        [forecast] = json.loads(done.stdout)["critics"]
        assert (forecast["calls"], forecast["known"]) == (80, 0)
        assert (
            "You look for mistakes" in run("act", "criticize", "--critic", "fake-large", *way, "--show-prompt").stdout
        )
        done = run("act", "criticize", "--critic", "fake-large", "--critic", "fake-large=logit", *way)
        assert done.exit_code == 0, done.output
        assert max(map(len, done.stdout.splitlines())) <= 80
        before = server.counts.received
        done = run("act", "criticize", "--critic", "fake-large", *way, "--json")
        assert server.counts.received == before  # all known
        assert json.loads(done.stdout)["critics"][0]["unsure"] == 0
    assert len(pq.read_table("act/criticisms.parquet")) == 160
    assert "--budget 10%" in run("act", "review").stderr
    done = run("act", "review", "--budget", "30%", "--price", "0.08", "--queue", "queue.jsonl")
    assert done.exit_code == 0, done.output
    assert "24 labels drawn by thresholding, 0 answered, 24 open" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    queue = [json.loads(line) for line in Path("queue.jsonl").read_text().splitlines()]
    assert len(queue) == 24
    assert set(queue[0]) == {"item", "task", "annotator", "label", "question", "classes", "text"}
    assert "reviewing" in run("act", "status").stdout
    done = run("act", "review", "--answers", reviews / "labels.csv", "--json")
    said = json.loads(done.stdout)
    assert (said["answered"], said["left"]) == (24, 0)
    assert said["foretold"]["found"] > 24 * 0.2  # the example's critic is worth its price
    assert said["spent_usd"] == pytest.approx(24 * 3 * 0.08)
    done = run("act", "review", "--budget", "40%", "--combine", "logistic", "--with-confidence", "--price", "0.08")
    assert done.exit_code == 0, done.output
    assert "8 labels drawn" in done.stdout  # 24 are answered already
    assert run("act", "review", "--answers", reviews / "labels.csv").exit_code == 0
    assert run("act", "train", "--task", "tone").exit_code == 0
    assert (tmp_path / "act" / "model" / "tone").is_dir()
    done = run("act", "report")
    assert done.exit_code == 0, done.output
    page = (tmp_path / "act" / "report.html").read_text()
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    figures = json.loads((tmp_path / "act" / "report.json").read_text())
    assert figures["reviewed"] == 32
    assert figures["costs"]["all_human_usd"] == pytest.approx(80 * 3 * 0.08)
    status = json.loads(run("act", "status", "--json").stdout)
    assert (status["stage"], status["next"]) == ("trained", "quorate act report")


def test_labels_that_were_given_already_need_no_model(reviews: Path, run, tmp_path: Path) -> None:
    """A file of labels beside the items; without a rubric what the labels show is asked; gold is not asked again."""
    rows = [{"item": f"review-{k:03}", "task": "safety", "model": "rule", "label": "no"} for k in range(40)]
    with (tmp_path / "said.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    done = run("act", "annotate", reviews, "--rubric", reviews / "rubric.yaml", "--labels", "said.csv", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["labels"] == {"rule": 40}
    done = run("act", "annotate", reviews, "--labels", "said.csv", "--models", "m")
    assert "not both" in done.stderr
    done = run("act", "annotate", reviews)
    assert "give --models to ask, or --labels" in done.stderr


def test_a_run_at_its_cap_ends_with_4_and_the_same_command_goes_on(reviews: Path, run) -> None:
    """Nothing known is asked twice; review waits for the rest."""
    with FakeServer(table=read_table(reviews / "answers.jsonl")) as server:
        way = ("--base-url", server.url)
        rubric = ("--rubric", reviews / "rubric.yaml")
        assert run("act", "annotate", reviews, *rubric, "--models", "fake-small", *way).exit_code == 0
        n = server.counts.received
        done = run("act", "criticize", "--critic", "fake-large", *way, "--cap", "0.02")
        assert done.exit_code == 4
        assert "the same command goes on from here" in done.stderr
        assert "next: quorate act criticize" in run("act", "status").stdout
        assert run("act", "criticize", "--critic", "fake-large", *way).exit_code == 0
        assert server.counts.received - n == 80


def test_a_critic_that_cannot_be_read_is_told_and_its_labels_are_unsure(reviews: Path, run) -> None:
    """Refusals: three tries each, .5 and flagged, and the review goes on."""
    rubric = ("--rubric", reviews / "rubric.yaml")
    with FakeServer(table=read_table(reviews / "answers.jsonl")) as server:
        assert (
            run("act", "annotate", reviews, *rubric, "--models", "fake-small", "--base-url", server.url).exit_code == 0
        )
    with FakeServer(faults=parse("refusal=1")) as server:
        done = run("act", "criticize", "--critic", "fake-large", "--base-url", server.url)
    assert done.exit_code == 0, done.output
    assert "80 unsure: it was a refusal" in done.stdout
    table = pq.read_table("act/criticisms.parquet")
    assert set(table["error"].to_pylist()) == {0.5}
    assert set(table["tries"].to_pylist()) == {3}
    assert run("act", "review", "--budget", "5").exit_code == 0


def test_restricted_items_are_shown_to_nobody(reviews: Path, run, tmp_path: Path) -> None:
    """Neither to a server outside the boundary nor to people: not in the queue, not in a prompt."""
    with (reviews / "items.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row["restricted"] = "true" if number % 2 else "false"
    with (reviews / "items.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    said = [{"item": row["item"], "task": "safety", "model": "rule", "label": "no"} for row in rows]
    Path("said.jsonl").write_text("".join(json.dumps(each) + "\n" for each in said))
    assert run("act", "annotate", reviews, "--rubric", reviews / "rubric.yaml", "--labels", "said.jsonl").exit_code == 0
    with FakeServer(table=read_table(reviews / "answers.jsonl"), keep_bodies=True) as server:
        assert run("act", "criticize", "--critic", "fake-small", "--base-url", server.url).exit_code == 0
        told = b"".join(server.bodies)
    hidden = [row for row in rows if row["restricted"] == "true"]
    assert not any(row["text"].encode() in told for row in hidden)
    assert run("act", "review", "--budget", "100%").exit_code == 0
    queue = (tmp_path / "act" / "queue.csv").read_text()
    assert queue.count("review-") == 20
    assert not any(row["item"] in queue for row in hidden)


def test_a_batch_is_written_and_read(reviews: Path, run) -> None:
    """Files for a batch API hold every question; their results are criticisms; one that is missing is unsure."""
    rubric = ("--rubric", reviews / "rubric.yaml")
    with FakeServer(table=read_table(reviews / "answers.jsonl")) as server:
        way = ("--base-url", server.url)
        assert run("act", "annotate", reviews, *rubric, "--models", "fake-small", *way).exit_code == 0
        done = run("act", "criticize", "--critic", "fake-large=naive", *way, "--batch", "write", "--json")
        assert done.exit_code == 0, done.output
        [path] = json.loads(done.stdout)["files"]
        lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
        assert len(lines) == 80
        results = Path("act/batch/results")
        results.mkdir()
        answer = {"choices": [{"message": {"content": '{"error_probability": 0.25}'}, "finish_reason": "stop"}]}
        usage = {"usage": {"prompt_tokens": 10, "completion_tokens": 5}, "model": "fake-large"}
        body = {"response": {"status_code": 200, "body": {**answer, **usage}}}
        rows = ({"custom_id": each["custom_id"], **body} for each in lines[1:])
        (results / "r.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
        done = run("act", "criticize", "--critic", "fake-large=naive", *way, "--batch", "read", "--json")
        assert done.exit_code == 0, done.output
    table = pq.read_table("act/criticisms.parquet")
    assert sorted(set(table["error"].to_pylist())) == [0.25, 0.5]
    assert table["error"].to_pylist().count(0.5) == 1


@pytest.mark.slow
def test_a_service_takes_the_queue_and_gives_the_answers(reviews: Path, run, tmp_path: Path, monkeypatch) -> None:
    """A campaign for every task; people answer there; what they said comes back, once."""
    from quorate.client.client import Client
    from quorate.store.database import Database
    from unit.service.serving import serving, token_of

    rubric = ("--rubric", reviews / "rubric.yaml")
    with FakeServer(table=read_table(reviews / "answers.jsonl")) as server:
        way = ("--base-url", server.url)
        assert run("act", "annotate", reviews, *rubric, "--models", "fake-small", *way).exit_code == 0
        assert run("act", "criticize", "--critic", "fake-large", *way).exit_code == 0
    url = f"sqlite:///{tmp_path / 'q.db'}"
    database = Database.open(url)
    token = token_of(database, "owner", "owner")
    database.close()
    with serving(url) as served:
        assert "QUORATE_TOKEN" in run("act", "review", "--budget", "10", "--service", served.url).stderr
        monkeypatch.setenv("QUORATE_TOKEN", token)
        done = run("act", "review", "--budget", "10", "--service", served.url)
        assert done.exit_code == 0, done.output
        assert "quorate act review --fetch" in done.stdout
        n = 0
        with Client(served.url, token) as client:
            campaigns = client.campaigns()
            for campaign in campaigns:
                task = campaign.schema["tasks"][0]
                while (seat := client.next(campaign.id)) is not None:
                    client.submit(seat, {task["name"]: task["classes"][0]})
                    n += 1
        assert n == 10
        for _ in range(2):
            done = run("act", "review", "--fetch", "--json")
            assert done.exit_code == 0, done.output
            assert json.loads(done.stdout)["answered"] == 10
    assert len(pq.read_table(tmp_path / "act" / "answers.parquet")) == 10
