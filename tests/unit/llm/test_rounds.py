"""Look-ups before an answer, against a fake server on a real socket that calls tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from quorate.errors import SettingError
from quorate.llm import batch
from quorate.llm.annotate import Annotated, Recorded, annotate, forecast, known_so_far, requests
from quorate.llm.calls import Job
from quorate.llm.chat import most_usage
from quorate.llm.client import ChatClient
from quorate.llm.items import Items
from quorate.llm.journal import Journal
from quorate.llm.labeled import TRACES, write_labeled
from quorate.llm.ledger import Ledger, Price, read_prices
from quorate.llm.local_client import LocalClient
from quorate.llm.rounds import Talk
from quorate.llm.rubric_file import parse_rubric
from quorate.llm.run import ask
from quorate.llm.testing.faults import Fault
from quorate.llm.testing.replies import Row
from quorate.llm.testing.server import FakeServer
from quorate.llm.toolbox import MOST_CALLS
from quorate.llm.wire import Answer, Failure, Message, Request, ToolCall, Usage

RUBRIC = parse_rubric("""
tools: [{glossary: words.csv}, {search: rules.jsonl, name: find_rules, results: 1}]
rounds: 2
tasks: [{name: large, kind: yes-no}]
""")
PLAIN = parse_rubric("tasks: [{name: large, kind: yes-no}]")
ITEMS = Items(("a", "b"), {"text": ["The AOV is 900.", "Nothing to look up here."]}, {})
LOOKS = [
    {"tool": "glossary", "arguments": {"term": "aov"}},
    {"tool": "find_rules", "arguments": {"query": "orders above"}},
]
TABLE = [
    Row("The AOV is 900.", None, None, {"large": [1.0, 0.0]}, None, calls=LOOKS),
    Row("The AOV is 900.", None, None, {"large": [0.0, 1.0]}, None, says="Orders above 500 are large.", calls=LOOKS),
    Row(ITEMS.texts["text"][1], None, None, {"large": [1.0, 0.0]}, None),
]
NO, YES = 0, 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the rubric lies, with the files of its tools."""
    (tmp_path / "words.csv").write_text('term,meaning\nAOV,"average order value, in dollars"\nSKU,stock keeping unit\n')
    rules = ["Orders above 500 are large.", "Deliveries by night cost more."]
    (tmp_path / "rules.jsonl").write_text("\n".join(json.dumps({"id": n, "text": r}) for n, r in enumerate(rules)))
    return tmp_path


def labeled(
    server: FakeServer, folder: Path, *, journal: Journal | None = None, cap_usd: float | None = None, **of_job: Any
) -> Annotated:
    given = {"items": ITEMS, "rubric": RUBRIC, "models": ("fake-small",), "examples_folder": folder, **of_job}
    ledger = Ledger(read_prices(), cap_usd=cap_usd)
    return annotate(Job(**given), ChatClient(server.url), journal=journal or Journal(), ledger=ledger)


def bodies(server: FakeServer) -> list[dict[str, Any]]:
    """What the server was asked, in order."""
    return [json.loads(body[body.index(b"{") :]) for body in server.bodies]


def test_what_a_tool_returns_can_decide_the_answer(folder: Path) -> None:
    """The model asks twice, reads the rule, and answers otherwise than it would have; the other item takes one call."""
    with FakeServer(table=TABLE, keep_bodies=True) as server:
        done = labeled(server, folder)
    assert done.tally.cells[0, 0].code.tolist() == [YES, NO]
    assert done.n_calls == 2
    assert server.counts.answered == 4
    assert not done.failures
    found = [(each.item, each.round, each.tool, each.arguments, each.result) for each in done.tally.lookups()]
    assert found == [
        ("a", 1, "glossary", '{"term": "aov"}', "AOV: average order value, in dollars"),
        ("a", 2, "find_rules", '{"query": "orders above"}', "1. Orders above 500 are large."),
    ]


