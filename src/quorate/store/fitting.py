"""What a campaign's model is fitted on, when it is to be fitted anew, and the fitted model's way into the campaign."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import pyarrow as pa
from sqlalchemy import Connection, Select, func, select, update
from sqlalchemy.orm import aliased

from quorate.consensus.registry import ESTIMATORS
from quorate.data.dataset import Dataset
from quorate.errors import SettingError
from quorate.schema import Schema
from quorate.store.campaigns import add_model, read_campaign
from quorate.store.chores import Chore, note_down
from quorate.store.log import Event, record
from quorate.store.records import Campaign
from quorate.store.tables import campaigns, events, items, labels, models, scores, users
from quorate.store.tail import last_event

CHUNK = 20_000  # rows at a time
MOST_UNLABELED = 20_000  # items without a label whose scores a fit may see
MOST_DOUBLINGS = 6  # of the wait after a fit that failed
ASKED, FITTED, FAILED, PUT_OFF = "refit asked", "model fitted", "refit failed", "refit put off"


@dataclass(frozen=True)
class Learning:
    """How a campaign's model is fitted anew.

    With fewer labels than `least_labels` every question is asked of as many people as the overlap says. Then a fit
    begins when the labels have grown by the share `growth` since the last, but not within `every_s` seconds of it;
    with `every_s` of None only on demand.
    """

    estimator: str = "hybrid"
    least_labels: int = 200
    growth: float = 0.2
    every_s: float | None = 600.0

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise SettingError(f"there is no estimator {self.estimator!r}; use one of {', '.join(ESTIMATORS)}")
        if not float(self.least_labels).is_integer() or not 1 <= self.least_labels <= 10**9:
            raise SettingError(f"least_labels is a whole number of 1 or more, not {self.least_labels}")
        if not 0 <= self.growth <= 100:
            raise SettingError(f"growth is between 0 and 100, not {self.growth}")
        if self.every_s is not None and not 1 <= self.every_s <= 366 * 86_400:
            raise SettingError(f"every_s is between 1 second and a year, or None, not {self.every_s}")

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Learning:
        """Read back. Raises SettingError for a setting that there is not."""
        known = [each.name for each in fields(cls)]
        for name in given:
            if name not in known:
                raise SettingError(f"learning has no setting {name!r}; use one of {', '.join(known)}")
        return cls(**given)


class Fitted(NamedTuple):
    """A model that was fitted: its file, what it is, and what it had read."""

    archive: bytes
    estimator: str
    through_event: int
    note: Mapping[str, Any]


class FittedModel(NamedTuple):
    """A version of a campaign's model; the note says on how many labels it rests and how the agents stand."""

    version: int
    estimator: str
    made_at: float
    through_event: int
    note: Mapping[str, Any]


class Ground(NamedTuple):
    """What a fit reads."""

    data: Dataset | None  # None without any label or score
    n_labels: int
    through_event: int


# ---- settings -------------------------------------------------------------------------------------------------------
def read_learning(connection: Connection, campaign_id: int) -> Learning:
    """How the campaign learns."""
    given = connection.execute(select(campaigns.c.learning).where(campaigns.c.id == campaign_id)).scalar_one()
    return Learning.from_json(given)


def change_learning(
    connection: Connection, campaign_id: int, learning: Learning, *, now: float, user_id: int | None = None
) -> None:
    """Learn in another way from now on."""
    values = asdict(learning)
    connection.execute(update(campaigns).where(campaigns.c.id == campaign_id).values(learning=values))
    record(connection, campaign_id, "learning changed", values, now=now, user_id=user_id)


# ---- when -----------------------------------------------------------------------------------------------------------
def ask_refit(connection: Connection, campaign_id: int, *, now: float, user_id: int | None = None) -> None:
    """Have the model fitted anew as soon as may be."""
    record(connection, campaign_id, ASKED, {}, now=now, user_id=user_id)


