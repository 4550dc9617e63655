"""Items and their scores come in: idempotent by external id, all or nothing, thousands in one statement."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, text, update

from quorate.data.restricted import RESTRICTED, is_marked
from quorate.errors import ConflictError, DataError
from quorate.schema import UNFIT, Schema
from quorate.store.database import insert_into
from quorate.store.log import record
from quorate.store.records import Campaign, Gold, ModelOutputs, fresh, room, state_to_json
from quorate.store.tables import items, scores

BATCH = 500  # rows of one statement; SQLite binds at most 32,766 values
MAX_ID = 500


class NewItem(NamedTuple):
    """An item as it is uploaded; `gold` holds the trusted answer of every task that has one."""

    external_id: str
    content: Mapping[str, Any]
    gold: Mapping[str, str] | None = None
    anchor: bool = False
    restricted: bool = False
    scores: ModelOutputs | None = None


class Uploaded(NamedTuple):
    """What an upload came to."""

    added: int
    unchanged: int


def add_items(connection: Connection, campaign: Campaign, new: Iterable[NewItem], *, now: float) -> Uploaded:
    """Add the items, with their scores; those that are there already, the same, are counted and left alone.

    Where the campaign has a model, new items are asked about when they were judged: see `submit.rejudge`.

    Raises DataError for what no item can hold, ConflictError for an item that is there with another content; the
    caller's transaction then keeps nothing of the upload.
    """
    added = unchanged = 0
    rows = enumerate(new, 1)
    while batch := list(islice(rows, BATCH)):
        for number, item in batch:
            check_item(campaign.schema, item, number)
        ids = _insert(connection, campaign, [item for _, item in batch])
        _write_scores(connection, campaign.schema, ids, [item for _, item in batch if item.external_id in ids])
        added += len(ids)
        unchanged += len(batch) - len(ids)
    if added >= BATCH:  # the planner must know of many new rows before the first question, not at its next round
        connection.execute(text("ANALYZE items"))
    if added:
        record(connection, campaign.id, "items added", {"added": added}, now=now)
    return Uploaded(added, unchanged)


def add_scores(
    connection: Connection, campaign: Campaign, of_items: Mapping[str, ModelOutputs], *, now: float
) -> tuple[int, ...]:
    """Write scores of items by external id, over any that the same models gave before; the ids of the items.

    The items are to be judged anew afterwards. Raises DataError for an unknown item, task or class, or for scores that
    are no probabilities.
    """
    touched: list[int] = []
    rows = iter(of_items.items())
    while batch := dict(islice(rows, BATCH)):
        ids = _ids(connection, campaign, list(batch))
        for name, said in batch.items():
            if name not in ids:
                raise DataError(f"there is no item {name!r}", mend="upload the item first", column="item")
            _check_scores(campaign.schema, said, None)
        _write_scores(
            connection, campaign.schema, ids, [NewItem(name, {}, scores=said) for name, said in batch.items()]
        )
        connection.execute(update(items).where(items.c.id.in_(ids.values())).values(scored=items.c.scored + 1))
        touched += ids.values()
    record(connection, campaign.id, "scores added", {"items": len(touched)}, now=now)
    return tuple(touched)


# ---- parts ----------------------------------------------------------------------------------------------------------
def _insert(connection: Connection, campaign: Campaign, batch: Sequence[NewItem]) -> dict[str, int]:
    """External id to id, of those that were not there."""
    values = {
        item.external_id: {
            "campaign_id": campaign.id,
            "external_id": item.external_id,
            "content": dict(item.content),
            "gold": dict(item.gold) if item.gold else None,
            "anchor": item.anchor,
            "restricted": item.restricted,
            **_start(campaign, item.gold),
        }
        for item in batch
    }
    if len(values) < len(batch):
        raise DataError("an external id is there twice", mend="name every item once", column="item")
    made = connection.execute(
        insert_into(connection, items)
        .values(list(values.values()))
        .on_conflict_do_nothing(index_elements=[items.c.campaign_id, items.c.external_id])
        .returning(items.c.external_id, items.c.id)
    )
    ids = {external_id: item_id for external_id, item_id in made}  # noqa: C416 # rows are no pairs to the type checker
    _refuse_changed(connection, campaign, [value for name, value in values.items() if name not in ids])
    return ids


def _start(campaign: Campaign, gold: Gold) -> dict[str, Any]:
    """As it stands before its first verdict; where there is a model, nobody is asked before it has spoken."""
    state = fresh(campaign.schema, gold)
    free = room(state, campaign.settings, 0) if campaign.model_version is None else 0
    return {"state": state_to_json(state), "room": free, "priority": 0.0}


def _refuse_changed(connection: Connection, campaign: Campaign, there: Sequence[Mapping[str, Any]]) -> None:
    if not there:
        return
    known = {
        row.external_id: row
        for row in connection.execute(
            select(items.c.external_id, items.c.content, items.c.gold).where(
                items.c.campaign_id == campaign.id, items.c.external_id.in_([new["external_id"] for new in there])
            )
        )
    }
    for new in there:
        old = known[new["external_id"]]
        if old.content != new["content"] or old.gold != new["gold"]:
            raise ConflictError(
                f"item {new['external_id']!r} is there with another content; give the new one an id of its own"
            )


def _ids(connection: Connection, campaign: Campaign, names: Sequence[str]) -> dict[str, int]:
    found = connection.execute(
        select(items.c.external_id, items.c.id).where(
            items.c.campaign_id == campaign.id, items.c.external_id.in_(names)
        )
    )
    return {row.external_id: row.id for row in found}


def _write_scores(connection: Connection, schema: Schema, ids: Mapping[str, int], batch: Sequence[NewItem]) -> None:
    rows = iter(
        {
            "item_id": ids[item.external_id],
            "model": model,
            "task": task,
            "probs": [float(said.get(name, 0.0)) for name in schema.task(task).classes],
        }
        for item in batch
        for task, of_models in (item.scores or {}).items()
        for model, said in of_models.items()
    )
    write = insert_into(connection, scores)
    key = [scores.c.item_id, scores.c.model, scores.c.task]
    write = write.on_conflict_do_update(index_elements=key, set_={"probs": write.excluded.probs})
    while some := list(islice(rows, 4 * BATCH)):
        connection.execute(write, some)


def check_item(schema: Schema, item: NewItem, row: int) -> None:
    """Raises DataError for what no item can hold."""
    if not 0 < len(item.external_id) <= MAX_ID or UNFIT.search(item.external_id):
        raise DataError(
            f"an external id has 1 to {MAX_ID} printing characters", mend="shorten or clean it", row=row, column="item"
        )
    marked = is_marked(item.content)
    if marked is None:
        raise DataError(
            "the mark 'restricted' is neither true nor false", mend="write true or false", row=row, column=RESTRICTED
        )
    if item.restricted or marked:
        raise DataError(
            "the item is restricted, and a campaign shows its items to people",
            mend="leave restricted items out; models inside a declared boundary may label them",
            row=row,
            column=RESTRICTED,
        )
    try:
        json.dumps([dict(item.content), item.gold], allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(
            f"the content is no JSON ({error})", mend="use texts, finite numbers, lists and objects", row=row
        ) from None
    for task, label in (item.gold or {}).items():
        if label not in schema.task(task).code_of:
            raise DataError(
                f"task {task!r} has no class {label!r}", mend="use a class of the schema", row=row, column="gold"
            )
    _check_scores(schema, item.scores or {}, row)


def _check_scores(schema: Schema, said: ModelOutputs, row: int | None) -> None:
    for model, task, probs in _each(said):
        strange = [name for name in probs if name not in schema.task(task).code_of]
        if strange:
            raise DataError(
                f"task {task!r} has no class {strange[0]!r}", mend="use the schema's classes", row=row, column="score"
            )
        values = [float(value) for value in probs.values()]
        fine = all(math.isfinite(value) and value >= 0 for value in values)
        if not fine or abs(sum(values) - 1.0) > 1e-3:
            raise DataError(
                f"the scores of model {model!r} for task {task!r} are no probabilities",
                mend="give one score per class, none negative, that sum to 1",
                row=row,
                column="score",
            )


def _each(said: ModelOutputs) -> Iterator[tuple[str, str, Mapping[str, float]]]:
    for task, of_models in said.items():
        for model, probs in of_models.items():
            yield model, task, probs