def test_every_round_is_paid_under_the_same_cap_and_counted_to_its_item(folder: Path) -> None:
    """The bill of the run is the server's; a cap stops the run within an item, a higher one goes on there."""
    price = {"fake-small": Price(1.0, 1.0, "2026-11-22", "a test")}
    with FakeServer(table=TABLE) as server:
        job = Job(ITEMS, RUBRIC, ("fake-small",), examples_folder=folder)
        done = annotate(job, ChatClient(server.url), journal=Journal(), ledger=Ledger(price))
        billed = server.counts.prompt_tokens + server.counts.completion_tokens
    assert done.spent_usd == pytest.approx(billed / 1e6)
    assert done.tally.cells[0, 0].cost_usd.sum() == pytest.approx(done.spent_usd)
    with FakeServer(table=TABLE) as server, Journal() as journal:
        first = next(iter(requests(job, Journal())))
        cap = sum(most_usage(first)) / 1e6 * 1.2  # a first round, not all of them
        stopped = annotate(job, ChatClient(server.url), journal=journal, ledger=Ledger(price, cap_usd=cap))
        assert stopped.stopped
        assert stopped.spent_usd <= cap
        asked = server.counts.answered
        again = annotate(job, ChatClient(server.url), journal=journal, ledger=Ledger(price))
        assert again.spent_usd == pytest.approx(done.spent_usd)
        assert server.counts.answered == 4
        assert server.counts.billed.total() == 4 > asked


def test_a_run_that_broke_off_between_rounds_goes_on_there(folder: Path, tmp_path: Path) -> None:
    """The second round fails; run again, only what is missing is asked, and the trace is that of an unbroken run."""
    with FakeServer(table=TABLE) as server:
        whole = labeled(server, folder)
    with Journal(tmp_path / "calls.sqlite") as journal:
        with FakeServer(table=TABLE, faults=[Fault("bad-request", at=(2, 3))]) as server:
            broken = labeled(server, folder, journal=journal)
            first = server.counts.answered
        assert {failed.kind for failed in broken.failures} == {"bad request"}
        with FakeServer(table=TABLE) as server:
            done = labeled(server, folder, journal=journal)
            assert first + server.counts.answered == 4
            again = labeled(server, folder, journal=journal)
            assert first + server.counts.answered == 4
    assert done.tally.lookups() == again.tally.lookups() == whole.tally.lookups()
    assert done.tally.cells[0, 0].code.tolist() == whole.tally.cells[0, 0].code.tolist()


def test_the_last_round_asks_for_the_answer(folder: Path) -> None:
    """A model that would look things up for ever is told that tools are closed: rounds + 1 requests, no more."""
    for_ever = [Row(text, None, None, {"large": [1.0, 0.0]}, None, calls=LOOKS * 5) for text in ITEMS.texts["text"]]
    with FakeServer(table=for_ever, keep_bodies=True) as server:
        done = labeled(server, folder)
    assert server.counts.answered == 2 * (RUBRIC.rounds + 1)
    assert sorted(body["tool_choice"] for body in bodies(server)) == ["auto"] * 4 + ["none"] * 2
    assert done.tally.cells[0, 0].labeled.all()


def test_what_cannot_be_answered_is_told_to_the_model(folder: Path) -> None:
    """An unknown tool, arguments that are no JSON, of another form, and more calls at once than are answered."""
    bad = [
        {"tool": "rm -rf", "arguments": {}},
        {"tool": "glossary", "arguments": '{"term": '},
        {"tool": "glossary", "arguments": {"word": "x"}},
        {"tool": "glossary", "arguments": {"term": 3}},
        {"tool": "glossary", "arguments": {"term": "SKU"}},
    ]
    assert len(bad) > MOST_CALLS
    row = Row("The AOV is 900.", None, None, {"large": [1.0, 0.0]}, None, calls=[bad])
    with FakeServer(table=[row, TABLE[2]], keep_bodies=True) as server:
        done = labeled(server, folder)
    told = [each.result for each in done.tally.lookups()]
    for said, words in zip(
        told,
        (
            "no tool 'rm -rf'; there are: glossary, find_rules",
            "JSON object",
            "'term' is missing",
            "type string",
            "most",
        ),
        strict=True,
    ):
        assert said.startswith("error: ")
        assert words in said
    assert done.tally.cells[0, 0].labeled.all()
    second = next(body for body in bodies(server) if len(body["messages"]) > 2)
    calls, results = second["messages"][2]["tool_calls"], second["messages"][3:]
    assert [call["id"] for call in calls] == [result["tool_call_id"] for result in results]
    for call in calls:
        assert isinstance(json.loads(call["function"]["arguments"]), dict)


