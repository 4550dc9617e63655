"""How labels that were given elsewhere come to stand beside those given here; `store.labels` is the way in.

What people say now, by the tool's annotations, is held against what stands: the difference is written as turns, the
items are judged, and whoever answered elsewhere gives a seat that they hold here back.
"""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from quorate.store.among import among
from quorate.store.database import fresh_ids, insert_into
from quorate.store.queue import unseated
from quorate.store.records import Campaign, Decider, LabelRow
from quorate.store.rows import Held, Log, Witnesses, hold_purses, judge, lock_items, pricing, read_logs
from quorate.store.tables import imported, labels, leases, users
from quorate.store.writes import Writes

SEEN = select(imported).where(among(imported.c.item_id, "ids"))  # by the items alone: a campaign has far more rows
NAMES = select(users.c.id, users.c.name).where(among(users.c.id, "ids"))
SEATS = select(leases).where(among(leases.c.item_id, "ids"))


class Said(NamedTuple):
    """What a person says of an item in another tool; no answers where the tool deleted what was said."""

    item: str  # its external id
    person: str  # the name of the user, who is made where there is none
    answers: Mapping[str, str] | None  # by task
    at: float | None = None
    seconds: float | None = None  # for all answers together
    assisted: bool = False
    source: str | None = None  # the tool's name of the annotation
    version: str = ""  # the tool's time of its last change: later is larger


class Taken(NamedTuple):
    """What an import came to, in labels; and the tasks of items that it closed or opened again."""

    added: int
    withdrawn: int
    unchanged: int
    refused: int  # late, where the campaign refuses that
    closed: int
    reopened: int


class _Note(NamedTuple):
    """What is kept of an annotation of the tool's."""

    item_id: int
    user_id: int
    version: str
    answers: Mapping[str, str] | None


class _Wish(NamedTuple):
    """What a person now says of a task; None where they say nothing any more."""

    label: str
    row: Said


_Key = tuple[int, int, str]  # item, person, task


