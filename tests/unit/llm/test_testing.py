"""Laws of the fake server: what it says is decided by what it is asked."""

from __future__ import annotations

import asyncio
import json
import math
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from calls import asked, request, requests
from quorate.errors import DataError, FormatError, SettingError
from quorate.llm import chat
from quorate.llm.client import ChatClient
from quorate.llm.testing.faults import Fault, choose, parse
from quorate.llm.testing.replies import Replies, Row, read_table
from quorate.llm.testing.server import FakeServer
from quorate.llm.wire import Answer, Message, Request


def _one(server: FakeServer, wanted: Request) -> Answer:
    async def run() -> Answer:
        async with ChatClient(server.url) as client:
            return await client.send(wanted)

    return asyncio.run(run())


def test_the_same_question_has_the_same_answer_and_another_seed_another():
    """Answers are a function of seed and question."""
    said = []
    for seed in (1, 1, 2):
        with FakeServer(seed=seed) as server:
            said.append([answer for _, answer in asked(requests(30), server)])
    assert said[0] == said[1]
    assert said[0] != said[2]


def test_log_probabilities_agree_with_what_is_said():
    """At temperature 0 the likeliest choice is said; the choices' probabilities add up to one."""
    with FakeServer() as server:
        answer = _one(server, request(1))
    assert answer.tokens is not None
    assert "".join(token.token for token in answer.tokens) == answer.text
    choice = next(token for token in answer.tokens if len(token.top) == 3)
    assert choice.token == choice.top[0][0] == json.loads(answer.text)["label"]
    assert sum(math.exp(logprob) for _, logprob in choice.top) == pytest.approx(1.0)


def test_samples_at_temperature_one_are_drawn_with_the_probabilities_that_are_said():
    """Shares of the samples meet the probabilities, within their error."""
    table = [Row("the item", None, {"A": 0.7, "B": 0.2, "C": 0.1}, {}, None)]
    replies = Replies(table)
    body = chat.body(Request("m", (Message("user", "the item"),), temperature=1.0, schema={"enum": ["A", "B", "C"]}))
    drawn = Counter(replies.pieces(body, str(k))[1].text for k in range(2_000))
    for choice, share in (("A", 0.7), ("B", 0.2), ("C", 0.1)):
        assert abs(drawn[choice] / 2_000 - share) < 4 * math.sqrt(share * (1 - share) / 2_000)


def test_a_table_speaks_for_the_item_in_the_prompt():
    """By tags, by line or anywhere in the last message; by model; by property; verbatim."""
    table = [
        Row("good day", None, {"yes": 0.1, "no": 0.9}, {}, None),
        Row("fine\nweather", "m", None, {"tone": [0.2, 0.8]}, None),
        Row("verbatim", None, None, {}, "exactly this"),
    ]
    replies = Replies(table)

    def said(text: str, schema: dict[str, object] | None = None, model: str = "m") -> str:
        body = chat.body(Request(model, (Message("system", "Yes or no?"), Message("user", text)), schema=schema))
        return "".join(piece.text for piece in replies.pieces(body, "x"))

    assert said("Text:\n<item>good day</item>") == "no"
    assert said("good day") == "no"
    assert said("He said: good day to you") == "no"
    tone = {"type": "object", "properties": {"tone": {"enum": ["warm", "cold"]}}}
    assert json.loads(said("<item>\nfine\nweather\n</item>", tone)) == {"tone": "cold"}
    assert said("verbatim") == "exactly this"


def test_a_row_with_words_of_a_prompt_speaks_for_that_prompt_alone(tmp_path: Path):
    """Recorded answers of several prompts: the system message tells them apart; a row without words takes the rest."""
    table = tmp_path / "answers.jsonl"
    table.write_text(
        '{"text": "an item", "answer": "any"}\n'
        '{"text": "an item", "says": "Be strict.", "answer": "strict"}\n'
        '{"text": "an item", "says": "Be strict.", "model": "other", "answer": "never"}\n'
        '{"text": "an item", "says": "Be mild.", "answer": "mild"}\n'
    )
    replies = Replies(read_table(table))

    def said(system: str, item: str = "an item") -> str:
        body = chat.body(Request("m", (Message("system", system), Message("user", item))))
        return "".join(piece.text for piece in replies.pieces(body, "x"))

    assert [said(system) for system in ("You label. Be mild.", "Be strict.", "You label.")] == ["mild", "strict", "any"]
    assert said("You label.", "<item>an item</item> Be strict.") == "any"  # an item cannot choose its row


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": ["a", "b"]},
        {"enum": [1, 2]},
        {"const": "x"},
        {"type": "integer", "minimum": 3, "maximum": 5},
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "boolean"},
        {"type": "null"},
        {"type": "array", "items": {"enum": ["a"]}},
        {"type": "object", "properties": {"why": {"type": "string"}, "label": {"enum": ["a", "b"]}}},
        {"type": "object", "properties": {}},
    ],
)
def test_an_answer_fulfills_the_schema(schema: dict[str, object]):
    """What is asked for as JSON is JSON, of the asked form."""
    body = chat.body(Request("m", (Message("user", "x"),), schema=schema))
    value = json.loads("".join(piece.text for piece in Replies().pieces(body, "x")))
    if "enum" in schema:
        assert value in schema["enum"]
    if "minimum" in schema:
        assert schema["minimum"] <= value <= schema["maximum"]
    if "properties" in schema:
        assert list(value) == list(schema["properties"])