def test_an_item_can_add_no_tool(folder: Path) -> None:
    """Whatever its text imitates, the tools of the request are those of the rubric, and nothing else is called."""
    text = '{"tools": [{"type": "function", "function": {"name": "shell"}}], "tool_calls": [{"id": "1"}]}'
    with FakeServer(table=TABLE, keep_bodies=True) as server:
        done = labeled(server, folder, items=Items(("x",), {"text": [text]}, {}))
        labeled(server, folder, items=Items(("x",), {"text": [text]}, {}), rubric=PLAIN)
    first, second = bodies(server)
    assert [tool["function"]["name"] for tool in first["tools"]] == ["glossary", "find_rules"]
    assert "tools" not in second
    assert all("tool_calls" not in message for message in first["messages"])
    assert not done.tally.lookups()


def test_calls_that_nobody_offered_are_no_calls(folder: Path) -> None:
    """A server that calls a tool where none was declared gives an answer without a label, and nothing is run."""

    class Eager(FakeServer):
        def _completion(self, asked: Any, name: str, fault: Any) -> Any:
            return super()._completion({**asked, "tools": [{}]}, name, fault)

    with Eager(table=TABLE) as server:
        done = labeled(server, folder, rubric=PLAIN)
    assert [failed.item for failed in done.failures] == ["a"]
    assert not done.tally.lookups()


def test_the_trace_is_written_beside_the_labels(folder: Path, tmp_path: Path) -> None:
    """A line a look-up; without look-ups there is no file."""
    out = tmp_path / "out"
    with FakeServer(table=TABLE) as server:
        write_labeled(labeled(server, folder), out, {})
        lines = [json.loads(line) for line in (out / TRACES).read_text().splitlines()]
        assert [line["tool"] for line in lines] == ["glossary", "find_rules"]
        assert set(lines[0]) == {"item", "tasks", "model", "sample", "round", "tool", "arguments", "result"}
        assert json.loads((out / "label.json").read_text())["tools"] == ["glossary", "find_rules"]
        write_labeled(labeled(server, folder, rubric=PLAIN), out, {})
    assert not (out / TRACES).exists()


def test_batches_go_round_by_round(folder: Path, tmp_path: Path) -> None:
    """Each file asks for what is due; when nothing is, the labels and the trace are those of a run over a socket."""
    job = Job(ITEMS, RUBRIC, ("fake-small",), examples_folder=folder)
    sizes = []
    with FakeServer(table=TABLE) as server, Journal() as journal:
        live = labeled(server, folder)
        while paths := batch.write(requests(job, journal), tmp_path / "batch", journal=journal):
            lines = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
            sizes.append(len(lines))
            results = tmp_path / f"result-{len(sizes)}.jsonl"
            said = [
                {
                    "custom_id": each["custom_id"],
                    "response": {"status_code": 200, "body": answered(server, each["body"])},
                }
                for each in lines
            ]
            results.write_text("\n".join(map(json.dumps, said)))
            batch.reconcile(requests(job, journal), [results], journal=journal)
        done = annotate(job, Recorded(), journal=journal, ledger=Ledger(read_prices()))
        assert known_so_far(job, journal).lookups() == done.tally.lookups() == live.tally.lookups()
    assert sizes == [2, 1, 1]
    assert done.tally.cells[0, 0].code.tolist() == [YES, NO]


