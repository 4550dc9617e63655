"""What the lead's dashboard reads of a campaign: sums and rows, counted by the database.

Each task of each item is a cell. What stands of a cell is its last decision; a cell of gold has none, since nothing is
decided about what is known. Labels that were taken back are left out everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, Select, Subquery, and_, case, cast, func, select
from sqlalchemy.orm import aliased

from quorate.errors import NotFoundError
from quorate.store.log import Event
from quorate.store.records import Campaign, ItemState, state_from_json
from quorate.store.tables import decisions, events, items, labels, leases, models, users

MOST_CELLS = 50_000  # of which agreement is counted: those with the latest items


class TaskCount(NamedTuple):
    """How one task stands: cells to be asked, those closed, live labels, and labels that were not needed."""

    task: str
    asked: int
    closed: int
    labels: int
    saved: int


class Certainty(NamedTuple):
    """Mean confidence of the closed cells and its standard error, items taken as independent; None without any."""

    mean: float | None
    se: float | None
    cells: int


class Votes(NamedTuple):
    """What people said of one cell."""

    item_id: int
    task: str
    counts: Mapping[str, int]


class Hand(NamedTuple):
    """One person's work: live labels, the mean time of one, the last."""

    user_id: int
    name: str
    labels: int
    seconds: float | None
    last_at: float | None


class ModelRow(NamedTuple):
    """A fitted model's version, without its file."""

    version: int
    estimator: str
    made_at: float
    note: Mapping[str, Any]


class GoldRow(NamedTuple):
    """An item of known truth."""

    item_id: int
    external_id: str
    gold: Mapping[str, str]
    state: ItemState


# ---- sums -----------------------------------------------------------------------------------------------------------
def count_cells(connection: Connection, campaign: Campaign) -> tuple[int, int]:
    """Items, and among them those with gold."""
    counted = select(func.count(), func.count(case((items.c.gold.is_not(None), 1)))).where(
        items.c.campaign_id == campaign.id
    )
    total, gold = connection.execute(counted).one()
    return total, gold


def count_asking(connection: Connection, campaign_id: int) -> int:
    """Items that admit somebody now."""
    waiting = (items.c.campaign_id == campaign_id) & (items.c.room > 0)
    return connection.execute(select(func.count()).where(waiting)).scalar_one()


def count_labels(connection: Connection, campaign_id: int, user_id: int) -> int:
    """Labels of one person that stand."""
    mine = _live(campaign_id).where(labels.c.user_id == user_id).subquery()
    return connection.execute(select(func.count()).select_from(mine)).scalar_one()


def count_tasks(connection: Connection, campaign: Campaign) -> list[TaskCount]:
    """How every task stands, in the schema's order."""
    last, given = _last(campaign.id), _given(campaign.id)
    here = and_(given.c.item_id == last.c.item_id, given.c.task == last.c.task)
    n, overlap = func.coalesce(given.c.n, 0), campaign.settings.overlap
    spare = case((last.c.closed & (n < overlap), overlap - n), else_=0)
    closed = connection.execute(
        select(last.c.task, func.sum(cast(last.c.closed, Integer)), func.sum(spare))
        .select_from(last.outerjoin(given, here))
        .group_by(last.c.task)
    )
    of = {task: (int(closed or 0), int(saved or 0)) for task, closed, saved in closed}
    total = connection.execute(select(given.c.task, func.sum(given.c.n)).group_by(given.c.task))
    labeled = {task: int(count) for task, count in total}
    n_items, known = count_cells(connection, campaign)[0], known_cells(connection, campaign.id)
    found: list[TaskCount] = []
    for task in campaign.schema.tasks:
        shut, spared = of.get(task.name, (0, 0))
        found.append(TaskCount(task.name, n_items - known[task.name], shut, labeled.get(task.name, 0), spared))
    return found


def certainty(connection: Connection, campaign_id: int) -> Certainty:
    """Mean confidence of what is closed; its error is that of a ratio over items."""
    last = _last(campaign_id)
    by_item = (
        select(func.count().label("n"), func.sum(last.c.confidence).label("s"))
        .where(last.c.closed, last.c.confidence.is_not(None))
        .group_by(last.c.item_id)
        .subquery()
    )
    n, s = by_item.c.n, by_item.c.s
    sums = select(func.count(), func.sum(n), func.sum(s), func.sum(n * n), func.sum(n * s), func.sum(s * s))
    n_items, cells, total, nn, ns, ss = connection.execute(sums).one()
    if not cells:
        return Certainty(None, None, 0)
    mean = float(total) / float(cells)
    spread = float(ss) - 2 * mean * float(ns) + mean**2 * float(nn)
    if n_items < 2:
        return Certainty(mean, None, int(cells))
    return Certainty(mean, max(spread, 0.0) ** 0.5 / float(cells) * (n_items / (n_items - 1)) ** 0.5, int(cells))


# ---- rows -----------------------------------------------------------------------------------------------------------
def read_votes(connection: Connection, campaign_id: int, *, most: int = MOST_CELLS) -> list[Votes]:
    """What people said of the cells that two or more answered; of very many those of the latest items."""
    live = _live(campaign_id).subquery()
    shared = (
        select(live.c.item_id, live.c.task)
        .group_by(live.c.item_id, live.c.task)
        .having(func.count() > 1)
        .order_by(live.c.item_id.desc())
        .limit(most)
        .subquery()
    )
    here = and_(shared.c.item_id == live.c.item_id, shared.c.task == live.c.task)
    found: dict[tuple[int, str], dict[str, int]] = {}
    rows = select(live.c.item_id, live.c.task, live.c.label, func.count()).join(shared, here)
    for item_id, task, label, n in connection.execute(rows.group_by(live.c.item_id, live.c.task, live.c.label)):
        found.setdefault((item_id, task), {})[label] = n
    return [Votes(item_id, task, counts) for (item_id, task), counts in found.items()]


