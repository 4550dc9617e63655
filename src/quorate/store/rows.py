"""The queue's reading and writing of items: their locked rows, their live labels, the verdicts written back.

Whoever changes an item, its leases or its labels holds the item's row first. What is read after the lock is therefore
the last word: PostgreSQL re-reads only the locked row itself, anything else in the same statement may be stale. Rows
are locked in the order of their ids, campaigns before items, so that two transactions never wait for each other.

All of it works on many items at once: a statement costs about the same for one row and for fifty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from quorate.errors import NotFoundError
from quorate.policy.prices import Prices
from quorate.store.among import among
from quorate.store.campaigns import read_archive
from quorate.store.records import (
    Campaign,
    Decider,
    Evidence,
    Gold,
    ItemState,
    LabelRow,
    ModelOutputs,
    Verdict,
    campaign_of,
    judged,
    room,
    seated,
    state_from_json,
)
from quorate.store.tables import campaigns, items, labels, leases, scores, users
from quorate.store.writes import Writes


class Held(NamedTuple):
    """An item whose row is locked."""

    id: int
    external_id: str
    state: ItemState
    priority: float
    leased: int
    fence: int
    scored: int
    gold: Gold
    campaign: Campaign

    def seat(self, tasks: Iterable[str]) -> Held:
        """With one person more at these tasks."""
        return self._replace(state=seated(self.state, tasks, 1), leased=self.leased + 1, fence=self.fence + 1)

    def unseat(self, tasks: Iterable[str]) -> Held:
        """With one person less at these tasks."""
        return self._replace(state=seated(self.state, tasks, -1), leased=self.leased - 1)

    def room(self) -> int:
        """How many more people may be let in now."""
        return room(self.state, self.campaign.settings, self.leased)


class Change(NamedTuple):
    """What a verdict changed."""

    closed: tuple[str, ...]
    reopened: tuple[str, ...]


class Log(NamedTuple):
    """All that was ever said of an item: what stands, and the last turn of every task and person."""

    live: tuple[LabelRow, ...]
    turns: Mapping[tuple[str, int], int]


class Purse(NamedTuple):
    """What a campaign may spend, has spent on labels that stand, and holds ready for open leases."""

    budget: float | None
    spent: float
    reserved: float

    def left(self) -> float:
        """What may still be promised."""
        return float("inf") if self.budget is None else self.budget - self.spent - self.reserved


# ---- statements, built once: to build one costs more than to run it -------------------------------------------------
ITEM = [items.c[name] for name in ("id", "external_id", "state", "priority", "leased", "fence", "scored", "gold")]
ITEM.append(items.c.campaign_id)
BY_IDS = select(*ITEM).where(among(items.c.id, "ids")).order_by(items.c.id).with_for_update()
CAMPAIGNS = select(*(campaigns.c[name] for name in Campaign._fields)).where(among(campaigns.c.id, "ids"))
PURSES = (
    select(campaigns.c.id, campaigns.c.budget, campaigns.c.spent, campaigns.c.reserved)
    .where(among(campaigns.c.id, "ids"), campaigns.c.budget.is_not(None))
    .order_by(campaigns.c.id)
    .with_for_update()
)
LEASES = (
    select(leases, items.c.campaign_id, users.c.name.label("user_name"))
    .join(items, items.c.id == leases.c.item_id)
    .join(users, users.c.id == leases.c.user_id)
    .where(among(leases.c.id, "ids", str))
)
CONTENTS = select(items.c.id, items.c.content).where(among(items.c.id, "ids"))
LABELS = (
    select(
        labels.c.id,
        labels.c.task,
        users.c.name,
        labels.c.label,
        labels.c.late,
        labels.c.turn,
        labels.c.user_id,
        labels.c.cost,
        labels.c.item_id,
    )
    .join(users, users.c.id == labels.c.user_id)
    .where(among(labels.c.item_id, "ids"))
    .order_by(labels.c.id)
)
SCORES = select(scores).where(among(scores.c.item_id, "ids")).order_by(scores.c.model)


# ---- campaigns and items --------------------------------------------------------------------------------------------
def read_campaigns(connection: Connection, ids: Iterable[int]) -> dict[int, Campaign]:
    """The campaigns that there are of these."""
    return {row.id: campaign_of(row) for row in connection.execute(CAMPAIGNS, {"ids": sorted(set(ids))})}


def hold_purses(connection: Connection, campaign_ids: Iterable[int]) -> dict[int, Purse]:
    """The purses of those of the campaigns that have a budget, held."""
    rows = connection.execute(PURSES, {"ids": sorted(set(campaign_ids))})
    return {row.id: Purse(row.budget, row.spent, row.reserved) for row in rows}


def lock_items(connection: Connection, ids: Iterable[int]) -> dict[int, Held]:
    """The items that there are of these, held until the end of the transaction."""
    return held_of(connection, connection.execute(BY_IDS, {"ids": sorted(set(ids))}).all())


def lock_item(connection: Connection, item_id: int) -> Held:
    """The item, held until the end of the transaction. Raises NotFoundError."""
    held = lock_items(connection, [item_id])
    if not held:
        raise NotFoundError(f"there is no item {item_id}")
    return held[item_id]


def held_of(connection: Connection, rows: Sequence[Any]) -> dict[int, Held]:
    """Locked rows with the columns of ITEM, each beside its campaign."""
    of = read_campaigns(connection, {row.campaign_id for row in rows}) if rows else {}
    return {
        row.id: Held(
            row.id,
            row.external_id,
            state_from_json(row.state),
            row.priority,
            row.leased,
            row.fence,
            row.scored,
            row.gold,
            of[row.campaign_id],
        )
        for row in rows
    }


def read_contents(connection: Connection, ids: Iterable[int]) -> dict[int, Any]:
    """What is shown of the items."""
    return {row.id: row.content for row in connection.execute(CONTENTS, {"ids": list(ids)})}


def read_leases(connection: Connection, lease_ids: Iterable[str]) -> dict[str, Any]:
    """The leases that there are of these, each with its item's campaign and its person's name."""
    return {row.id: row for row in connection.execute(LEASES, {"ids": list(lease_ids)})}


def no_lease() -> NotFoundError:
    """The answer to a lease that is another's, was replaced by a later one, or never was: all the same."""
    return NotFoundError("there is no such lease; ask for the next item")


