"""Users, tokens and members. A token is shown once; the store keeps its hash."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Literal, NamedTuple

from sqlalchemy import Connection, insert, select, update

from quorate.errors import ConflictError, NotFoundError
from quorate.store.tables import members, tokens, users

Role = Literal["owner", "lead", "annotator", "reader"]
PREFIX = "qr_"
SHOWN = 9  # characters of a token that lists may show


class User(NamedTuple):
    """A person who may come in."""

    id: int
    name: str
    role: Role


class Token(NamedTuple):
    """A token at its making, the only time its text is known."""

    id: int
    text: str


def add_user(connection: Connection, name: str, role: Role, *, now: float, password_hash: str | None = None) -> User:
    """A new user. Raises ConflictError when the name is taken."""
    if connection.execute(select(users.c.id).where(users.c.name == name)).first():
        raise ConflictError(f"there is a user {name!r} already; choose another name")
    values = {"name": name, "role": role, "created_at": now, "password_hash": password_hash}
    made = connection.execute(insert(users).values(values).returning(users.c.id)).scalar_one()
    return User(made, name, role)


def disable_user(connection: Connection, user_id: int, *, now: float) -> None:
    """Let a user in no more; what they did stays. Raises NotFoundError."""
    if not connection.execute(update(users).where(users.c.id == user_id).values(disabled_at=now)).rowcount:
        raise NotFoundError(f"there is no user {user_id}")


def add_member(connection: Connection, campaign_id: int, user_id: int, skills: Sequence[str] = ()) -> None:
    """Let a user work in a campaign; of one who does already, the skills are set anew."""
    mine = (members.c.campaign_id == campaign_id) & (members.c.user_id == user_id)
    if not connection.execute(update(members).where(mine).values(skills=list(skills))).rowcount:
        values = {"campaign_id": campaign_id, "user_id": user_id, "skills": list(skills)}
        connection.execute(insert(members).values(values))


def add_token(connection: Connection, user_id: int, name: str, *, now: float, days: float | None = None) -> Token:
    """A new token of that user, valid for so many days or until revoked."""
    text = PREFIX + secrets.token_urlsafe(32)
    values = {
        "user_id": user_id,
        "name": name,
        "prefix": text[:SHOWN],
        "token_hash": _hash(text),
        "created_at": now,
        "expires_at": None if days is None else now + 86_400 * days,
    }
    made = connection.execute(insert(tokens).values(values).returning(tokens.c.id)).scalar_one()
    return Token(made, text)


def revoke_token(connection: Connection, user_id: int, token_id: int, *, now: float) -> None:
    """Make a user's token void. Raises NotFoundError when that user has no such token."""
    mine = (tokens.c.id == token_id) & (tokens.c.user_id == user_id) & tokens.c.revoked_at.is_(None)
    if not connection.execute(update(tokens).where(mine).values(revoked_at=now)).rowcount:
        raise NotFoundError(f"there is no token {token_id} to revoke")


def user_of_token(connection: Connection, text: str, *, now: float) -> User | None:
    """Whose token this is; None for one that is unknown, revoked or expired, or whose user is disabled."""
    valid = tokens.c.revoked_at.is_(None) & (tokens.c.expires_at.is_(None) | (tokens.c.expires_at > now))
    row = connection.execute(
        select(users.c.id, users.c.name, users.c.role)
        .join(tokens, tokens.c.user_id == users.c.id)
        .where(tokens.c.token_hash == _hash(text), valid, users.c.disabled_at.is_(None))
    ).first()
    return User(*row) if row else None


def _hash(text: str) -> str:
    """SHA-256 suffices where the secret is 256 random bits: there is no guessing it, fast or slow."""
    return hashlib.sha256(text.encode()).hexdigest()
