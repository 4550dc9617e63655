"""Campaigns: made, read, changed under their version, run and paused; and their members."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Header, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from quorate.errors import NotFoundError, SettingError
from quorate.policy.stopping import policy_from_json
from quorate.schema import Schema
from quorate.service.auth import Lead, Principal, Reader, SignedInUser, campaign_for, service_of
from quorate.service.judging import rejudge_all
from quorate.service.problems import Refusal
from quorate.service.wire import Amount, Id, Json, LongText, Name, Wire
from quorate.store import campaigns as store
from quorate.store.accounts import list_members, put_member, remove_member
from quorate.store.log import note_audit
from quorate.store.people import Role, add_member
from quorate.store.reading import CampaignPage, list_campaigns, read_campaign_page
from quorate.store.records import Campaign, Phase, Settings

router = APIRouter(prefix="/campaigns", tags=["campaigns"])


class TaskIn(Wire):
    """A question, and its answers in order."""

    name: Name
    classes: Annotated[list[Name], Field(min_length=1, max_length=1000)]
    ordered: bool = False


class SchemaIn(Wire):
    """The questions of a campaign."""

    tasks: Annotated[list[TaskIn], Field(min_length=1, max_length=200)]


class SettingsIn(Wire):
    """How a campaign asks; what is left out is as before, or usual."""

    overlap: int | None = Field(default=None, ge=1, le=1000)
    together: int | None = Field(default=None, ge=1, le=1000)
    lease_s: float | None = Field(default=None, ge=1, le=604_800)
    late: str | None = Field(default=None, pattern="^(keep|refuse)$")
    blind: bool | None = None
    gold_rate: float | None = Field(default=None, ge=0, le=1)
    skills: dict[Name, Name] | None = None

    def over(self, before: Settings) -> Settings:
        """The settings with these in place of their like."""
        given = {name: value for name, value in self.model_dump().items() if value is not None}
        return Settings.from_json({**store.settings_json(before), **given})


class PricesIn(Wire):
    """What a label costs: in general, of a task, of an annotator."""

    label: Amount = 0.0
    of_task: dict[Name, Amount] = Field(default_factory=dict)
    of_annotator: dict[Name, Amount] = Field(default_factory=dict)


class NewCampaign(Wire):
    """A campaign to make."""

    name: Name
    task_schema: SchemaIn = Field(alias="schema")
    guidelines: LongText = ""
    policy: Json = Field(default_factory=dict)
    settings: SettingsIn = Field(default_factory=SettingsIn.model_construct)
    prices: PricesIn = Field(default_factory=PricesIn)
    budget: Amount | None = None


class ChangedCampaign(Wire):
    """What to change of a campaign; a budget of null is no limit."""

    name: Name | None = None
    guidelines: LongText | None = None
    policy: Json | None = None
    settings: SettingsIn | None = None
    prices: PricesIn | None = None
    budget: Amount | None = None


class CampaignShown(BaseModel):
    """A campaign; what an annotator must not know before answering is left out for annotators."""

    id: int
    name: str
    state: Phase
    schema_: dict[str, Any] = Field(alias="schema")
    guidelines: str
    version: int
    settings: dict[str, Any] | None = None
    policy: dict[str, Any] | None = None
    policy_version: int | None = None
    model_version: int | None = None
    prices: dict[str, Any] | None = None
    budget: float | None = None
    spent: float | None = None
    reserved: float | None = None
    created_at: float | None = None


class State(Wire):
    """The state to go to."""

    state: Phase


class Skills(Wire):
    """What a member is able to do."""

    skills: Annotated[list[Name], Field(max_length=100, default_factory=list)]


class MemberShown(BaseModel):
    """A member of a campaign."""

    user_id: int
    name: str
    role: Role
    skills: list[str]


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
    settings, policy = given.settings.over(Settings()), _policy(given.policy, schema)
    _check_names(schema, settings, given.prices)

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
    return _tagged(response, page, principal)


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
    now = service.clock()

    def work(connection: Connection) -> CampaignPage:
        before = campaign_for(connection, principal, campaign_id)
        version, values = _version(if_match, before), _values(given, before)
        store.change_campaign(connection, campaign_id, values, version=version, now=now)
        detail = {"what": sorted(values)}
        note_audit(connection, principal.id, "campaign changed", f"campaign {campaign_id}", detail, now=now)
        return read_campaign_page(connection, campaign_id)

    page = service.database.write(work)
    if given.model_fields_set & {"policy", "settings"}:
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
def shown(page: CampaignPage, principal: Principal) -> dict[str, Any]:
    """A campaign as that person may see it."""
    campaign = page.campaign
    short = {
        "id": campaign.id,
        "name": campaign.name,
        "state": campaign.state,
        "schema": json.loads(campaign.schema.to_json()),
        "guidelines": page.guidelines,
        "version": campaign.version,
    }
    if principal.role == "annotator":
        return short
    return short | {
        "settings": store.settings_json(campaign.settings),
        "policy": dict(campaign.policy),
        "policy_version": campaign.policy_version,
        "model_version": campaign.model_version,
        "prices": dict(campaign.prices),
        "budget": campaign.budget,
        "spent": page.spent,
        "reserved": page.reserved,
        "created_at": page.created_at,
    }


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


def _values(given: ChangedCampaign, before: Campaign) -> dict[str, Any]:
    """What to write, as the store's columns have it."""
    named = given.model_fields_set
    values: dict[str, Any] = {"budget": given.budget} if "budget" in named else {}
    for name in ("name", "guidelines"):
        values |= {name: value} if (value := getattr(given, name)) is not None else {}
    if given.policy is not None:
        values["policy"] = _policy(given.policy, before.schema)
    settings = given.settings.over(before.settings) if given.settings else before.settings
    if given.settings:
        values["settings"] = store.settings_json(settings)
    if given.prices:
        values["prices"] = given.prices.model_dump()
    _check_names(before.schema, settings, given.prices)
    return values


def _policy(given: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """The policy, once it is known to be one for these tasks; an empty one is the usual."""
    if given:
        policy_from_json(json.dumps(given)).bar(schema)
    return given


def _check_names(schema: Schema, settings: Settings, prices: PricesIn | None) -> None:
    for task in (*settings.skills, *(prices.of_task if prices else {})):
        if task not in schema.code_of:
            known = ", ".join(map(repr, schema.code_of))
            raise SettingError(f"skills and prices are of the campaign's tasks ({known}), not of {task!r}")
