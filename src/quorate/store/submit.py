"""Answers come in: kept once, judged at once, never lost after they were acknowledged.

One transaction holds the item, looks whether the request was seen before, writes the labels, lets the decider judge the
item and writes what follows: labels, lease, state, decisions, event and the answer to a repeated request. An answer
whose lease has expired, or whose task closed meanwhile, is evidence like any other but marked late; a campaign may
refuse it instead.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from quorate.errors import ConflictError, DataError, NotFoundError
from quorate.schema import UNFIT
from quorate.store.database import Database
from quorate.store.log import record
from quorate.store.queue import Lease, end_lease, grant, read_lease, without_seat
from quorate.store.records import Campaign, Decider, LabelRow, TaskState
from quorate.store.rows import Held, Log, judge, lock_item, lock_item_of, read_labels, save_item
from quorate.store.tables import idempotency, items, labels, users

MAX_KEY = 200


class Answer(NamedTuple):
    """What a person says of one task."""

    task: str
    label: str
    seconds: float | None = None
    assisted: bool = False


class Receipt(NamedTuple):
    """What was kept: the ids of the labels by task, those that came late, the tasks that this answer closed."""

    item_id: int
    labels: Mapping[str, int]
    late: tuple[str, ...]
    closed: tuple[str, ...]


class Withdrawal(NamedTuple):
    """What was taken back, and the lease under which it may be answered anew, if the item still admits."""

    item_id: int
    withdrawn: tuple[str, ...]
    lease_id: str | None


# ---- what callers ask -----------------------------------------------------------------------------------------------
def submit(
    database: Database,
    decider: Decider,
    lease_id: str,
    user_id: int,
    answers: Sequence[Answer],
    *,
    key: str,
    now: float,
) -> Receipt:
    """Keep the answers; the same key again gives the same receipt and keeps nothing twice.

    Raises NotFoundError for no lease of this user's, ConflictError for a lease that was answered or skipped, for a key
    that another request used, or for a late answer where the campaign refuses those; DataError for a task that was not
    asked or a class that there is not. Nothing is changed then.
    """

    def work(connection: Connection, held: Held) -> dict[str, Any]:
        return _submit(connection, decider, held, read_lease(connection, lease_id), answers, now)

    once = Once(user_id, key, lease_id, ("submit", *answers), now)
    return _receipt(database.write(lambda connection: _once(connection, once, work)))


def undo(database: Database, decider: Decider, lease_id: str, user_id: int, *, key: str, now: float) -> Withdrawal:
    """Take back what was answered under that lease; the person gets the seat again while the item admits.

    The labels stay in the log, each beside a row that withdraws it. Raises NotFoundError for no lease of this user's,
    ConflictError for one that was not answered.
    """

    def work(connection: Connection, held: Held) -> dict[str, Any]:
        row = read_lease(connection, lease_id)
        if row.state != "answered":
            raise ConflictError("nothing was answered under this lease")
        return _undo(connection, decider, held, row, now)

    once = Once(user_id, key, lease_id, ("undo",), now)
    found = database.write(lambda connection: _once(connection, once, work))
    return Withdrawal(found["item_id"], tuple(found["withdrawn"]), found["lease_id"])


def rejudge(
    database: Database, decider: Decider, campaign_id: int, *, now: float, after: int = 0, most: int = 500
) -> int | None:
    """Judge the next items anew, after a new model, policy, or scores; the last item's id, None at the end.

    Each item is a transaction of its own, so that people go on working between them.
    """
    with database.reading() as connection:
        found = connection.execute(
            select(items.c.id)
            .where(items.c.campaign_id == campaign_id, items.c.id > after)
            .order_by(items.c.id)
            .limit(most)
        ).scalars()
        ids = list(found)
    for item_id in ids:
        database.write(lambda connection, item_id=item_id: _rejudge(connection, decider, item_id, now))
    return ids[-1] if ids else None


# ---- parts ----------------------------------------------------------------------------------------------------------
class Once(NamedTuple):
    """A request that may arrive several times."""

    user_id: int
    key: str
    lease_id: str
    content: tuple[Any, ...]
    now: float

    def digest(self) -> str:
        """What the request asks, as a number that no other request has."""
        return hashlib.sha256(json.dumps([self.lease_id, self.content], sort_keys=True).encode()).hexdigest()


def _once(connection: Connection, once: Once, work: Callable[[Connection, Held], dict[str, Any]]) -> dict[str, Any]:
    """The body that this request was answered with before, or is now.

    The key is looked up only when the item is held: of two twins the second waits there, and then finds the first.
    """
    if not 0 < len(once.key) <= MAX_KEY or UNFIT.search(once.key):
        raise DataError(f"an idempotency key has 1 to {MAX_KEY} printing characters", mend="send a fresh UUID")
    try:
        held = lock_item_of(connection, once.lease_id, once.user_id)
    except NotFoundError:
        before = _seen(connection, once)  # the lease was replaced after this request was answered
        if before is None:
            raise
        return before
    before = _seen(connection, once)
    if before is not None:
        return before
    body = work(connection, held)
    values = {"user_id": once.user_id, "key": once.key, "request_hash": once.digest()}
    connection.execute(insert(idempotency).values(**values, status=200, body=body, at=once.now))
    return body


def _seen(connection: Connection, once: Once) -> dict[str, Any] | None:
    row = connection.execute(
        select(idempotency.c.request_hash, idempotency.c.body).where(
            idempotency.c.user_id == once.user_id, idempotency.c.key == once.key
        )
    ).first()
    if row is not None and row.request_hash != once.digest():
        raise ConflictError("this idempotency key was used for another request; send a fresh one")
    return None if row is None else row.body


def _submit(
    connection: Connection, decider: Decider, held: Held, row: Any, answers: Sequence[Answer], now: float
) -> dict[str, Any]:
    if row.state not in {"open", "expired"}:
        raise ConflictError(f"the lease was {row.state} already")
    _check(held.campaign, row.tasks, answers)
    late = _late(held, row, answers, now)
    if late and held.campaign.settings.late == "refuse":
        raise ConflictError(f"too late for {', '.join(map(repr, late))}; ask for the next item")
    log = read_labels(connection, held.id)
    new = _insert_labels(connection, held, row, answers, late, log, now)
    end_lease(connection, row.id, "answered")
    after, change = judge(connection, decider, without_seat(held, row), [*log.live, *new], now=now)
    save_item(connection, after)
    body = {
        "item_id": held.id,
        "labels": {label.task: label.id for label in new},
        "late": list(late),
        "closed": list(change.closed),
        "reopened": list(change.reopened),
    }
    record(connection, held.campaign.id, "labels", body, now=now, item_id=held.id, user_id=row.user_id)
    return body


def _late(held: Held, row: Any, answers: Iterable[Answer], now: float) -> tuple[str, ...]:
    """The answered tasks whose seat was no longer kept, or that were closed meanwhile."""
    ended = row.state != "open" or row.expires_at <= now or held.campaign.state == "done"
    return tuple(answer.task for answer in answers if ended or not held.state[answer.task].open)


def _check(campaign: Campaign, asked: Sequence[str], answers: Sequence[Answer]) -> None:
    if not answers:
        raise DataError("there is no answer", mend="answer at least one task, or skip the item")
    if len({answer.task for answer in answers}) < len(answers):
        raise DataError("a task is answered twice", mend="answer every task once", column="task")
    for answer in answers:
        if answer.task not in asked:
            raise DataError(
                f"task {answer.task!r} was not asked",
                mend=f"answer one of {', '.join(map(repr, asked))}",
                column="task",
            )
        classes = campaign.schema.task(answer.task).classes
        if answer.label not in classes:
            raise DataError(
                f"task {answer.task!r} has no class {answer.label!r}",
                mend=f"use one of {', '.join(map(repr, classes[:20]))}",
                column="label",
            )
        if answer.seconds is not None and not 0 <= answer.seconds < float("inf"):
            raise DataError(f"{answer.seconds} is no time", mend="give seconds of 0 or more", column="seconds")


def _insert_labels(
    connection: Connection,
    held: Held,
    row: Any,
    answers: Sequence[Answer],
    late: Sequence[str],
    log: Log,
    now: float,
) -> list[LabelRow]:
    values: list[dict[str, Any]] = [
        {
            "campaign_id": held.campaign.id,
            "item_id": held.id,
            "task": answer.task,
            "user_id": row.user_id,
            "turn": log.turns.get((answer.task, row.user_id), -1) + 1,
            "label": answer.label,
            "at": now,
            "seconds": answer.seconds,
            "assisted": answer.assisted,
            "late": answer.task in late,
            "fence": row.fence,
        }
        for answer in answers
    ]
    made = connection.execute(insert(labels).returning(labels.c.id, labels.c.task), values)
    ids = {task: label_id for label_id, task in made}
    name = connection.execute(select(users.c.name).where(users.c.id == row.user_id)).scalar_one()
    return [LabelRow(ids[v["task"]], v["task"], name, v["label"], v["late"], v["turn"], row.user_id) for v in values]


def _undo(connection: Connection, decider: Decider, held: Held, row: Any, now: float) -> dict[str, Any]:
    log = read_labels(connection, held.id)
    mine = [label for label in log.live if label.user_id == row.user_id and label.task in row.tasks]
    if mine:
        connection.execute(insert(labels), [_withdrawn(held, row, label, now) for label in mine])
    end_lease(connection, row.id, "withdrawn")
    stands = [label for label in log.live if label not in mine]
    after, change = judge(connection, decider, held, stands, now=now)
    again = tuple(name for name in row.tasks if _admits(after, name))
    running = held.campaign.state == "running" and after.leased < held.campaign.settings.together
    lease: Lease | None = grant(connection, after, row.user_id, again, now=now) if again and running else None
    if lease is None:
        save_item(connection, after)
    withdrawn = [label.task for label in mine]
    body = {"labels": [label.id for label in mine], "closed": list(change.closed), "reopened": list(change.reopened)}
    record(connection, held.campaign.id, "withdrawn", body, now=now, item_id=held.id, user_id=row.user_id)
    return {"item_id": held.id, "withdrawn": withdrawn, "lease_id": lease.id if lease else None}


def _withdrawn(held: Held, row: Any, label: LabelRow, now: float) -> dict[str, Any]:
    return {
        "campaign_id": held.campaign.id,
        "item_id": held.id,
        "task": label.task,
        "user_id": row.user_id,
        "turn": label.turn + 1,
        "label": label.label,
        "at": now,
        "assisted": False,
        "late": False,
        "fence": row.fence,
        "withdraws": label.id,
    }


def _admits(held: Held, task: str) -> bool:
    state: TaskState = held.state[task]
    return state.admits(held.campaign.settings.overlap)


def _rejudge(connection: Connection, decider: Decider, item_id: int, now: float) -> None:
    held = lock_item(connection, item_id)
    after, change = judge(connection, decider, held, read_labels(connection, item_id).live, now=now)
    save_item(connection, after)
    if change.closed or change.reopened:
        body = {"closed": list(change.closed), "reopened": list(change.reopened)}
        record(connection, held.campaign.id, "judged", body, now=now, item_id=item_id)


def _receipt(body: Mapping[str, Any]) -> Receipt:
    return Receipt(body["item_id"], body["labels"], tuple(body["late"]), tuple(body["closed"]))
