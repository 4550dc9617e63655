"""What is thought of items now, for those who only ask: nothing is held and nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, select

from quorate.store.among import among
from quorate.store.records import Campaign, Decider, ItemState, Verdict, judged
from quorate.store.rows import ITEM, Witnesses, held_of, read_logs
from quorate.store.tables import events, items

BY_NAMES = select(*ITEM).where(
    items.c.campaign_id == bindparam("of_campaign"), among(items.c.external_id, "names", str)
)


class Opinion(NamedTuple):
    """The decider's verdict on an item, and the item's state under it."""

    verdict: Verdict
    state: ItemState


def read_opinions(
    connection: Connection, decider: Decider, campaign: Campaign, external_ids: Sequence[str]
) -> dict[str, Opinion]:
    """What is thought of those of these items that there are."""
    names = sorted({name for name in external_ids if "\x00" not in name})
    held = held_of(connection, connection.execute(BY_NAMES, {"of_campaign": campaign.id, "names": names}).all())
    logs, witnesses = read_logs(connection, sorted(held)), Witnesses(connection, held.values())
    found: dict[str, Opinion] = {}
    for item_id, each in held.items():
        live = logs[item_id].live
        verdict = decider.decide(campaign, witnesses.of(item_id, live))
        found[each.external_id] = Opinion(verdict, judged(each.state, verdict, live, each.gold))
    return found


def known_items(connection: Connection, campaign_id: int, external_ids: Sequence[str]) -> set[str]:
    """Those of these items that there are."""
    names = sorted({name for name in external_ids if "\x00" not in name})
    mine = (items.c.campaign_id == campaign_id) & among(items.c.external_id, "names", str)
    return set(connection.execute(select(items.c.external_id).where(mine), {"names": names}).scalars())


def last_change(connection: Connection, campaign_id: int) -> int:
    """The campaign's last event, 0 without any: what is thought of its items may have changed since another one."""
    mine = select(func.coalesce(func.max(events.c.id), 0)).where(events.c.campaign_id == campaign_id)
    return connection.execute(mine).scalar_one()
