"""The append-only log: what happened in a campaign, who did what, and why an answer was closed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from quorate.store.tables import audit, events


class Event(NamedTuple):
    """One thing that happened; ids rise, but on PostgreSQL not always in the order of commits."""

    id: int
    kind: str
    item_id: int | None
    user_id: int | None
    body: Mapping[str, Any]
    at: float


def record(
    connection: Connection,
    campaign_id: int,
    kind: str,
    body: Mapping[str, Any],
    *,
    now: float,
    item_id: int | None = None,
    user_id: int | None = None,
) -> None:
    """Write one event, in the transaction of what it tells of."""
    connection.execute(
        insert(events).values(
            campaign_id=campaign_id, kind=kind, item_id=item_id, user_id=user_id, body=dict(body), at=now
        )
    )


def read_events(connection: Connection, campaign_id: int, *, after: int = 0, most: int = 1000) -> Iterator[Event]:
    """The events after that id, oldest first, at most so many."""
    rows = connection.execute(
        select(events.c.id, events.c.kind, events.c.item_id, events.c.user_id, events.c.body, events.c.at)
        .where(events.c.campaign_id == campaign_id, events.c.id > after)
        .order_by(events.c.id)
        .limit(most)
    )
    yield from (Event(*row) for row in rows)


def note_audit(
    connection: Connection, user_id: int | None, action: str, target: str, detail: Mapping[str, Any], *, now: float
) -> None:
    """Write down who did what to what."""
    connection.execute(insert(audit).values(at=now, user_id=user_id, action=action, target=target, detail=dict(detail)))
