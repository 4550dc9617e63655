"""The queue's reading and writing of one item: its locked row, its live labels, the verdict written back.

Whoever changes an item, its leases or its labels holds the item's row first. What is read after the lock is therefore
the last word: PostgreSQL re-reads only the locked row itself, anything else in the same statement may be stale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, insert, select, update

from quorate.errors import NotFoundError
from quorate.policy.prices import Prices
from quorate.store.campaigns import read_archive
from quorate.store.records import (
    Campaign,
    Decider,
    Evidence,
    ItemState,
    LabelRow,
    ModelOutputs,
    Verdict,
    campaign_of,
    judged,
    room,
    state_from_json,
    state_to_json,
)
from quorate.store.tables import campaigns, decisions, items, labels, leases, scores, users


class Held(NamedTuple):
    """An item whose row is locked."""

    id: int
    external_id: str
    content: Any
    state: ItemState
    priority: float
    leased: int
    fence: int
    scored: int
    campaign: Campaign


class Change(NamedTuple):
    """What a verdict changed."""

    closed: tuple[str, ...]
    reopened: tuple[str, ...]


ITEM = (items.c.external_id, items.c.content, items.c.priority, items.c.leased, items.c.fence, items.c.scored)
CAMPAIGN = tuple(campaigns.c[name] for name in Campaign._fields)
ITEM_STATE = items.c.state.label("item_state")
ITEM_ID = items.c.id.label("item_id")


def items_with_campaign() -> Select[Any]:
    """Items beside their campaign, to be narrowed and locked."""
    return select(ITEM_ID, *ITEM, ITEM_STATE, *CAMPAIGN).join(campaigns, campaigns.c.id == items.c.campaign_id)


# Statements of the hot paths are built once: to build one costs more than to run it.
BY_ID = items_with_campaign().where(items.c.id == bindparam("of_item")).with_for_update(of=items)
BY_LEASE = (
    items_with_campaign()
    .join(leases, leases.c.item_id == items.c.id)
    .where(leases.c.id == bindparam("of_lease"), leases.c.user_id == bindparam("of_user"))
    .with_for_update(of=items)
)
SAVE = (
    update(items)
    .where(items.c.id == bindparam("of_item"))
    .values(
        state=bindparam("to_state"),
        room=bindparam("to_room"),
        priority=bindparam("to_priority"),
        leased=bindparam("to_leased"),
        fence=bindparam("to_fence"),
        version=items.c.version + 1,
    )
)
LABELS = (
    select(labels.c.id, labels.c.task, users.c.name, labels.c.label, labels.c.late, labels.c.turn, labels.c.user_id)
    .join(users, users.c.id == labels.c.user_id)
    .where(labels.c.item_id == bindparam("of_item"))
    .order_by(labels.c.id)
)


def held_of(row: Any) -> Held:
    """A row of `items_with_campaign`."""
    state = state_from_json(row.item_state)
    return Held(
        row.item_id,
        row.external_id,
        row.content,
        state,
        row.priority,
        row.leased,
        row.fence,
        row.scored,
        campaign_of(row),
    )


def lock_item(connection: Connection, item_id: int) -> Held:
    """The item, held until the end of the transaction. Raises NotFoundError."""
    row = connection.execute(BY_ID, {"of_item": item_id}).first()
    if row is None:
        raise NotFoundError(f"there is no item {item_id}")
    return held_of(row)


def lock_item_of(connection: Connection, lease_id: str, user_id: int) -> Held:
    """The item of that lease, held. Raises NotFoundError for a lease that is not this user's, or was replaced."""
    row = connection.execute(BY_LEASE, {"of_lease": lease_id, "of_user": user_id}).first()
    if row is None:
        raise no_lease()
    return held_of(row)


def no_lease() -> NotFoundError:
    """The answer to a lease that is another's, was replaced by a later one, or never was: all the same."""
    return NotFoundError("there is no such lease; ask for the next item")


