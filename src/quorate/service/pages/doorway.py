"""Signing in and out, and one's own account."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from quorate.errors import QuorateError, SignInError
from quorate.service.auth import (
    COOKIE,
    Principal,
    check_origin,
    clear_cookie,
    door_of,
    page_user,
    service_of,
    set_cookie,
)
from quorate.service.limits import address_of
from quorate.service.pages.forms import read_form
from quorate.service.pages.rendering import PageRoute, assets, go, page
from quorate.service.pages.words import sentence
from quorate.store.accounts import list_tokens
from quorate.store.log import note_audit
from quorate.store.people import Token, add_token, revoke_token

router = APIRouter(route_class=PageRoute, include_in_schema=False)
User = Annotated[Principal, Depends(page_user)]
Next = Annotated[str, Query(max_length=2000)]
FOREVER = {"cache-control": "public, max-age=31536000, immutable"}
WELCOME = {"changed": "Your password is changed; your other sessions have ended.", "revoked": "The token is void."}


@router.get("/static/{digest}/{name}")
async def asset(digest: str, name: str) -> Response:
    """A style sheet or a script; its address changes with its content, so it is kept forever."""
    found = assets().get(name)
    if found is None:
        return Response(status_code=404)
    headers = FOREVER if digest == found.digest else {}
    return Response(found.body, media_type=found.media_type, headers=headers)


# ---- in and out -----------------------------------------------------------------------------------------------------
@router.get("/login")
async def login(next: Next = "/") -> Response:  # noqa: A002 # the name in the address
    """The form."""
    return page("login.html.jinja", None, next=_inside(next), problem=None, name="")


@router.post("/login")
async def sign_in(request: Request) -> Response:
    """A new session, and back to where one came from."""
    check_origin(request)
    form = await read_form(request)
    name, then = form.get("name", "").strip(), _inside(form.get("next", "/"))
    old, address = request.cookies.get(COOKIE), address_of(request.scope)
    try:
        signed = await run_in_threadpool(
            lambda: door_of(request).sign_in(name, form.get("password", ""), address, old=old)
        )
    except SignInError as error:
        said = sentence(str(error))
        return page("login.html.jinja", None, 401, next=then, problem=said, name=name)
    response = go(then)
    set_cookie(request, response, signed)
    return response


@router.post("/logout")
async def sign_out(request: Request, principal: User) -> Response:
    """End the session."""
    await run_in_threadpool(door_of(request).sign_out, principal, request.cookies.get(COOKIE, ""))
    response = go("/login")
    clear_cookie(request, response)
    return response


# ---- one's account --------------------------------------------------------------------------------------------------
@router.get("/account")
def account(request: Request, principal: User, said: Next = "") -> Response:
    """One's password and tokens."""
    return _account(request, principal, notice=WELCOME.get(said))


@router.post("/account/password")
async def change_password(request: Request, principal: User) -> Response:
    """Another password."""
    form, address = await read_form(request), address_of(request.scope)
    old, new, session = form.get("old", ""), form.get("new", ""), request.cookies.get(COOKIE)
    try:
        await run_in_threadpool(lambda: door_of(request).change_password(principal, old, new, address, session=session))
    except QuorateError as error:
        said = sentence(str(error))
        return await run_in_threadpool(lambda: _account(request, principal, problem=said, status=422))
    return go("/account?said=changed")


@router.post("/account/tokens")
async def make_token(request: Request, principal: User) -> Response:
    """A new token, shown this once."""
    form, service = await read_form(request), service_of(request)
    now, name = service.clock(), form.get("name", "").strip()[:200] or "token"
    days = {"30": 30.0, "365": 365.0}.get(form.get("days", ""))

    def work(connection: Connection) -> Token:
        made = add_token(connection, principal.id, name, now=now, days=days)
        note_audit(connection, principal.id, "token made", f"user {principal.id}", {"token": made.id}, now=now)
        return made

    made = await run_in_threadpool(service.database.write, work)
    return await run_in_threadpool(lambda: _account(request, principal, token=made.text))


@router.post("/account/tokens/{token_id}/revoke")
async def revoke(request: Request, token_id: int, principal: User) -> Response:
    """Make a token void."""
    service = service_of(request)
    now = service.clock()

    def work(connection: Connection) -> None:
        revoke_token(connection, principal.id, token_id, now=now)
        note_audit(connection, principal.id, "token revoked", f"user {principal.id}", {"token": token_id}, now=now)

    await run_in_threadpool(service.database.write, work)
    door_of(request).forget(principal.id)
    return go("/account?said=revoked")


# ---- parts ----------------------------------------------------------------------------------------------------------
def _account(
    request: Request,
    principal: Principal,
    *,
    notice: str | None = None,
    problem: str | None = None,
    token: str | None = None,
    status: int = 200,
) -> Response:
    with service_of(request).database.reading() as connection:
        tokens = [each for each in list_tokens(connection, principal.id) if each.revoked_at is None]
    values = {"tokens": tokens, "notice": notice, "problem": problem, "token": token}
    return page("account.html.jinja", principal, status, now=service_of(request).clock(), **values)


def _inside(address: str) -> str:
    """A path of ours, whatever was asked: nobody is led elsewhere by a link to the login."""
    parts = urlsplit(address.replace("\\", "/"))
    plain = address.startswith("/") and not address.startswith("//") and address.isprintable()
    return address if plain and not parts.netloc and not parts.scheme and "\\" not in address else "/"
