"""People's answers beside what turned out: every label of a task that closed, and every answer to a gold question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from quorate.store.log import record
from quorate.store.rows import read_logs
from quorate.store.tables import campaigns, events, items

FLAGGED = "annotator flagged"
TELLING = ("labels", "withdrawn", "judged")


class Outcome(NamedTuple):
    """One person's answer, and what the answer turned out to be, as places in the task's classes."""

    campaign_id: int
    user_id: int
    label_id: int
    task: str
    label: int
    truth: int
    n_classes: int


class Seen(NamedTuple):
    """Outcomes, and the event up to which they were read."""

    outcomes: tuple[Outcome, ...]
    through: int


def read_outcomes(connection: Connection, *, after: int, through: int, most: int) -> Seen:
    """What the next events brought to light, at most so many events at a time."""
    rows = connection.execute(
        select(events.c.id, events.c.campaign_id, events.c.item_id, events.c.body)
        .where(events.c.id > after, events.c.id <= through, events.c.kind.in_(TELLING), events.c.item_id.is_not(None))
        .order_by(events.c.id)
        .limit(most)
    ).all()
    told: dict[int, set[str]] = defaultdict(set)  # item to tasks that closed or were answered
    closed: dict[int, set[str]] = defaultdict(set)
    for row in rows:
        closed[row.item_id] |= set(row.body.get("closed", ()))
        answered = row.body.get("labels", {})
        told[row.item_id] |= set(answered) if isinstance(answered, dict) else set()
    return Seen(tuple(_outcomes(connection, told, closed)), rows[-1].id if len(rows) == most else max(through, after))


def flag(
    connection: Connection, campaign_id: int, user_id: int, reason: str, detail: dict[str, Any], *, now: float
) -> bool:
    """Write down that something is odd about an annotator, once per reason; whether it was new."""
    mine = (events.c.campaign_id == campaign_id) & (events.c.user_id == user_id) & (events.c.kind == FLAGGED)
    before = connection.execute(select(events.c.body).where(mine)).scalars()
    if any(body.get("reason") == reason for body in before):
        return False
    record(connection, campaign_id, FLAGGED, {"reason": reason, **detail}, now=now, user_id=user_id)
    return True


# ---- parts ----------------------------------------------------------------------------------------------------------
def _outcomes(connection: Connection, told: dict[int, set[str]], closed: dict[int, set[str]]) -> Iterator[Outcome]:
    touched = sorted({item for item in (*told, *closed) if told[item] or closed[item]})
    if not touched:
        return
    logs = read_logs(connection, touched)
    for item in _items(connection, touched):
        classes = {task["name"]: task["classes"] for task in item.schema["tasks"]}
        live = [row for row in logs[item.id].live if row.task in classes]
        for task, of_classes in classes.items():
            known = task in (item.gold or {})
            asked = known and task in told[item.id]
            of_task = [row for row in live if row.task == task]
            alone = len(of_task) < 2 and item.model_version is None  # the consensus is this person's own word
            state = item.state[task]
            if not asked and (task not in closed[item.id] or state["open"] or alone):
                continue
            truth = item.gold[task] if known else state["label"]
            for row in of_task if truth is not None else ():
                place = of_classes.index
                yield Outcome(
                    item.campaign_id, row.user_id, row.id, task, place(row.label), place(truth), len(of_classes)
                )


def _items(connection: Connection, ids: Sequence[int]) -> list[Any]:
    chosen = (
        select(items.c.id, items.c.campaign_id, items.c.gold, items.c.state, campaigns.c.schema)
        .add_columns(campaigns.c.model_version)
        .join(campaigns, campaigns.c.id == items.c.campaign_id)
        .where(items.c.id.in_(ids))
        .order_by(items.c.id)
    )
    return list(connection.execute(chosen))
