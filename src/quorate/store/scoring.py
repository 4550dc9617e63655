"""Which items models are still to be asked about, how far that has come, and what models said of them.

Items are gone through in the order of their ids, some at a time. How far is written in the chore's note, in the
transaction that keeps the scores; the items are judged anew before the note goes on, so that whoever takes over after
a kill judges them again rather than never. An item that failed is tried again a few times, and told by name.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from quorate.data.restricted import is_marked
from quorate.store.among import among
from quorate.store.asking import Labeler
from quorate.store.chores import Chore, note_down, read_note
from quorate.store.items import add_scores
from quorate.store.log import record
from quorate.store.records import Campaign, ModelOutputs, Settings
from quorate.store.rows import lock_items
from quorate.store.tables import campaigns, items, scores

STOPPED = "models not asked"
MOST_TRIES = 3  # of one item
MOST_FAILED = 500  # items; with more, something is wrong with all of them
MOST_TOLD = 20
AGAIN_S = (60.0, 600.0)  # from a failure of an item to its next try
FINAL = "restricted"  # a failure that no further try mends


class Wanted(NamedTuple):
    """An item, and the models that have not scored all of its tasks."""

    id: int
    external_id: str
    content: Mapping[str, Any]
    models: tuple[str, ...]

    @property
    def hidden(self) -> bool:
        """Whether its content says that it may not be shown: it is not sent either."""
        return is_marked(self.content) is not False


class Failed(NamedTuple):
    """An item without some of its scores: how often it was tried, by which model, and why there are none."""

    tries: int
    at: float
    model: str
    why: str


class Note(NamedTuple):
    """How far a campaign's scoring has come."""

    under: str = ""  # the labeler that it was done for
    after: int = 0  # items up to this one were looked at
    looked_at: int = 0  # so many of them
    failed: Mapping[str, Failed] = {}  # by item
    spent_usd: float = 0.0
    lost_usd: float = 0.0  # at most, for calls without an answer
    stopped: str | None = None  # why nothing is asked now
    stops: int = 0  # in a row
    next_at: float | None = 0.0  # when it goes on; None: with another labeler only
    judging: Sequence[int] = ()  # items of which scores were kept, and the verdicts are due

    @classmethod
    def of(cls, note: Mapping[str, Any]) -> Note:
        """Read back."""
        known: dict[str, Any] = {name: value for name, value in note.items() if name in cls._fields}
        known["failed"] = {item: Failed(*each) for item, each in note.get("failed", {}).items()}
        return cls(**known)


class Scoring(NamedTuple):
    """How a campaign's scoring stands: items with scores of all models, items without that were tried, and money."""

    models: tuple[str, ...]
    cap_usd: float
    items: int
    scored: int
    failed: int
    spent_usd: float
    lost_usd: float
    stopped: str | None
    next_at: float | None
    failures: Sequence[Mapping[str, Any]]


def chore_name(campaign_id: int) -> str:
    """The chore of having models score that campaign's items."""
    return f"score {campaign_id}"


def campaigns_to_score(connection: Connection) -> list[int]:
    """The running campaigns with a labeler."""
    rows = connection.execute(select(campaigns.c.id, campaigns.c.settings).where(campaigns.c.state == "running"))
    return [row.id for row in rows if row.settings.get("labeler")]


def read_progress(connection: Connection, campaign_id: int, labeler: Labeler) -> Note:
    """How far it has come; with another labeler from the beginning, where only what is missing is asked for."""
    note, under = Note.of(read_note(connection, chore_name(campaign_id))), json.dumps(asdict(labeler), sort_keys=True)
    if note.under != under:
        return Note(under, spent_usd=note.spent_usd, lost_usd=note.lost_usd, judging=note.judging)
    counted = select(func.count()).where(_mine(campaign_id), items.c.id <= note.after)
    if connection.execute(counted).scalar_one() != note.looked_at:  # an upload ended after one that was begun later
        return note._replace(after=0, looked_at=0)
    return note