# ---- labels ---------------------------------------------------------------------------------------------------------
def read_logs(connection: Connection, item_ids: Sequence[int]) -> dict[int, Log]:
    """What was said of each of the items."""
    found: dict[int, list[LabelRow]] = {item_id: [] for item_id in item_ids}
    for *label, item_id in connection.execute(LABELS, {"ids": list(item_ids)}):
        found[item_id].append(LabelRow(*label))
    return {item_id: log_of(rows) for item_id, rows in found.items()}


def read_labels(connection: Connection, item_id: int) -> Log:
    """What was said of the item."""
    return read_logs(connection, [item_id])[item_id]


def log_of(rows: Sequence[LabelRow]) -> Log:
    """What stands of these rows: of every task and person the last turn, if that gives a label."""
    last = {(row.task, row.user_id): row for row in sorted(rows, key=lambda row: row.turn)}
    live = sorted((row for row in last.values() if row.turn % 2 == 0), key=lambda row: row.id)
    return Log(tuple(live), {key: row.turn for key, row in last.items()})


# ---- evidence and verdict -------------------------------------------------------------------------------------------
class Witnesses:
    """Evidence of many items; scores are read for all of them at once, and only if a decider asks.

    `answered` names items that were judged with labels before: a decider is likely to remember their scores, so they
    are read apart from the others.
    """

    def __init__(self, connection: Connection, held: Iterable[Held], answered: Iterable[int] = ()) -> None:
        self._connection = connection
        self._held = {each.id: each for each in held}
        self._answered = frozenset(answered)
        self._scores: dict[bool, Mapping[int, ModelOutputs]] = {}  # by whether they were answered

    def of(self, item_id: int, live: Sequence[LabelRow]) -> Evidence:
        """What a decider may know of that item."""
        held = self._held[item_id]
        campaign_id = held.campaign.id
        return Evidence(
            held.id,
            held.external_id,
            held.scored,
            tuple(live),
            lambda: self._read(item_id in self._answered).get(item_id, {}),
            lambda version: read_archive(self._connection, campaign_id, version),
        )

    def _read(self, answered: bool) -> Mapping[int, ModelOutputs]:
        if answered not in self._scores:
            like = {key: held.campaign for key, held in self._held.items() if (key in self._answered) == answered}
            self._scores[answered] = _read_scores(self._connection, like)
        return self._scores[answered]


