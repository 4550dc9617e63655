"""What a transaction is going to write, gathered row by row and written with one statement per table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, insert, update

from quorate.store.among import among
from quorate.store.database import insert_for
from quorate.store.records import state_to_json
from quorate.store.tables import campaigns, decisions, events, idempotency, items, leases

if TYPE_CHECKING:
    from quorate.store.rows import Held

SAVE = (
    update(items)
    .where(items.c.id == bindparam("of_item"))
    .values(
        state=bindparam("to_state"),
        room=bindparam("to_room"),
        priority=bindparam("to_priority"),
        leased=bindparam("to_leased"),
        fence=bindparam("to_fence"),
        version=items.c.version + 1,
    )
)
END = update(leases).where(among(leases.c.id, "ids", str)).values(state=bindparam("to_state"))
PAY = (
    update(campaigns)
    .where(campaigns.c.id == bindparam("of_campaign"))
    .values(spent=campaigns.c.spent + bindparam("more_spent"), reserved=campaigns.c.reserved + bindparam("more_held"))
)


@cache
def _grant(dialect: str) -> Any:
    """A lease replaces the one that the same person had of the same item."""
    write = insert_for(dialect, leases)
    over = {
        column.name: write.excluded[column.name] for column in leases.c if column.name not in {"item_id", "user_id"}
    }
    return write.on_conflict_do_update(index_elements=[leases.c.item_id, leases.c.user_id], set_=over)


class Writes:
    """Rows to be written when the transaction has decided everything."""

    def __init__(self) -> None:
        self.items: dict[int, Held] = {}
        self.leases: list[dict[str, Any]] = []
        self.ended: dict[str, list[str]] = {}  # state -> leases
        self.decisions: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.answered: list[dict[str, Any]] = []  # requests, under their idempotency keys
        self.spent: dict[int, float] = defaultdict(float)  # campaign -> money
        self.reserved: dict[int, float] = defaultdict(float)

    def end(self, lease_id: str, state: str) -> None:
        """How a lease ended."""
        self.ended.setdefault(state, []).append(lease_id)

    def tell(
        self,
        campaign_id: int,
        kind: str,
        body: Mapping[str, Any],
        *,
        now: float,
        item_id: int | None = None,
        user_id: int | None = None,
    ) -> None:
        """One event."""
        self.events.append(
            {
                "campaign_id": campaign_id,
                "kind": kind,
                "item_id": item_id,
                "user_id": user_id,
                "body": dict(body),
                "at": now,
            }
        )

    def flush(self, connection: Connection) -> None:
        """Write everything; the campaigns' sums last, since all transactions of a campaign meet there."""
        for state, ids in self.ended.items():
            connection.execute(END, {"ids": ids, "to_state": state})
        if self.leases:
            connection.execute(_grant(connection.dialect.name), self.leases)
        if self.items:
            connection.execute(SAVE, [_saved(self.items[item_id]) for item_id in sorted(self.items)])
        for table, rows in ((decisions, self.decisions), (events, self.events), (idempotency, self.answered)):
            if rows:
                connection.execute(insert(table), rows)
        sums = [_sums(self, campaign) for campaign in sorted(self.spent.keys() | self.reserved.keys())]
        if moved := [each for each in sums if each["more_spent"] or each["more_held"]]:
            connection.execute(PAY, moved)


def _saved(held: Held) -> dict[str, Any]:
    return {
        "of_item": held.id,
        "to_state": state_to_json(held.state),
        "to_room": held.room(),
        "to_priority": held.priority,
        "to_leased": held.leased,
        "to_fence": held.fence,
    }


def _sums(writes: Writes, campaign: int) -> dict[str, Any]:
    return {
        "of_campaign": campaign,
        "more_spent": writes.spent[campaign],
        "more_held": writes.reserved[campaign],
    }
