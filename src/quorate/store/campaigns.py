"""Campaigns: made, changed under their version, run, paused, done; their models, each under a version of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from quorate.errors import ConflictError, NotFoundError, SettingError
from quorate.schema import Schema
from quorate.store.log import record
from quorate.store.records import Campaign, Phase, Settings, campaign_of
from quorate.store.tables import campaigns, models

STEPS: Mapping[Phase, frozenset[Phase]] = {
    "draft": frozenset({"running"}),
    "running": frozenset({"paused", "done"}),
    "paused": frozenset({"running", "done"}),
    "done": frozenset({"running"}),
}

CHANGEABLE = frozenset({"name", "guidelines", "policy", "prices", "budget", "settings"})


def add_campaign(
    connection: Connection,
    name: str,
    schema: Schema,
    *,
    now: float,
    policy: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    prices: Mapping[str, Any] | None = None,
    budget: float | None = None,
    guidelines: str = "",
) -> Campaign:
    """A new campaign, a draft. Raises ConflictError when the name is taken, SettingError for a schema of no task."""
    if not schema.tasks:
        raise SettingError("a campaign asks at least one task")
    if connection.execute(select(campaigns.c.id).where(campaigns.c.name == name)).first():
        raise ConflictError(f"there is a campaign {name!r} already; choose another name")
    values = {
        "name": name,
        "state": "draft",
        "schema": json.loads(schema.to_json()),
        "guidelines": guidelines,
        "policy": dict(policy or {}),
        "prices": dict(prices or {}),
        "budget": budget,
        "settings": settings_json(settings or Settings()),
        "version": 1,
        "policy_version": 1,
        "created_at": now,
    }
    row = connection.execute(insert(campaigns).values(values).returning(*campaigns.c)).one()
    record(connection, row.id, "campaign made", {"name": name}, now=now)
    return campaign_of(row)


def read_campaign(connection: Connection, campaign_id: int) -> Campaign:
    """The campaign. Raises NotFoundError."""
    row = connection.execute(select(campaigns).where(campaigns.c.id == campaign_id)).first()
    if row is None:
        raise NotFoundError(f"there is no campaign {campaign_id}")
    return campaign_of(row)


def change_state(connection: Connection, campaign_id: int, state: Phase, *, version: int, now: float) -> Campaign:
    """The campaign in its next state.

    Raises ConflictError when it is no longer at that version, or when the state cannot follow on the present one.
    """
    before = read_campaign(connection, campaign_id)
    if state not in STEPS[before.state]:
        raise ConflictError(f"a campaign that is {before.state} cannot become {state}")
    after = _change(connection, campaign_id, {"state": state}, version=version)
    record(connection, campaign_id, "campaign state", {"from": before.state, "to": state}, now=now)
    return after


def change_policy(
    connection: Connection, campaign_id: int, policy: Mapping[str, Any], *, version: int, now: float
) -> Campaign:
    """The campaign under another policy. Raises ConflictError when it is no longer at that version."""
    values = {"policy": dict(policy), "policy_version": campaigns.c.policy_version + 1}
    after = _change(connection, campaign_id, values, version=version)
    body = {"policy": dict(policy), "policy_version": after.policy_version}
    record(connection, campaign_id, "policy changed", body, now=now)
    return after


def change_campaign(
    connection: Connection, campaign_id: int, values: Mapping[str, Any], *, version: int, now: float
) -> Campaign:
    """The campaign with other values in some of `CHANGEABLE`; another policy raises the policy's version too.

    Raises ConflictError when it is no longer at that version, or when the name is taken.
    """
    before = read_campaign(connection, campaign_id)
    changed = {name: value for name, value in values.items() if name in CHANGEABLE}
    taken = (campaigns.c.name == changed.get("name")) & (campaigns.c.id != campaign_id)
    if connection.execute(select(campaigns.c.id).where(taken)).first():
        raise ConflictError(f"there is a campaign {changed['name']!r} already; choose another name")
    if "policy" in changed and changed["policy"] != before.policy:
        before = change_policy(connection, campaign_id, changed["policy"], version=version, now=now)
        version = before.version
    rest = {name: value for name, value in changed.items() if name != "policy"}
    if not rest:
        return before
    after = _change(connection, campaign_id, rest, version=version)
    record(connection, campaign_id, "campaign changed", {"what": sorted(rest)}, now=now)
    return after


def add_model(
    connection: Connection, campaign_id: int, archive: bytes, estimator: str, *, through_event: int, now: float
) -> int:
    """The version of a newly fitted model, which decides from now on; it had read the log through that event."""
    connection.execute(
        select(campaigns.c.id).where(campaigns.c.id == campaign_id).with_for_update()
    ).one()  # two fits that end together take their versions one after the other
    last = connection.execute(select(func.max(models.c.version)).where(models.c.campaign_id == campaign_id)).scalar()
    version = (last or 0) + 1
    values = {
        "campaign_id": campaign_id,
        "version": version,
        "archive": archive,
        "estimator": estimator,
        "made_at": now,
        "through_event": through_event,
        "note": {},
    }
    connection.execute(insert(models).values(values))
    connection.execute(update(campaigns).where(campaigns.c.id == campaign_id).values(model_version=version))
    record(connection, campaign_id, "model fitted", {"version": version, "estimator": estimator}, now=now)
    return version


def read_archive(connection: Connection, campaign_id: int, version: int) -> bytes:
    """A fitted model's file. Raises NotFoundError."""
    which = (models.c.campaign_id == campaign_id) & (models.c.version == version)
    archive = connection.execute(select(models.c.archive).where(which)).scalar()
    if archive is None:
        raise NotFoundError(f"campaign {campaign_id} has no model of version {version}")
    return archive


def settings_json(settings: Settings) -> dict[str, Any]:
    """As the campaign's row holds it."""
    return asdict(settings)


def _change(connection: Connection, campaign_id: int, values: Mapping[str, Any], *, version: int) -> Campaign:
    """One statement that holds the version against the row, so that of two changes one is refused."""
    row = connection.execute(
        update(campaigns)
        .where(campaigns.c.id == campaign_id, campaigns.c.version == version)
        .values({**values, "version": campaigns.c.version + 1})
        .returning(*campaigns.c)
    ).first()
    if row is None:
        raise ConflictError(f"the campaign has changed since version {version}; read it again")
    return campaign_of(row)
