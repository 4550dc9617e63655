"""Every method of the client against a whole service on a real socket."""

from __future__ import annotations

import inspect
import json
import re
import socket
import threading
from contextlib import ExitStack
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

import quorate
from quorate.client import uploads
from quorate.client.client import Client
from quorate.client.connection import Connection, error_of
from quorate.client.shapes import Learning
from quorate.client.uploads import in_parts, item_parts
from quorate.errors import (
    ConflictError,
    ForbiddenError,
    FormatError,
    NotFoundError,
    ServiceError,
    SettingError,
    SignInError,
)
from unit.service.serving import serving, token_of

SCHEMA = {"tasks": [{"name": "tone", "classes": ["good", "bad"]}, {"name": "topic", "classes": ["food", "price"]}]}
SCORES = [
    {"item": item, "task": "tone", "model": "m", "label": label, "score": score}
    for item in ("a", "b")
    for label, score in (("good", 0.75), ("bad", 0.25))
]


class Place(NamedTuple):
    """A service, and what is needed to use it."""

    url: str
    owner: str
    database: object


@pytest.fixture
def place(database, url):
    """A whole service with an owner."""
    token = token_of(database, "owner", "owner")
    with serving(url) as served:
        yield Place(served.url, token, database)


def test_a_campaign_from_making_to_export(place, tmp_path):  # noqa: PLR0915 # one campaign, whole
    """Every method does against the real service what it says, and gives what it promises."""
    used = set()

    class Watched(Client):
        def __getattribute__(self, name):
            used.add(name)
            return super().__getattribute__(name)

    with Watched(place.url, place.owner) as owner:
        assert (owner.me().name, owner.me().role) == ("owner", "owner")
        ann = owner.add_user("ann", "annotator")
        assert {user.name for user in owner.users()} == {"owner", "ann"}
        assert owner.change_user(ann.id, disabled=True).disabled_at is not None
        assert owner.change_user(ann.id, disabled=False).disabled_at is None
        spare, token = owner.add_token(ann.id, "spare"), owner.add_token(ann.id, "script", days=1.0)
        owner.revoke_token(ann.id, spare.id)
        assert {each.id for each in owner.tokens(ann.id) if each.revoked_at is None} == {token.id}

        campaign = owner.add_campaign(
            "reviews", SCHEMA, settings={"overlap": 2, "gold_rate": 1.0}, guidelines="Read well."
        )
        assert owner.campaigns() == [owner.campaign(campaign.id)]
        changed = owner.change_campaign(campaign.id, version=campaign.version, budget=100.0)
        assert changed.budget == 100.0
        with pytest.raises(ConflictError):
            owner.change_campaign(campaign.id, version=campaign.version, budget=1.0)
        assert owner.set_member(campaign.id, ann.id, ["food"]).skills == ("food",)
        assert {member.name for member in owner.members(campaign.id)} == {"owner", "ann"}

        rows = [{"item": name, "content": {"text": f"text {name}"}} for name in "abcd"]
        gold = {"content": {}, "gold": {"tone": "good", "topic": "food"}, "anchor": True}
        rows += [{"item": "g/1", **gold}, {"item": "g/2", **gold}]
        assert owner.upload_items(campaign.id, rows) == (6, 0)
        assert owner.upload_items(campaign.id, iter(rows)) == (0, 6)
        assert owner.upload_scores(campaign.id, reversed(SCORES)) == 2
        assert owner.item(campaign.id, "a").scores[0]["scores"] == {"good": 0.75, "bad": 0.25}
        assert owner.item(campaign.id, "g/1").gold == {"tone": "good", "topic": "food"}
        hook = owner.add_hook(campaign.id, "http://127.0.0.1:9/", ["labels"])
        assert owner.hooks(campaign.id)[0].events == ("labels",)
        owner.replay(campaign.id, hook.id)
        owner.remove_hook(campaign.id, hook.id)
        assert owner.set_state(campaign.id, "running").state == "running"

        with Watched(place.url, token.token) as ann_client:
            seat = ann_client.next(campaign.id)
            assert ann_client.renew(seat).id == seat.id
            ann_client.skip(seat)
            seat = ann_client.next(campaign.id)
            receipt = ann_client.submit(seat, {"tone": "good", "topic": "food"}, seconds=2.0, then_next=True, key="k")
            assert set(receipt.labels) == {"tone", "topic"}
            again = ann_client.submit(seat, {"tone": "good", "topic": "food"}, seconds=2.0, then_next=True, key="k")
            assert again.labels == receipt.labels
            assert ann_client.undo(seat).withdrawn == ("tone", "topic")
            taken = ann_client.next(campaign.id)
            while taken is not None:
                taken = ann_client.submit(
                    taken, dict.fromkeys(taken.tasks, "good") | {"topic": "food"}, then_next=True
                ).next
            assert ann_client.next(campaign.id) is None
            with pytest.raises(ForbiddenError):
                ann_client.overview(campaign.id)

        owner.remove_member(campaign.id, ann.id)
        assert len(list(owner.items(campaign.id))) == 6
        assert {item.item for item in owner.items(campaign.id, open=False)} == {"g/1", "g/2"}
        assert len(list(owner.consensus(campaign.id))) == 12
        assert owner.agents(campaign.id)["people"][0]["name"] == "ann"
        assert owner.overview(campaign.id).items == 6
        assert owner.disagreements(campaign.id) == []
        assert owner.learning(campaign.id) == Learning()
        assert owner.set_learning(campaign.id, Learning(least_labels=5000)).least_labels == 5000
        owner.refit(campaign.id)
        assert owner.models(campaign.id) == []
        events = list(owner.events(campaign.id))
        assert {"campaign made", "items added", "labels", "skipped", "refit asked"} <= {event.kind for event in events}
        following = owner.follow(campaign.id, after=events[0].id)
        assert [next(following).id for _ in events[1:]] == [event.id for event in events[1:]]
        following.close()
        assert owner.certificate(campaign.id, floor=0.5).n > 0
        file = owner.export(campaign.id, tmp_path / "labels.parquet", table="labels")
        assert pq.read_table(file).num_rows > 0
        assert any(entry.action == "campaign made" for entry in owner.audit())
        assert "quorate_requests_total" in owner.metrics()

    public = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    assert public <= used | {"close"}


