"""The annotator's screen: one item with its open questions; the same form with and without scripts."""

from __future__ import annotations

import re
import uuid
from time import monotonic
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from quorate.errors import ConflictError, DataError, ForbiddenError, NotFoundError, QuorateError
from quorate.schema import Schema
from quorate.service.auth import Principal, campaign_for, page_user, service_of
from quorate.service.pages.content import blocks_of, is_outside
from quorate.service.pages.rendering import PageRoute, go, page, render
from quorate.service.wire import Id
from quorate.store.overview import count_asking, count_cells, count_labels
from quorate.store.queue import Lease
from quorate.store.reading import CampaignPage, Suggestion, read_campaign_page
from quorate.store.submit import Answer

router = APIRouter(route_class=PageRoute, include_in_schema=False)
User = Annotated[Principal, Depends(page_user)]
Text = Annotated[str, Query(max_length=2000)]
LEASE = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
REMEMBERED = 20  # leases that can be taken back, the last first
FRAGMENT = "x-fragment"
RESTS = 10
COUNTED: dict[tuple[str, int], tuple[int, int, float]] = {}  # items open, items, valid until


class Turn(NamedTuple):
    """Where a person stands: answers so far, leases that can be taken back, and what they are to be told."""

    trail: tuple[str, ...] = ()
    notice: str | None = None
    tone: str = "plain"


@router.get("/campaigns/{campaign_id}/work")
async def work(
    request: Request, campaign_id: Id, principal: User, trail: Text = "", lease: Text = "", said: Text = ""
) -> Response:
    """The item that this person is asked about."""
    campaign = await run_in_threadpool(_campaign, request, principal, campaign_id)
    turn = Turn(_trail(trail), NOTICES.get(said), "warn" if said in WARNS else "plain")
    held = await _held(request, campaign_id, principal, lease)
    return page("work.html.jinja", principal, **await _shown(request, campaign, principal, held, turn))


@router.post("/campaigns/{campaign_id}/work")
async def answer(request: Request, campaign_id: Id, principal: User) -> Response:
    """Keep the answers, skip the item, or take the last answers back; then the next item."""
    campaign = await run_in_threadpool(_campaign, request, principal, campaign_id)
    form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    turn, held, said = await _act(request, campaign, principal, form)
    if FRAGMENT not in request.headers:
        shown = held.id if held and said == "undone" else ""
        return go(f"/campaigns/{campaign_id}/work?trail={'.'.join(turn.trail)}&lease={shown}&said={said}")
    return render("card.html.jinja", me=principal, **await _shown(request, campaign, principal, held, turn))


# ---- what is done ---------------------------------------------------------------------------------------------------
NOTICES = {
    "undone": "Taken back. Answer it anew, or skip it.",
    "gone": "Taken back. The item needs no more answers, so here is another.",
    "late": "Your time at that item had ended before you answered. The answer is kept, marked as late.",
    "refused": "That answer was not kept: your time at the item had ended, or it was answered already.",
    "unfit": "Nothing was kept: choose an answer first.",
    "nothing": "There is nothing to take back.",
}
WARNS = {"late", "refused", "unfit"}


async def _act(
    request: Request, campaign: CampaignPage, principal: Principal, form: dict[str, str]
) -> tuple[Turn, Lease | None, str]:
    """Do what the form asks: where the person stands then, the next seat, and what they are told."""
    trail, lease_id = _trail(form.get("trail", "")), form.get("lease", "")
    action = form.get("do", "submit")
    doing = {"submit": _submit, "skip": _skip, "undo": _undo}.get(action, _submit)
    try:
        trail, held, said = await doing(request, campaign, principal, form, trail)
    except (ConflictError, NotFoundError):
        said = "nothing" if action == "undo" else "refused"
        held = await _held(request, campaign.campaign.id, principal, "")
        trail = trail[:-1] if action == "undo" else trail
    except DataError:
        said, held = "unfit", await _held(request, campaign.campaign.id, principal, lease_id)
    return Turn(trail, NOTICES.get(said), "warn" if said in WARNS else "plain"), held, said


async def _submit(
    request: Request, campaign: CampaignPage, principal: Principal, form: dict[str, str], trail: tuple[str, ...]
) -> tuple[tuple[str, ...], Lease | None, str]:
    lease_id, key = _lease_id(form.get("lease", "")), form.get("key", "")
    answers = _answers(campaign.campaign.schema, form)
    done = await service_of(request).desk.submit(
        lease_id, principal.id, answers, key=key, then_next=campaign.campaign.id
    )
    trail = (*(each for each in trail if each != lease_id), lease_id)[-REMEMBERED:]
    return trail, done.next, "late" if done.receipt.late else ""


async def _skip(
    request: Request, campaign: CampaignPage, principal: Principal, form: dict[str, str], trail: tuple[str, ...]
) -> tuple[tuple[str, ...], Lease | None, str]:
    await service_of(request).desk.skip(_lease_id(form.get("lease", "")), principal.id)
    return trail, await _held(request, campaign.campaign.id, principal, ""), ""


