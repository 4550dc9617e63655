"""Everything that can be recomputed, from what only grows: the proof that the store's state is what its log says.

From `labels` follow the live labels; from these, the scores, the model and the policy follows the verdict; from the
open leases follow the seats; from both follow state, room and priority. `compare` says where the rows differ from
that, `rebuild` writes it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from quorate.store.database import Database
from quorate.store.records import Decider, ItemState, fresh, judged
from quorate.store.rows import Held, Witnesses, lock_item, read_labels
from quorate.store.tables import items, leases
from quorate.store.writes import Writes

CLOSE = 1e-9  # a posterior that took its labels in another order, or in one piece, differs in the last digits
BATCH = 200


class Difference(NamedTuple):
    """A place where an item's row is not what its log says."""

    external_id: str
    what: str
    stored: Any
    rebuilt: Any


class Rebuilt(NamedTuple):
    """How many items were looked at, and where they differed."""

    items: int
    differences: tuple[Difference, ...]


def compare(database: Database, decider: Decider, campaign_id: int) -> Rebuilt:
    """Where the campaign's rows differ from its log; nothing is written. Give a decider that remembers nothing."""
    return _walk(database, decider, campaign_id, mend=False)


def rebuild(database: Database, decider: Decider, campaign_id: int) -> Rebuilt:
    """Write every item anew from the log; where its row differed."""
    return _walk(database, decider, campaign_id, mend=True)


def _walk(database: Database, decider: Decider, campaign_id: int, *, mend: bool) -> Rebuilt:
    found, seen, after = list[Difference](), 0, 0
    while ids := _next(database, campaign_id, after):
        for item_id in ids:
            found += database.write(lambda connection, i=item_id: _item(connection, decider, i, mend=mend))
        seen, after = seen + len(ids), ids[-1]
    return Rebuilt(seen, tuple(found))


def _next(database: Database, campaign_id: int, after: int) -> Sequence[int]:
    mine = (items.c.campaign_id == campaign_id) & (items.c.id > after)
    with database.reading() as connection:
        return connection.execute(select(items.c.id).where(mine).order_by(items.c.id).limit(BATCH)).scalars().all()


def _item(connection: Connection, decider: Decider, item_id: int, *, mend: bool) -> list[Difference]:
    held = lock_item(connection, item_id)
    stored_room = connection.execute(select(items.c.room).where(items.c.id == item_id)).scalar_one()
    anew = _anew(connection, decider, held)
    differences = _differences(held, stored_room, anew)
    if mend and differences:
        writes = Writes()
        writes.items[anew.id] = anew
        writes.flush(connection)
    return differences


def _anew(connection: Connection, decider: Decider, held: Held) -> Held:
    """The item as labels, scores and open leases make it."""
    seats = connection.execute(
        select(leases.c.tasks).where(leases.c.item_id == held.id, leases.c.state == "open")
    ).scalars()
    taken = [list(tasks) for tasks in seats]
    at_task = Counter(task for tasks in taken for task in tasks)
    start = fresh(held.campaign.schema, held.gold)
    state: ItemState = {name: task._replace(leased=at_task[name]) for name, task in start.items()}
    live = read_labels(connection, held.id).live
    verdict = decider.decide(held.campaign, Witnesses(connection, [held]).of(held.id, live))
    state = judged(state, verdict, live, held.gold)
    return held._replace(state=state, leased=len(taken), priority=verdict.priority)


def _differences(held: Held, stored_room: int, anew: Held) -> list[Difference]:
    pairs: list[tuple[str, Any, Any]] = [
        ("room", stored_room, anew.room()),
        ("leased", held.leased, anew.leased),
        ("priority", held.priority, anew.priority),
    ]
    for name, task in anew.state.items():
        was = held.state[name]
        pairs += [(f"{name}: {what}", getattr(was, what), getattr(task, what)) for what in task._fields]
    return [Difference(held.external_id, *pair) for pair in pairs if not _same(pair[1], pair[2])]


def _same(stored: Any, rebuilt: Any) -> bool:
    if isinstance(stored, float) and isinstance(rebuilt, float):
        return math.isclose(stored, rebuilt, abs_tol=CLOSE)
    return stored == rebuilt
