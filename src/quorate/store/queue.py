"""The queue: who is asked what next, for how long the seat is kept, and what becomes of seats that nobody filled.

A lease is a seat of one person at one item, for the tasks that were open when it was granted. Every condition of
admission is one number on the item's row, its room, and the row is locked before it is read; so no item and task ever
has more people at it than the campaign's overlap. Time comes in as `now`, in seconds since 1970.
"""

from __future__ import annotations

import secrets
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, exists, select, update

from quorate.errors import ConflictError, NotFoundError
from quorate.store.database import Database, insert_into
from quorate.store.log import record
from quorate.store.records import admitted, seated
from quorate.store.rows import (
    Held,
    held_of,
    items_with_campaign,
    lock_item,
    lock_item_of,
    no_lease,
    save_item,
)
from quorate.store.tables import campaigns, items, leases, members

SWEEP = 200  # leases given back in one transaction


class Lease(NamedTuple):
    """A seat: this person is asked these tasks of this item, until it expires."""

    id: str
    campaign_id: int
    item_id: int
    external_id: str
    content: Any
    tasks: tuple[str, ...]
    granted_at: float
    expires_at: float
    fence: int


# ---- what callers ask -----------------------------------------------------------------------------------------------
def lease(database: Database, campaign_id: int, user_id: int, *, now: float, gold: bool = False) -> Lease | None:
    """The most urgent item that admits this person, or the one already in hand; None when there is nothing to ask.

    With `gold`, an item of known truth is preferred. Raises NotFoundError for who is no member of the campaign.
    """
    found = database.write(lambda connection: _lease(connection, campaign_id, user_id, now, gold, waits=False))
    if found is None:  # rows in others' hands were passed over, and seats may have expired: look again, and wait
        sweep(database, now=now, campaign_id=campaign_id)
        found = database.write(lambda connection: _lease(connection, campaign_id, user_id, now, gold, waits=True))
    return found


def renew(database: Database, lease_id: str, user_id: int, *, now: float) -> Lease:
    """The same lease, from now on as long as a new one.

    Raises NotFoundError for no lease of this user's, ConflictError for one that has ended.
    """

    def work(connection: Connection) -> Lease:
        held = lock_item_of(connection, lease_id, user_id)
        row = read_lease(connection, lease_id)
        if row.state != "open" or row.expires_at <= now:
            raise ConflictError("the lease has ended; ask for the next item")
        expires_at = now + held.campaign.settings.lease_s
        connection.execute(update(leases).where(leases.c.id == lease_id).values(expires_at=expires_at))
        return _of(held, row)._replace(expires_at=expires_at)

    return database.write(work)


def skip(database: Database, lease_id: str, user_id: int, *, now: float) -> None:
    """Give the seat back; this person is not asked about the item again.

    Raises NotFoundError for no lease of this user's, ConflictError for one that was answered. Skipping twice is once.
    """

    def work(connection: Connection) -> None:
        held = lock_item_of(connection, lease_id, user_id)
        row = read_lease(connection, lease_id)
        if row.state in {"answered", "withdrawn"}:
            raise ConflictError("the lease was answered; take the answer back instead")
        if row.state == "skipped":
            return
        end_lease(connection, lease_id, "skipped")
        save_item(connection, without_seat(held, row))
        body = {"tasks": row.tasks}
        record(connection, held.campaign.id, "skipped", body, now=now, item_id=held.id, user_id=user_id)

    database.write(work)


def sweep(database: Database, *, now: float, campaign_id: int | None = None) -> int:
    """Give the seats of all expired leases back; how many there were."""
    total = 0
    while found := database.write(lambda connection: _sweep(connection, now, campaign_id)):
        total += found
    return total


# ---- parts that submission shares -----------------------------------------------------------------------------------
def grant(connection: Connection, held: Held, user_id: int, tasks: tuple[str, ...], *, now: float) -> Lease:
    """A new lease of these tasks, under the next fence; the item's counters are written with it."""
    after = held._replace(state=seated(held.state, tasks, 1), leased=held.leased + 1, fence=held.fence + 1)
    values: dict[str, Any] = {
        "id": secrets.token_urlsafe(24),
        "item_id": held.id,
        "user_id": user_id,
        "tasks": list(tasks),
        "state": "open",
        "granted_at": now,
        "expires_at": now + held.campaign.settings.lease_s,
        "fence": after.fence,
    }
    again = {name: value for name, value in values.items() if name not in {"item_id", "user_id"}}
    connection.execute(
        insert_into(connection, leases)
        .values(values)
        .on_conflict_do_update(index_elements=[leases.c.item_id, leases.c.user_id], set_=again)
    )
    save_item(connection, after)
    return _of(held, Seat(*(values[name] for name in Seat._fields)))


