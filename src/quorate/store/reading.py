"""What the API shows of campaigns and items, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, literal, select

from quorate.errors import NotFoundError
from quorate.store.records import Campaign, ItemState, campaign_of, state_from_json
from quorate.store.tables import audit, campaigns, items, labels, members, scores, users


class CampaignPage(NamedTuple):
    """A campaign, and what its pages show beside what a decision needs."""

    campaign: Campaign
    guidelines: str
    created_at: float
    spent: float
    reserved: float


class ItemRow(NamedTuple):
    """An item as it stands."""

    id: int
    external_id: str
    content: Mapping[str, Any]
    gold: Mapping[str, str] | None
    anchor: bool
    restricted: bool
    state: ItemState


class Suggestion(NamedTuple):
    """What is thought of a task so far."""

    label: str
    confidence: float | None


class AuditRow(NamedTuple):
    """Who did what to what, and when."""

    id: int
    at: float
    user_id: int | None
    action: str
    target: str
    detail: Mapping[str, Any]


ITEM = (
    items.c.id,
    items.c.external_id,
    items.c.content,
    items.c.gold,
    items.c.anchor,
    items.c.restricted,
    items.c.state,
)

LABEL = ("id", "task", "label", "at", "seconds", "assisted", "late")


def read_campaign_page(connection: Connection, campaign_id: int) -> CampaignPage:
    """The campaign with its guidelines and its money. Raises NotFoundError."""
    row = connection.execute(select(campaigns).where(campaigns.c.id == campaign_id)).first()
    if row is None:
        raise NotFoundError(f"there is no campaign {campaign_id}")
    return _page(row)


def list_campaigns(connection: Connection, user_id: int | None) -> list[CampaignPage]:
    """The campaigns that user is a member of, or all."""
    chosen = select(campaigns).order_by(campaigns.c.id)
    if user_id is not None:
        chosen = chosen.join(members, members.c.campaign_id == campaigns.c.id).where(members.c.user_id == user_id)
    return [_page(row) for row in connection.execute(chosen)]


def list_items(
    connection: Connection, campaign_id: int, *, after: int = 0, limit: int = 100, unfinished: bool | None = None
) -> list[ItemRow]:
    """The next items by their ids; with `unfinished`, those of which a task is open, or none is."""
    chosen = select(*ITEM).where(items.c.campaign_id == campaign_id, items.c.id > after).order_by(items.c.id)
    if unfinished is None:
        return [_item(row) for row in connection.execute(chosen.limit(limit))]
    found: list[ItemRow] = []
    for row in connection.execute(chosen.execution_options(yield_per=1000)):
        item = _item(row)
        if any(task.open for task in item.state.values()) == unfinished:
            found.append(item)
        if len(found) == limit:
            break
    return found


def read_item(connection: Connection, campaign_id: int, external_id: str) -> ItemRow:
    """The item of that external id. Raises NotFoundError."""
    mine = (items.c.campaign_id == campaign_id) & (items.c.external_id == external_id)
    row = connection.execute(select(*ITEM).where(mine)).first()
    if row is None:
        raise NotFoundError(f"there is no item {external_id!r}")
    return _item(row)


def labels_of_item(connection: Connection, item_id: int) -> list[dict[str, Any]]:
    """The labels of an item, oldest first, those taken back marked."""
    rows = connection.execute(
        select(users.c.name.label("annotator"), labels.c.withdraws, *(labels.c[name] for name in LABEL))
        .join(users, users.c.id == labels.c.user_id)
        .where(labels.c.item_id == item_id)
        .order_by(labels.c.id)
    ).mappings()
    every = [dict(row) for row in rows]
    gone = {row["withdraws"] for row in every}
    given = [row for row in every if row.pop("withdraws") is None]
    return [row | {"withdrawn": row["id"] in gone} for row in given]


def scores_of_item(connection: Connection, item_id: int) -> list[tuple[str, str, Sequence[float]]]:
    """Model, task and one probability per class, in the schema's order."""
    rows = connection.execute(
        select(scores.c.model, scores.c.task, scores.c.probs)
        .where(scores.c.item_id == item_id)
        .order_by(scores.c.model, scores.c.task)
    )
    return [(row.model, row.task, row.probs) for row in rows]


def read_suggestions(connection: Connection, item_id: int, tasks: Sequence[str]) -> dict[str, Suggestion]:
    """What is thought of these tasks of an item so far, where anything is."""
    state = state_from_json(connection.execute(select(items.c.state).where(items.c.id == item_id)).scalar_one())
    said = {name: state[name] for name in tasks}
    return {name: Suggestion(task.label, task.confidence) for name, task in said.items() if task.label is not None}


def list_audit(connection: Connection, *, before: int | None = None, limit: int = 100) -> list[AuditRow]:
    """The last entries of the audit log, the newest first."""
    chosen = select(*(audit.c[name] for name in AuditRow._fields)).order_by(audit.c.id.desc()).limit(limit)
    chosen = chosen if before is None else chosen.where(audit.c.id < before)
    return [AuditRow(*row) for row in connection.execute(chosen)]


def is_ready(connection: Connection) -> bool:
    """Whether the database answers and bears our tables."""
    connection.execute(select(literal(1)).select_from(campaigns).limit(1)).all()
    return True


def last_item(connection: Connection, campaign_id: int) -> int:
    """The largest id of a campaign's items; 0 where there is none."""
    last = connection.execute(select(func.max(items.c.id)).where(items.c.campaign_id == campaign_id)).scalar()
    return last or 0


def _page(row: Any) -> CampaignPage:
    return CampaignPage(campaign_of(row), row.guidelines, row.created_at, row.spent, row.reserved)


def _item(row: Any) -> ItemRow:
    return ItemRow(
        row.id, row.external_id, row.content, row.gold, row.anchor, row.restricted, state_from_json(row.state)
    )
