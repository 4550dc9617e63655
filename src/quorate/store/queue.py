"""The queue: who is asked what next, for how long the seat is kept, and what becomes of seats that nobody filled.

A lease is a seat of one person at one item, for the tasks that were open when it was granted. Every condition of
admission is one number on the item's row, its room, and the row is locked before it is read; so no item and task ever
has more people at it than the campaign's overlap. Where there is a budget, a seat is granted only for what is left of
it, and holds its price ready. Time comes in as `now`, in seconds since 1970.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update

from quorate.errors import ConflictError, NotFoundError
from quorate.store.database import Database
from quorate.store.free import Seeker, in_hand, read_seekers, seats_for
from quorate.store.rows import Held, hold_purses, lock_items, no_lease, pricing, read_contents, read_leases
from quorate.store.tables import items, leases
from quorate.store.writes import Writes

SWEEP = 200  # leases given back in one transaction


class Ask(NamedTuple):
    """A person asks for work; with `gold`, rather for a question of known truth."""

    campaign_id: int
    user_id: int
    gold: bool = False


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
    asks = [Ask(campaign_id, user_id, gold)]
    found = database.write(lambda connection: lease_many(connection, asks, now=now))[0]
    if found is None:  # rows in others' hands were passed over, and seats may have expired: look again, and wait
        sweep(database, now=now, campaign_id=campaign_id)
        found = database.write(lambda connection: lease_many(connection, asks, now=now, waits=True))[0]
    if isinstance(found, NotFoundError):
        raise found
    return found


def lease_many(
    connection: Connection, asks: Sequence[Ask], *, now: float, waits: bool = False
) -> list[Lease | NotFoundError | None]:
    """What each of these people is given, in one transaction; without `waits`, rows in others' hands are passed over.

    A person's requests go one after the other, since the member's row is held; of two at once both get the same seat.
    """
    purses = hold_purses(connection, {ask.campaign_id for ask in asks})
    seekers = read_seekers(connection, {(ask.campaign_id, ask.user_id): ask.gold for ask in asks})
    given = in_hand(connection, seekers, now=now)
    waiting = [seeker for who, seeker in seekers.items() if seeker.state == "running" and who not in given]
    writes = Writes()
    for seeker, held, tasks in seats_for(connection, waiting, purses, waits=waits):
        given[seeker.campaign_id, seeker.user_id] = _granted(held, seeker.user_id, seeker.name, tasks, writes, now=now)
    writes.flush(connection)
    return _handed_out(connection, asks, seekers, given)


def renew(database: Database, lease_id: str, user_id: int, *, now: float) -> Lease:
    """The same lease, from now on as long as a new one.

    Raises NotFoundError for no lease of this user's, ConflictError for one that has ended.
    """

    def work(connection: Connection) -> Lease:
        held, row = hold_lease(connection, lease_id, user_id)
        if row.state != "open" or row.expires_at <= now:
            raise ConflictError("the lease has ended; ask for the next item")
        expires_at = now + held.campaign.settings.lease_s
        connection.execute(update(leases).where(leases.c.id == lease_id).values(expires_at=expires_at))
        return with_content(connection, [_lease_of(held, row)])[0]._replace(expires_at=expires_at)

    return database.write(work)


def skip(database: Database, lease_id: str, user_id: int, *, now: float) -> None:
    """Give the seat back; this person is not asked about the item again.

    Raises NotFoundError for no lease of this user's, ConflictError for one that was answered. Skipping twice is once.
    """

    def work(connection: Connection) -> None:
        held, row = hold_lease(connection, lease_id, user_id)
        if row.state in {"answered", "withdrawn"}:
            raise ConflictError("the lease was answered; take the answer back instead")
        if row.state == "skipped":
            return
        writes = Writes()
        writes.items[held.id] = unseated(held, row, writes)
        writes.end(lease_id, "skipped")
        body = {"tasks": row.tasks}
        writes.tell(held.campaign.id, "skipped", body, now=now, item_id=held.id, user_id=user_id)
        writes.flush(connection)

    database.write(work)


def sweep(database: Database, *, now: float, campaign_id: int | None = None) -> int:
    """Give the seats of all expired leases back; how many there were."""
    total = 0
    while found := database.write(lambda connection: _sweep(connection, now, campaign_id)):
        total += found
    return total


# ---- parts that submission shares -----------------------------------------------------------------------------------
def hold_lease(connection: Connection, lease_id: str, user_id: int) -> tuple[Held, Any]:
    """The lease's item, held, and the lease as it is then.

    Raises NotFoundError for a lease that is not this user's, or was replaced.
    """
    before = read_leases(connection, [lease_id]).get(lease_id)
    if before is None or before.user_id != user_id:
        raise no_lease()
    hold_purses(connection, [before.campaign_id])
    held = lock_items(connection, [before.item_id])[before.item_id]
    row = read_leases(connection, [lease_id]).get(lease_id)
    if row is None:
        raise no_lease()
    return held, row


def grant(held: Held, user_id: int, name: str, tasks: tuple[str, ...], writes: Writes, *, now: float) -> Lease:
    """A new lease of these tasks, under the next fence; its content is yet to be read."""
    return _lease_of(held, _granted(held, user_id, name, tasks, writes, now=now))


def unseated(held: Held, row: Any, writes: Writes) -> Held:
    """The item when that lease ends; one that has ended already holds no seat and no money."""
    if row.state != "open":
        return held
    writes.reserved[held.campaign.id] -= row.price
    return held.unseat(row.tasks)


def with_content(connection: Connection, found: Sequence[Lease]) -> list[Lease]:
    """The leases with what is to be shown."""
    contents = read_contents(connection, {each.item_id for each in found}) if found else {}
    return [each._replace(content=contents[each.item_id]) for each in found]


# ---- parts ----------------------------------------------------------------------------------------------------------
class _Seat(NamedTuple):
    """A lease as it is granted, named as its columns are."""

    id: str
    item_id: int
    external_id: str
    tasks: list[str]
    granted_at: float
    expires_at: float
    fence: int
    campaign_id: int


def _granted(held: Held, user_id: int, name: str, tasks: Collection[str], writes: Writes, *, now: float) -> _Seat:
    campaign, price_of = held.campaign, pricing(held.campaign)
    after = held.seat(tasks)
    price = sum(price_of(task, name) for task in tasks)
    row: dict[str, Any] = {
        "id": secrets.token_urlsafe(24),
        "item_id": held.id,
        "user_id": user_id,
        "tasks": list(tasks),
        "state": "open",
        "granted_at": now,
        "expires_at": now + campaign.settings.lease_s,
        "fence": after.fence,
        "price": price,
    }
    writes.items[held.id] = after
    writes.leases.append(row)
    writes.reserved[campaign.id] += price
    return _Seat(row["id"], held.id, held.external_id, row["tasks"], now, row["expires_at"], after.fence, campaign.id)


def _handed_out(
    connection: Connection,
    asks: Sequence[Ask],
    seekers: dict[tuple[int, int], Seeker],
    given: dict[tuple[int, int], Any],
) -> list[Lease | NotFoundError | None]:
    contents = read_contents(connection, {seat.item_id for seat in given.values()}) if given else {}
    found = list[Lease | NotFoundError | None]()
    for ask in asks:
        who = ask.campaign_id, ask.user_id
        if who not in seekers:
            found.append(NotFoundError(f"there is no campaign {ask.campaign_id} of yours"))
        elif who not in given:
            found.append(None)
        else:
            seat = given[who]
            lease_ = _seated_lease(seat, seat.external_id, seat.campaign_id)
            found.append(lease_._replace(content=contents[seat.item_id]))
    return found


def _lease_of(held: Held, row: Any) -> Lease:
    return _seated_lease(row, held.external_id, held.campaign.id)


def _seated_lease(row: Any, external_id: str, campaign_id: int) -> Lease:
    return Lease(
        row.id,
        campaign_id,
        row.item_id,
        external_id,
        None,
        tuple(row.tasks),
        row.granted_at,
        row.expires_at,
        row.fence,
    )


def _sweep(connection: Connection, now: float, campaign_id: int | None) -> int:
    due = select(leases.c.id, leases.c.item_id, items.c.campaign_id).join(items, items.c.id == leases.c.item_id)
    due = due.where(leases.c.state == "open", leases.c.expires_at <= now)
    due = due if campaign_id is None else due.where(items.c.campaign_id == campaign_id)
    found = connection.execute(due.order_by(leases.c.item_id).limit(SWEEP)).all()
    if not found:
        return 0
    hold_purses(connection, {row.campaign_id for row in found})
    held = lock_items(connection, {row.item_id for row in found})
    writes, ended = Writes(), 0
    for row in read_leases(connection, [row.id for row in found]).values():
        if row.state != "open" or row.expires_at > now:
            continue  # answered, renewed or swept while we waited for the item
        held[row.item_id] = writes.items[row.item_id] = unseated(held[row.item_id], row, writes)
        writes.end(row.id, "expired")
        ended += 1
    writes.flush(connection)
    return ended