def read_scores(connection: Connection, campaign: Campaign, item_id: int) -> ModelOutputs:
    """The item's scores: task -> model -> {class: score}."""
    return _read_scores(connection, {item_id: campaign}).get(item_id, {})


def _read_scores(connection: Connection, of: Mapping[int, Campaign]) -> Mapping[int, ModelOutputs]:
    found: dict[int, dict[str, dict[str, dict[str, float]]]] = {}
    for row in connection.execute(SCORES, {"ids": list(of)}):
        classes = of[row.item_id].schema.task(row.task).classes
        of_task = found.setdefault(row.item_id, {}).setdefault(row.task, {})
        of_task[row.model] = dict(zip(classes, row.probs, strict=True))
    return found


def judge(
    decider: Decider, witnesses: Witnesses, held: Held, live: Sequence[LabelRow], writes: Writes, *, now: float
) -> tuple[Held, Change]:
    """The item under the decider's verdict on these live labels; what changed goes to the decisions."""
    verdict = decider.decide(held.campaign, witnesses.of(held.id, live))
    after = held._replace(state=judged(held.state, verdict, live, held.gold), priority=verdict.priority)
    writes.decisions += _decisions(held, after, verdict, live, now)
    flipped = [name for name, task in after.state.items() if task.open != held.state[name].open]
    return after, Change(
        tuple(name for name in flipped if not after.state[name].open),
        tuple(name for name in flipped if after.state[name].open),
    )


def _decisions(before: Held, after: Held, verdict: Verdict, live: Sequence[LabelRow], now: float) -> list[Any]:
    """Provenance: a row for every task that closed, reopened, or is closed with another answer than before."""
    campaign = before.campaign
    return [
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
            "calibrator": verdict.calibrator,
            "cost": sum(row.cost for row in live if row.task == name),
            "at": now,
        }
        for name, task in after.state.items()
        if _differs(before.state[name].open, task.open, before.state[name][3:], task[3:])
    ]


def _differs(was_open: bool, is_open: bool, was: tuple[Any, ...], now: tuple[Any, ...]) -> bool:
    return was_open != is_open or (not is_open and was != now)


# ---- prices ---------------------------------------------------------------------------------------------------------
def pricing(campaign: Campaign) -> Callable[[str, str], float]:
    """Task and annotator to the price of a label, in the currency of the campaign."""
    of_task = tuple(sorted(campaign.prices.get("of_task", {}).items()))
    of_annotator = tuple(sorted(campaign.prices.get("of_annotator", {}).items()))
    prices = _prices(campaign.prices.get("label", 0.0), of_task, of_annotator)
    return lambda task, annotator: prices.of_annotator.get(annotator, prices.of_task.get(task, prices.label))


@lru_cache(maxsize=64)
def _prices(label: float, of_task: tuple[Any, ...], of_annotator: tuple[Any, ...]) -> Prices:
    return Prices(label, dict(of_task), dict(of_annotator))
