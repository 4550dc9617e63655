"""The boundary of restricted items: a server outside it never sees one, whatever is asked of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from quorate.cli.app import app
from quorate.errors import DataError, SettingError
from quorate.llm import batch
from quorate.llm.annotate import Annotated, Recorded, annotate, requests
from quorate.llm.boundary import Boundary, problem_of
from quorate.llm.calls import Job
from quorate.llm.canary import measure_canaries
from quorate.llm.client import ChatClient
from quorate.llm.failures import CallError, RestrictedError
from quorate.llm.items import Items, read_items
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger, read_prices
from quorate.llm.rubric import Rubric
from quorate.llm.rubric_file import parse_rubric
from quorate.llm.sdk import OpenAIClient
from quorate.llm.settings import Settings
from quorate.llm.testing.faults import Fault
from quorate.llm.testing.server import FakeServer
from quorate.llm.wire import Answer, Message, Request, Transport

CLOSED = "the merger with Aldebaran is signed"
RUBRIC = parse_rubric("tasks: [{name: tone, classes: [calm, angry]}]")
ITEMS = Items(("a", "b", "c"), {"text": ["open words", CLOSED, "more open words"]}, {}, restricted=frozenset({"b"}))
INSIDE = Boundary(("127.0.0.1",))
OUTSIDE = Boundary(("llm.example.org", "*.example.net"))


def labeled(
    transport: Transport,
    *,
    rubric: Rubric = RUBRIC,
    items: Items = ITEMS,
    journal: Journal | None = None,
    settings: Settings = Settings(),  # noqa: B008 - frozen
) -> Annotated:
    job = Job(items, rubric, ("fake-small",), settings)
    return annotate(job, transport, journal=journal or Journal(), ledger=Ledger(read_prices()))


def heard(server: FakeServer) -> str:
    """All that the server was ever sent."""
    return "\n".join(body.decode() for body in server.bodies)


def test_a_server_outside_never_sees_a_restricted_item_and_one_inside_does() -> None:
    """Outside, the item fails as `restricted` and the others are labeled; inside, all are."""
    for boundary in (Boundary(), OUTSIDE):
        with FakeServer(keep_bodies=True) as server:
            done = labeled(ChatClient(server.url, boundary=boundary))
        assert CLOSED not in heard(server)
        assert [(failed.item, failed.kind) for failed in done.failures] == [("b", "restricted")]
        assert CLOSED not in str(done.failures)
        assert done.tally.cells[0, 0].labeled.tolist() == [True, False, True]
    with FakeServer(keep_bodies=True) as server:
        done = labeled(ChatClient(server.url, boundary=INSIDE))
    assert CLOSED in heard(server)
    assert not done.failures


def test_the_client_itself_refuses_where_a_request_leaves() -> None:
    """Whoever calls it, with or without a run around it."""
    request = Request("m", (Message("user", CLOSED),), restricted=True)

    async def sent(client: ChatClient) -> Answer:
        async with client:
            return await client.send(request)

    with FakeServer(keep_bodies=True) as server:
        with pytest.raises(RestrictedError, match=r"127\.0\.0\.1 lies outside"):
            asyncio.run(sent(ChatClient(server.url, boundary=OUTSIDE)))
        assert not server.bodies
        assert asyncio.run(sent(ChatClient(server.url, boundary=INSIDE))).finish == "stop"


def test_a_proxy_outside_is_outside() -> None:
    """The server lies inside, but the way to it does not: the proxy is never connected to."""
    with FakeServer(keep_bodies=True) as proxy:
        there = f"http://127.0.0.1:{proxy.url.split(':')[2].removesuffix('/v1')}"
        done = labeled(ChatClient("http://llm.example.org/v1", proxy=there, boundary=OUTSIDE))
        assert [failed.kind for failed in done.failures if failed.item == "b"] == ["restricted"]
        assert CLOSED not in heard(proxy)
        assert problem_of(ChatClient("http://llm.example.org/v1", boundary=OUTSIDE)) is None


def test_a_redirect_is_not_followed() -> None:
    """A server inside that points outside: the other server hears nothing."""
    with FakeServer(keep_bodies=True) as outside:
        with FakeServer(faults=[Fault("redirect", share=1.0, told=outside.url + "/chat/completions")]) as inside:
            port = int(inside.url.split(":")[2].removesuffix("/v1"))
            done = labeled(ChatClient(inside.url, boundary=Boundary((f"127.0.0.1:{port}",))))
        assert not outside.bodies
        assert len(done.failures) == 3


def test_what_a_verifier_and_canaries_are_asked_keeps_to_the_boundary_too() -> None:
    """A label that was known before the item was restricted is checked and turned by nobody outside."""
    verified = Settings(confidence="verifier", verifier="fake-large")
    open_items = Items(ITEMS.ids, ITEMS.texts, {})
    with Journal() as journal, FakeServer() as inside:
        labeled(ChatClient(inside.url), items=open_items, journal=journal)
        labeled(ChatClient(inside.url), items=open_items, journal=journal, settings=Settings(top=5))
        with FakeServer(keep_bodies=True) as server:
            client = ChatClient(server.url, boundary=OUTSIDE)
            done = labeled(client, journal=journal)
            assert done.tally.cells[0, 0].labeled.all()
            found = measure_canaries(done, 3, client, journal=journal, ledger=Ledger(read_prices()))
            assert found[0].answered == 2
            labeled(ChatClient(inside.url), items=open_items, journal=journal, settings=verified)
            again = Job(ITEMS, RUBRIC, ("fake-small",), verified)
            checks = [request for request in requests(again, journal) if request.model == "fake-large"]
            assert [request.restricted for request in checks] == [False, True, False]
            assert CLOSED not in heard(server)


def test_a_batch_file_holds_no_restricted_item(tmp_path: Path) -> None:
    """A file may go anywhere; the item is missing from it, and listed as restricted when the results are read."""
    job = Job(ITEMS, RUBRIC, ("fake-small",))
    with Journal() as journal:
        (path,) = batch.write(requests(job, journal), tmp_path, journal=journal)
        assert len(path.read_text().splitlines()) == 2
        assert CLOSED not in path.read_text()
        done = labeled(Recorded(), journal=journal)
    assert [failed.kind for failed in done.failures] == ["broken", "restricted", "broken"]


@pytest.mark.parametrize("mark", ["", ", restricted: true"])
def test_a_worked_example_that_shows_a_restricted_item_stays_inside(mark: str) -> None:
    """By its mark, or by its text alone: no call that shows it leaves; those to a server inside do."""
    text = CLOSED if not mark else "another secret"
    rubric = parse_rubric(
        f"tasks: [{{name: tone, classes: [calm, angry]}}]\nexamples: [{{text: {text}, labels: {{tone: calm}}{mark}}}]"
    )
    with FakeServer(keep_bodies=True) as server:
        done = labeled(ChatClient(server.url, boundary=OUTSIDE), rubric=rubric)
        assert not server.bodies
        assert {failed.kind for failed in done.failures} == {"restricted"}
        assert not labeled(ChatClient(server.url, boundary=INSIDE), rubric=rubric).failures
        none = labeled(ChatClient(server.url), rubric=rubric, settings=Settings(examples=0))
    assert [failed.item for failed in none.failures] == ["b"]


def test_a_transport_that_does_not_know_where_it_sends_is_outside() -> None:
    """Unknown is not safe: nothing restricted passes."""

    class Somewhere:
        async def send(self, request: Request) -> Answer:
            assert CLOSED not in str(request)
            raise CallError("no answer", retry=False)

    done = labeled(Somewhere())
    assert [failed.kind for failed in done.failures] == ["broken", "restricted", "broken"]


def test_the_openai_package_carries_nothing_restricted() -> None:
    """Its HTTP client follows redirects and finds proxies of its own: whatever the boundary, it refuses."""
    openai = pytest.importorskip("openai")

    async def sent(client: OpenAIClient) -> None:
        try:
            await client.send(Request("m", (Message("user", CLOSED),), restricted=True))
        finally:
            await client.aclose()

    with FakeServer(keep_bodies=True) as server:
        client = OpenAIClient(openai.AsyncOpenAI(api_key="sk", base_url=server.url))
        with pytest.raises(RestrictedError, match="nobody knows where OpenAIClient sends it"):
            asyncio.run(sent(client))
    assert not server.bodies


def test_a_journal_from_before_stays_valid() -> None:
    """The mark decides no answer: the key does not know it."""
    request = Request("m", (Message("user", "Hello"),))
    assert request.key() == request._replace(restricted=True).key()
    assert request.key() == "ca268456efd0d25a6c82e058fa5208ef83e9e0c143bae380595bea00a0c209bc"


@pytest.mark.parametrize("host", ["", "http://llm.example.org", "a@b", "a b", "*", "a.*.org", "a/b", "\\evil"])
def test_what_is_no_host_is_no_boundary(host: str) -> None:
    """A boundary that is misspelt is refused, not read as something else."""
    with pytest.raises(SettingError, match="boundary"):
        Boundary((host,))


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("https://llm.example.org/v1", True),
        ("https://LLM.Example.org./v1", True),
        ("https://llm.example.org@evil.net/v1", False),
        ("https://evil.net/llm.example.org", False),
        ("https://evil.net\\@llm.example.org/v1", False),
        ("https://a.example.net:8443/v1", True),
        ("https://example.net/v1", False),
        ("https://aexample.net/v1", False),
    ],
)
def test_the_host_that_is_connected_to_decides(url: str, inside: bool) -> None:
    """Not what the address looks like."""
    client = ChatClient(url, boundary=OUTSIDE)
    found = problem_of(client) is None
    assert found is inside


def test_a_column_marks_the_items_and_is_never_shown(tmp_path: Path) -> None:
    """True or false in the words of any table; what is neither is refused with its row."""
    table = tmp_path / "items.csv"
    table.write_text("item,text,restricted\na,open,false\nb,closed,TRUE\nc,open too,\n")
    items = read_items(table)
    assert items.restricted == {"b"}
    assert set(items.texts) == {"text"}
    table.write_text("item,text,restricted\na,open,perhaps\n")
    with pytest.raises(DataError, match=r"row 1, column 'restricted': 'perhaps' is neither"):
        read_items(table)


def test_the_command_keeps_to_the_boundary_of_the_rubric_or_the_option(tmp_path: Path) -> None:
    """Canaries and all; `failures.jsonl` lists the item; the option goes over the rubric."""
    (tmp_path / "items.csv").write_text(f"item,text,restricted\na,open words,0\nb,{CLOSED},1\n")
    (tmp_path / "rubric.yaml").write_text("boundary: llm.example.org\ntasks: [{name: tone, classes: [calm, angry]}]")
    with FakeServer(keep_bodies=True) as server:
        words = ["label", str(tmp_path / "items.csv"), "--rubric", str(tmp_path / "rubric.yaml"), "--json"]
        words += ["--models", "fake-small", "--base-url", server.url, "--canaries", "2", "--out", str(tmp_path / "out")]
        said = CliRunner().invoke(app, words)
        assert said.exit_code in {0, 5}, said.output
        assert CLOSED not in heard(server)
        failed = json.loads((tmp_path / "out" / "failures.jsonl").read_text())
        assert (failed["item"], failed["kind"]) == ("b", "restricted")
        assert CliRunner().invoke(app, [*words, "--boundary", "127.0.0.1"]).exit_code in {0, 5}
        assert CLOSED in heard(server)
        assert not (tmp_path / "out" / "failures.jsonl").exists()
