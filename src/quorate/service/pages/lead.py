"""The list of campaigns and the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from quorate.errors import ForbiddenError, SettingError
from quorate.service.auth import Principal, campaign_for, page_user, service_of
from quorate.service.pages.board import Boards, Shown
from quorate.service.pages.forms import check_lead, read_form
from quorate.service.pages.gold import GoldChecks
from quorate.service.pages.rendering import PageRoute, go, page, render
from quorate.service.wire import Id
from quorate.store.campaigns import STEPS, change_campaign, change_state
from quorate.store.log import note_audit
from quorate.store.overview import count_asking, count_cells
from quorate.store.reading import list_campaigns
from quorate.store.records import Phase

router = APIRouter(route_class=PageRoute, include_in_schema=False)
User = Annotated[Principal, Depends(page_user)]
PHASES: Mapping[str, Phase] = {phase: phase for phase in STEPS}
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
    tag = f'"{shown.stamp}-{shown.events[0][0].id if shown.events else 0}-{shown.asking}-{int(shown.at // 30)}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304)
    return render("figures.html.jinja", headers={"etag": tag}, me=principal, **values)


@router.post("/campaigns/{campaign_id}/state")
async def set_state(request: Request, campaign_id: Id, principal: User) -> Response:
    """Run, pause or end it."""
    check_lead(principal)
    form, service = await read_form(request), service_of(request)
    state, now = PHASES.get(form.get("state", "")), service_of(request).clock()
    if state is None:
        raise SettingError(f"a campaign is {', '.join(PHASES)}, nothing else")

    def work(connection: Connection) -> None:
        before = campaign_for(connection, principal, campaign_id)
        after = change_state(connection, campaign_id, state, version=before.version, now=now)
        detail = {"from": before.state, "to": after.state}
        note_audit(connection, principal.id, "campaign state", f"campaign {campaign_id}", detail, now=now)

    await run_in_threadpool(service.database.write, work)
    return go(f"/campaigns/{campaign_id}")


@router.post("/campaigns/{campaign_id}/guidelines")
async def set_guidelines(request: Request, campaign_id: Id, principal: User) -> Response:
    """Other guidelines."""
    check_lead(principal)
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