def read_hands(connection: Connection, campaign_id: int) -> list[Hand]:
    """Everybody who has answered, the busiest first."""
    live = _live(campaign_id).subquery()
    rows = connection.execute(
        select(users.c.id, users.c.name, func.count(), func.avg(live.c.seconds), func.max(live.c.at))
        .join(live, live.c.user_id == users.c.id)
        .group_by(users.c.id, users.c.name)
        .order_by(func.count().desc(), users.c.id)
    )
    return [Hand(*row) for row in rows]


def peers_agree(connection: Connection, campaign_id: int) -> dict[int, tuple[int, int]]:
    """Of every person: pairs with a peer's label on the same cell, and those that say the same."""
    live = _live(campaign_id).subquery()
    cell = (live.c.item_id, live.c.task)
    beside = select(
        live.c.user_id,
        (func.count().over(partition_by=cell) - 1).label("pairs"),
        (func.count().over(partition_by=(*cell, live.c.label)) - 1).label("same"),
    ).subquery()
    rows = select(beside.c.user_id, func.sum(beside.c.pairs), func.sum(beside.c.same)).group_by(beside.c.user_id)
    return {user_id: (int(pairs), int(agreed)) for user_id, pairs, agreed in connection.execute(rows) if pairs}


def read_items_named(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[str, Mapping[str, Any], ItemState]]:
    """External id, content and state of these items."""
    rows = connection.execute(
        select(items.c.id, items.c.external_id, items.c.content, items.c.state).where(items.c.id.in_(ids))
    )
    return {row.id: (row.external_id, row.content, state_from_json(row.state)) for row in rows}


def content_of_lease(connection: Connection, lease_id: str, user_id: int) -> Mapping[str, Any]:
    """What the item shows on which this user holds or held that lease. Raises NotFoundError."""
    mine = (leases.c.id == lease_id) & (leases.c.user_id == user_id)
    row = connection.execute(select(items.c.content).join(leases, leases.c.item_id == items.c.id).where(mine)).first()
    if row is None:
        raise NotFoundError("there is no such lease of yours")
    return row.content


def last_events(connection: Connection, campaign_id: int, most: int = 12) -> list[tuple[Event, str | None]]:
    """The last events, the newest first, each with the name of who did it."""
    rows = connection.execute(
        select(events, users.c.name)
        .outerjoin(users, users.c.id == events.c.user_id)
        .where(events.c.campaign_id == campaign_id)
        .order_by(events.c.id.desc())
        .limit(most)
    )
    return [(Event(row.id, row.kind, row.item_id, row.user_id, row.body, row.at), row.name) for row in rows]


def last_event_id(connection: Connection, campaign_id: int) -> int:
    """The id of the last event; what the dashboard shows has not changed while it has not."""
    return connection.execute(select(func.max(events.c.id)).where(events.c.campaign_id == campaign_id)).scalar() or 0


def last_label_id(connection: Connection, campaign_id: int) -> int:
    """The id of the last row of labels; no answer was given or taken back while it stays."""
    return connection.execute(select(func.max(labels.c.id)).where(labels.c.campaign_id == campaign_id)).scalar() or 0


def read_model(connection: Connection, campaign: Campaign) -> ModelRow | None:
    """The model that decides now."""
    which = (models.c.campaign_id == campaign.id) & (models.c.version == campaign.model_version)
    row = connection.execute(
        select(models.c.version, models.c.estimator, models.c.made_at, models.c.note).where(which)
    ).first()
    return None if row is None else ModelRow(*row)


def read_gold(connection: Connection, campaign_id: int, *, most: int = 5000) -> list[GoldRow]:
    """The items of known truth."""
    which = (items.c.campaign_id == campaign_id) & items.c.gold.is_not(None)
    rows = connection.execute(
        select(items.c.id, items.c.external_id, items.c.gold, items.c.state)
        .where(which)
        .order_by(items.c.id)
        .limit(most)
    )
    return [GoldRow(row.id, row.external_id, row.gold, state_from_json(row.state)) for row in rows]


# ---- parts ----------------------------------------------------------------------------------------------------------
def _live(campaign_id: int) -> Select[*tuple[Any, ...]]:
    """Labels that stand."""
    back = aliased(labels)
    return (
        select(labels.c.item_id, labels.c.task, labels.c.user_id, labels.c.label, labels.c.at, labels.c.seconds)
        .outerjoin(back, back.c.withdraws == labels.c.id)
        .where(labels.c.campaign_id == campaign_id, labels.c.withdraws.is_(None), back.c.id.is_(None))
    )


def _given(campaign_id: int) -> Subquery:
    live = _live(campaign_id).subquery()
    counted = select(live.c.item_id, live.c.task, func.count().label("n"))
    return counted.group_by(live.c.item_id, live.c.task).subquery()


def _last(campaign_id: int) -> Subquery:
    """The last decision of every cell."""
    newest = (
        select(func.max(decisions.c.id).label("id"))
        .where(decisions.c.campaign_id == campaign_id)
        .group_by(decisions.c.item_id, decisions.c.task)
        .subquery()
    )
    columns = (decisions.c.item_id, decisions.c.task, decisions.c.closed, decisions.c.confidence)
    return select(*columns).join(newest, newest.c.id == decisions.c.id).subquery()


def known_cells(connection: Connection, campaign_id: int) -> Counter[str]:
    """Cells of gold, by task: what is known is not to be asked."""
    which = (items.c.campaign_id == campaign_id) & items.c.gold.is_not(None)
    return Counter(task for gold in connection.execute(select(items.c.gold).where(which)).scalars() for task in gold)
