"""The end of the log, for those who follow it: no event is passed over, none is told twice.

Ids rise in the order in which events were begun, not in which they were committed: on PostgreSQL an event may come to
light below others that were seen before. `Tail` therefore follows the log only up to a safe id. An id that was the
largest at one look is safe as soon as every transaction that ran at that look has ended: all smaller ids were given out
before it, to transactions that had written something else already and so were known to the server.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select, text

from quorate.store.tables import events, items, users

SNAPSHOT = text(
    "SELECT coalesce((SELECT max(id) FROM events), 0), pg_snapshot_xmin(s)::text::bigint,"
    " pg_snapshot_xmax(s)::text::bigint FROM pg_current_snapshot() s"
)


class Tail:
    """How far the log may be followed now; one follower's, and no two threads'."""

    def __init__(self) -> None:
        self.safe = 0
        self._looks: deque[tuple[int, int]] = deque()  # largest id, first transaction that had not begun

    def look(self, connection: Connection) -> int:
        """The safe id now."""
        if connection.dialect.name == "sqlite":  # one writer: ids come to light in their order
            self.safe = last_event(connection)
            return self.safe
        last, oldest, following = connection.execute(SNAPSHOT).one()
        self._looks.append((last, following))
        while self._looks and self._looks[0][1] <= oldest:
            self.safe = self._looks.popleft()[0]
        return self.safe


class Told(NamedTuple):
    """An event as it is told outside the store, with names in place of numbers."""

    id: int
    campaign: int
    kind: str
    item: str | None
    user: str | None
    body: dict[str, Any]
    at: float


TOLD = (
    select(
        events.c.id, events.c.campaign_id, events.c.kind, items.c.external_id, users.c.name, events.c.body, events.c.at
    )
    .outerjoin(items, items.c.id == events.c.item_id)
    .outerjoin(users, users.c.id == events.c.user_id)
    .order_by(events.c.id)
)


def last_event(connection: Connection) -> int:
    """The largest id of an event that can be seen, 0 without any."""
    return connection.execute(select(func.coalesce(func.max(events.c.id), 0))).scalar_one()


def told(
    connection: Connection,
    campaigns: Collection[int],
    *,
    after: int,
    through: int | None = None,
    kinds: Collection[str] = (),
    most: int = 1000,
) -> list[Told]:
    """The events of these campaigns between the two ids, oldest first, at most so many."""
    chosen = TOLD.where(events.c.campaign_id.in_(campaigns), events.c.id > after).limit(most)
    chosen = chosen if through is None else chosen.where(events.c.id <= through)
    chosen = chosen.where(events.c.kind.in_(kinds)) if kinds else chosen
    return [Told(*row) for row in connection.execute(chosen)]
