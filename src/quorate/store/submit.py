"""Answers come in: kept once, judged at once, never lost after they were acknowledged.

One transaction holds the items, looks whether a request was seen before, writes the labels, lets the decider judge the
items and writes what follows: labels, leases, state, decisions, events and the answers to repeated requests. An answer
whose lease has expired, or whose task closed meanwhile, is evidence like any other but marked late; a campaign may
refuse it instead. Many people's answers share a transaction, as long as they are of different items.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from quorate.errors import ConflictError, DataError, NotFoundError, QuorateError
from quorate.schema import UNFIT
from quorate.store.among import among
from quorate.store.database import Database, fresh_ids
from quorate.store.queue import grant, hold_lease, unseated
from quorate.store.records import Campaign, Decider, LabelRow
from quorate.store.rows import (
    Change,
    Held,
    Log,
    Witnesses,
    hold_purses,
    judge,
    lock_items,
    no_lease,
    pricing,
    read_labels,
    read_leases,
    read_logs,
)
from quorate.store.tables import idempotency, items, labels
from quorate.store.writes import Writes

MAX_KEY = 200


class Answer(NamedTuple):
    """What a person says of one task."""

    task: str
    label: str
    seconds: float | None = None
    assisted: bool = False


class Hand(NamedTuple):
    """A person hands in answers under a lease; the key names the request, however often it is sent."""

    lease_id: str
    user_id: int
    answers: tuple[Answer, ...]
    key: str

    def digest(self) -> str:
        """What the request asks, as a number that no other request has."""
        return _digest([self.lease_id, ["submit", *self.answers]])


class Receipt(NamedTuple):
    """What was kept: the ids of the labels by task, those that came late, the tasks that this answer closed."""

    item_id: int
    labels: Mapping[str, int]
    late: tuple[str, ...]
    closed: tuple[str, ...]
    campaign_id: int


class Withdrawal(NamedTuple):
    """What was taken back, and the lease under which it may be answered anew, if the item still admits."""

    item_id: int
    withdrawn: tuple[str, ...]
    lease_id: str | None


class NotYet(NamedTuple):
    """Another request of the same transaction has that item, or that key, in hand: send it again."""


Outcome = Receipt | QuorateError | NotYet
SEEN = select(idempotency).where(among(idempotency.c.user_id, "users"), among(idempotency.c.key, "keys", str))


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
    hand = Hand(lease_id, user_id, tuple(answers), key)
    found = database.write(lambda connection: submit_many(connection, decider, [hand], now=now))[0]
    if isinstance(found, QuorateError):
        raise found
    assert isinstance(found, Receipt)
    return found


def submit_many(connection: Connection, decider: Decider, hands: Sequence[Hand], *, now: float) -> list[Outcome]:
    """What becomes of each of the requests, in one transaction; refused ones change nothing and hinder no other.

    Of two that touch the same item, or bear the same key, the second is to be sent again.
    """
    before = read_leases(connection, {hand.lease_id for hand in hands})
    hold_purses(connection, {row.campaign_id for row in before.values()})
    held = lock_items(connection, {row.item_id for row in before.values()})
    leases = read_leases(connection, list(before))  # the item is held: this is the last word
    seen = _seen(connection, [(hand.user_id, hand.key) for hand in hands])
    done: dict[int, Outcome] = {}
    admitted: dict[int, _Admitted] = {}
    for place, hand in enumerate(hands):
        row = leases.get(hand.lease_id)
        try:
            told = _told_before(hand, seen.get((hand.user_id, hand.key)))
            if told:
                campaign_id = row.campaign_id if row else _campaign_of(connection, told["item_id"])
                done[place] = _receipt(told, campaign_id)
            elif row is None or row.user_id != hand.user_id:
                done[place] = no_lease()
            elif any(_collide(each, row.item_id, hand) for each in admitted.values()):
                done[place] = NotYet()
            else:
                admitted[place] = _admit(held[row.item_id], row, hand, now)
        except QuorateError as error:
            done[place] = error
    if admitted:
        receipts = _keep(connection, decider, list(admitted.values()), now)
        done |= dict(zip(admitted, receipts, strict=True))
    return [done[place] for place in range(len(hands))]


def undo(database: Database, decider: Decider, lease_id: str, user_id: int, *, key: str, now: float) -> Withdrawal:
    """Take back what was answered under that lease; the person gets the seat again while the item admits.

    The labels stay in the log, each beside a row that withdraws it. Raises NotFoundError for no lease of this user's,
    ConflictError for one that was not answered.
    """

    def work(connection: Connection) -> Mapping[str, Any]:
        _check_key(key)
        digest = _digest([lease_id, ["undo"]])
        try:
            held, row = hold_lease(connection, lease_id, user_id)
        except NotFoundError:  # it was replaced by the lease that the first of two same requests was given
            told = _same(_seen(connection, [(user_id, key)]).get((user_id, key)), digest)
            if told is None:
                raise
            return told
        told = _same(_seen(connection, [(user_id, key)]).get((user_id, key)), digest)
        if told is not None:
            return told
        if row.state != "answered":
            raise ConflictError("nothing was answered under this lease")
        writes = Writes()
        body = _undo(connection, decider, held, row, writes, now)
        writes.answered.append(_answered(user_id, key, digest, body, now))
        writes.flush(connection)
        return body

    found = database.write(work)
    return Withdrawal(found["item_id"], tuple(found["withdrawn"]), found["lease_id"])


def rejudge(
    database: Database,
    decider: Decider,
    campaign_id: int,
    *,
    now: float,
    after: int = 0,
    most: int = 500,
    only_new: bool = False,
    only: Sequence[int] | None = None,
) -> int | None:
    """Judge the next items anew, after a new model, policy, or scores; the last item's id, None at the end.

    With `only_new`, those that never were judged, touched or asked about; with `only`, those with these ids. A few
    items share a transaction, so that people go on working between them.
    """
    chosen = select(items.c.id).where(items.c.campaign_id == campaign_id, items.c.id > after)
    chosen = chosen.where(items.c.version == 0) if only_new else chosen
    if only is None:
        with database.reading() as connection:
            ids = list(connection.execute(chosen.order_by(items.c.id).limit(most)).scalars())
    else:
        ids = sorted(only)
    for start in range(0, len(ids), SOME):
        some = ids[start : start + SOME]
        database.write(lambda connection, some=some: _rejudge(connection, decider, some, now))
    return ids[-1] if ids else None


# ---- a request seen before ------------------------------------------------------------------------------------------
def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _check_key(key: str) -> None:
    if not 0 < len(key) <= MAX_KEY or UNFIT.search(key):
        raise DataError(f"an idempotency key has 1 to {MAX_KEY} printing characters", mend="send a fresh UUID")


def _seen(connection: Connection, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Any]:
    """The requests of these users and keys that were answered before.

    Read when the items are held: of two twins the second waits there, and then finds the first.
    """
    users, texts = {user for user, _ in keys}, {key for _, key in keys if not UNFIT.search(key)}
    found = connection.execute(SEEN, {"users": users, "keys": texts})
    return {(row.user_id, row.key): row for row in found}


def _same(row: Any, digest: str) -> Mapping[str, Any] | None:
    if row is not None and row.request_hash != digest:
        raise ConflictError("this idempotency key was used for another request; send a fresh one")
    return None if row is None else row.body


def _told_before(hand: Hand, row: Any) -> Mapping[str, Any] | None:
    _check_key(hand.key)
    return _same(row, hand.digest())


def _campaign_of(connection: Connection, item_id: int) -> int:
    """Of an item that was answered; its lease has been replaced since."""
    return connection.execute(select(items.c.campaign_id).where(items.c.id == item_id)).scalar_one()


def _answered(user_id: int, key: str, digest: str, body: Mapping[str, Any], now: float) -> dict[str, Any]:
    return {"user_id": user_id, "key": key, "request_hash": digest, "status": 200, "body": body, "at": now}


# ---- answers --------------------------------------------------------------------------------------------------------
class _Admitted(NamedTuple):
    """Answers that will be kept."""

    hand: Hand
    held: Held
    lease: Any
    late: tuple[str, ...]


def _collide(each: _Admitted, item_id: int, hand: Hand) -> bool:
    return each.held.id == item_id or (each.hand.user_id, each.hand.key) == (hand.user_id, hand.key)


def _admit(held: Held, row: Any, hand: Hand, now: float) -> _Admitted:
    if row.state not in {"open", "expired"}:
        raise ConflictError(f"the lease was {row.state} already")
    _check(held.campaign, row.tasks, hand.answers)
    late = _late(held, row, hand.answers, now)
    if late and held.campaign.settings.late == "refuse":
        raise ConflictError(f"too late for {', '.join(map(repr, late))}; ask for the next item")
    return _Admitted(hand, held, row, late)


def _late(held: Held, row: Any, answers: Iterable[Answer], now: float) -> tuple[str, ...]:
    """The answered tasks whose seat was no longer kept, or that were closed meanwhile; what is known never was open."""
    ended = row.state != "open" or row.expires_at <= now or held.campaign.state == "done"
    known = held.gold or {}
    return tuple(
        answer.task for answer in answers if ended or not (answer.task in known or held.state[answer.task].open)
    )


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


def _keep(connection: Connection, decider: Decider, admitted: Sequence[_Admitted], now: float) -> list[Receipt]:
    """Write the answers, judge the items, and say what was kept."""
    logs = read_logs(connection, [each.held.id for each in admitted])
    new = _insert_labels(connection, admitted, logs, now)
    answered = [item_id for item_id, log in logs.items() if log.turns]
    witnesses = Witnesses(connection, [each.held for each in admitted], answered)
    writes, receipts = Writes(), list[Receipt]()
    for each in admitted:
        hand, before = each.hand, unseated(each.held, each.lease, writes)
        writes.end(hand.lease_id, "answered")
        mine, live = new[each.held.id], logs[each.held.id].live
        writes.spent[before.campaign.id] += sum(row.cost for row in mine)
        after, change = judge(decider, witnesses, before, [*live, *mine], writes, now=now)
        writes.items[after.id] = after
        body = _body(each, mine, change)
        campaign_id = before.campaign.id
        writes.tell(campaign_id, "labels", body, now=now, item_id=after.id, user_id=hand.user_id)
        writes.answered.append(_answered(hand.user_id, hand.key, hand.digest(), body, now))
        receipts.append(_receipt(body, campaign_id))
    writes.flush(connection)
    return receipts


def _body(each: _Admitted, mine: Sequence[LabelRow], change: Change) -> dict[str, Any]:
    return {
        "item_id": each.held.id,
        "labels": {label.task: label.id for label in mine},
        "late": list(each.late),
        "closed": list(change.closed),
        "reopened": list(change.reopened),
    }


def _receipt(body: Mapping[str, Any], campaign_id: int) -> Receipt:
    return Receipt(body["item_id"], body["labels"], tuple(body["late"]), tuple(body["closed"]), campaign_id)


def _insert_labels(
    connection: Connection, admitted: Sequence[_Admitted], logs: Mapping[int, Log], now: float
) -> dict[int, list[LabelRow]]:
    """The new labels by item, in one statement."""
    values = [row for each in admitted for row in _label_values(each, logs[each.held.id], now)]
    ids = fresh_ids(connection, labels, len(values))
    connection.execute(insert(labels), [value | {"id": label_id} for value, label_id in zip(values, ids, strict=True)])
    names = {each.held.id: each.lease.user_name for each in admitted}
    new: dict[int, list[LabelRow]] = {each.held.id: [] for each in admitted}
    for label_id, v in zip(ids, values, strict=True):
        of, item_id = (v["label"], v["late"], v["turn"], v["user_id"], v["cost"]), v["item_id"]
        new[item_id].append(LabelRow(label_id, v["task"], names[item_id], *of))
    return new


def _label_values(each: _Admitted, log: Log, now: float) -> list[dict[str, Any]]:
    price_of, row = pricing(each.held.campaign), each.lease
    assisted = not each.held.campaign.settings.blind  # whoever answers saw what models and others think
    return [
        {
            "campaign_id": each.held.campaign.id,
            "item_id": each.held.id,
            "task": answer.task,
            "user_id": row.user_id,
            "turn": log.turns.get((answer.task, row.user_id), -1) + 1,
            "label": answer.label,
            "at": now,
            "seconds": answer.seconds,
            "assisted": answer.assisted or assisted,
            "late": answer.task in each.late,
            "fence": row.fence,
            "cost": price_of(answer.task, row.user_name),
        }
        for answer in each.hand.answers
    ]


# ---- answers taken back ---------------------------------------------------------------------------------------------
def _undo(connection: Connection, decider: Decider, held: Held, row: Any, writes: Writes, now: float) -> dict[str, Any]:
    log = read_labels(connection, held.id)
    mine = [label for label in log.live if label.user_id == row.user_id and label.task in row.tasks]
    if mine:
        connection.execute(insert(labels), [_withdrawn(held, row, label, now) for label in mine])
    writes.end(row.id, "withdrawn")
    writes.spent[held.campaign.id] -= sum(label.cost for label in mine)
    stands = [label for label in log.live if label not in mine]
    after, change = judge(decider, Witnesses(connection, [held]), held, stands, writes, now=now)
    writes.items[held.id] = after
    again = _again(after, row.tasks)
    lease = grant(after, row.user_id, row.user_name, again, writes, now=now) if again else None
    body = {"labels": [label.id for label in mine], "closed": list(change.closed), "reopened": list(change.reopened)}
    writes.tell(held.campaign.id, "withdrawn", body, now=now, item_id=held.id, user_id=row.user_id)
    return {
        "item_id": held.id,
        "withdrawn": [label.task for label in mine],
        "lease_id": lease.id if lease else None,
    }


def _again(held: Held, tasks: Sequence[str]) -> tuple[str, ...]:
    """The tasks that the same person may be asked again."""
    settings, known = held.campaign.settings, held.gold or {}
    if held.campaign.state != "running" or held.leased >= settings.together:
        return ()
    return tuple(name for name in tasks if name in known or held.state[name].admits(settings.overlap))


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
        "cost": 0.0,
        "withdraws": label.id,
    }


# ---- verdicts anew --------------------------------------------------------------------------------------------------
SOME = 20  # items in a transaction


def _rejudge(connection: Connection, decider: Decider, ids: Sequence[int], now: float) -> None:
    held = lock_items(connection, ids)
    logs, witnesses, writes = read_logs(connection, list(held)), Witnesses(connection, held.values()), Writes()
    for before in held.values():
        after, change = judge(decider, witnesses, before, logs[before.id].live, writes, now=now)
        writes.items[before.id] = after
        if change.closed or change.reopened:
            body = {"closed": list(change.closed), "reopened": list(change.reopened)}
            writes.tell(before.campaign.id, "judged", body, now=now, item_id=before.id)
    writes.flush(connection)