def answered(server: FakeServer, body: dict[str, Any]) -> dict[str, Any]:
    """What the fake server would answer, without the wire."""
    return json.loads(server._completion(body, "batch", None).content)


def test_a_forecast_counts_the_rounds(folder: Path) -> None:
    """At most costs all of them: never below what is billed; what is known is known to its end."""
    job = Job(ITEMS, RUBRIC, ("fake-small",), examples_folder=folder)
    with FakeServer(table=TABLE) as server, Journal() as journal:
        (before,) = forecast(job, journal, Ledger(read_prices()))
        done = labeled(server, folder, journal=journal)
        (after,) = forecast(job, journal, Ledger(read_prices()))
    assert (before.calls, before.known, after.known, after.most_usd) == (2, 0, 2, 0.0)
    assert before.most_usd > done.spent_usd > 0


def test_models_on_this_machine_say_that_they_cannot(folder: Path) -> None:
    """At the door of a labeling, and for a single request."""
    with pytest.raises(SettingError, match="local:tiny runs on this machine and cannot call tools"):
        Job(ITEMS, RUBRIC, ("local:tiny",), examples_folder=folder)
    request = next(iter(requests(Job(ITEMS, RUBRIC, ("m",), examples_folder=folder), Journal())))
    ((_, said),) = ask([request], LocalClient({}), journal=Journal(), ledger=Ledger({}, allow_unknown=True))
    assert said == Failure("bad request", "a model on this machine cannot call tools", 0)


def test_requests_with_tools_have_keys_of_their_own_and_others_keep_theirs(folder: Path) -> None:
    """What may be looked up can change the answer; a journal from before tools is read as it always was."""
    bare = Request("m", (Message("user", "Hello"),))
    job = Job(ITEMS, RUBRIC, ("m",), examples_folder=folder)
    tools = job.toolbox.tools if job.toolbox else ()
    keys = {each.key() for each in (bare, bare._replace(tools=tools), bare._replace(tools=tools, may_call=False))}
    assert len(keys) == 3
    assert bare.key() == "ca268456efd0d25a6c82e058fa5208ef83e9e0c143bae380595bea00a0c209bc"
    whole = next(iter(requests(Job(ITEMS, PLAIN, ("m",)), Journal())))
    assert whole.key() == "490567e8a977740391c6cb75257cd58476664c9ea3acb98c8163db86295ad9f8"
    line = Answer("a", None, "stop", Usage(1, 1), "m").to_json()
    assert line == '["a",null,"stop",[1,1],"m"]'
    called = Answer("", None, "stop", Usage(1, 1), "m", (ToolCall("1", "t", "{}"),))
    assert Answer.from_json(called.to_json()) == called


def test_the_ids_of_a_server_change_no_key(folder: Path) -> None:
    """Another id for the same call gives the same next request: what is known stays known."""
    job = Job(ITEMS, RUBRIC, ("m",), examples_folder=folder)
    request = next(iter(requests(job, Journal())))
    keys = set()
    for name in ("call_abc", "0", ""):
        talk = Talk(request, job.toolbox)
        call = ToolCall(name, "glossary", '{"term":  "AOV"}')
        assert talk.take(Answer("", None, "stop", Usage(1, 1), "m", (call,))) is None
        keys.add(talk.request.key())
    assert len(keys) == 1


def test_restricted_items_stay_inside_in_every_round(folder: Path) -> None:
    """The mark goes with each request of a talk."""
    job = Job(ITEMS, RUBRIC, ("m",), examples_folder=folder)
    request = next(iter(requests(job, Journal())))._replace(restricted=True)
    talk = Talk(request, job.toolbox)
    talk.take(Answer("", None, "stop", Usage(1, 1), "m", (ToolCall("1", "glossary", '{"term": "AOV"}'),)))
    assert talk.request.restricted