def next_items(connection: Connection, campaign: Campaign, labeler: Labeler, *, after: int, most: int) -> list[Wanted]:
    """The next items after that one, those that have all scores among them; restricted ones are not."""
    chosen = select(items.c.id, items.c.external_id, items.c.content).where(_mine(campaign.id), items.c.id > after)
    rows = connection.execute(chosen.order_by(items.c.id).limit(most)).all()
    return _wanted(connection, campaign, labeler, rows)


def items_again(
    connection: Connection, campaign: Campaign, labeler: Labeler, note: Note, *, now: float, most: int
) -> list[Wanted]:
    """Items that failed and whose next try is due."""
    due = [name for name, each in note.failed.items() if _is_due(each, now)][:most]
    chosen = select(items.c.id, items.c.external_id, items.c.content).where(
        _mine(campaign.id), among(items.c.external_id, "names", str)
    )
    rows = connection.execute(chosen.order_by(items.c.id), {"names": due}).all() if due else []
    return _wanted(connection, campaign, labeler, rows)


def keep_scores(
    connection: Connection,
    chore: Chore,
    campaign: Campaign,
    of_items: Mapping[str, ModelOutputs],
    ids: Collection[int],
    note: Note,
    *,
    now: float,
) -> None:
    """Write what models said, as an upload does, and how far it has come, in one transaction.

    Raises ConflictError when another process has taken the chore meanwhile; nothing is kept then.
    """
    write_note(connection, chore, note)
    if of_items:
        lock_items(connection, ids)  # in the order in which everybody locks them
        add_scores(connection, campaign, of_items, now=now)


def write_note(connection: Connection, chore: Chore, note: Note) -> None:
    """Write down how far it has come. Raises ConflictError when another process has taken the chore meanwhile."""
    note_down(connection, chore, **note._asdict())


def go_on(connection: Connection, chore: Chore, campaign_id: int, before: Note, note: Note, *, now: float) -> None:
    """Write down how far it has come; that nothing is asked now, or something again, is an event."""
    write_note(connection, chore, note)
    if note.stopped != before.stopped:
        record(connection, campaign_id, STOPPED, {"reason": note.stopped}, now=now)


def read_scoring(connection: Connection, campaign_id: int, settings: Settings) -> Scoring | None:
    """How it stands; None where no models are asked."""
    labeler = settings.labeler
    if labeler is None:
        return None
    note = read_progress(connection, campaign_id, labeler)
    total = connection.execute(select(func.count()).where(_mine(campaign_id))).scalar_one()
    failures = [
        {"item": item, "model": each.model, "why": each.why, "tries": each.tries}
        for item, each in list(note.failed.items())[:MOST_TOLD]
    ]
    return Scoring(
        labeler.models,
        labeler.cap_usd,
        total,
        max(0, note.looked_at - len(note.failed)),
        len(note.failed),
        note.spent_usd,
        note.lost_usd,
        note.stopped,
        note.next_at if note.stopped else None,
        failures,
    )


# ---- parts ----------------------------------------------------------------------------------------------------------
def _mine(campaign_id: int) -> Any:
    """The items that may be sent to models."""
    return (items.c.campaign_id == campaign_id) & ~items.c.restricted


def _is_due(failed: Failed, now: float) -> bool:
    return failed.tries < MOST_TRIES and now - failed.at >= AGAIN_S[failed.tries - 1]


def _wanted(connection: Connection, campaign: Campaign, labeler: Labeler, rows: Sequence[Any]) -> list[Wanted]:
    chosen = select(scores.c.item_id, scores.c.model, func.count()).where(
        among(scores.c.item_id, "ids"), scores.c.model.in_(labeler.models)
    )
    there = connection.execute(chosen.group_by(scores.c.item_id, scores.c.model), {"ids": [row.id for row in rows]})
    whole = {(item_id, model) for item_id, model, n in there if n == len(campaign.schema.tasks)}
    missing = {row.id: tuple(model for model in labeler.models if (row.id, model) not in whole) for row in rows}
    return [Wanted(row.id, row.external_id, row.content, missing[row.id]) for row in rows]
