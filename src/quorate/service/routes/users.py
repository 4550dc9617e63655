"""Users and their tokens."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from quorate.errors import ForbiddenError, NotFoundError
from quorate.service.auth import Lead, Owner, Principal, SignedInUser, door_of, service_of
from quorate.service.wire import Amount, Id, Name, Password, Wire
from quorate.store.accounts import Account, TokenRow, change_account, list_accounts, list_tokens, read_account
from quorate.store.log import note_audit
from quorate.store.people import Role, add_token, add_user, revoke_token
from quorate.store.sessions import end_sessions_of, set_password

router = APIRouter(prefix="/users", tags=["users"])


class NewUser(Wire):
    """A user to make; without a password they come in by token only."""

    name: Name
    role: Role
    password: Password | None = None


class ChangedUser(Wire):
    """What to change of a user."""

    role: Role | None = None
    disabled: bool | None = None
    password: Password | None = None


class UserShown(BaseModel):
    """A user; what only owners may see is left out for others."""

    id: int
    name: str
    role: Role
    created_at: float | None = None
    disabled_at: float | None = None


class NewToken(Wire):
    """A token to make."""

    name: Name
    days: Amount | None = Field(default=None, description="Valid for so long; without it, until revoked")


class TokenShown(BaseModel):
    """A token, without its text."""

    id: int
    name: str
    prefix: str
    created_at: float
    expires_at: float | None
    revoked_at: float | None


class TokenMade(BaseModel):
    """A token with its text, shown this once."""

    id: int
    token: str


@router.get("", response_model=list[UserShown], response_model_exclude_none=True)
def users(request: Request, principal: Lead) -> Any:
    """All users; a lead sees name and role of those who may come in, to make them members."""
    with service_of(request).database.reading() as connection:
        found = list_accounts(connection)
    if principal.role == "owner":
        return [each._asdict() for each in found]
    return [{"id": each.id, "name": each.name, "role": each.role} for each in found if each.disabled_at is None]


@router.post("", response_model=UserShown, status_code=201)
def make_user(request: Request, given: NewUser, principal: Owner) -> Any:
    """Make a user."""
    service = service_of(request)
    now, hashed = service.clock(), given.password and door_of(request).hashed(given.password)

    def work(connection: Connection) -> Account:
        made = add_user(connection, given.name, given.role, now=now, password_hash=hashed)
        note_audit(connection, principal.id, "user made", f"user {made.id}", {"role": made.role}, now=now)
        return read_account(connection, made.id)

    return service.database.write(work)._asdict()


@router.patch("/{user_id}", response_model=UserShown)
def change_user(request: Request, user_id: Id, given: ChangedUser, principal: Owner) -> Any:
    """Change a user's role, let them in no more or again, set a password for them."""
    service, door = service_of(request), door_of(request)
    now, what = service.clock(), sorted(given.model_fields_set)
    hashed = given.password and door.hashed(given.password)

    def work(connection: Connection) -> Account:
        after = change_account(connection, user_id, now=now, role=given.role, disabled=given.disabled)
        if hashed:
            set_password(connection, user_id, hashed)
            end_sessions_of(connection, user_id)
        note_audit(connection, principal.id, "user changed", f"user {user_id}", {"what": what}, now=now)
        return after

    after = service.database.write(work)
    door.forget(user_id)
    return after._asdict()


# ---- tokens ---------------------------------------------------------------------------------------------------------
@router.get("/{user_id}/tokens", response_model=list[TokenShown])
def tokens(request: Request, user_id: Id, principal: SignedInUser) -> Any:
    """A user's tokens: one's own, or anybody's for an owner."""
    _check_whose(principal, user_id)

    with service_of(request).database.reading() as connection:
        read_account(connection, user_id)
        found: list[TokenRow] = list_tokens(connection, user_id)
    return [each._asdict() for each in found]


@router.post("/{user_id}/tokens", response_model=TokenMade, status_code=201)
def make_token(request: Request, user_id: Id, given: NewToken, principal: SignedInUser) -> Any:
    """Make a token; its text is shown this once."""
    _check_whose(principal, user_id)
    service = service_of(request)
    now = service.clock()

    def work(connection: Connection) -> dict[str, Any]:
        if read_account(connection, user_id).role == "owner" and principal.id != user_id:
            raise ForbiddenError("an owner's tokens are made by that owner")
        made = add_token(connection, user_id, given.name, now=now, days=given.days)
        note_audit(connection, principal.id, "token made", f"user {user_id}", {"token": made.id}, now=now)
        return {"id": made.id, "token": made.text}

    return service.database.write(work)


@router.delete("/{user_id}/tokens/{token_id}", status_code=204)
def void_token(request: Request, user_id: Id, token_id: Id, principal: SignedInUser) -> None:
    """Revoke a token, at once."""
    _check_whose(principal, user_id)
    service = service_of(request)
    now = service.clock()

    def work(connection: Connection) -> None:
        revoke_token(connection, user_id, token_id, now=now)
        note_audit(connection, principal.id, "token revoked", f"user {user_id}", {"token": token_id}, now=now)

    service.database.write(work)
    door_of(request).forget(user_id)


def _check_whose(principal: Principal, user_id: int) -> None:
    if principal.role != "owner" and principal.id != user_id:
        raise NotFoundError(f"there is no user {user_id}")
