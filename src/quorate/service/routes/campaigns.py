"""Campaigns: made, read, changed under their version, run and paused; and their members."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Header, Request, Response
from sqlalchemy import Connection

from quorate.errors import NotFoundError
from quorate.schema import Schema
from quorate.service.auth import Lead, Principal, Reader, SignedInUser, campaign_for, service_of
from quorate.service.campaign_shapes import (
    CampaignShown,
    ChangedCampaign,
    MemberShown,
    NewCampaign,
    Skills,
    State,
    shown,
)
from quorate.service.changing import change, changes_verdicts, check_names, checked_policy
from quorate.service.judging import rejudge_all
from quorate.service.offer import check_labeler
from quorate.service.problems import Refusal
from quorate.service.wire import Id
from quorate.store import campaigns as store
from quorate.store.accounts import list_members, put_member, remove_member
from quorate.store.log import note_audit
from quorate.store.people import add_member
from quorate.store.reading import CampaignPage, list_campaigns, read_campaign_page
from quorate.store.records import Campaign, Settings
from quorate.store.scoring import read_scoring

router = APIRouter(prefix="/campaigns", tags=["campaigns"])


IfMatch = Annotated[str | None, Header(description="The version that was read, as the ETag gave it")]


@router.get("", response_model=list[CampaignShown], response_model_exclude_none=True)
def campaigns(request: Request, principal: SignedInUser) -> Any:
    """One's campaigns; all, for an owner."""
    with service_of(request).database.reading() as connection:
        found = list_campaigns(connection, None if principal.role == "owner" else principal.id)
    return [shown(page, principal) for page in found]


@router.post("", response_model=CampaignShown, status_code=201)
def make_campaign(request: Request, response: Response, given: NewCampaign, principal: Lead) -> Any:
    """Make a campaign, a draft; who makes it is its first member."""
    service = service_of(request)
    now, schema = service.clock(), Schema.from_json(given.task_schema.model_dump_json(), source="schema")
    settings, policy = given.settings.over(Settings()), checked_policy(given.policy, schema)
    check_names(schema, settings, given.prices)
    check_labeler(service.settings.offer, settings.labeler)

    def work(connection: Connection) -> CampaignPage:
        made = store.add_campaign(
            connection,
            given.name,
            schema,
            now=now,
            policy=policy,
            settings=settings,
            prices=given.prices.model_dump(),
            budget=given.budget,
            guidelines=given.guidelines,
        )
        add_member(connection, made.id, principal.id)
        note_audit(connection, principal.id, "campaign made", f"campaign {made.id}", {}, now=now)
        return read_campaign_page(connection, made.id)

    return _tagged(response, service.database.write(work), principal)


@router.get("/{campaign_id}", response_model=CampaignShown, response_model_exclude_none=True)
def campaign(request: Request, response: Response, campaign_id: Id, principal: SignedInUser) -> Any:
    """One campaign; its version is the ETag."""
    with service_of(request).database.reading() as connection:
        campaign_for(connection, principal, campaign_id)
        page = read_campaign_page(connection, campaign_id)
        scoring = read_scoring(connection, campaign_id, page.campaign.settings)
    body = _tagged(response, page, principal)
    return body if scoring is None or principal.role == "annotator" else body | {"scoring": scoring._asdict()}


@router.patch("/{campaign_id}", response_model=CampaignShown)
def change_campaign(
    request: Request,
    response: Response,
    background: BackgroundTasks,
    campaign_id: Id,
    given: ChangedCampaign,
    principal: Lead,
    if_match: IfMatch = None,
) -> Any:
    """Change a campaign, if nobody else has since `If-Match`; under another policy all items are judged anew."""
    service = service_of(request)

    def work(connection: Connection) -> CampaignPage:
        version = _version(if_match, campaign_for(connection, principal, campaign_id))
        return change(connection, service, principal, campaign_id, given, version=version)

    page = service.database.write(work)
    if changes_verdicts(given):
        background.add_task(rejudge_all, service, campaign_id)
    return _tagged(response, page, principal)


@router.post("/{campaign_id}/state", response_model=CampaignShown)
def change_state(
    request: Request, response: Response, campaign_id: Id, given: State, principal: Lead, if_match: IfMatch = None
) -> Any:
    """Run a campaign, pause it, or call it done."""
    service = service_of(request)
    now = service.clock()

    def work(connection: Connection) -> CampaignPage:
        before = campaign_for(connection, principal, campaign_id)
        version = _version(if_match, before)
        store.change_state(connection, campaign_id, given.state, version=version, now=now)
        detail = {"from": before.state, "to": given.state}
        note_audit(connection, principal.id, "campaign state", f"campaign {campaign_id}", detail, now=now)
        return read_campaign_page(connection, campaign_id)

    return _tagged(response, service.database.write(work), principal)


# ---- members --------------------------------------------------------------------------------------------------------
@router.get("/{campaign_id}/members", response_model=list[MemberShown])
def members(request: Request, campaign_id: Id, principal: Reader) -> Any:
    """Who works in a campaign."""
    with service_of(request).database.reading() as connection:
        campaign_for(connection, principal, campaign_id)
        return [each._asdict() for each in list_members(connection, campaign_id)]


@router.get("/{campaign_id}/members/{user_id}", response_model=MemberShown)
def member(request: Request, campaign_id: Id, user_id: Id, principal: Reader) -> Any:
    """One member of a campaign."""
    with service_of(request).database.reading() as connection:
        campaign_for(connection, principal, campaign_id)
        found = next((each for each in list_members(connection, campaign_id) if each.user_id == user_id), None)
    if found is None:
        raise NotFoundError(f"user {user_id} is no member of campaign {campaign_id}")
    return found._asdict()


@router.put("/{campaign_id}/members/{user_id}", response_model=MemberShown)
def set_member(request: Request, campaign_id: Id, user_id: Id, given: Skills, principal: Lead) -> Any:
    """Let a user work in a campaign, or set their skills anew."""
    service = service_of(request)
    now = service.clock()

    def work(connection: Connection) -> dict[str, Any]:
        campaign_for(connection, principal, campaign_id)
        made = put_member(connection, campaign_id, user_id, given.skills)
        note_audit(connection, principal.id, "member set", f"campaign {campaign_id}", {"user": user_id}, now=now)
        return made._asdict()

    return service.database.write(work)


@router.delete("/{campaign_id}/members/{user_id}", status_code=204)
def unset_member(request: Request, campaign_id: Id, user_id: Id, principal: Lead) -> None:
    """Let a user work in a campaign no more."""
    service = service_of(request)
    now = service.clock()

    def work(connection: Connection) -> None:
        campaign_for(connection, principal, campaign_id)
        remove_member(connection, campaign_id, user_id)
        note_audit(connection, principal.id, "member removed", f"campaign {campaign_id}", {"user": user_id}, now=now)

    service.database.write(work)


# ---- parts ----------------------------------------------------------------------------------------------------------
def _tagged(response: Response, page: CampaignPage, principal: Principal) -> dict[str, Any]:
    response.headers["ETag"] = f'"{page.campaign.version}"'
    return shown(page, principal)


def _version(if_match: str | None, campaign: Campaign) -> int:
    """The version that the request rests on; without one, the present."""
    text = (if_match or "").removeprefix("W/").strip('"')
    if if_match is None or text == "*":
        return campaign.version
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise Refusal(422, "If-Match is the version of the campaign, as its ETag gave it", path="header.if-match")
    return int(text)
