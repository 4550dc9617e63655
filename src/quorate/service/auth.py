"""Who makes a request, and whether they may: dependencies of routes.

A script sends `Authorization: Bearer qr_...`; a browser has the cookie `quorate_session`, and with everything that
changes something it must also send the session's text against forgery, from a page of ours.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from quorate.errors import ForbiddenError, NotFoundError, SignInError
from quorate.service.door import Credential, Door, Principal, SignedIn
from quorate.service.limits import COOKIE, address_of
from quorate.service.state import Service
from quorate.store.accounts import is_member
from quorate.store.campaigns import read_campaign
from quorate.store.people import PREFIX, Role
from quorate.store.records import Campaign

__all__ = ["COOKIE", "Principal", "campaign_for", "clear_cookie", "page_user", "require", "set_cookie", "signed_in"]
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER, CSRF_FIELD = "x-csrf-token", "csrf"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
MAX_CREDENTIAL = 200


def service_of(request: Request) -> Service:
    """What every request of the process shares."""
    return request.app.state.service


def door_of(request: Request) -> Door:
    """Who lets people in."""
    return request.app.state.door


async def signed_in(request: Request) -> Principal:
    """Who makes the request. Raises SignInError, ForbiddenError for what may be forged, Refusal for too many."""
    credential, door = _credential(request), door_of(request)
    if credential is None:
        raise SignInError
    principal = door.remembered.get(credential)
    if principal is None:
        principal = await run_in_threadpool(door.who, credential, address_of(request.scope))
    request.scope.setdefault("state", {})["principal"] = principal
    door.rates.take(principal.id)
    if principal.via == "session" and request.method not in SAFE:
        await _check_forgery(request, principal)
    return principal


SignedInUser = Annotated[Principal, Depends(signed_in)]


def require(*roles: Role) -> Callable[[Principal], Coroutine[Any, Any, Principal]]:
    """The dependency that lets only these roles pass; others are told 403."""

    async def allowed(principal: SignedInUser) -> Principal:
        if principal.role not in roles:
            raise ForbiddenError(f"this is for {' and '.join(roles)}; you are {principal.role}")
        return principal

    return allowed


async def page_user(request: Request) -> Principal:
    """Who reads a page; whoever is not signed in is sent to the login, and back afterwards."""
    try:
        return await signed_in(request)
    except SignInError:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        raise HTTPException(303, headers={"Location": f"/login?next={quote(path, safe='')}"}) from None


def campaign_for(connection: Connection, principal: Principal, campaign_id: int) -> Campaign:
    """The campaign, for an owner or a member of it. Raises NotFoundError for all others, as for one that is not."""
    if principal.role != "owner" and not is_member(connection, campaign_id, principal.id):
        raise NotFoundError(f"there is no campaign {campaign_id}")
    return read_campaign(connection, campaign_id)


# ---- roles, as routes name them -------------------------------------------------------------------------------------
Owner = Annotated[Principal, Depends(require("owner"))]
Lead = Annotated[Principal, Depends(require("owner", "lead"))]
Reader = Annotated[Principal, Depends(require("owner", "lead", "reader"))]
Worker = Annotated[Principal, Depends(require("owner", "lead", "annotator"))]


# ---- cookies --------------------------------------------------------------------------------------------------------
def set_cookie(request: Request, response: Response, signed: SignedIn) -> None:
    """Give the browser its new session."""
    settings = service_of(request).settings
    response.set_cookie(
        COOKIE,
        signed.session.id,
        max_age=int(settings.session_hours * 3600),
        path="/",
        secure=settings.secure_cookies or settings.base_url.startswith("https:"),
        httponly=True,
        samesite="lax",
    )


def clear_cookie(request: Request, response: Response) -> None:
    """Take the browser's session away."""
    secure = service_of(request).settings.base_url.startswith("https:")
    response.delete_cookie(COOKIE, path="/", secure=secure, httponly=True, samesite="lax")


def check_origin(request: Request) -> None:
    """Raises ForbiddenError when another site made the browser send this."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    ours = {request.headers.get("host"), urlsplit(service_of(request).settings.base_url).netloc}
    foreign = origin is not None and (origin == "null" or urlsplit(origin).netloc not in ours)
    if foreign or site not in {None, "same-origin", "none"}:
        raise ForbiddenError("this came from another site")


# ---- parts ----------------------------------------------------------------------------------------------------------
def _credential(request: Request) -> Credential | None:
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, text = header.partition(" ")
        fits = scheme.lower() == "bearer" and text.startswith(PREFIX) and len(text) <= MAX_CREDENTIAL
        return Credential("token", text) if fits else None
    cookie = request.cookies.get(COOKIE)
    return Credential("session", cookie) if cookie and len(cookie) <= MAX_CREDENTIAL else None


async def _check_forgery(request: Request, principal: Principal) -> None:
    check_origin(request)
    sent = request.headers.get(CSRF_HEADER)
    if sent is None and request.headers.get("content-type", "").startswith(FORMS):
        field = (await request.form()).get(CSRF_FIELD)
        sent = field if isinstance(field, str) else None
    if sent is None or not hmac.compare_digest(sent.encode(), (principal.csrf or "").encode()):
        raise ForbiddenError("the text against forgery is missing or wrong; load the page again")