def test_errors_are_those_of_quorate(place):
    """What the service refuses is raised as the same error that the library raises, with its message."""
    with Client(place.url, place.owner) as owner:
        with pytest.raises(NotFoundError, match="no campaign 99"):
            owner.campaign(99)
        with pytest.raises(ServiceError, match="classes") as found:
            owner.add_campaign("x", {"tasks": [{"name": "t", "classes": []}]})
        assert (found.value.status, found.value.code) == (422, "invalid")
        assert found.value.path.startswith("body.schema")
        campaign = owner.add_campaign("y", SCHEMA)
        with pytest.raises(ServiceError) as found:
            owner.upload_items(campaign.id, [{"item": "a", "content": {}, "gold": {"tone": "nice"}}])
        assert found.value.rows[0]["row"] == 1
        with pytest.raises(SettingError, match="JSON"):
            owner.add_campaign("z", SCHEMA, guidelines=object())
        with pytest.raises(ServiceError, match="http"):
            owner.add_hook(campaign.id, "ftp://x/")
    with Client(place.url, "qr_wrong") as nobody, pytest.raises(SignInError):
        nobody.me()


def test_an_upload_goes_in_parts_and_again(place, tmp_path, monkeypatch):
    """More rows than one body holds come in parts; the same file again adds nothing."""
    monkeypatch.setattr(uploads, "MOST_ROWS", 250)
    rows = [{"item": f"i{i}", "content": {"text": "x" * 50}} for i in range(600)]
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert len(list(item_parts(path))) == 3
    with Client(place.url, place.owner) as owner:
        campaign = owner.add_campaign("large", SCHEMA)
        assert owner.upload_items(campaign.id, rows[:350]) == (350, 0)
        assert owner.upload_items(campaign.id, path) == (250, 350)
        csv = tmp_path / "more.csv"
        csv.write_text("item,text\nnew,hello\n")
        assert owner.upload_items(campaign.id, csv) == (1, 0)
        with pytest.raises(FormatError):
            owner.upload_items(campaign.id, tmp_path / "items.doc")


