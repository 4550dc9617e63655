"""A campaign is changed, by the API or on a page: what is checked, written down and judged anew is the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from sqlalchemy import Connection

from quorate.errors import SettingError
from quorate.policy.stopping import policy_from_json
from quorate.schema import Schema
from quorate.service.auth import campaign_for
from quorate.service.campaign_shapes import ChangedCampaign, PricesIn
from quorate.service.door import Principal
from quorate.service.intake import scores_of
from quorate.service.offer import check_labeler
from quorate.service.state import Service
from quorate.store import campaigns as store
from quorate.store.fitting import ask_refit
from quorate.store.items import add_scores
from quorate.store.log import note_audit
from quorate.store.reading import CampaignPage, read_campaign_page
from quorate.store.records import Campaign, Settings


def change(
    connection: Connection,
    service: Service,
    principal: Principal,
    campaign_id: int,
    given: ChangedCampaign,
    *,
    version: int | None = None,
) -> CampaignPage:
    """The campaign with what is given, if it is at that version still; without one, whatever it is at.

    Raises ConflictError when somebody else has changed it since, SettingError for what cannot be.
    """
    now, before = service.clock(), campaign_for(connection, principal, campaign_id)
    values = values_of(given, before, service)
    store.change_campaign(
        connection, campaign_id, values, version=before.version if version is None else version, now=now
    )
    detail = {"what": sorted(values)}
    note_audit(connection, principal.id, "campaign changed", f"campaign {campaign_id}", detail, now=now)
    return read_campaign_page(connection, campaign_id)


def take_scores(
    service: Service, principal: Principal, campaign: Campaign, file: IO[bytes], kind: str
) -> tuple[int, ...]:
    """Write models' scores over those they gave before, all or none; the items, which are to be judged anew.

    Raises Refusal that tells the bad rows.
    """
    of_items, now = scores_of(file, kind, campaign.schema), service.clock()

    def work(connection: Connection) -> tuple[int, ...]:
        touched = add_scores(connection, campaign, of_items, now=now)
        detail = {"items": len(touched)}
        note_audit(connection, principal.id, "scores added", f"campaign {campaign.id}", detail, now=now)
        return touched

    return service.database.write(work)


def ask_fit(connection: Connection, service: Service, principal: Principal, campaign_id: int) -> Campaign:
    """Have the model fitted anew in the background; the campaign as it is before."""
    now, campaign = service.clock(), campaign_for(connection, principal, campaign_id)
    ask_refit(connection, campaign_id, now=now, user_id=principal.id)
    note_audit(connection, principal.id, "refit asked", f"campaign {campaign_id}", {}, now=now)
    return campaign


def changes_verdicts(given: ChangedCampaign) -> bool:
    """Whether items are to be judged anew under what is given."""
    asks = given.settings.model_fields_set - {"labeler"} if given.settings else None
    return bool(asks) or given.policy is not None


def values_of(given: ChangedCampaign, before: Campaign, service: Service) -> dict[str, Any]:
    """What to write, as the store's columns have it. Raises SettingError for what cannot be."""
    named = given.model_fields_set
    values: dict[str, Any] = {"budget": given.budget} if "budget" in named else {}
    for name in ("name", "guidelines"):
        values |= {name: value} if (value := getattr(given, name)) is not None else {}
    if given.policy is not None:
        values["policy"] = checked_policy(given.policy, before.schema)
    settings = given.settings.over(before.settings) if given.settings else before.settings
    if given.settings:
        if settings.labeler != before.settings.labeler:
            check_labeler(service.settings.offer, settings.labeler)
        values["settings"] = store.settings_json(settings)
    if given.prices:
        values["prices"] = given.prices.model_dump()
    check_names(before.schema, settings, given.prices)
    return values


def checked_policy(given: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """The policy, once it is known to be one for these tasks; an empty one is the usual."""
    if given:
        policy_from_json(json.dumps(given)).bar(schema)
    return given


def check_names(schema: Schema, settings: Settings, prices: PricesIn | None) -> None:
    """Raises SettingError for a skill, a price or a wording of a task that there is not."""
    of: Mapping[str, Any] = settings.labeler.questions if settings.labeler else {}
    for task in (*settings.skills, *(prices.of_task if prices else {}), *of):
        if task not in schema.code_of:
            known = ", ".join(map(repr, schema.code_of))
            raise SettingError(f"skills, prices and questions are of the campaign's tasks ({known}), not of {task!r}")
