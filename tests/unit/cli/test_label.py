"""`quorate label` on a small folder, against a fake server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from calls import posted
from quorate.data.dataset import Dataset
from quorate.llm.testing.faults import Fault
from quorate.llm.testing.replies import Row
from quorate.llm.testing.server import FakeServer

RUBRIC = "tasks:\n  - {name: tone, classes: [calm, angry]}\n  - {name: safe, kind: yes-no}\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Six items and a rubric, in the folder that commands run in."""
    (tmp_path / "items.csv").write_text("item,text\n" + "".join(f"i{n},text {n}\n" for n in range(6)))
    (tmp_path / "rubric.yaml").write_text(RUBRIC)
    return tmp_path


@pytest.fixture
def server() -> Iterator[FakeServer]:
    table = [Row(f"text {n}", None, None, {"tone": [0.9, 0.1], "safe": [0.2, 0.8]}, None) for n in range(6)]
    with FakeServer(table=table) as running:
        yield running


def test_labels_are_written_as_a_dataset_folder_and_told_in_short(run, place: Path, server: FakeServer) -> None:
    """80 columns, what it cost, what to do next; a second run asks nothing and changes nothing."""
    arguments = ("label", "items.csv", "--models", "fake-small,fake-large", "--base-url", server.url, "--cap", 1)
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    assert "6 items, 2 tasks, 12 calls" in done.stdout
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80
    assert "quorate fit labeled" in done.stdout
    before = (place / "labeled" / "scores.parquet").read_bytes()
    again = run(*arguments, "--json")
    assert again.exit_code == 0
    assert again.stderr == ""
    figures = json.loads(again.stdout)
    assert (figures["labels"], figures["failures"]) == ({"fake-small": 12, "fake-large": 12}, 0)
    assert server.counts.received == 12
    assert (place / "labeled" / "scores.parquet").read_bytes() == before
    data = Dataset.read(place / "labeled")
    assert data.scores is not None
    assert len(data.scores) == 6 * 2 * 2 * 2


def test_a_dry_run_says_calls_and_price_and_asks_nothing(run, place: Path, server: FakeServer) -> None:
    """No folder is made either."""
    arguments = ("label", "items.csv", "--models", "fake-small", "--base-url", server.url, "--dry-run")
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    assert "Nothing was asked." in done.stdout
    figures = json.loads(run(*arguments, "--json").stdout)
    assert figures["models"][0]["calls"] == 6
    assert 0 < figures["models"][0]["likely_usd"] < figures["models"][0]["most_usd"]
    assert server.counts.received == 0
    assert not (place / "labeled").exists()


@pytest.mark.usefixtures("place")
def test_the_first_prompt_can_be_read(run) -> None:
    """As it would be sent."""
    done = run("label", "items.csv", "--models", "m", "--show-prompt")
    assert "[system]" in done.stdout
    assert "text 0" in done.stdout


def test_a_cap_that_is_reached_ends_with_4_and_says_how_to_go_on(run, place: Path, server: FakeServer) -> None:
    """What was answered is there."""
    done = run("label", "items.csv", "--models", "fake-large", "--base-url", server.url, "--cap", 0.0045)
    assert done.exit_code == 4, done.output
    assert "run the same command again" in " ".join(done.stdout.split())
    assert (place / "labeled" / "failures.jsonl").is_file()
    assert 0 < server.counts.received < 6


@pytest.mark.usefixtures("place")
def test_servers_without_log_probabilities_are_told_with_what_to_take_instead(run) -> None:
    """Labels are there all the same."""
    with FakeServer(faults=[Fault("no-logprobs", first=9)]) as server:
        done = run("label", "items.csv", "--models", "fake-small", "--base-url", server.url)
    assert done.exit_code == 0
    assert "--confidence consistency" in " ".join(done.stdout.split())


