"""Signing in and out, and who one is."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from quorate.service.auth import COOKIE, SignedInUser, check_origin, clear_cookie, door_of, set_cookie
from quorate.service.limits import address_of
from quorate.service.wire import Name, Password, Wire
from quorate.store.people import Role

router = APIRouter(tags=["session"])


class SignIn(Wire):
    """Name and password."""

    name: Name
    password: Password


class Passwords(Wire):
    """The present password and the next."""

    old: Password
    new: Password


class Me(BaseModel):
    """Who one is."""

    id: int
    name: str
    role: Role


class Session(BaseModel):
    """Who has signed in, and what their unsafe requests must bear as `X-CSRF-Token`."""

    user: Me
    csrf: str


@router.post("/session", response_model=Session)
def sign_in(request: Request, response: Response, given: SignIn) -> Any:
    """Sign in; the answer sets the cookie."""
    check_origin(request)
    address, old = address_of(request.scope), request.cookies.get(COOKIE)
    signed = door_of(request).sign_in(given.name, given.password, address, old=old)
    set_cookie(request, response, signed)
    user = signed.principal
    return {"user": {"id": user.id, "name": user.name, "role": user.role}, "csrf": signed.session.csrf}


@router.delete("/session", status_code=204)
async def sign_out(request: Request, response: Response, principal: SignedInUser) -> None:
    """Sign out; a token is not ended so, but revoked."""
    if principal.via == "session":
        await run_in_threadpool(door_of(request).sign_out, principal, request.cookies[COOKIE])
    clear_cookie(request, response)


@router.get("/me", response_model=Me)
async def me(principal: SignedInUser) -> Any:
    """Who one is."""
    return {"id": principal.id, "name": principal.name, "role": principal.role}


@router.post("/me/password", status_code=204)
def change_password(request: Request, given: Passwords, principal: SignedInUser) -> None:
    """Replace one's own password; one's other sessions end."""
    session = request.cookies.get(COOKIE) if principal.via == "session" else None
    address = address_of(request.scope)
    door_of(request).change_password(principal, given.old, given.new, address, session=session)