class Why(NamedTuple):
    """Why a fit is to begin: who asked last, and how many labels there are."""

    campaign: Campaign
    learning: Learning
    asked: int  # the event, 0 for nobody
    labels: int  # rows of the log, which is quickly counted


def why_refit(connection: Connection, campaign_id: int, note: Mapping[str, Any], *, now: float) -> Why | None:
    """The reason for a fit now, given the note of the last; None without any."""
    campaign, learning = read_campaign(connection, campaign_id), read_learning(connection, campaign_id)
    which = (events.c.campaign_id == campaign_id) & (events.c.kind == ASKED)
    asked = connection.execute(select(func.max(events.c.id)).where(which)).scalar() or 0
    on_demand = asked > note.get("asked", 0)
    if not on_demand and not _rested(campaign, learning, note, now):
        return None
    n_labels = connection.execute(select(func.count()).where(labels.c.campaign_id == campaign_id)).scalar_one()
    before = note.get("labels", 0)
    grown = n_labels >= learning.least_labels and n_labels > before and n_labels >= before * (1 + learning.growth)
    return Why(campaign, learning, asked, n_labels) if on_demand or grown else None


def _rested(campaign: Campaign, learning: Learning, note: Mapping[str, Any], now: float) -> bool:
    at_work = campaign.state == "running" and learning.every_s is not None
    wait_s = (learning.every_s or 0) * 2.0 ** min(note.get("failures", 0), MOST_DOUBLINGS)
    return at_work and now - note.get("tried_at", float("-inf")) >= wait_s


# ---- what -----------------------------------------------------------------------------------------------------------
def read_ground(connection: Connection, campaign_id: int) -> Ground:
    """The campaign as a data set: live labels in their order, gold, and the models' scores.

    Anchors are left out: they are kept to prove how accurate the model is, and it must not have seen them.
    """
    campaign, through = read_campaign(connection, campaign_id), last_event(connection)
    said = _columns(connection, _live(campaign_id), ("item", "task", "annotator", "label"))
    gold = _gold(connection, campaign_id)
    scored = _scores(connection, campaign)
    tables = {"labels": said, "gold": gold, "scores": scored}
    full = {name: table for name, table in tables.items() if table.num_rows}
    data = Dataset(**full, schema=campaign.schema) if full else None
    return Ground(data, said.num_rows, through)


def _live(campaign_id: int) -> Select[Any, Any, Any, Any]:
    """The labels that stand, oldest first."""
    back = aliased(labels)
    withdrawn = select(back.c.id).where(back.c.withdraws == labels.c.id).exists()
    return (
        select(items.c.external_id, labels.c.task, users.c.name, labels.c.label)
        .join(items, items.c.id == labels.c.item_id)
        .join(users, users.c.id == labels.c.user_id)
        .where(labels.c.campaign_id == campaign_id, labels.c.withdraws.is_(None), ~withdrawn, ~items.c.anchor)
        .order_by(labels.c.id)
    )


def _gold(connection: Connection, campaign_id: int) -> pa.Table:
    chosen = select(items.c.external_id, items.c.gold).where(
        items.c.campaign_id == campaign_id, items.c.gold.is_not(None), ~items.c.anchor
    )
    rows = [(name, task, label) for name, gold in connection.execute(chosen) for task, label in gold.items()]
    return _table(rows, ("item", "task", "label"))


def _scores(connection: Connection, campaign: Campaign) -> pa.Table:
    """One row per class; of items with a label or gold all, of others the first twenty thousand."""
    labeled = select(labels.c.id).where(labels.c.item_id == items.c.id).exists() | items.c.gold.is_not(None)
    mine = (items.c.campaign_id == campaign.id) & ~items.c.anchor
    others = select(items.c.id).where(mine, ~labeled).order_by(items.c.id).limit(MOST_UNLABELED)
    chosen = (
        select(items.c.external_id, scores.c.task, scores.c.model, scores.c.probs)
        .join(items, items.c.id == scores.c.item_id)
        .where(mine, labeled | items.c.id.in_(others))
        .order_by(items.c.id, scores.c.task, scores.c.model)
    )
    return _columns(connection, chosen, ("item", "task", "model", "label", "score"), _by_class(campaign.schema))