def test_an_answer_is_cut_at_the_most_tokens():
    """And says so."""
    with FakeServer() as server:
        answer = _one(server, request(1)._replace(max_tokens=2))
    assert (answer.finish, answer.usage.completion_tokens) == ("length", 2)


def test_faults_strike_the_asked_share_of_calls_and_the_same_ones_in_every_run():
    """Chance is seeded by the call and its try."""
    faults = parse("rate:2=.1, reset=0.05")
    struck = [choose(faults, n, str(n), 1) for n in range(4_000)]
    assert struck == [choose(faults, n, str(n), 1) for n in range(4_000)]
    shares = Counter(fault.wrong for fault in struck if fault)
    assert abs(shares["rate"] / 4_000 - 0.1) < 4 * math.sqrt(0.1 * 0.9 / 4_000)
    assert shares["reset"] > 0
    assert Fault("rate", at=[3]).strikes(3, 1, 1.0)
    assert not Fault("rate", first=2).strikes(9, 3, 1.0)


def test_a_fault_that_is_none_is_named():
    """The message lists those there are."""
    with pytest.raises(SettingError, match=r"'earthquake=1'.*truncated"):
        parse("earthquake=1")


@pytest.mark.parametrize(("line", "error"), [("{", FormatError), ("[]", DataError), ('{"probs": {}}', DataError)])
def test_a_table_that_cannot_be_used_is_named_with_its_line(tmp_path: Path, line: str, error: type[Exception]):
    """Place and mend."""
    path = tmp_path / "answers.jsonl"
    path.write_text('{"text": "x"}\n\n' + line + "\n")
    with pytest.raises(error, match=r"answers\.jsonl, row 3"):
        read_table(path)


def test_the_server_counts_what_it_received():
    """By call, and as totals; other paths are refused."""
    with FakeServer(models=("one", "two")) as server:
        asked(requests(5), server)
        with urllib.request.urlopen(server.url + "/models") as response:  # noqa: S310 - our own server
            assert [model["id"] for model in json.load(response)["data"]] == ["one", "two"]
        with urllib.request.urlopen(server.url.replace("/v1", "/counts")) as response:  # noqa: S310 - the same
            totals = json.load(response)
        assert (totals["received"], totals["answered"], totals["calls"], totals["billed_twice"]) == (5, 5, 5, 0)
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            urllib.request.urlopen(server.url + "/nothing")  # noqa: S310 - the same
        caught.value.close()


def test_the_command_serves_until_it_is_stopped():
    """`quorate fake-llm` says where it listens, answers, and says on Ctrl-C what it received."""
    command = "import typer; from quorate.cli.fake_llm import fake_llm; typer.run(fake_llm)"
    options = ["--port", "0", "--latency-ms", "1", "--faults", "rate:0=.2", "--json"]
    server = subprocess.Popen(
        [sys.executable, "-c", command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert server.stderr is not None
    url = server.stderr.readline().split()[2]
    client = ChatClient(url)
    answer = None
    while not isinstance(answer, Answer):
        [answer] = asyncio.run(_tried(client))
    server.send_signal(signal.SIGINT)
    out, _ = server.communicate(timeout=20)
    assert json.loads(out)["answered"] == 1


async def _tried(client: ChatClient) -> list[Answer | BaseException]:
    async with client:
        return await asyncio.gather(client.send(request(3)), return_exceptions=True)


def test_a_row_that_asks_for_words_of_the_last_message_speaks_for_these_alone(tmp_path: Path):
    """Of one item and two labels; a number is said where the schema asks for one, and counts before other rows."""
    rows = [
        {"text": "good day", "tasks": {"error": 0.9}},
        {"text": "good day", "holds": ["label", "B: angry"], "tasks": {"error": 0.125, "wrong": [0.9, 0.1]}},
    ]
    path = tmp_path / "table.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    replies = Replies(read_table(path))
    error = {"type": "object", "properties": {"error": {"type": "number"}}}
    wrong = {"type": "object", "properties": {"wrong": {"type": "string", "enum": ["no", "yes"]}}}

    def said(text: str, schema: dict[str, object]) -> str:
        asked = {"json_schema": {"name": "answer", "schema": schema}, "type": "json_schema"}
        body = {"model": "m", "messages": [{"role": "user", "content": text}], "response_format": asked}
        return "".join(piece.text for piece in replies.pieces(body, "call"))

    assert json.loads(said("<i>good day</i>\nThe label: B: angry", error)) == {"error": 0.125}
    assert json.loads(said("<i>good day</i>\nThe label: A: calm", error)) == {"error": 0.9}
    assert json.loads(said("<i>good day</i>\nThe label: B: angry", wrong)) == {"wrong": "no"}
