"""Labels that were given elsewhere: in another tool, or in a table of an earlier project. They need no lease.

A row is what one person says of one item at one time. Of the tool's own annotations (`source`) the store keeps the
answers and the tool's version, so that what is sent twice or out of order changes nothing, what was changed replaces
what it said before, and what was deleted is withdrawn. A person who left several annotations of an item says of each
task what the latest of them says. All of it, and the verdicts on it, happen in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, select

from quorate.errors import DataError
from quorate.schema import UNFIT
from quorate.store.among import among
from quorate.store.elsewhere import Intake, Said, Taken
from quorate.store.people import add_member, add_user
from quorate.store.records import Campaign, Decider
from quorate.store.tables import imported, items, members, users

__all__ = ["Said", "Taken", "check_said", "delete_imported", "import_labels"]
MOST_NAME, MOST_SOURCE = 200, 200
PEOPLE = select(users.c.name, users.c.id).where(among(users.c.name, "names", str))
THERE = select(members.c.user_id).where(
    members.c.campaign_id == bindparam("of_campaign"), among(members.c.user_id, "ids")
)
ITEMS = select(items.c.external_id, items.c.id).where(
    items.c.campaign_id == bindparam("of_campaign"), among(items.c.external_id, "names", str)
)


def import_labels(
    connection: Connection, decider: Decider, campaign: Campaign, rows: Sequence[Said], now: float
) -> Taken:
    """Keep what the rows say, and judge their items anew; what is known already changes nothing.

    Raises DataError that names the row for an unknown item, task or class; the caller's transaction then keeps nothing.
    """
    for number, row in enumerate(rows, 1):
        check_said(campaign, row, number)
    people = _people(connection, campaign, [row.person for row in rows], now)
    ids = _items(connection, campaign, rows)
    return Intake(connection, decider, campaign, {ids[row.item]: row.item for row in rows}, now).take(rows, ids, people)


def delete_imported(
    connection: Connection, decider: Decider, campaign: Campaign, sources: Iterable[str], now: float
) -> Taken:
    """Withdraw what annotations said that the tool has deleted; of those that are unknown there is nothing to do."""
    wanted = sorted(set(sources))
    mine = (imported.c.campaign_id == campaign.id) & among(imported.c.source, "sources", str)
    found = connection.execute(
        select(imported.c.source, items.c.external_id, users.c.name, imported.c.version)
        .join(items, items.c.id == imported.c.item_id)
        .join(users, users.c.id == imported.c.user_id)
        .where(mine),
        {"sources": wanted},
    ).all()
    rows = [Said(row.external_id, row.name, None, source=row.source, version=row.version) for row in found]
    return import_labels(connection, decider, campaign, rows, now)


# ---- who and what ---------------------------------------------------------------------------------------------------
def check_said(campaign: Campaign, row: Said, number: int) -> None:
    """Raises DataError for a name, a time, a task or a class that cannot be."""
    for what, text, most in (("annotator", row.person, MOST_NAME), ("source", row.source or "-", MOST_SOURCE)):
        if not 0 < len(text) <= most or not text.strip() or UNFIT.search(text):
            raise DataError(
                f"a name has 1 to {most} printing characters", mend="shorten or clean it", row=number, column=what
            )
    if row.seconds is not None and not 0 <= row.seconds < float("inf"):
        raise DataError(f"{row.seconds} is no time", mend="give seconds of 0 or more", row=number, column="seconds")
    for task, label in (row.answers or {}).items():
        if task not in campaign.schema.code_of:
            known = ", ".join(map(repr, list(campaign.schema.code_of)[:20]))
            raise DataError(f"there is no task {task!r}", mend=f"use one of {known}", row=number, column="task")
        classes = campaign.schema.task(task).classes
        if label not in classes:
            known = ", ".join(map(repr, classes[:20]))
            raise DataError(
                f"task {task!r} has no class {label!r}", mend=f"use one of {known}", row=number, column="label"
            )


def _people(connection: Connection, campaign: Campaign, names: Sequence[str], now: float) -> dict[str, int]:
    """The users of these names, made members, and made at all where they are not there: nobody signs in as they."""
    wanted = sorted(set(names))
    found = connection.execute(PEOPLE, {"names": wanted})
    ids: dict[str, int] = {row.name: row.id for row in found}
    for name in wanted:
        if name not in ids:
            ids[name] = add_user(connection, name, "annotator", now=now).id
    known = set(connection.execute(THERE, {"of_campaign": campaign.id, "ids": sorted(ids.values())}).scalars())
    for user_id in sorted(set(ids.values()) - known):
        add_member(connection, campaign.id, user_id)
    return ids


def _items(connection: Connection, campaign: Campaign, rows: Sequence[Said]) -> dict[str, int]:
    wanted = sorted({row.item for row in rows if not UNFIT.search(row.item)})
    found = connection.execute(ITEMS, {"of_campaign": campaign.id, "names": wanted})
    ids: dict[str, int] = {row.external_id: row.id for row in found}
    for number, row in enumerate(rows, 1):
        if row.item not in ids:
            raise DataError(
                f"there is no item {row.item[:80]!r}", mend="upload the item first", row=number, column="item"
            )
    return ids