def _by_class(schema: Schema) -> Any:
    classes = {task.name: task.classes for task in schema.tasks}

    def rows(row: Any) -> Iterator[tuple[Any, ...]]:
        for label, score in zip(classes[row.task], row.probs, strict=True):
            yield (row.external_id, row.task, row.model, label, score)

    return rows


def _columns(
    connection: Connection, chosen: Select[Any, Any, Any, Any], names: Sequence[str], unfold: Any = None
) -> pa.Table:
    """The rows as a table, read in chunks so that they are never all there as Python's objects."""
    result = connection.execution_options(yield_per=CHUNK).execute(chosen)
    pieces = [
        _table([tuple(row) for row in chunk] if unfold is None else [r for row in chunk for r in unfold(row)], names)
        for chunk in result.partitions()
    ]
    return pa.concat_tables(pieces) if pieces else _table([], names)


def _table(rows: Sequence[tuple[Any, ...]], names: Sequence[str]) -> pa.Table:
    kinds = [pa.float64() if name == "score" else pa.string() for name in names]
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)], names=list(names))


# ---- and then -------------------------------------------------------------------------------------------------------
def keep_fit(connection: Connection, chore: Chore, why: Why, fitted: Fitted, *, now: float) -> int:
    """The version of the new model, which decides from now on.

    Raises ConflictError when another process has taken the chore meanwhile; nothing is changed then.
    """
    campaign_id = why.campaign.id
    note_down(connection, chore, labels=why.labels, failures=0)
    version = add_model(
        connection, campaign_id, fitted.archive, fitted.estimator, through_event=fitted.through_event, now=now
    )
    which = (models.c.campaign_id == campaign_id) & (models.c.version == version)
    connection.execute(update(models).where(which).values(note=dict(fitted.note)))
    return version


def note_failure(connection: Connection, chore: Chore, why: Why, reason: str, *, now: float) -> None:
    """Write down that there is no new model, and why; the next try waits twice as long.

    Raises ConflictError when another process has taken the chore meanwhile.
    """
    note_down(connection, chore, failures=chore.note.get("failures", 0) + 1)
    record(connection, why.campaign.id, FAILED, {"reason": reason}, now=now)


def put_off(connection: Connection, why: Why, *, now: float) -> str:
    """Write down that there are too few labels for the fit that was asked for; the words."""
    reason = f"{why.labels} labels are too few; the first fit needs {why.learning.least_labels}"
    record(connection, why.campaign.id, PUT_OFF, {"reason": reason}, now=now)
    return reason


def read_models(connection: Connection, campaign_id: int, *, most: int = 100) -> list[FittedModel]:
    """The campaign's models, the last first."""
    columns = [models.c[name] for name in FittedModel._fields]
    chosen = select(*columns).where(models.c.campaign_id == campaign_id).order_by(models.c.version.desc()).limit(most)
    return [FittedModel(*row) for row in connection.execute(chosen)]


def last_fit(connection: Connection, campaign_id: int) -> Event | None:
    """What was heard last of fits: asked for, done, failed or put off; None where nobody spoke of one yet."""
    told = (events.c.campaign_id == campaign_id) & events.c.kind.in_((ASKED, FITTED, FAILED, PUT_OFF))
    columns = [events.c[name] for name in Event._fields]
    row = connection.execute(select(*columns).where(told).order_by(events.c.id.desc()).limit(1)).first()
    return None if row is None else Event(*row)


def campaigns_that_learn(connection: Connection) -> list[int]:
    """The campaigns of which the model may be fitted anew."""
    return list(connection.execute(select(campaigns.c.id).where(campaigns.c.state != "draft")).scalars())