class Intake:
    """Rows on their way in; the items are held."""

    def __init__(
        self, connection: Connection, decider: Decider, campaign: Campaign, names: Mapping[int, str], now: float
    ) -> None:
        self._connection, self._decider, self._campaign, self._now = connection, decider, campaign, now
        hold_purses(connection, [campaign.id])
        self._held = lock_items(connection, names)
        self._logs: Mapping[int, Log] = read_logs(connection, sorted(names))
        seen = connection.execute(SEEN, {"ids": sorted(names)})
        self._notes = {row.source: _Note(row.item_id, row.user_id, row.version, row.answers) for row in seen}
        self._wishes: dict[_Key, _Wish | None] = {}
        self._fresh: dict[str, _Note] = {}
        seats = connection.execute(SEATS, {"ids": sorted(names)})
        self._seats = {(row.item_id, row.user_id): row for row in seats}
        self._admitted: Counter[tuple[int, str]] = Counter()
        self._unchanged = self._refused = 0

    def take(self, rows: Sequence[Said], ids: Mapping[str, int], people: Mapping[str, int]) -> Taken:
        """What becomes of the rows."""
        for row in rows:
            self._note(row, ids[row.item], people[row.person])
        values = self._values({user_id: name for name, user_id in people.items()} | self._others())
        change = self._write(values)
        if self._fresh:
            self._keep_notes()
        gone = sum(value["withdraws"] is not None for value in values)
        return Taken(len(values) - gone, gone, self._unchanged, self._refused, *change)

    def _others(self) -> dict[int, str]:
        """The names of people from whom an annotation was taken and given to another."""
        found = self._connection.execute(NAMES, {"ids": sorted({user_id for _, user_id, _ in self._wishes})})
        return {row.id: row.name for row in found}

    def _note(self, row: Said, item_id: int, user_id: int) -> None:
        """What the row changes of what people say."""
        if row.source is None:
            for task, label in (row.answers or {}).items():
                self._wishes[item_id, user_id, task] = _Wish(label, row)
            return
        before = self._notes.get(row.source)
        if before and (before.answers is None or row.version < before.version or _same(before, row, item_id, user_id)):
            self._unchanged += len(row.answers or {})
            return
        note = _Note(item_id, user_id, row.version, None if row.answers is None else dict(row.answers))
        self._notes[row.source] = self._fresh[row.source] = note
        for each in [before, note] if before else [note]:
            for task in each.answers or {}:
                self._wishes[each.item_id, each.user_id, task] = self._latest(each.item_id, each.user_id, task, row)

    def _latest(self, item_id: int, user_id: int, task: str, row: Said) -> _Wish | None:
        """What the latest of the person's annotations of the item says of the task."""
        said = [
            (note.version, source, note.answers[task])
            for source, note in self._notes.items()
            if (note.item_id, note.user_id) == (item_id, user_id) and note.answers and task in note.answers
        ]
        return _Wish(max(said)[2], row) if said else None

    # ---- rows -------------------------------------------------------------------------------------------------------
    def _values(self, names: Mapping[int, str]) -> list[dict[str, Any]]:
        """Rows of the labels, those that withdraw before those that give."""
        values: list[dict[str, Any]] = []
        price_of = pricing(self._campaign)
        for key, wish in self._wishes.items():
            item_id, user_id, task = key
            log = self._logs[item_id]
            live = next((label for label in log.live if label.user_id == user_id and label.task == task), None)
            if wish is not None and live is not None and live.label == wish.label:
                self._unchanged += 1
                continue
            late = live.late if live is not None else wish is not None and not self._admits(key)
            if wish is not None and late and live is None and self._campaign.settings.late == "refuse":
                self._refused += 1
                continue
            turn = log.turns.get((task, user_id), -1)
            if live is not None:
                turn += 1
                gone = {"label": live.label, "withdraws": live.id, "cost": 0.0, "at": self._now}
                values.append(self._row(key, turn) | gone)
            if wish is not None:
                values.append(
                    self._row(key, turn + 1) | self._given(wish, late) | {"cost": price_of(task, names[user_id])}
                )
        for value, label_id in zip(values, fresh_ids(self._connection, labels, len(values)), strict=True):
            value["id"] = label_id
            value["name"] = names[value["user_id"]]
        return values

    def _admits(self, key: _Key) -> bool:
        """Whether the answer is one of those that are asked for; if so, there is room for one less."""
        item_id, user_id, task = key
        held, seat = self._held[item_id], self._seats.get((item_id, user_id))
        if task in (held.gold or {}) and self._campaign.state != "done":
            return True
        state = held.state[task]
        own = seat is not None and seat.state == "open" and task in seat.tasks
        room = self._campaign.settings.overlap - state.given - state.leased + own - self._admitted[item_id, task]
        if self._campaign.state == "done" or not state.open or room <= 0:
            return False
        self._admitted[item_id, task] += 1
        return True

    def _row(self, key: _Key, turn: int) -> dict[str, Any]:
        item_id, user_id, task = key
        base = {"campaign_id": self._campaign.id, "item_id": item_id, "user_id": user_id, "task": task, "turn": turn}
        return base | {"fence": self._held[item_id].fence + 1, "seconds": None, "assisted": False, "late": False}

    def _given(self, wish: _Wish, late: bool) -> dict[str, Any]:
        row = wish.row
        seconds = None if row.seconds is None else row.seconds / max(len(row.answers or {}), 1)
        at = self._now if row.at is None else min(row.at, self._now)
        return {
            "label": wish.label,
            "at": at,
            "seconds": seconds,
            "assisted": row.assisted,
            "late": late,
            "withdraws": None,
        }

    # ---- what follows -----------------------------------------------------------------------------------------------
    def _write(self, values: Sequence[dict[str, Any]]) -> tuple[int, int]:
        """Labels, seats, verdicts and events; how many tasks closed and reopened."""
        if not values:
            return 0, 0
        columns = {column.name for column in labels.c}
        rows = [{name: value for name, value in each.items() if name in columns} for each in values]
        self._connection.execute(insert(labels), rows)
        by_item: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for value in values:
            by_item[value["item_id"]].append(value)
        writes, closed, reopened = Writes(), 0, 0
        witnesses = Witnesses(self._connection, [self._held[item_id] for item_id in by_item])
        for item_id, mine in sorted(by_item.items()):
            live = _live(self._logs[item_id].live, mine)
            before = self._seated(self._held[item_id], mine, live, writes)
            writes.spent[self._campaign.id] += _paid(self._logs[item_id].live, mine)
            after, change = judge(self._decider, witnesses, before, live, writes, now=self._now)
            writes.items[item_id] = after
            flips = {"closed": list(change.closed), "reopened": list(change.reopened)}
            self._tell(item_id, mine, flips, writes)
            closed, reopened = closed + len(change.closed), reopened + len(change.reopened)
        writes.flush(self._connection)
        return closed, reopened

    def _seated(
        self,
        held: Held,
        mine: Sequence[Mapping[str, Any]],
        live: Sequence[LabelRow],
        writes: Writes,
    ) -> Held:
        """The item when whoever answered elsewhere is asked here no more, and whoever took all back may be again."""
        for user_id in sorted({value["user_id"] for value in mine}):
            row, tasks = self._seats.get((held.id, user_id)), [label.task for label in live if label.user_id == user_id]
            if not tasks:
                if row is not None and row.state == "answered":
                    writes.end(row.id, "withdrawn")
                continue
            if row is not None and row.state == "answered":
                continue
            held = held if row is None else unseated(held, row, writes)
            held = held._replace(fence=held.fence + 1)
            writes.leases.append(
                {
                    "id": secrets.token_urlsafe(24),
                    "item_id": held.id,
                    "user_id": user_id,
                    "tasks": tasks,
                    "state": "answered",
                    "granted_at": self._now,
                    "expires_at": self._now,
                    "fence": held.fence,
                    "price": 0.0,
                }
            )
        return held

    def _tell(
        self, item_id: int, mine: Sequence[Mapping[str, Any]], flips: Mapping[str, list[str]], writes: Writes
    ) -> None:
        """Events as of people who answer here, those of withdrawals first; the last tells what closed."""
        told: list[tuple[str, int, dict[str, Any]]] = []
        for user_id in sorted({value["user_id"] for value in mine}):
            gone = [v["withdraws"] for v in mine if v["user_id"] == user_id and v["withdraws"] is not None]
            given = [v for v in mine if v["user_id"] == user_id and v["withdraws"] is None]
            late = [v["task"] for v in given if v["late"]]
            if gone:
                told.append(("withdrawn", user_id, {"labels": gone}))
            if given:
                told.append(("labels", user_id, {"labels": {v["task"]: v["id"] for v in given}, "late": late}))
        for place, (kind, user_id, body) in enumerate(told, 1):
            what = flips if place == len(told) else {"closed": [], "reopened": []}
            body |= {"item_id": item_id, "imported": True, **what}
            writes.tell(self._campaign.id, kind, body, now=self._now, item_id=item_id, user_id=user_id)

    def _keep_notes(self) -> None:
        rows = [{"campaign_id": self._campaign.id, "source": s, **note._asdict()} for s, note in self._fresh.items()]
        write = insert_into(self._connection, imported)
        over = {name: write.excluded[name] for name in _Note._fields}
        self._connection.execute(
            write.on_conflict_do_update(index_elements=[imported.c.campaign_id, imported.c.source], set_=over), rows
        )


# ---- small parts ----------------------------------------------------------------------------------------------------
def _same(before: _Note, row: Said, item_id: int, user_id: int) -> bool:
    """Whether the annotation was seen as it is; of one version there is one content."""
    if row.answers is None:
        return before.answers is None
    return row.version == before.version and (before.item_id, before.user_id) == (item_id, user_id)


def _live(before: Sequence[LabelRow], new: Sequence[Mapping[str, Any]]) -> list[LabelRow]:
    gone = {value["withdraws"] for value in new}
    given = [value for value in new if value["withdraws"] is None]
    stay = [label for label in before if label.id not in gone]
    return [*stay, *(LabelRow(*(value[name] for name in _LABEL)) for value in given)]


_LABEL = ("id", "task", "name", "label", "late", "turn", "user_id", "cost")


def _paid(before: Sequence[LabelRow], new: Sequence[Mapping[str, Any]]) -> float:
    """What is spent more: the price of what was given less that of what was taken back."""
    gone = {value["withdraws"] for value in new}
    return sum(value["cost"] for value in new) - sum(label.cost for label in before if label.id in gone)