def test_rows_that_belong_together_stay_together():
    """Scores of one item are never cut in two, however their rows are mixed."""
    rows = [{"item": f"i{i % 4000}", "n": i} for i in range(12_000)]
    parts = list(in_parts(rows, together="item"))
    items = [{json.loads(line)["item"] for line in part.body.splitlines()} for part in parts]
    assert len(parts) > 1
    assert sum(map(len, items)) == 4000


class Flaky:
    """A server that drops connections, then asks for patience, then serves."""

    def __init__(self, *replies: bytes) -> None:
        self.replies = list(replies)
        self.requests: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for reply in self.replies:
            connection, _ = self._socket.accept()
            with connection:
                self.requests.append(whole(connection))
                connection.sendall(reply)

    def close(self) -> None:
        """Wait until all was said."""
        self._thread.join(10)
        self._socket.close()


def reply(status: str, body: bytes = b"{}", **headers: str) -> bytes:
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{head}\r\n".encode() + body


def whole(connection: socket.socket) -> bytes:
    """A request with its body, however many pieces it comes in."""
    got = b""
    while piece := connection.recv(65_536):
        got += piece
        head, found, body = got.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if found and len(body) >= int(length[1] if length else 0):
            break
    return got


def test_a_lost_connection_is_made_again_where_that_is_safe():
    """Reading, and what bears a key, is sent again with the same key; what might be done twice is not."""
    waits: list[float] = []
    server = Flaky(
        b"", b"", reply("200 OK", b'{"a": 1}'), b"", reply("429 Too Many", Retry_After="7"), reply("200 OK"), b""
    )
    connection = Connection(server.url, "qr_x", sleep=waits.append)
    assert connection.send("GET", "/x").json() == {"a": 1}
    assert connection.send("POST", "/y", body=b"{}", headers={"Idempotency-Key": "k"}, again=True).json() == {}
    assert server.requests[3] == server.requests[4] == server.requests[5]
    assert waits[-1] == 7.0
    with pytest.raises(ServiceError, match="does not answer"):
        connection.send("POST", "/z", body=b"{}")
    connection.close()
    server.close()
    assert len(server.requests) == 7


def test_a_service_that_stays_away_is_told():
    """After a few tries the client gives up with an error of its own."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    waits: list[float] = []
    with pytest.raises(ServiceError, match="does not answer"):
        Connection(url, "qr_x", sleep=waits.append).send("GET", "/x")
    assert len(waits) == 4
    with pytest.raises(SettingError):
        Connection("example.org", "qr_x")


def test_an_answer_that_is_no_json_is_an_error_too():
    """A proxy's own page of errors does not confuse the client."""
    error = error_of(502, b"<html>bad gateway</html>")
    assert isinstance(error, ServiceError)
    assert (error.status, error.code) == (502, "unknown")


def test_a_reader_follows_through_a_restart(database, url):
    """When the service goes away and comes back, who follows its events misses none and sees none twice."""
    token = token_of(database, "owner", "owner")
    with ExitStack() as first:
        served = first.enter_context(serving(url))
        owner = Client(served.url, token)
        campaign = owner.add_campaign("reviews", SCHEMA)
        following = owner.follow(campaign.id, after=0)
        assert next(following).kind == "campaign made"
    port = int(served.url.rpartition(":")[2])
    with serving(url, port=port), owner:
        owner.set_state(campaign.id, "running")
        assert next(following).kind == "campaign state"
        following.close()


def test_the_client_is_a_name_of_quorate():
    """`quorate.Client` and `quorate.verify_webhook` are at hand without importing the service."""
    assert quorate.Client is Client
    assert quorate.verify_webhook("s", {}, b"") is False