def test_a_batch_goes_out_and_comes_back(run, place: Path, server: FakeServer) -> None:
    """Files are written, results read, scores written."""
    arguments = ("label", "items.csv", "--models", "fake-small")
    wrote = run(*arguments, "--batch", "write", "--json")
    assert wrote.exit_code == 0, wrote.output
    (path,) = json.loads(wrote.stdout)["files"]
    refused = run(*arguments, "--batch", "read")
    assert (refused.exit_code, "no results" in refused.stderr) == (2, True)
    results = place / "labeled" / "batch" / "results"
    results.mkdir()
    lines: list[str] = []
    for line in map(json.loads, Path(path).read_text().splitlines()):
        said = {"status_code": 200, "body": posted(server.url + "/chat/completions", line["body"])}
        lines.append(json.dumps({"custom_id": line["custom_id"], "response": said, "error": None}) + "\n")
    (results / "one.jsonl").write_text("".join(lines))
    read = run(*arguments, "--batch", "read", "--json")
    assert read.exit_code == 0, read.output
    assert json.loads(read.stdout)["labels"] == {"fake-small": 12}
    assert "6 answers read" in read.stderr
    assert json.loads(run(*arguments, "--batch", "write", "--json").stdout)["files"] == []


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("label",), "--example"),
        (("label", "nowhere", "--models", "fake-small"), "nowhere"),
        (("label", "items.csv", "--base-url", "http://127.0.0.1:1/v1"), "no model"),
        (("label", "items.csv", "--models", "m", "--rubric", "no.yaml"), "no.yaml"),
        (("label", "items.csv", "--models", "m,m"), "twice"),
        (("label", "items.csv", "--models", "nobody"), "'nobody'"),
        (("label", "items.csv", "--models", "fake-small"), "OPENAI_API_KEY"),
        (("label", "items.csv", "--models", "fake-small", "--key-env", "NO_SUCH"), "NO_SUCH"),
        (("label", "items.csv", "--models", "fake-small", "--base-url", "ftp://x"), "http://"),
        (("label", "items.csv", "--models", "fake-small", "--confidence", "verifier"), "verifier"),
        (("label", "items.csv", "--models", "local:./none", "--device", "cpu"), "cannot be loaded"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_word_that_helps(
    arguments: tuple[str, ...], words: str, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, one line on stderr, nothing on stdout."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    assert words in done.stderr.replace("\n", "")
    assert done.stdout == ""


def test_a_key_of_openai_goes_to_openai_only(run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another server gets the key that is named for it, or none; no key stands in the folder."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-secret")
    monkeypatch.setenv("MINE", "sk-mine-secret")
    heard: list[bytes] = []

    class Hearing(FakeServer):
        def handle(self, method: str, path: str, headers: bytes, body: bytes, connection: object) -> None:
            heard.append(bytes(headers))
            super().handle(method, path, headers, body, connection)  # type: ignore[arg-type]

    with Hearing() as server:
        arguments = ("label", "items.csv", "--models", "fake-small", "--base-url", server.url)
        assert run(*arguments).exit_code == 0
        assert b"secret" not in b"".join(heard)
        assert run(*arguments, "--key-env", "MINE", "--out", "two").exit_code == 0
    assert b"sk-mine-secret" in b"".join(heard)
    for path in (*(place / "two").iterdir(), *(place / "labeled").iterdir()):
        assert b"secret" not in path.read_bytes()


def test_the_example_can_be_labeled_as_it_says(run, place: Path) -> None:
    """Items, labels of people, a rubric and answers for both models, which are better than chance."""
    from quorate.llm.testing.replies import read_table

    done = run("label", "--example", "reviews")
    assert done.exit_code == 0, done.output
    assert "quorate fake-llm --table reviews/answers.jsonl" in done.stdout
    with FakeServer(table=read_table(place / "reviews" / "answers.jsonl")) as server:
        labeled = run(
            "label", "reviews", "--rubric", "reviews/rubric.yaml", "--models", "fake-small,fake-large",
            "--base-url", server.url, "--json",
        )  # fmt: skip
    assert labeled.exit_code == 0, labeled.output
    assert json.loads(labeled.stdout)["failures"] == 0
    data = Dataset.read(place / "labeled")
    assert data.labels is not None
    coded = data.encode()
    for task, wins in ((0, {"fake-small": 0.6, "fake-large": 0.75}), (1, {"fake-small": 0.6, "fake-large": 0.75})):
        majority = coded.counts(task).argmax(axis=1)
        for model, name in enumerate(coded.models):
            assert (coded.outputs[task].answer[:, model] == majority).mean() > wins[name]


def test_a_model_that_obeys_its_items_is_told_and_gated(run, place: Path) -> None:
    """Ends with 5 above the share that is allowed; the rate stands in the summary and in label.json."""
    rows = [Row(f"text {n}", None, None, {"tone": [0.9, 0.1], "safe": [0.2, 0.8]}, None) for n in range(6)]

    class Obeying(FakeServer):
        """Answers the other way round wherever an item speaks of answers."""

        def handle(self, method: str, path: str, headers: bytes, body: bytes, connection: object) -> None:
            if b" answer " in body.partition(b'"role":"user"')[2] or b"right JSON" in body:
                body = body.replace(b'["A","B"]', b'["B","A"]')
            super().handle(method, path, headers, body, connection)  # type: ignore[arg-type]

    with Obeying(table=rows) as server:
        arguments = ("label", "items.csv", "--models", "fake-small", "--base-url", server.url, "--canaries", 6)
        done = run(*arguments)
        allowed = run(*arguments, "--most-turned", 1, "--json")
    assert done.exit_code == 5, done.output
    assert "6 of 6 instructions hidden in items" in " ".join(done.stdout.split())
    assert allowed.exit_code == 0
    assert json.loads(allowed.stdout)["canaries"][0]["turned"] == 6
    assert json.loads((place / "labeled" / "label.json").read_text())["canaries"][0]["rate"]["estimate"] == 1.0


def test_files_that_cannot_be_labeled_are_told(run, place: Path, server: FakeServer) -> None:
    """Left aside with their names; the texts beside them are labeled."""
    (place / "texts").mkdir()
    (place / "texts" / "a.txt").write_text("text 0")
    (place / "texts" / "b.pdf").write_bytes(b"%PDF")
    done = run("label", "texts", "--models", "fake-small", "--base-url", server.url, "--json")
    assert done.exit_code == 0, done.output
    assert "1 file left aside" in done.stderr
    assert "b.pdf" in done.stderr
    assert json.loads(done.stdout)["labels"] == {"fake-small": 2}


@pytest.mark.usefixtures("place")
def test_a_server_that_is_not_there_ends_with_4_and_names_the_address(run) -> None:
    """Nothing came back: no word of going on with it, and where nobody listened."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = f"http://127.0.0.1:{port}/v1"
    done = run("label", "items.csv", "--models", "fake-small", "--base-url", server, "--out", "out")
    assert done.exit_code == 4, done.output
    assert f"no connection to 127.0.0.1:{port}: " in " ".join(done.stdout.split())
    assert "Not one answer came" in done.stdout
    assert "go on with" not in done.stdout
