"""Under what a campaign's items were judged last: model, policy, settings. When that changes, all are judged anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, exists, select

from quorate.store.chores import read_note
from quorate.store.tables import campaigns, items

UNJUDGED = select(campaigns.c.id).where(
    campaigns.c.model_version.is_not(None),
    exists().where(items.c.campaign_id == campaigns.c.id, items.c.version == 0),
)


class Due(NamedTuple):
    """Items to be judged anew, from the one after that id on."""

    campaign_id: int
    under: str
    after: int


def due(connection: Connection) -> list[tuple[int, str]]:
    """The campaigns of which the items were judged under something else than holds now, and what holds."""
    columns = ("id", "model_version", "policy_version", "policy", "settings")
    rows = connection.execute(select(*(campaigns.c[name] for name in columns))).all()
    found = [(row.id, _under(row)) for row in rows]
    return [(id_, under) for id_, under in found if read_note(connection, chore_name(id_)).get("done") != under]


def unjudged(connection: Connection) -> list[int]:
    """The campaigns with a model in which items wait for their first verdict; nobody is asked about those before."""
    return list(connection.execute(UNJUDGED).scalars())


def rest(note: Mapping[str, Any], campaign_id: int, under: str) -> Due | None:
    """Where to go on, by the chore's note; None when there is nothing to do but to note it down.

    Of a campaign that is seen for the first time, before any model, nothing has to be judged.
    """
    if note.get("done") == under or (not note and under.startswith("None/")):
        return None
    return Due(campaign_id, under, note.get("after", 0) if note.get("under") == under else 0)


def chore_name(campaign_id: int) -> str:
    """The chore of judging that campaign's items anew."""
    return f"judge {campaign_id}"


def _under(row: Any) -> str:
    asks = {name: value for name, value in row.settings.items() if name != "labeler"}  # it changes no verdict by itself
    rules = hashlib.sha256(json.dumps([row.policy, asks], sort_keys=True).encode()).hexdigest()[:16]
    return f"{row.model_version}/{row.policy_version}/{rules}"
