"""A campaign's tables, a row at a time, each from one statement: as they stand at the moment that is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import pyarrow as pa
from sqlalchemy import Connection, select
from sqlalchemy.orm import aliased

from quorate.store.records import Campaign, state_from_json
from quorate.store.tables import decisions, items, labels, scores, users

ExportName = Literal["consensus", "labels", "scores", "items", "decisions"]
Rows = Callable[[Connection, Campaign], Iterator[tuple[Any, ...]]]
CHUNK = 2_000  # rows that are held in memory
TEXT, REAL, WHOLE, FLAG = pa.string(), pa.float64(), pa.int64(), pa.bool_()


class Export(NamedTuple):
    """A table's columns, those that hold JSON, and its rows."""

    schema: pa.Schema
    json_columns: frozenset[str]
    rows: Rows


def _stream(connection: Connection, chosen: Any) -> Iterator[Any]:
    yield from connection.execution_options(yield_per=CHUNK).execute(chosen)


def _tuples(connection: Connection, chosen: Any) -> Iterator[tuple[Any, ...]]:
    yield from map(tuple, _stream(connection, chosen))


# ---- rows -----------------------------------------------------------------------------------------------------------
def consensus_rows(connection: Connection, campaign: Campaign) -> Iterator[tuple[Any, ...]]:
    """What is thought of every item and task; no label where nothing is known."""
    for name, state in _stream(connection, _items(campaign, items.c.external_id, items.c.state)):
        for task, at in state_from_json(state).items():
            yield name, task, at.label, at.confidence, at.given, at.open


def label_rows(connection: Connection, campaign: Campaign) -> Iterator[tuple[Any, ...]]:
    """The labels that stand, oldest first."""
    back = aliased(labels)
    withdrawn = select(back.c.id).where(back.c.withdraws == labels.c.id).exists()
    named = (labels.c.task, users.c.name, labels.c.label, labels.c.at, labels.c.seconds, labels.c.assisted)
    yield from _tuples(
        connection,
        select(items.c.external_id, *named, labels.c.late, labels.c.cost)
        .join(items, items.c.id == labels.c.item_id)
        .join(users, users.c.id == labels.c.user_id)
        .where(labels.c.campaign_id == campaign.id, labels.c.withdraws.is_(None), ~withdrawn)
        .order_by(labels.c.id),
    )


def score_rows(connection: Connection, campaign: Campaign) -> Iterator[tuple[Any, ...]]:
    """What models said, a row per class."""
    chosen = _items(campaign, items.c.external_id, scores.c.task, scores.c.model, scores.c.probs)
    joined = chosen.join(scores, scores.c.item_id == items.c.id).order_by(scores.c.model, scores.c.task)
    for name, task, model, probs in _stream(connection, joined):
        for label, score in zip(campaign.schema.task(task).classes, probs, strict=True):
            yield name, task, model, label, score


def item_rows(connection: Connection, campaign: Campaign) -> Iterator[tuple[Any, ...]]:
    """Items as they were uploaded."""
    columns = (items.c.external_id, items.c.content, items.c.gold, items.c.anchor, items.c.restricted)
    yield from _tuples(connection, _items(campaign, *columns))


def decision_rows(connection: Connection, campaign: Campaign) -> Iterator[tuple[Any, ...]]:
    """Every closing and opening of a task, oldest first, with all that it rested on."""
    names = EXPORTS["decisions"].schema.names[1:-1]
    yield from _tuples(
        connection,
        select(items.c.external_id, *(decisions.c[name] for name in names), decisions.c.at)
        .join(items, items.c.id == decisions.c.item_id)
        .where(decisions.c.campaign_id == campaign.id)
        .order_by(decisions.c.id),
    )


def _items(campaign: Campaign, *columns: Any) -> Any:
    return select(*columns).select_from(items).where(items.c.campaign_id == campaign.id).order_by(items.c.id)


# ---- tables ---------------------------------------------------------------------------------------------------------
def _export(rows: Rows, json_columns: tuple[str, ...] = (), **columns: pa.DataType) -> Export:
    return Export(pa.schema(list(columns.items())), frozenset(json_columns), rows)


EXPORTS: Mapping[ExportName, Export] = {
    "consensus": _export(consensus_rows, item=TEXT, task=TEXT, label=TEXT, confidence=REAL, n_labels=WHOLE, open=FLAG),
    "labels": _export(
        label_rows,
        item=TEXT,
        task=TEXT,
        annotator=TEXT,
        label=TEXT,
        created_at=REAL,
        seconds=REAL,
        assisted=FLAG,
        late=FLAG,
        cost=REAL,
    ),
    "scores": _export(score_rows, item=TEXT, task=TEXT, model=TEXT, label=TEXT, score=REAL),
    "items": _export(item_rows, ("content", "gold"), item=TEXT, content=TEXT, gold=TEXT, anchor=FLAG, restricted=FLAG),
    "decisions": _export(
        decision_rows,
        ("labels_used",),
        item=TEXT,
        task=TEXT,
        closed=FLAG,
        label=TEXT,
        confidence=REAL,
        labels_used=TEXT,
        model_version=WHOLE,
        policy_version=WHOLE,
        calibrator=TEXT,
        cost=REAL,
        created_at=REAL,
    ),
}
