"""Webhooks of a campaign: who is told what happens."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import Connection

from quorate.service.auth import Lead, campaign_for, service_of
from quorate.service.guard import MAX_URL, check_target
from quorate.service.wire import MOST_ID, Id, Wire
from quorate.store import outbox
from quorate.store.log import note_audit

router = APIRouter(prefix="/campaigns/{campaign_id}/hooks", tags=["webhooks"])
MOST_HOOKS = 20  # of a campaign
Kind = Annotated[str, StringConstraints(min_length=1, max_length=50, pattern=r"^[a-z ]+$")]


class HookIn(Wire):
    """Where to tell what; without kinds, everything."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL)]
    events: list[Kind] = Field(default_factory=list, max_length=50)


class HookMade(BaseModel):
    """A new hook; the secret, by which its messages are known, is told only here."""

    id: int
    secret: str


class HookShown(BaseModel):
    """A hook, and how it stands with its receiver."""

    id: int
    url: str
    events: list[str]
    waiting: int
    error: str | None
    next_at: float | None
    stopped_at: float | None


class ReplayIn(Wire):
    """Send everything after this event, again if need be."""

    after: Annotated[int, Field(ge=0, le=MOST_ID)] = 0


@router.get("", response_model=list[HookShown])
def hooks(request: Request, campaign_id: Id, principal: Lead) -> list[dict[str, Any]]:
    """The campaign's hooks."""
    with service_of(request).database.reading() as connection:
        campaign_for(connection, principal, campaign_id)
        return [each._asdict() for each in outbox.read_hooks(connection, campaign_id)]


@router.post("", response_model=HookMade, status_code=201)
def add_hook(request: Request, campaign_id: Id, given: HookIn, principal: Lead) -> dict[str, Any]:
    """Tell a receiver what happens from now on."""
    service = service_of(request)
    now = service.clock()

    def work(connection: Connection) -> dict[str, Any]:
        campaign_for(connection, principal, campaign_id)
        check_target(given.url, allow_private=service.settings.allow_private_urls)
        outbox.check_room(connection, campaign_id, most=MOST_HOOKS)
        made = outbox.add_hook(connection, campaign_id, given.url, given.events, now=now)
        detail = {"hook": made.id, "url": given.url.partition("?")[0]}  # a query may hold the receiver's own secret
        note_audit(connection, principal.id, "hook added", f"campaign {campaign_id}", detail, now=now)
        return made._asdict()

    return service.database.write(work)


@router.delete("/{hook_id}", status_code=204)
def remove_hook(request: Request, campaign_id: Id, hook_id: Id, principal: Lead) -> None:
    """Tell that receiver nothing more."""
    service = service_of(request)
    now = service.clock()

    def work(connection: Connection) -> None:
        campaign_for(connection, principal, campaign_id)
        outbox.remove_hook(connection, campaign_id, hook_id, now=now)
        detail = {"hook": hook_id}
        note_audit(connection, principal.id, "hook removed", f"campaign {campaign_id}", detail, now=now)

    service.database.write(work)


@router.post("/{hook_id}/replay", status_code=204)
def replay(request: Request, campaign_id: Id, hook_id: Id, given: ReplayIn, principal: Lead) -> None:
    """Send what came after an event once more, in order; a stopped hook goes on."""

    def work(connection: Connection) -> None:
        campaign_for(connection, principal, campaign_id)
        outbox.replay(connection, campaign_id, hook_id, after=given.after)

    service_of(request).database.write(work)
