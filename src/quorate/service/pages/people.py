"""Who works in a campaign, and accounts for those who have none."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Request
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from quorate.errors import ForbiddenError, QuorateError, SettingError
from quorate.service.auth import Principal, campaign_for, door_of, page_user, service_of
from quorate.service.pages.forms import check_lead, read_form
from quorate.service.pages.rendering import PageRoute, go, page
from quorate.service.pages.words import sentence
from quorate.service.wire import Id
from quorate.store.accounts import list_accounts, list_members, put_member, read_account, remove_member
from quorate.store.log import note_audit
from quorate.store.people import Role, add_user
from quorate.store.sessions import end_sessions_of, set_password

router = APIRouter(route_class=PageRoute, include_in_schema=False)
ROLES: Mapping[str, Role] = {role: role for role in get_args(Role)}
User = Annotated[Principal, Depends(page_user)]


@router.get("/campaigns/{campaign_id}/people")
def people(request: Request, campaign_id: Id, principal: User) -> Response:
    """Who works in the campaign."""
    return _people(request, campaign_id, principal)


@router.post("/campaigns/{campaign_id}/people")
async def change_people(request: Request, campaign_id: Id, principal: User) -> Response:
    """Let somebody in, or no more; an owner makes accounts too."""
    check_lead(principal)
    form = await read_form(request)
    doing = {"add": _add, "remove": _remove, "make": _make, "password": _password}.get(form.get("do", ""), _add)
    try:
        made = await run_in_threadpool(doing, request, campaign_id, principal, form)
    except QuorateError as error:
        said = sentence(str(error))
        return await run_in_threadpool(lambda: _people(request, campaign_id, principal, problem=said, status=422))
    if made:
        return await run_in_threadpool(lambda: _people(request, campaign_id, principal, made=made))
    return go(f"/campaigns/{campaign_id}/people")


def _people(
    request: Request,
    campaign_id: int,
    principal: Principal,
    *,
    problem: str | None = None,
    made: tuple[str, str] | None = None,
    status: int = 200,
) -> Response:
    check_lead(principal)
    with service_of(request).database.reading() as connection:
        campaign = campaign_for(connection, principal, campaign_id)
        members = list_members(connection, campaign_id)
        inside = {each.user_id for each in members}
        others = [each for each in list_accounts(connection) if each.id not in inside and each.disabled_at is None]
    values = {"campaign": campaign, "members": members, "others": others, "problem": problem, "made": made}
    return page("people.html.jinja", principal, status, **values)


def _add(request: Request, campaign_id: int, principal: Principal, form: dict[str, str]) -> None:
    skills = [each.strip()[:200] for each in form.get("skills", "").split(",") if each.strip()][:100]
    user_id = int(form["user"]) if form.get("user", "").isdigit() else 0
    now = service_of(request).clock()

    def work(connection: Connection) -> None:
        campaign_for(connection, principal, campaign_id)
        put_member(connection, campaign_id, user_id, skills)
        note_audit(connection, principal.id, "member set", f"campaign {campaign_id}", {"user": user_id}, now=now)

    service_of(request).database.write(work)


def _remove(request: Request, campaign_id: int, principal: Principal, form: dict[str, str]) -> None:
    user_id = int(form["user"]) if form.get("user", "").isdigit() else 0
    now = service_of(request).clock()

    def work(connection: Connection) -> None:
        campaign_for(connection, principal, campaign_id)
        remove_member(connection, campaign_id, user_id)
        note_audit(connection, principal.id, "member removed", f"campaign {campaign_id}", {"user": user_id}, now=now)

    service_of(request).database.write(work)


def _make(request: Request, campaign_id: int, principal: Principal, form: dict[str, str]) -> tuple[str, str]:
    """A new account with a one-time password, a member at once."""
    _check_owner(principal)
    name = form.get("name", "").strip()[:200]
    role = ROLES.get(form.get("role", "annotator"))
    if role is None or not name or not name.isprintable():
        raise SettingError("a person has a name of 1 to 200 printing characters and a role")
    password = secrets.token_urlsafe(12)
    hashed, now = door_of(request).hashed(password), service_of(request).clock()

    def work(connection: Connection) -> None:
        campaign_for(connection, principal, campaign_id)
        made = add_user(connection, name, role, now=now, password_hash=hashed)
        put_member(connection, campaign_id, made.id, [])
        note_audit(connection, principal.id, "user made", f"user {made.id}", {"role": role}, now=now)

    service_of(request).database.write(work)
    return name, password


def _password(request: Request, campaign_id: int, principal: Principal, form: dict[str, str]) -> tuple[str, str]:
    """A new one-time password for who has lost theirs."""
    _check_owner(principal)
    user_id, password = int(form["user"]) if form.get("user", "").isdigit() else 0, secrets.token_urlsafe(12)
    hashed, now = door_of(request).hashed(password), service_of(request).clock()

    def work(connection: Connection) -> str:
        campaign_for(connection, principal, campaign_id)
        account = read_account(connection, user_id)
        set_password(connection, user_id, hashed)
        end_sessions_of(connection, user_id)
        note_audit(connection, principal.id, "user changed", f"user {user_id}", {"what": ["password"]}, now=now)
        return account.name

    name = service_of(request).database.write(work)
    door_of(request).forget(user_id)
    return name, password


# ---- parts ----------------------------------------------------------------------------------------------------------
def _check_owner(principal: Principal) -> None:
    if principal.role != "owner":
        raise ForbiddenError("only an owner makes accounts and passwords")
