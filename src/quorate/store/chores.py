"""Background work, shared between processes: who is at it, until when, and how far it got.

A chore has one row. Whoever takes it holds it until a moment of their own naming and says so again while at work; a
process that died is replaced when that moment has passed. What is written in a chore's name is written in a transaction
that looks first whether it is still held.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update

from quorate.errors import ConflictError
from quorate.store.database import insert_into
from quorate.store.tables import chores


class Chore(NamedTuple):
    """A chore in hand."""

    name: str
    holder: str
    note: Mapping[str, Any]


def take(connection: Connection, name: str, holder: str, *, now: float, for_s: float) -> Chore | None:
    """The chore for so long, or longer where one holds it already; None while somebody else does."""
    new = {"name": name, "holder": None, "until": 0.0, "note": {}}
    connection.execute(insert_into(connection, chores).values(new).on_conflict_do_nothing(index_elements=["name"]))
    free = (chores.c.holder.is_(None)) | (chores.c.holder == holder) | (chores.c.until <= now)
    note = connection.execute(
        update(chores)
        .where(chores.c.name == name, free)
        .values(holder=holder, until=now + for_s)
        .returning(chores.c.note)
    ).first()
    return None if note is None else Chore(name, holder, note[0])


def read_note(connection: Connection, name: str) -> Mapping[str, Any]:
    """How far the chore got; nothing where nobody ever took it."""
    return connection.execute(select(chores.c.note).where(chores.c.name == name)).scalar() or {}


def leave(connection: Connection, chore: Chore) -> None:
    """Let others take the chore; one that was lost is left alone."""
    connection.execute(update(chores).where(_mine(chore)).values(holder=None, until=0.0))


def note_down(connection: Connection, chore: Chore, **note: Any) -> Chore:
    """The chore with these parts of its note changed, while it is held.

    Raises ConflictError when somebody else has taken it meanwhile.
    """
    row = connection.execute(select(chores.c.note).where(_mine(chore)).with_for_update()).first()
    if row is None:
        raise ConflictError(f"{chore.name} was taken over by another process")
    after = {**row.note, **note}
    connection.execute(update(chores).where(_mine(chore)).values(note=after))
    return chore._replace(note=after)


def _mine(chore: Chore) -> Any:
    return (chores.c.name == chore.name) & (chores.c.holder == chore.holder)
