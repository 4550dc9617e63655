"""A campaign as it goes over the wire: how it is asked for, changed and shown."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from quorate.service.door import Principal
from quorate.service.wire import Amount, Json, LongText, Name, Text, Wire
from quorate.store.asking import MOST_MODELS
from quorate.store.campaigns import settings_json
from quorate.store.people import Role
from quorate.store.reading import CampaignPage
from quorate.store.records import Phase, Settings


class TaskIn(Wire):
    """A question, and its answers in order."""

    name: Name
    classes: Annotated[list[Name], Field(min_length=1, max_length=1000)]
    ordered: bool = False


class SchemaIn(Wire):
    """The questions of a campaign."""

    tasks: Annotated[list[TaskIn], Field(min_length=1, max_length=200)]


class LabelerIn(Wire):
    """Models of the service's offer that score the items in the background, for so many US dollars at most."""

    models: Annotated[list[Name], Field(min_length=1, max_length=MOST_MODELS)]
    cap_usd: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
    confidence: Literal["logprobs", "verbalised", "consistency"] = "logprobs"
    questions: Annotated[dict[Name, Text], Field(max_length=200, default_factory=dict, description="Task to words")]


class SettingsIn(Wire):
    """How a campaign asks; what is left out is as before, or usual; a labeler of null is none."""

    overlap: int | None = Field(default=None, ge=1, le=1000)
    together: int | None = Field(default=None, ge=1, le=1000)
    lease_s: float | None = Field(default=None, ge=1, le=604_800)
    late: str | None = Field(default=None, pattern="^(keep|refuse)$")
    blind: bool | None = None
    gold_rate: float | None = Field(default=None, ge=0, le=1)
    skills: dict[Name, Name] | None = None
    adopt: bool | None = Field(default=None, description="Take in items of a connected tool that are unknown here")
    labeler: LabelerIn | None = None

    def over(self, before: Settings) -> Settings:
        """The settings with these in place of their like."""
        named = self.model_fields_set & {"labeler"}  # here null has a meaning of its own
        given = {name: value for name, value in self.model_dump().items() if value is not None or name in named}
        return Settings.from_json({**settings_json(before), **given})


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


class FailureShown(BaseModel):
    """An item that models could not score."""

    item: str
    model: str
    why: str
    tries: int


class ScoringShown(BaseModel):
    """How far models have scored the items; `stopped` says why they are not asked now, `next_at` when they will be."""

    models: list[str]
    cap_usd: float
    items: int
    scored: int
    failed: int
    spent_usd: float
    lost_usd: float
    stopped: str | None
    next_at: float | None
    failures: list[FailureShown]


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
    scoring: ScoringShown | None = None


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
        "settings": settings_json(campaign.settings),
        "policy": dict(campaign.policy),
        "policy_version": campaign.policy_version,
        "model_version": campaign.model_version,
        "prices": dict(campaign.prices),
        "budget": campaign.budget,
        "spent": page.spent,
        "reserved": page.reserved,
        "created_at": page.created_at,
    }