def save_item(connection: Connection, held: Held) -> None:
    """Write the item back with its room counted anew."""
    connection.execute(
        SAVE,
        {
            "of_item": held.id,
            "to_state": state_to_json(held.state),
            "to_room": room(held.state, held.campaign.settings, held.leased),
            "to_priority": held.priority,
            "to_leased": held.leased,
            "to_fence": held.fence,
        },
    )


class Log(NamedTuple):
    """All that was ever said of an item: what stands, and the last turn of every task and person."""

    live: tuple[LabelRow, ...]
    turns: Mapping[tuple[str, int], int]


def read_labels(connection: Connection, item_id: int) -> Log:
    """The item's labels, oldest first."""
    rows = connection.execute(LABELS, {"of_item": item_id})
    return log_of([LabelRow(*row) for row in rows])


def log_of(rows: Sequence[LabelRow]) -> Log:
    """What stands of these rows: of every task and person the last turn, if that gives a label."""
    last = {(row.task, row.user_id): row for row in sorted(rows, key=lambda row: row.turn)}
    live = sorted((row for row in last.values() if row.turn % 2 == 0), key=lambda row: row.id)
    return Log(tuple(live), {key: row.turn for key, row in last.items()})


def read_scores(connection: Connection, campaign: Campaign, item_id: int) -> ModelOutputs:
    """The item's scores: task -> model -> {class: score}."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    rows = connection.execute(select(scores).where(scores.c.item_id == item_id).order_by(scores.c.model))
    for row in rows:
        classes = campaign.schema.task(row.task).classes
        found.setdefault(row.task, {})[row.model] = dict(zip(classes, row.probs, strict=True))
    return found


def evidence_of(connection: Connection, held: Held, live: Sequence[LabelRow]) -> Evidence:
    """What a decider may know of the item; scores and model are read only if it asks."""
    campaign = held.campaign
    return Evidence(
        held.id,
        held.external_id,
        held.scored,
        tuple(live),
        lambda: read_scores(connection, campaign, held.id),
        lambda version: read_archive(connection, campaign.id, version),
    )


def judge(
    connection: Connection, decider: Decider, held: Held, live: Sequence[LabelRow], *, now: float
) -> tuple[Held, Change]:
    """The item under the decider's verdict on these live labels; what changed is written to the decisions."""
    verdict = decider.decide(held.campaign, evidence_of(connection, held, live))
    after = held._replace(state=judged(held.state, verdict, live), priority=verdict.priority)
    _write_decisions(connection, held, verdict, live, now)
    flipped = [name for name, task in after.state.items() if task.open != held.state[name].open]
    return after, Change(
        tuple(name for name in flipped if not after.state[name].open),
        tuple(name for name in flipped if after.state[name].open),
    )


def _write_decisions(
    connection: Connection, before: Held, verdict: Verdict, live: Sequence[LabelRow], now: float
) -> None:
    """Provenance: a row for every task that closed, reopened, or is closed with another answer than before."""
    campaign, rows = before.campaign, list[dict[str, Any]]()
    for name, task in verdict.tasks.items():
        was = before.state[name]
        if task.open == was.open and (task.open or (task.label, task.confidence) == (was.label, was.confidence)):
            continue
        used = [row for row in live if row.task == name]
        rows.append(
            {
                "campaign_id": campaign.id,
                "item_id": before.id,
                "task": name,
                "closed": not task.open,
                "label": task.label,
                "confidence": task.confidence,
                "labels_used": [row.id for row in live],  # those of other tasks move this one too
                "model_version": campaign.model_version,
                "policy_version": campaign.policy_version,
                "cost": sum(_price(campaign, row) for row in used),
                "at": now,
            }
        )
    if rows:
        connection.execute(insert(decisions), rows)


def _price(campaign: Campaign, row: LabelRow) -> float:
    prices = Prices(**campaign.prices)
    return prices.of_annotator.get(row.annotator, prices.of_task.get(row.task, prices.label))
