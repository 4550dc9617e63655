"""Webhooks: where a campaign's events are to be told, and what of them waits to be sent.

An event goes into the outbox of every hook that asks for its kind, and stays there until the receiver has taken it;
what is sent first is always the oldest. Nothing is given up: after a week without success the hook stops, and `replay`
sends from any event on.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from quorate.errors import ConflictError, NotFoundError
from quorate.store.database import insert_into
from quorate.store.log import record
from quorate.store.tables import WAITS, hooks, items, outbox
from quorate.store.tail import Told, last_event, told

AT_ONCE = 500  # events that one transaction puts into an outbox
SECRET = "qs_"  # noqa: S105 # how a secret begins, so that one who finds it knows what it is
KEEP_S = 30 * 86_400.0  # what was sent is remembered


class Hook(NamedTuple):
    """A receiver, and how it stands with it; the secret is told once, when the hook is made."""

    id: int
    campaign_id: int
    url: str
    events: tuple[str, ...]  # kinds; none are all
    waiting: int
    error: str | None  # of the last try, if it failed
    next_at: float | None
    stopped_at: float | None


class NewHook(NamedTuple):
    """A hook at its making, the only time its secret is told."""

    id: int
    secret: str


class Parcel(NamedTuple):
    """What is sent to a receiver next, oldest first."""

    hook_id: int
    campaign_id: int
    url: str
    secret: str
    tries: int
    rows: tuple[int, ...]
    bodies: tuple[dict[str, Any], ...]


BEHIND = (
    select(hooks).where(hooks.c.through_event < bindparam("through"), hooks.c.stopped_at.is_(None)).order_by(hooks.c.id)
)


# ---- hooks ----------------------------------------------------------------------------------------------------------
def add_hook(connection: Connection, campaign_id: int, url: str, kinds: Sequence[str], *, now: float) -> NewHook:
    """A new hook; it is told what happens from now on."""
    secret = SECRET + secrets.token_urlsafe(32)
    values = {"campaign_id": campaign_id, "url": url, "secret": secret, "events": sorted(set(kinds))}
    made = connection.execute(
        insert(hooks).values(**values, through_event=last_event(connection)).returning(hooks.c.id)
    ).scalar_one()
    record(connection, campaign_id, "hook added", {"hook": made}, now=now)
    return NewHook(made, secret)


def check_room(connection: Connection, campaign_id: int, *, most: int) -> None:
    """Raises ConflictError when the campaign has so many hooks already."""
    there = connection.execute(select(func.count()).where(hooks.c.campaign_id == campaign_id)).scalar_one()
    if there >= most:
        raise ConflictError(f"the campaign has {most} hooks already; remove one first")


def read_hooks(connection: Connection, campaign_id: int) -> list[Hook]:
    """The campaign's hooks."""
    mine = connection.execute(select(hooks).where(hooks.c.campaign_id == campaign_id).order_by(hooks.c.id)).all()
    return [_hook(connection, row) for row in mine]


def remove_hook(connection: Connection, campaign_id: int, hook_id: int, *, now: float) -> None:
    """Tell that receiver nothing more. Raises NotFoundError."""
    _lock(connection, campaign_id, hook_id)
    connection.execute(delete(outbox).where(outbox.c.hook_id == hook_id))
    connection.execute(delete(hooks).where(hooks.c.id == hook_id))
    record(connection, campaign_id, "hook removed", {"hook": hook_id}, now=now)


def replay(connection: Connection, campaign_id: int, hook_id: int, *, after: int) -> None:
    """Send all events after that one, again if they were sent before; a stopped hook goes on. Raises NotFoundError."""
    _lock(connection, campaign_id, hook_id)
    connection.execute(delete(outbox).where(outbox.c.hook_id == hook_id, outbox.c.event_id > after))
    connection.execute(
        update(outbox).where(outbox.c.hook_id == hook_id, WAITS).values(tries=0, next_at=0.0, error=None)
    )
    smaller = func.min if connection.dialect.name == "sqlite" else func.least
    through = smaller(hooks.c.through_event, after)
    connection.execute(update(hooks).where(hooks.c.id == hook_id).values(through_event=through, stopped_at=None))


# ---- the outbox -----------------------------------------------------------------------------------------------------
def behind(connection: Connection, *, through: int) -> bool:
    """Whether a hook has events before it that are not in its outbox yet."""
    return connection.execute(select(BEHIND.exists()), {"through": through}).scalar_one()


def fill(connection: Connection, *, through: int, now: float) -> int:
    """Put events up to that id into the outboxes of the hooks; how many hooks have more to come."""
    more = 0
    for row in connection.execute(BEHIND.with_for_update(skip_locked=True), {"through": through}).all():
        found = told(
            connection, [row.campaign_id], after=row.through_event, through=through, kinds=row.events, most=AT_ONCE
        )
        _put(connection, row.id, found, now)
        whole = len(found) < AT_ONCE
        reached = through if whole else found[-1].id
        connection.execute(update(hooks).where(hooks.c.id == row.id).values(through_event=reached))
        more += not whole
    return more