async def _undo(
    request: Request, campaign: CampaignPage, principal: Principal, _form: dict[str, str], trail: tuple[str, ...]
) -> tuple[tuple[str, ...], Lease | None, str]:
    """The key is of the seat that is left, so that a repeated request takes one answer back, not two."""
    if not trail:
        raise NotFoundError("there is nothing to take back")
    done = await service_of(request).desk.undo(trail[-1], principal.id, key=f"undo {trail[-1]}")
    held = await _held(request, campaign.campaign.id, principal, done.lease_id or "")
    return trail[:-1], held, "undone" if done.lease_id else "gone"


async def _held(request: Request, campaign_id: int, principal: Principal, lease_id: str) -> Lease | None:
    """The seat of that id while it lasts, else whichever the person has or is given."""
    desk = service_of(request).desk
    if LEASE.match(lease_id):
        try:
            held = await desk.renew(lease_id, principal.id)
            if held.campaign_id == campaign_id:
                return held
        except QuorateError:
            pass
    try:
        return await desk.next(campaign_id, principal.id)
    except NotFoundError:
        if principal.role == "owner":
            raise ForbiddenError("you own this campaign but are no member; add yourself under People") from None
        raise


# ---- what is shown --------------------------------------------------------------------------------------------------
async def _shown(
    request: Request, campaign: CampaignPage, principal: Principal, held: Lease | None, turn: Turn
) -> dict[str, Any]:
    """Everything the card is drawn with: nothing of models or peers but in a campaign that is not blind."""
    service = service_of(request)
    said = (await request.app.state.hints.suggestions(held) if held else None) or {}
    asking, total, mine = await run_in_threadpool(_counts, request, campaign, principal)
    schema = campaign.campaign.schema
    asked = [_asked(schema, name, said.get(name)) for name in held.tasks] if held else []
    return {
        "campaign": campaign.campaign,
        "guidelines": campaign.guidelines,
        "lease": held,
        "blocks": blocks_of(held.content) if held else [],
        "is_outside": is_outside,
        "asked": asked,
        "key": str(uuid.uuid4()),
        "turn": turn,
        "left_s": max(held.expires_at - service.clock(), 0.0) if held else 0.0,
        "asking": asking,
        "total": total,
        "mine": mine,
    }


class Asked(NamedTuple):
    """A question, the key of every class, and the class that is suggested."""

    at: int  # in the schema
    name: str
    classes: list[tuple[str, str]]
    suggested: str | None
    confidence: float | None


def _asked(schema: Schema, name: str, said: Suggestion | None) -> Asked:
    keys = [str(n) for n in range(1, 10)] + ["0"]
    classes = [(label, keys[at] if at < len(keys) else "") for at, label in enumerate(schema.task(name).classes)]
    return Asked(schema.code_of[name], name, classes, said and said.label, said and said.confidence)


def _counts(request: Request, campaign: CampaignPage, principal: Principal) -> tuple[int, int, int]:
    """Items open, items in all, one's own answers; the first two at most ten times as old as counting them takes."""
    service, campaign_id = service_of(request), campaign.campaign.id
    which = service.settings.database, campaign_id
    with service.database.reading() as connection:
        known = COUNTED.get(which)
        if known is None or monotonic() >= known[2]:
            begun = monotonic()
            asking, (total, _) = count_asking(connection, campaign_id), count_cells(connection, campaign.campaign)
            now = monotonic()
            known = COUNTED[which] = asking, total, now + RESTS * (now - begun)
        return known[0], known[1], count_labels(connection, campaign_id, principal.id)


# ---- parts ----------------------------------------------------------------------------------------------------------
def _campaign(request: Request, principal: Principal, campaign_id: int) -> CampaignPage:
    with service_of(request).database.reading() as connection:
        campaign_for(connection, principal, campaign_id)
        if principal.role == "reader":
            raise ForbiddenError("a reader reads results and answers no questions")
        return read_campaign_page(connection, campaign_id)


def _answers(schema: Schema, form: dict[str, str]) -> list[Answer]:
    """The chosen classes; times as the script measured them, unknown without it."""
    found: list[Answer] = []
    for at, task in enumerate(schema.tasks):
        label = form.get(f"answer{at}")
        if label:
            found.append(Answer(task.name, label, _seconds(form.get(f"seconds{at}", ""))))
    if not found:
        raise DataError("no class was chosen", mend="choose one for every question")
    return found


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return round(value, 3) if 0 <= value < 1e6 else None


def _lease_id(text: str) -> str:
    if not LEASE.match(text):
        raise NotFoundError("there is no such lease of yours")
    return text


def _trail(text: str) -> tuple[str, ...]:
    return tuple(each for each in text.split(".") if LEASE.match(each))[-REMEMBERED:]
