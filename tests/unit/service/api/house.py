"""A service with people of every role, inside and outside of one running campaign."""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from quorate.store.campaigns import add_campaign, change_state
from quorate.store.database import Database
from quorate.store.items import NewItem, add_items
from quorate.store.people import add_member, add_token, add_user
from quorate.store.records import Settings
from unit.service.serving import Served, serving
from unit.store.world import SCHEMA

API = "/api/v1"
INSIDE = {"owner": "owner", "lead": "lead", "annotator": "annotator", "reader": "reader"}
OUTSIDE = {"other lead": "lead", "other annotator": "annotator", "other reader": "reader"}
EVERYBODY = (*INSIDE, *OUTSIDE, "nobody")


class Reply(NamedTuple):
    """What was answered."""

    status: int
    body: Any
    headers: Mapping[str, str]
    raw: bytes


class House(NamedTuple):
    """The service, its database, and the tokens by person."""

    served: Served
    database: Database
    campaign: int
    users: Mapping[str, int]
    tokens: Mapping[str, str]

    def call(
        self, method: str, path: str, body: Any = None, *, who: str = "nobody", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One request over a connection of its own; a body that is no bytes is sent as JSON."""
        sent = {"Authorization": f"Bearer {self.tokens[who]}"} if who != "nobody" else {}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if data is not None else {}
        connection = http.client.HTTPConnection(urlsplit(self.served.url).netloc, timeout=60)
        try:
            connection.request(method, path, data, {**kind, **sent, **(headers or {})})
            answer = connection.getresponse()
            raw = answer.read()
            given = {name.lower(): value for name, value in answer.getheaders()}
            is_json = raw and given.get("content-type") == "application/json"
            return Reply(answer.status, json.loads(raw) if is_json else None, given, raw)
        finally:
            connection.close()

    def of(self, path: str) -> str:
        """A path below the campaign."""
        return f"{API}/campaigns/{self.campaign}{path}"

    def next(self, who: str = "annotator") -> Any:
        """The lease that person is given."""
        return self.call("POST", self.of("/next"), who=who).body

    def submit(self, lease: str, answers: Any, *, who: str = "annotator", key: str | None = None) -> Reply:
        """Answers under a lease."""
        headers = {"Idempotency-Key": key or secrets.token_hex(8)}
        return self.call("POST", f"{API}/leases/{lease}/submit", {"answers": answers}, who=who, headers=headers)

    def user(self, role: str = "annotator", *, member: bool = True) -> tuple[int, str]:
        """A new person's id, and name to call as."""
        name = f"p{secrets.token_hex(4)}"
        user, token = self.database.write(lambda connection: _person(connection, name, role))
        if member:
            self.database.write(lambda connection: add_member(connection, self.campaign, user))
        self.tokens[name] = token  # type: ignore[index]
        return user, name


@contextmanager
def house(url: str, *, n_items: int = 50, settings: Settings | None = None, **service: Any) -> Iterator[House]:
    """The service, until the block ends."""
    database = Database.open(url)
    try:
        campaign, users, tokens = database.write(lambda connection: _made(connection, n_items, settings))
        with serving(url, **{"workers": "none", **service}) as served:
            yield House(served, database, campaign, users, tokens)
    finally:
        database.close()


def _made(connection: Any, n_items: int, settings: Settings | None) -> tuple[int, dict[str, int], dict[str, str]]:
    people = {name: _person(connection, name, role) for name, role in {**INSIDE, **OUTSIDE}.items()}
    campaign = add_campaign(connection, "reviews", SCHEMA, settings=settings, now=0.0)
    for name in ("lead", "annotator", "reader"):
        add_member(connection, campaign.id, people[name][0])
    add_items(connection, campaign, (NewItem(f"i{i}", {"text": f"text {i}"}) for i in range(n_items)), now=0.0)
    change_state(connection, campaign.id, "running", version=1, now=0.0)
    ids = {name: user for name, (user, _) in people.items()}
    return campaign.id, ids, {name: token for name, (_, token) in people.items()}


def _person(connection: Any, name: str, role: Any) -> tuple[int, str]:
    made = add_user(connection, name, role, now=0.0)
    return made.id, add_token(connection, made.id, "test", now=0.0).text
