"""`quorate.Client`: everything that a service does for a script, typed, over one kept connection.

with Client("http://127.0.0.1:8000", "qr_...") as service:
service.upload_items(1, [{"item": "a", "content": {"text": "very good"}}])
seat = service.next(1)
service.submit(seat, {"tone": "good"})
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from urllib.parse import quote
from uuid import uuid4

from quorate.client.connection import LOST, Answer, Connection
from quorate.client.shapes import (
    Answered,
    AuditEntry,
    Campaign,
    Certificate,
    Dispute,
    Event,
    FittedModel,
    Hook,
    Item,
    Learning,
    Lease,
    Member,
    NewHook,
    NewToken,
    Overview,
    Receipt,
    Token,
    Uploaded,
    User,
    Withdrawal,
    shaped,
)
from quorate.client.uploads import in_parts, item_parts
from quorate.errors import ServiceError, SettingError

Role = Literal["owner", "lead", "annotator", "reader"]
State = Literal["running", "paused", "done"]
Table = Literal["consensus", "labels", "scores", "items", "decisions"]
FileKind = Literal["parquet", "jsonl", "csv", "huggingface"]
Rows = Iterable[Mapping[str, Any]] | str | PathLike[str]
PAGE = 1000


class Client:
    """A service, as one user sees it by a token; of one thread at a time.

    Requests are sent again after a lost connection where that does nothing twice, and wait for a busy service. All
    methods raise NotFoundError, ConflictError, ForbiddenError, SignInError, or ServiceError for what is refused else.
    """

    def __init__(self, url: str, token: str, *, timeout_s: float = 60.0) -> None:
        self._connection = Connection(url, token, timeout_s=timeout_s)

    def __enter__(self) -> Client:  # noqa: PYI034 # Self is no type at run time
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; the next request connects again."""
        self._connection.close()

    # ---- people -----------------------------------------------------------------------------------------------
    def me(self) -> User:
        """Whose token this is."""
        return shaped(User, self._get("/me"))

    def users(self) -> list[User]:
        """All users."""
        return [shaped(User, each) for each in self._get("/users")]

    def add_user(self, name: str, role: Role, *, password: str | None = None) -> User:
        """A new user; without a password they come in by token only."""
        return shaped(User, self._post("/users", {"name": name, "role": role, "password": password}))

    def change_user(self, user_id: int, **changes: Any) -> User:
        """Change role, password, or `disabled`."""
        return shaped(User, self._send("PATCH", f"/users/{user_id}", changes).json())

    def tokens(self, user_id: int) -> list[Token]:
        """A user's tokens, without their texts."""
        return [shaped(Token, each) for each in self._get(f"/users/{user_id}/tokens")]

    def add_token(self, user_id: int, name: str, *, days: float | None = None) -> NewToken:
        """A new token, valid for so many days or until revoked; its text is told only here."""
        return shaped(NewToken, self._post(f"/users/{user_id}/tokens", {"name": name, "days": days}))

    def revoke_token(self, user_id: int, token_id: int) -> None:
        """Make a token void."""
        self._send("DELETE", f"/users/{user_id}/tokens/{token_id}")

    # ---- campaigns --------------------------------------------------------------------------------------------
    def campaigns(self) -> list[Campaign]:
        """One's campaigns; all, for an owner."""
        return [shaped(Campaign, each) for each in self._get("/campaigns")]

    def add_campaign(self, name: str, schema: Mapping[str, Any], **more: Any) -> Campaign:
        """A new campaign, a draft; `more` are guidelines, policy, settings, prices and budget."""
        return shaped(Campaign, self._post("/campaigns", {"name": name, "schema": schema, **more}))

    def campaign(self, campaign_id: int) -> Campaign:
        """One campaign."""
        return shaped(Campaign, self._get(f"/campaigns/{campaign_id}"))

    def change_campaign(self, campaign_id: int, *, version: int | None = None, **changes: Any) -> Campaign:
        """Change a campaign; with `version`, only if nobody else has changed it since (ConflictError)."""
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        return shaped(Campaign, self._send("PATCH", f"/campaigns/{campaign_id}", changes, headers=headers).json())

    def set_state(self, campaign_id: int, state: State) -> Campaign:
        """Run a campaign, pause it, or call it done."""
        return shaped(Campaign, self._post(f"/campaigns/{campaign_id}/state", {"state": state}))

    def members(self, campaign_id: int) -> list[Member]:
        """Who works in a campaign."""
        return [shaped(Member, each) for each in self._get(f"/campaigns/{campaign_id}/members")]

    def set_member(self, campaign_id: int, user_id: int, skills: Iterable[str] = ()) -> Member:
        """Let a user work in a campaign, or set their skills anew."""
        path = f"/campaigns/{campaign_id}/members/{user_id}"
        return shaped(Member, self._send("PUT", path, {"skills": list(skills)}).json())

    def remove_member(self, campaign_id: int, user_id: int) -> None:
        """Let a user work in a campaign no more."""
        self._send("DELETE", f"/campaigns/{campaign_id}/members/{user_id}")

    # ---- items ------------------------------------------------------------------------------------------------
    def upload_items(self, campaign_id: int, rows: Rows, *, ids: Literal["given", "content"] = "given") -> Uploaded:
        """Add items from rows or a file (JSONL, CSV, Parquet), in parts of which each is added whole or not at all.

        What is there already, the same, is left alone: after a break the same upload goes on where it stood. Raises
        ServiceError that tells the bad rows of the first part that has any.
        """
        added = unchanged = 0
        for part in item_parts(rows):
            answer = self._upload(f"/campaigns/{campaign_id}/items", part.body, part.kind, {"ids": ids})
            added, unchanged = added + answer["added"], unchanged + answer["unchanged"]
        return Uploaded(added, unchanged)

    def upload_scores(self, campaign_id: int, rows: Rows) -> int:
        """Write models' scores (item, task, model, label, score) over those given before; of how many items."""
        parts = in_parts(rows, together="item")
        return sum(
            self._upload(f"/campaigns/{campaign_id}/scores", part.body, part.kind, {})["items"] for part in parts
        )

    def items(self, campaign_id: int, *, open: bool | None = None) -> Iterator[Item]:  # noqa: A002 # the service's word
        """All items as they stand, those with an open task, or those without."""
        for page in self._pages(f"/campaigns/{campaign_id}/items", {"open": open}):
            yield from (shaped(Item, each) for each in page["items"])

    def item(self, campaign_id: int, external_id: str) -> Item:
        """One item, and everything that was said of it."""
        return shaped(Item, self._get(f"/campaigns/{campaign_id}/items/{quote(external_id, safe='')}"))

    # ---- an annotator's loop ----------------------------------------------------------------------------------
    def next(self, campaign_id: int) -> Lease | None:
        """The seat that one holds, or the next; None when there is nothing to ask."""
        found = self._send("POST", f"/campaigns/{campaign_id}/next", again=True).json()
        return None if found is None else shaped(Lease, found)

    def submit(
        self,
        lease: Lease | str,
        answers: Mapping[str, str],
        *,
        seconds: float | None = None,
        then_next: bool = False,
        key: str | None = None,
    ) -> Receipt:
        """Keep the answers, task to class, once per key; with `then_next`, also the next seat."""
        said = [{"task": task, "label": label, "seconds": seconds} for task, label in answers.items()]
        found = self._keyed(lease, "submit", key, {"answers": said, "next": then_next})
        following = found.get("next")
        return shaped(Receipt, {**found, "next": following and shaped(Lease, following)})

    def skip(self, lease: Lease | str) -> None:
        """Give the seat back; one is not asked about the item again."""
        self._send("POST", f"/leases/{_id(lease)}/skip", again=True)

    def undo(self, lease: Lease | str, *, key: str | None = None) -> Withdrawal:
        """Take the answers back that were given under a lease."""
        return shaped(Withdrawal, self._keyed(lease, "undo", key, None))

    def renew(self, lease: Lease | str) -> Lease:
        """Keep the seat for as long as a new one."""
        return shaped(Lease, self._send("POST", f"/leases/{_id(lease)}/renew", again=True).json())

    # ---- results ----------------------------------------------------------------------------------------------
    def consensus(self, campaign_id: int) -> Iterator[Answered]:
        """What is thought of every task of every item."""
        for page in self._pages(f"/campaigns/{campaign_id}/consensus", {}):
            yield from (shaped(Answered, each) for each in page["rows"])

    def agents(self, campaign_id: int) -> Mapping[str, Any]:
        """Who did how much, and how far everybody is to be relied on."""
        return self._get(f"/campaigns/{campaign_id}/agents")

    def overview(self, campaign_id: int) -> Overview:
        """The campaign in figures."""
        return shaped(Overview, self._get(f"/campaigns/{campaign_id}/overview"))

    def disagreements(self, campaign_id: int, *, limit: int = 50) -> list[Dispute]:
        """Where people disagree, the least sure first."""
        found = self._get(f"/campaigns/{campaign_id}/disagreements", {"limit": limit})
        return [shaped(Dispute, each) for each in found]

    def certificate(self, campaign_id: int, *, floor: float = 0.95, delta: float = 0.1) -> Certificate:
        """What is proven of accuracy, on the anchors whose truth is known."""
        query = {"floor": floor, "delta": delta}
        return shaped(Certificate, self._get(f"/campaigns/{campaign_id}/certificate", query))

    def export(
        self,
        campaign_id: int,
        path: str | PathLike[str],
        *,
        table: Table = "consensus",
        format: FileKind = "parquet",  # noqa: A002 # the public word
    ) -> Path:
        """Write a table of the campaign to that file; as `huggingface`, a zipped folder of all tables."""
        target = Path(path)
        query = {"table": table, "format": format}
        asked = self._connection.stream(f"/api/v1/campaigns/{campaign_id}/export", query=query, headers={})
        with asked as answer, target.open("wb") as file:
            while piece := answer.read(1 << 16):
                file.write(piece)
            missing = answer.length
        if missing:  # http.client ends such an answer without a word
            raise ServiceError(f"the connection was lost {missing} bytes before the end of {target}")
        return target

    # ---- models -----------------------------------------------------------------------------------------------
    def refit(self, campaign_id: int) -> None:
        """Have the model fitted anew, in the background; an event tells how it ended."""
        self._post(f"/campaigns/{campaign_id}/refit", None)

    def models(self, campaign_id: int) -> list[FittedModel]:
        """The models so far, the last first."""
        return [shaped(FittedModel, each) for each in self._get(f"/campaigns/{campaign_id}/models")]

    def learning(self, campaign_id: int) -> Learning:
        """How the model is fitted anew."""
        return shaped(Learning, self._get(f"/campaigns/{campaign_id}/learning"))

    def set_learning(self, campaign_id: int, learning: Learning) -> Learning:
        """Have the model fitted in another way from now on."""
        path = f"/campaigns/{campaign_id}/learning"
        return shaped(Learning, self._send("PUT", path, learning._asdict()).json())

    # ---- events -----------------------------------------------------------------------------------------------
    def events(self, campaign_id: int, *, after: int = 0) -> Iterator[Event]:
        """What has happened after that event, oldest first."""
        while found := self._get(f"/campaigns/{campaign_id}/events", {"after": after, "limit": PAGE}):
            yield from (shaped(Event, each) for each in found)
            after = found[-1]["id"]

    def follow(self, campaign_id: int, *, after: int | None = None) -> Generator[Event]:
        """What happens, as it happens, without end; after a break it goes on where it was, and misses nothing."""
        path = f"/api/v1/campaigns/{campaign_id}/stream"
        while True:
            headers = {"Accept": "text/event-stream"} | ({} if after is None else {"Last-Event-ID": str(after)})
            try:
                with self._connection.stream(path, headers=headers) as answer:
                    for line in answer:
                        if line.startswith(b"data: "):
                            event = shaped(Event, json.loads(line[6:]))
                            after = event.id
                            yield event
            except LOST:  # it went away; the next request waits for it
                pass
            self._get("/me")  # raises for one who may no longer read, or when the service stays away

    def hooks(self, campaign_id: int) -> list[Hook]:
        """The campaign's webhooks."""
        return [shaped(Hook, each) for each in self._get(f"/campaigns/{campaign_id}/hooks")]

    def add_hook(self, campaign_id: int, url: str, events: Iterable[str] = ()) -> NewHook:
        """Tell a receiver what happens from now on; without kinds of events, everything."""
        return shaped(NewHook, self._post(f"/campaigns/{campaign_id}/hooks", {"url": url, "events": list(events)}))

    def remove_hook(self, campaign_id: int, hook_id: int) -> None:
        """Tell that receiver nothing more."""
        self._send("DELETE", f"/campaigns/{campaign_id}/hooks/{hook_id}")

    def replay(self, campaign_id: int, hook_id: int, *, after: int = 0) -> None:
        """Send what came after an event once more, in order."""
        self._send("POST", f"/campaigns/{campaign_id}/hooks/{hook_id}/replay", {"after": after}, again=True)

    # ---- the service ------------------------------------------------------------------------------------------
    def audit(self, *, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
        """Who did what to what, the newest first."""
        return [shaped(AuditEntry, each) for each in self._get("/audit", {"before": before, "limit": limit})]

    def metrics(self) -> str:
        """The figures for an operator, in Prometheus's text format."""
        return self._connection.send("GET", "/metrics").body.decode()

    # ---- parts ------------------------------------------------------------------------------------------------
    def _send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        again: bool | None = None,
    ) -> Answer:
        try:
            sent = None if body is None else json.dumps(body, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise SettingError(f"this cannot be sent as JSON: {error}") from None
        given = {"Content-Type": "application/json", **(headers or {})}
        return self._connection.send(method, f"/api/v1{path}", body=sent, headers=given, again=again)

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        return self._connection.send("GET", f"/api/v1{path}", query=query).json()

    def _post(self, path: str, body: Any) -> Any:
        return self._send("POST", path, body).json()

    def _keyed(self, lease: Lease | str, verb: str, key: str | None, body: Any) -> dict[str, Any]:
        headers = {"Idempotency-Key": key or str(uuid4())}
        return self._send("POST", f"/leases/{_id(lease)}/{verb}", body, headers=headers, again=True).json()

    def _upload(self, path: str, body: bytes, kind: str, query: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": kind}
        return self._connection.send(
            "POST", f"/api/v1{path}", query=query, body=body, headers=headers, again=True
        ).json()

    def _pages(self, path: str, query: Mapping[str, Any]) -> Iterator[Any]:
        after: int | None = 0
        while after is not None:
            page = self._get(path, {**query, "after": after, "limit": PAGE})
            yield page
            after = page["next"]


def _id(lease: Lease | str) -> str:
    return quote(lease if isinstance(lease, str) else lease.id, safe="")