def read_lease(connection: Connection, lease_id: str) -> Any:
    """The lease's row, once its item is held. Raises NotFoundError when it was replaced meanwhile."""
    row = connection.execute(select(leases).where(leases.c.id == lease_id)).first()
    if row is None:
        raise no_lease()
    return row


def end_lease(connection: Connection, lease_id: str, state: str) -> None:
    """Write down how a lease ended."""
    connection.execute(update(leases).where(leases.c.id == lease_id).values(state=state))


def without_seat(held: Held, row: Any) -> Held:
    """The item when that lease ends; one that has ended already holds no seat."""
    if row.state != "open":
        return held
    return held._replace(state=seated(held.state, row.tasks, -1), leased=held.leased - 1)


class Seat(NamedTuple):
    """A lease's own columns, as `Lease` needs them."""

    id: str
    tasks: list[str]
    granted_at: float
    expires_at: float
    fence: int


# ---- parts ----------------------------------------------------------------------------------------------------------
def _lease(
    connection: Connection, campaign_id: int, user_id: int, now: float, gold: bool, *, waits: bool
) -> Lease | None:
    if _state_for(connection, campaign_id, user_id) != "running":
        return None
    who = {"of_campaign": campaign_id, "of_user": user_id}
    in_hand = connection.execute(IN_HAND, who | {"at": now}).first()
    if in_hand:
        return _of(held_of(in_hand), Seat(*(getattr(in_hand, f"lease_{name}") for name in Seat._fields)))
    row = connection.execute(_free(waits, gold=True), who).first() if gold else None
    row = row or connection.execute(_free(waits, gold=False), who).first()
    if row is None:
        return None
    held = held_of(row)
    return grant(connection, held, user_id, admitted(held.state, held.campaign.settings), now=now)


def _state_for(connection: Connection, campaign_id: int, user_id: int) -> str:
    """The campaign's state. The member's row is locked: a person's requests for work go one after the other."""
    state = connection.execute(MEMBER, {"of_campaign": campaign_id, "of_user": user_id}).scalar()
    if state is None:
        raise NotFoundError(f"there is no campaign {campaign_id} of yours")
    return state


MEMBER = (
    select(campaigns.c.state)
    .join(members, members.c.campaign_id == campaigns.c.id)
    .where(campaigns.c.id == bindparam("of_campaign"), members.c.user_id == bindparam("of_user"))
    .with_for_update(of=members)
)
LEASE = tuple(leases.c[name].label(f"lease_{name}") for name in Seat._fields)


# the person's lease; of several (one was taken up again by an undo) the last
IN_HAND = (
    items_with_campaign()
    .add_columns(*LEASE)
    .join(leases, leases.c.item_id == items.c.id)
    .where(items.c.campaign_id == bindparam("of_campaign"), leases.c.user_id == bindparam("of_user"))
    .where(leases.c.state == "open", leases.c.expires_at > bindparam("at"))
    .order_by(leases.c.granted_at.desc())
    .limit(1)
)


@cache
def _free(waits: bool, gold: bool) -> Select[Any]:
    """The most urgent item with room at which this person neither sits nor sat."""
    sat = exists().where(
        leases.c.item_id == items.c.id,
        leases.c.user_id == bindparam("of_user"),
        leases.c.state.in_(["open", "answered", "skipped"]),
    )
    chosen = items_with_campaign().where(items.c.campaign_id == bindparam("of_campaign"), items.c.room > 0, ~sat)
    chosen = chosen.where(items.c.gold.is_not(None)) if gold else chosen
    ordered = chosen.order_by(items.c.priority.desc(), items.c.id).limit(1)
    return ordered.with_for_update(of=items, skip_locked=not waits)


def _sweep(connection: Connection, now: float, campaign_id: int | None) -> int:
    due = select(leases.c.id, leases.c.item_id).where(leases.c.state == "open", leases.c.expires_at <= now)
    if campaign_id is not None:
        due = due.join(items, items.c.id == leases.c.item_id).where(items.c.campaign_id == campaign_id)
    ended = 0
    for lease_id, item_id in connection.execute(due.order_by(leases.c.item_id).limit(SWEEP)).all():
        held = lock_item(connection, item_id)
        row = connection.execute(select(leases).where(leases.c.id == lease_id)).first()
        if row is None or row.state != "open" or row.expires_at > now:
            continue  # answered, renewed or swept while we waited for the item
        end_lease(connection, lease_id, "expired")
        save_item(connection, without_seat(held, row))
        ended += 1
    return ended


def _of(held: Held, seat: Any) -> Lease:
    return Lease(
        seat.id,
        held.campaign.id,
        held.id,
        held.external_id,
        held.content,
        tuple(seat.tasks),
        seat.granted_at,
        seat.expires_at,
        seat.fence,
    )
