"""What a campaign has come to: its items counted, where people disagree, and what is known of the truth."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, func, select
from sqlalchemy.orm import aliased

from quorate.errors import NotFoundError
from quorate.store.records import Campaign, Decider, state_from_json
from quorate.store.rows import ITEM, Witnesses, held_of, read_logs
from quorate.store.tables import items, labels, models, users

CHUNK = 1_000
MOST_KNOWN = 5_000  # items of known truth that a certificate looks at
MOST_DISPUTED = 2_000  # item-tasks, those with most labels, of which the least sure are shown


class TaskCount(NamedTuple):
    """One task over all items; `expected_accuracy` is the mean confidence of what has one."""

    closed: int
    open: int
    labels: int
    labels_of_closed: int
    expected_accuracy: float | None


class Standing(NamedTuple):
    """All items counted."""

    items: int
    closed_items: int
    tasks: Mapping[str, TaskCount]


class Worked(NamedTuple):
    """What one person did: labels that stand, how many of them came late, and the last."""

    user_id: int
    name: str
    labels: int
    late: int
    last_at: float


class Dispute(NamedTuple):
    """A task of an item about which people say different things."""

    item: str
    task: str
    label: str | None
    confidence: float | None
    open: bool
    votes: Mapping[str, int]


class Known(NamedTuple):
    """What is thought of a task whose truth is known, and whether that is right."""

    item: str
    task: str
    confidence: float
    right: bool


def read_standing(connection: Connection, campaign: Campaign) -> Standing:
    """All items counted, in one pass over them."""
    count, closed_items = 0, 0
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    sure: dict[str, float] = defaultdict(float)
    chosen = select(items.c.state).where(items.c.campaign_id == campaign.id).order_by(items.c.id)
    for state in connection.execution_options(yield_per=CHUNK).execute(chosen).scalars():
        each = state_from_json(state)
        count, closed_items = count + 1, closed_items + (not any(task.open for task in each.values()))
        for name, task in each.items():
            of = sums[name]
            of["open" if task.open else "closed"] += 1
            of["labels"] += task.given
            of["labels_of_closed"] += 0 if task.open else task.given
            if task.confidence is not None:
                of["known"] += 1
                sure[name] += task.confidence
    tasks = {task.name: _count(sums[task.name], sure[task.name]) for task in campaign.schema.tasks}
    return Standing(count, closed_items, tasks)


def read_workers(connection: Connection, campaign_id: int) -> list[Worked]:
    """What every person did, who did most first."""
    standing = _live(users.c.id, users.c.name, func.count(), _late(), func.max(labels.c.at))
    chosen = standing.where(labels.c.campaign_id == campaign_id).group_by(users.c.id, users.c.name)
    return [Worked(*row) for row in connection.execute(chosen.order_by(func.count().desc(), users.c.id))]


def read_disputes(connection: Connection, campaign_id: int, *, limit: int = 50) -> list[Dispute]:
    """Where people disagree, the least sure first."""
    chosen = (
        _live(labels.c.item_id, labels.c.task)
        .where(labels.c.campaign_id == campaign_id)
        .group_by(labels.c.item_id, labels.c.task)
        .having(func.count(labels.c.label.distinct()) > 1)
        .order_by(func.count().desc(), labels.c.item_id)
        .limit(MOST_DISPUTED)
    )
    found: list[Dispute] = []
    pairs = [(row.item_id, row.task) for row in connection.execute(chosen)]
    for start in range(0, len(pairs), CHUNK):
        some = pairs[start : start + CHUNK]
        ids = list({item_id for item_id, _ in some})
        logs = read_logs(connection, ids)
        rows = connection.execute(select(items.c.id, items.c.external_id, items.c.state).where(items.c.id.in_(ids)))
        of = {row.id: (row.external_id, state_from_json(row.state)) for row in rows}
        for item_id, task in some:
            name, state = of[item_id]
            votes = Counter(row.label for row in logs[item_id].live if row.task == task)
            at = state[task]
            found.append(Dispute(name, task, at.label, at.confidence, at.open, dict(votes.most_common())))
    return sorted(found, key=lambda each: each.confidence or 0.0)[:limit]


def read_known(connection: Connection, decider: Decider, campaign: Campaign) -> list[Known]:
    """What the decider thinks of anchors whose truth is known, as if it were not."""
    mine = (items.c.campaign_id == campaign.id) & items.c.gold.is_not(None) & items.c.anchor
    rows = connection.execute(select(*ITEM).where(mine).order_by(items.c.id).limit(MOST_KNOWN)).all()
    found: list[Known] = []
    for start in range(0, len(rows), CHUNK):
        held = held_of(connection, rows[start : start + CHUNK])
        logs, witnesses = read_logs(connection, list(held)), Witnesses(connection, held.values())
        for each in held.values():
            verdict = decider.decide(campaign, witnesses.of(each.id, logs[each.id].live))
            for task, label in (each.gold or {}).items():
                said = verdict.tasks[task]
                if said.confidence is not None:
                    found.append(Known(each.external_id, task, said.confidence, said.label == label))
    return found


def read_sureness(connection: Connection, campaign: Campaign, *, most: int = 20_000) -> Iterator[float]:
    """The confidence of items whose truth nobody knows."""
    chosen = select(items.c.state).where(items.c.campaign_id == campaign.id, items.c.gold.is_(None)).limit(most)
    for state in connection.execution_options(yield_per=CHUNK).execute(chosen).scalars():
        yield from (task.confidence for task in state_from_json(state).values() if task.confidence is not None)


def read_note(connection: Connection, campaign: Campaign) -> Mapping[str, Any]:
    """What was written down of the model that decides. Raises NotFoundError without one."""
    which = (models.c.campaign_id == campaign.id) & (models.c.version == campaign.model_version)
    row = connection.execute(select(models.c.estimator, models.c.made_at, models.c.note).where(which)).first()
    if row is None:
        raise NotFoundError(f"campaign {campaign.id} has no model yet")
    return {"version": campaign.model_version, "estimator": row.estimator, "made_at": row.made_at, **row.note}


def _count(of: Mapping[str, int], sure: float) -> TaskCount:
    known = of["known"]
    return TaskCount(of["closed"], of["open"], of["labels"], of["labels_of_closed"], sure / known if known else None)


def _late() -> Any:
    return func.sum(case((labels.c.late, 1), else_=0))


def _live(*columns: Any) -> Any:
    """Columns of the labels that stand."""
    back = aliased(labels)
    withdrawn = select(back.c.id).where(back.c.withdraws == labels.c.id).exists()
    chosen = select(*columns).select_from(labels).join(users, users.c.id == labels.c.user_id)
    return chosen.where(labels.c.withdraws.is_(None), ~withdrawn)