def due(connection: Connection, *, now: float) -> list[int]:
    """The hooks whose oldest waiting event is to be sent now."""
    oldest = (
        select(outbox.c.hook_id, func.min(outbox.c.event_id).label("event_id"))
        .where(WAITS)
        .group_by(outbox.c.hook_id)
        .subquery()
    )
    found = connection.execute(
        select(outbox.c.hook_id)
        .join(oldest, (oldest.c.hook_id == outbox.c.hook_id) & (oldest.c.event_id == outbox.c.event_id))
        .join(hooks, hooks.c.id == outbox.c.hook_id)
        .where(outbox.c.next_at <= now, hooks.c.stopped_at.is_(None))
    )
    return list(found.scalars())


def parcel(connection: Connection, hook_id: int, *, now: float, most: int) -> Parcel | None:
    """What the hook is to be sent now, at most so many events; None for nothing."""
    hook = connection.execute(select(hooks).where(hooks.c.id == hook_id, hooks.c.stopped_at.is_(None))).first()
    if hook is None:
        return None
    chosen = select(outbox).where(outbox.c.hook_id == hook_id, WAITS).order_by(outbox.c.event_id).limit(most)
    rows = connection.execute(chosen).all()
    if not rows or rows[0].next_at > now:
        return None
    return Parcel(
        hook.id,
        hook.campaign_id,
        hook.url,
        hook.secret,
        rows[0].tries,
        tuple(row.id for row in rows),
        tuple(row.body for row in rows),
    )


def delivered(connection: Connection, sent: Parcel, *, now: float) -> None:
    """The receiver has taken it."""
    connection.execute(update(outbox).where(outbox.c.id.in_(sent.rows)).values(done_at=now, error=None))


def failed(connection: Connection, sent: Parcel, error: str, *, next_at: float) -> None:
    """The receiver has not; it is tried again at that time."""
    values = {"tries": sent.tries + 1, "next_at": next_at, "error": error[:500]}
    connection.execute(update(outbox).where(outbox.c.id == sent.rows[0]).values(values))


def stop(connection: Connection, sent: Parcel, error: str, *, now: float) -> None:
    """The receiver is told nothing until a replay."""
    failed(connection, sent, error, next_at=now)
    connection.execute(update(hooks).where(hooks.c.id == sent.hook_id).values(stopped_at=now))
    record(connection, sent.campaign_id, "hook stopped", {"hook": sent.hook_id, "error": error[:500]}, now=now)


def prune(connection: Connection, *, now: float) -> None:
    """Forget what was sent more than 30 days ago."""
    connection.execute(delete(outbox).where(outbox.c.done_at < now - KEEP_S))


# ---- parts ----------------------------------------------------------------------------------------------------------
def _put(connection: Connection, hook_id: int, found: Sequence[Told], now: float) -> None:
    if not found:
        return
    stands = _closed(connection, found)
    rows = [
        {
            "hook_id": hook_id,
            "event_id": event.id,
            "body": event._asdict() | ({"answers": stands[event.id]} if event.id in stands else {}),
            "tries": 0,
            "next_at": now,
        }
        for event in found
    ]
    connection.execute(
        insert_into(connection, outbox).values(rows).on_conflict_do_nothing(index_elements=["hook_id", "event_id"])
    )


def _closed(connection: Connection, found: Sequence[Told]) -> dict[int, dict[str, Any]]:
    """The answers of the tasks that these events closed, as they stand now, by event."""
    closing = {
        event.id: (event.campaign, event.item, event.body["closed"]) for event in found if event.body.get("closed")
    }
    if not closing:
        return {}
    chosen = select(items.c.campaign_id, items.c.external_id, items.c.state).where(
        items.c.campaign_id.in_({campaign for campaign, _, _ in closing.values()}),
        items.c.external_id.in_({item for _, item, _ in closing.values()}),
    )
    states = {(row.campaign_id, row.external_id): row.state for row in connection.execute(chosen)}
    return {
        event: {task: {name: states[campaign, item][task][name] for name in ("label", "confidence")} for task in tasks}
        for event, (campaign, item, tasks) in closing.items()
    }


def _lock(connection: Connection, campaign_id: int, hook_id: int) -> None:
    which = (hooks.c.id == hook_id) & (hooks.c.campaign_id == campaign_id)
    if connection.execute(select(hooks.c.id).where(which).with_for_update()).first() is None:
        raise NotFoundError(f"there is no hook {hook_id}")


def _hook(connection: Connection, row: Any) -> Hook:
    waiting = connection.execute(select(func.count()).where(outbox.c.hook_id == row.id, WAITS)).scalar_one()
    head = connection.execute(
        select(outbox.c.error, outbox.c.next_at)
        .where(outbox.c.hook_id == row.id, WAITS)
        .order_by(outbox.c.event_id)
        .limit(1)
    ).first()
    error, next_at = head or (None, None)
    return Hook(row.id, row.campaign_id, row.url, tuple(row.events), waiting, error, next_at, row.stopped_at)
