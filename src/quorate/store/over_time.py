"""How a campaign went: open cells and labels given, over its life."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, Select, case, cast, func, select

from quorate.store.overview import known_cells
from quorate.store.records import Campaign
from quorate.store.tables import decisions, events, labels

STEPS = 60  # of the curve


class Step(NamedTuple):
    """Cells open, and labels given, at the end of a stretch of time."""

    at: float
    open: int
    labels: int


def open_over_time(connection: Connection, campaign: Campaign, *, now: float) -> list[Step]:
    """Open cells and labels given over the life of the campaign, at the ends of equal stretches."""
    kind_of = (events.c.campaign_id == campaign.id) & (events.c.kind == "items added")
    added = [(row.at, int(row.body["added"])) for row in connection.execute(select(events).where(kind_of))]
    begun = connection.execute(select(func.min(labels.c.at)).where(labels.c.campaign_id == campaign.id)).scalar()
    if not added or begun is None:
        return []
    width = max((now - begun) / STEPS, 1e-3)
    gold = known_cells(connection, campaign.id).total()
    start = sum(n for at, n in added if at <= begun) * len(campaign.schema) - gold
    more: list[int] = [0] * (STEPS + 1)
    said: list[int] = [0] * (STEPS + 1)
    for at, n in added:
        more[_step(at, begun, width)] += n * len(campaign.schema) if at > begun else 0
    for row in connection.execute(_flips(campaign.id, begun, width)):
        more[min(max(int(row[0]), 0), STEPS)] -= int(row[1])
    for row in connection.execute(_given_by_step(campaign.id, begun, width)):
        said[min(max(int(row[0]), 0), STEPS)] += int(row[1])
    curve, open_, given = [Step(begun, start, 0)], start, 0
    for step in range(STEPS + 1):
        open_, given = open_ + more[step], given + said[step]
        curve.append(Step(min(begun + (step + 1) * width, now), max(open_, 0), given))
    return curve[:-1] if curve[-1].at == curve[-2].at else curve


# ---- parts ----------------------------------------------------------------------------------------------------------
def _flips(campaign_id: int, begun: float, width: float) -> Select[*tuple[Any, ...]]:
    """Cells closed less cells reopened, by step; a decision that only changes the answer is no flip."""
    now = cast(decisions.c.closed, Integer)
    before = func.lag(now).over(partition_by=(decisions.c.item_id, decisions.c.task), order_by=decisions.c.id)
    told = select(decisions.c.at, (now - func.coalesce(before, 0)).label("by"))
    rows = told.where(decisions.c.campaign_id == campaign_id).subquery()
    step = cast((rows.c.at - begun) / width, Integer)
    return select(step, func.sum(rows.c.by)).where(rows.c.by != 0).group_by(step)


def _given_by_step(campaign_id: int, begun: float, width: float) -> Select[*tuple[Any, ...]]:
    step = cast((labels.c.at - begun) / width, Integer)
    by = case((labels.c.withdraws.is_(None), 1), else_=-1)
    return select(step, func.sum(by)).where(labels.c.campaign_id == campaign_id).group_by(step)


def _step(at: float, begun: float, width: float) -> int:
    return min(max(int((at - begun) / width), 0), STEPS)
