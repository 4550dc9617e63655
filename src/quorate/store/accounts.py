"""Who there is: users, their tokens, the members of campaigns; read for lists, and changed by owners and leads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from quorate.errors import ConflictError, NotFoundError
from quorate.store.people import Role
from quorate.store.tables import campaigns, members, tokens, users


class Account(NamedTuple):
    """A user as lists show one."""

    id: int
    name: str
    role: Role
    created_at: float
    disabled_at: float | None


class TokenRow(NamedTuple):
    """A token as lists show one: never its text."""

    id: int
    name: str
    prefix: str
    created_at: float
    expires_at: float | None
    revoked_at: float | None


class Member(NamedTuple):
    """A user who works in a campaign."""

    user_id: int
    name: str
    role: Role
    skills: Sequence[str]


ACCOUNT = tuple(users.c[name] for name in Account._fields)
TOKEN = tuple(tokens.c[name] for name in TokenRow._fields)
MEMBER = (users.c.id, users.c.name, users.c.role, members.c.skills)


def list_accounts(connection: Connection) -> list[Account]:
    """All users, by their ids."""
    return [Account(*row) for row in connection.execute(select(*ACCOUNT).order_by(users.c.id))]


def read_account(connection: Connection, user_id: int) -> Account:
    """The user. Raises NotFoundError."""
    row = connection.execute(select(*ACCOUNT).where(users.c.id == user_id)).first()
    if row is None:
        raise NotFoundError(f"there is no user {user_id}")
    return Account(*row)


def change_account(
    connection: Connection, user_id: int, *, now: float, role: Role | None = None, disabled: bool | None = None
) -> Account:
    """The user in another role, let in no more, or let in again.

    Raises NotFoundError, and ConflictError when no owner would be left who may come in.
    """
    before = read_account(connection, user_id)
    values: dict[str, object] = {} if role is None else {"role": role}
    if disabled is not None:
        values["disabled_at"] = (before.disabled_at or now) if disabled else None
    if values:
        connection.execute(update(users).where(users.c.id == user_id).values(values))
    if not owners(connection):
        raise ConflictError("this is the last owner; make somebody else an owner first")
    return read_account(connection, user_id)


def owners(connection: Connection) -> int:
    """How many owners may come in; their rows are locked, so that two do not leave at the same time."""
    mine = (users.c.role == "owner") & users.c.disabled_at.is_(None)
    return len(connection.execute(select(users.c.id).where(mine).order_by(users.c.id).with_for_update()).all())


def count_users(connection: Connection) -> int:
    """How many users there are."""
    return connection.execute(select(func.count()).select_from(users)).scalar_one()


def list_tokens(connection: Connection, user_id: int) -> list[TokenRow]:
    """A user's tokens, the newest first."""
    mine = select(*TOKEN).where(tokens.c.user_id == user_id).order_by(tokens.c.id.desc())
    return [TokenRow(*row) for row in connection.execute(mine)]


# ---- members --------------------------------------------------------------------------------------------------------
def list_members(connection: Connection, campaign_id: int) -> list[Member]:
    """Who works in that campaign."""
    joined = select(*MEMBER).join(members, members.c.user_id == users.c.id)
    rows = connection.execute(joined.where(members.c.campaign_id == campaign_id).order_by(users.c.id))
    return [Member(*row) for row in rows]


def is_member(connection: Connection, campaign_id: int, user_id: int) -> bool:
    """Whether that user works in that campaign."""
    mine = (members.c.campaign_id == campaign_id) & (members.c.user_id == user_id)
    return connection.execute(select(members.c.user_id).where(mine)).first() is not None


def put_member(connection: Connection, campaign_id: int, user_id: int, skills: Sequence[str]) -> Member:
    """Let a user work in a campaign, with these skills. Raises NotFoundError for no such user."""
    account = read_account(connection, user_id)
    mine = (members.c.campaign_id == campaign_id) & (members.c.user_id == user_id)
    if not connection.execute(update(members).where(mine).values(skills=list(skills))).rowcount:
        values = {"campaign_id": campaign_id, "user_id": user_id, "skills": list(skills)}
        connection.execute(insert(members).values(values))
    return Member(account.id, account.name, account.role, tuple(skills))


def remove_member(connection: Connection, campaign_id: int, user_id: int) -> None:
    """Let a user work in a campaign no more; what they did stays. Raises NotFoundError for who is no member."""
    mine = (members.c.campaign_id == campaign_id) & (members.c.user_id == user_id)
    if not connection.execute(delete(members).where(mine)).rowcount:
        raise NotFoundError(f"user {user_id} is no member of campaign {campaign_id}")


def campaigns_of(connection: Connection, user_id: int | None) -> list[int]:
    """The ids of a user's campaigns, or of all."""
    chosen = select(campaigns.c.id).order_by(campaigns.c.id)
    if user_id is not None:
        chosen = chosen.join(members, members.c.campaign_id == campaigns.c.id).where(members.c.user_id == user_id)
    return list(connection.execute(chosen).scalars())
