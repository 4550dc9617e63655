"""A lead's pages: the list of campaigns, the dashboard, and who works in a campaign."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from quorate.errors import ForbiddenError, QuorateError
from quorate.service.auth import Principal, campaign_for, door_of, page_user, service_of
from quorate.service.pages.board import Boards, Shown
from quorate.service.pages.forms import read_form
from quorate.service.pages.gold import GoldChecks
from quorate.service.pages.rendering import PageRoute, go, page, render
from quorate.service.pages.words import ROLES, STATES, sentence
from quorate.service.wire import Id
from quorate.store.accounts import list_accounts, list_members, put_member, read_account, remove_member
from quorate.store.campaigns import STEPS, change_campaign, change_state
from quorate.store.log import note_audit
from quorate.store.overview import count_asking, count_cells
from quorate.store.people import add_user
from quorate.store.reading import list_campaigns
from quorate.store.sessions import set_password

router = APIRouter(route_class=PageRoute, include_in_schema=False)
User = Annotated[Principal, Depends(page_user)]
BOARDS, GOLD = Boards(), GoldChecks()


# ---- campaigns ------------------------------------------------------------------------------------------------------
@router.get("/")
def home(request: Request, principal: User) -> Response:
    """One's campaigns."""
    with service_of(request).database.reading() as connection:
        found = list_campaigns(connection, None if principal.role == "owner" else principal.id)
        rows = [
            (each, count_cells(connection, each.campaign)[0], count_asking(connection, each.campaign.id))
            for each in reversed(found)
        ]
    return page("home.html.jinja", principal, rows=rows)


@router.get("/campaigns/{campaign_id}")
def dashboard(request: Request, campaign_id: Id, principal: User) -> Response:
    """How the campaign stands; an annotator is led to the work."""
    if principal.role == "annotator":
        return go(f"/campaigns/{campaign_id}/work")
    return page("board.html.jinja", principal, **_board(request, campaign_id, principal))


@router.get("/campaigns/{campaign_id}/board")
def fragment(request: Request, campaign_id: Id, principal: User) -> Response:
    """The part of the dashboard that changes, if it has."""
    if principal.role == "annotator":
        raise ForbiddenError("this is for leads and readers")
    values = _board(request, campaign_id, principal)
    shown: Shown = values["shown"]
    tag = f'"{shown.events[0][0].id if shown.events else 0}-{shown.asking}-{int(shown.at // 30)}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304)
    return render("figures.html.jinja", headers={"etag": tag}, me=principal, **values)


@router.post("/campaigns/{campaign_id}/state")
async def set_state(request: Request, campaign_id: Id, principal: User) -> Response:
    """Run, pause or end it."""
    _check_lead(principal)
    form, service = await read_form(request), service_of(request)
    state, now = form.get("state", ""), service_of(request).clock()

    def work(connection: Connection) -> None:
        before = campaign_for(connection, principal, campaign_id)
        if state not in STATES:
            raise ForbiddenError("there is no such state")
        after = change_state(connection, campaign_id, state, version=before.version, now=now)
        detail = {"from": before.state, "to": after.state}
        note_audit(connection, principal.id, "campaign state", f"campaign {campaign_id}", detail, now=now)

    await run_in_threadpool(service.database.write, work)
    return go(f"/campaigns/{campaign_id}")


@router.post("/campaigns/{campaign_id}/guidelines")
async def set_guidelines(request: Request, campaign_id: Id, principal: User) -> Response:
    """Other guidelines."""
    _check_lead(principal)
    form, service = await read_form(request), service_of(request)
    text, now = form.get("guidelines", "").replace("\x00", "")[:200_000], service_of(request).clock()

    def work(connection: Connection) -> None:
        before = campaign_for(connection, principal, campaign_id)
        change_campaign(connection, campaign_id, {"guidelines": text}, version=before.version, now=now)
        detail = {"what": ["guidelines"]}
        note_audit(connection, principal.id, "campaign changed", f"campaign {campaign_id}", detail, now=now)

    await run_in_threadpool(service.database.write, work)
    return go(f"/campaigns/{campaign_id}#guidelines")


def _board(request: Request, campaign_id: int, principal: Principal) -> dict[str, Any]:
    service = service_of(request)
    with service.database.reading() as connection:
        campaign = campaign_for(connection, principal, campaign_id)
    shown = BOARDS.show(service, campaign_id)
    return {
        "campaign": campaign,
        "shown": shown,
        "board": shown.board,
        "gold": GOLD.show(service, campaign) if shown.board.gold_items else None,
        "steps": [state for state in ("running", "paused", "done") if state in STEPS[campaign.state]],
        "leads": principal.role in {"owner", "lead"},
    }


# ---- people ---------------------------------------------------------------------------------------------------------
@router.get("/campaigns/{campaign_id}/people")
def people(request: Request, campaign_id: Id, principal: User) -> Response:
    """Who works in the campaign."""
    return _people(request, campaign_id, principal)


@router.post("/campaigns/{campaign_id}/people")
async def change_people(request: Request, campaign_id: Id, principal: User) -> Response:
    """Let somebody in, or no more; an owner makes accounts too."""
    _check_lead(principal)
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
    _check_lead(principal)
    with service_of(request).database.reading() as connection:
        campaign = campaign_for(connection, principal, campaign_id)
        members = list_members(connection, campaign_id)
        inside = {each.user_id for each in members}
        others = [
            each for each in list_accounts(connection) if each.id not in inside and each.disabled_at is None
        ]
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
    name, role = form.get("name", "").strip()[:200], form.get("role", "annotator")
    if not name or not name.isprintable() or role not in ROLES:
        raise ForbiddenError("a person has a name of 1 to 200 printing characters and a role")
    password = secrets.token_urlsafe(12)
    hashed, now = door_of(request).hashed(password), service_of(request).clock()

    def work(connection: Connection) -> None:
        campaign_for(connection, principal, campaign_id)
        made = add_user(connection, name, role, now=now, password_hash=hashed)  # pyright: ignore[reportArgumentType]
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
        account = read_account(connection, user_id)
        set_password(connection, user_id, hashed)
        note_audit(connection, principal.id, "user changed", f"user {user_id}", {"what": ["password"]}, now=now)
        return account.name

    name = service_of(request).database.write(work)
    door_of(request).forget(user_id)
    return name, password


def _check_lead(principal: Principal) -> None:
    if principal.role not in {"owner", "lead"}:
        raise ForbiddenError(f"this is for owners and leads; you are {principal.role}")


def _check_owner(principal: Principal) -> None:
    if principal.role != "owner":
        raise ForbiddenError("only an owner makes accounts and passwords")
