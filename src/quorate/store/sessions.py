"""Passwords and sessions of pages. A session's id is known to the browser alone; the store keeps its hash."""

from __future__ import annotations

import hashlib
import secrets
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from quorate.errors import NotFoundError
from quorate.store.people import User
from quorate.store.tables import sessions, users


class NewSession(NamedTuple):
    """A session at its making, the only time its id is known, and the text that its unsafe requests must bear."""

    id: str
    csrf: str


class Visit(NamedTuple):
    """Who comes with a session, and the text that their unsafe requests must bear."""

    user: User
    csrf: str


def add_session(connection: Connection, user_id: int, *, now: float, hours: float) -> NewSession:
    """A new session of that user; sessions that have run out are swept away."""
    connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
    made = NewSession(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
    connection.execute(
        insert(sessions).values(
            id_hash=_hash(made.id), user_id=user_id, csrf=made.csrf, created_at=now, expires_at=now + 3600 * hours
        )
    )
    return made


def user_of_session(connection: Connection, text: str, *, now: float) -> Visit | None:
    """Whose session this is; None for one that is unknown, ended or run out, or whose user is disabled."""
    row = connection.execute(
        select(users.c.id, users.c.name, users.c.role, sessions.c.csrf)
        .join(sessions, sessions.c.user_id == users.c.id)
        .where(sessions.c.id_hash == _hash(text), sessions.c.expires_at > now, users.c.disabled_at.is_(None))
    ).first()
    return Visit(User(row.id, row.name, row.role), row.csrf) if row else None


def end_session(connection: Connection, text: str) -> None:
    """End that session, if there is one."""
    connection.execute(delete(sessions).where(sessions.c.id_hash == _hash(text)))


def end_sessions_of(connection: Connection, user_id: int, *, but: str | None = None) -> None:
    """End all sessions of that user but the one of that id."""
    mine = sessions.c.user_id == user_id
    connection.execute(delete(sessions).where(mine if but is None else mine & (sessions.c.id_hash != _hash(but))))


def read_password(connection: Connection, name: str) -> tuple[User, str | None] | None:
    """The user of that name who may come in, and the hash of the password."""
    row = connection.execute(
        select(users.c.id, users.c.name, users.c.role, users.c.password_hash).where(
            users.c.name == name, users.c.disabled_at.is_(None)
        )
    ).first()
    return (User(row.id, row.name, row.role), row.password_hash) if row else None


def set_password(connection: Connection, user_id: int, password_hash: str) -> None:
    """Replace the hash of a user's password. Raises NotFoundError."""
    changed = connection.execute(update(users).where(users.c.id == user_id).values(password_hash=password_hash))
    if not changed.rowcount:
        raise NotFoundError(f"there is no user {user_id}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
