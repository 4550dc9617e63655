"""Items and models' scores come in, and are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Annotated, Any, TypeVar

from fastapi import APIRouter, BackgroundTasks, Query, Request
from pydantic import BaseModel
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from quorate.service.auth import Lead, Principal, Reader, campaign_for, service_of
from quorate.service.changing import take_scores
from quorate.service.intake import Ids, check_items, items_of
from quorate.service.judging import rejudge_all
from quorate.service.problems import documented
from quorate.service.state import Service
from quorate.service.uploads import media_type, openapi_body, spooled
from quorate.service.wire import After, ExternalId, Id, Limit
from quorate.store.items import Uploaded, add_items
from quorate.store.log import note_audit
from quorate.store.reading import ItemRow, labels_of_item, last_item, list_items, read_item, scores_of_item
from quorate.store.records import Campaign

T = TypeVar("T")
router = APIRouter(prefix="/campaigns/{campaign_id}", tags=["items"])
TEXT = {"type": "string"}
ITEM_BODY = openapi_body(
    {
        "item": {"type": ["string", "integer"], "description": "The item's own id"},
        "content": {"type": "object"},
        "gold": {"type": "object", "additionalProperties": TEXT, "description": "Task to trusted class"},
        "anchor": {"type": "boolean"},
        "restricted": {"type": "boolean", "description": "True is refused: a campaign shows its items to people"},
        "scores": {"type": "object", "description": "Task to model to class to score"},
    }
)
SCORE_BODY = openapi_body({"item": TEXT, "task": TEXT, "model": TEXT, "label": TEXT, "score": {"type": "number"}})


class UploadedShown(BaseModel):
    """What an upload came to; those that were there already are left as they were."""

    added: int
    unchanged: int


class ScoredShown(BaseModel):
    """Of how many items scores were written."""

    items: int


class TaskShown(BaseModel):
    """A task of an item as it stands."""

    open: bool
    label: str | None
    confidence: float | None
    given: int
    leased: int


class ItemShown(BaseModel):
    """An item as it stands."""

    id: int
    item: str
    content: dict[str, Any]
    gold: dict[str, str] | None
    anchor: bool
    restricted: bool
    tasks: dict[str, TaskShown]


class LabelShown(BaseModel):
    """One answer to one task."""

    id: int
    task: str
    annotator: str
    label: str
    at: float
    seconds: float | None
    assisted: bool
    late: bool
    withdrawn: bool


class ScoreShown(BaseModel):
    """What a model said of a task."""

    model: str
    task: str
    scores: dict[str, float]


class WholeItem(ItemShown):
    """An item with all that was said of it."""

    labels: list[LabelShown]
    scores: list[ScoreShown]


class ItemsShown(BaseModel):
    """A page of items; `next` is the `after` of the next page, null at the end."""

    items: list[ItemShown]
    next: int | None


@router.post("/items", response_model=UploadedShown, responses=documented(415), openapi_extra=ITEM_BODY)
async def upload_items(
    request: Request,
    background: BackgroundTasks,
    campaign_id: Id,
    principal: Lead,
    ids: Annotated[Ids, Query(description="`content`: a row without `item` is named by its content")] = "given",
) -> Any:
    """Add items, all or none; one that is there already, the same, is left alone."""
    service = service_of(request)

    def keep(file: IO[bytes], kind: str, campaign: Campaign) -> tuple[int, Uploaded]:
        check_items(file, kind, campaign.schema, ids)
        now = service.clock()

        def work(connection: Connection) -> tuple[int, Uploaded]:
            before = last_item(connection, campaign_id)
            done = add_items(connection, campaign, items_of(file, kind, campaign.schema, ids), now=now)
            note_audit(connection, principal.id, "items added", f"campaign {campaign_id}", done._asdict(), now=now)
            return before, done

        return service.database.write(work)

    before, done = await _taken_in(request, service, principal, campaign_id, keep)
    if done.added:
        background.add_task(rejudge_all, service, campaign_id, after=before, only_with_model=True)
    return done._asdict()


@router.post("/scores", response_model=ScoredShown, responses=documented(415), openapi_extra=SCORE_BODY)
async def upload_scores(request: Request, background: BackgroundTasks, campaign_id: Id, principal: Lead) -> Any:
    """Write models' scores over those they gave before, all or none; the items are judged anew."""
    service = service_of(request)

    def keep(file: IO[bytes], kind: str, campaign: Campaign) -> tuple[int, ...]:
        return take_scores(service, principal, campaign, file, kind)

    touched = await _taken_in(request, service, principal, campaign_id, keep)
    if touched:
        background.add_task(rejudge_all, service, campaign_id, after=min(touched) - 1, only_with_model=True)
    return {"items": len(touched)}


@router.get("/items", response_model=ItemsShown)
def items(
    request: Request,
    campaign_id: Id,
    principal: Reader,
    after: After = 0,
    limit: Limit = 100,
    unfinished: Annotated[bool | None, Query(alias="open", description="With an open task, or without one")] = None,
) -> Any:
    """Items as they stand, a page at a time."""
    with service_of(request).database.reading() as connection:
        campaign_for(connection, principal, campaign_id)
        found = list_items(connection, campaign_id, after=after, limit=limit, unfinished=unfinished)
    return {"items": [_shown(item) for item in found], "next": found[-1].id if len(found) == limit else None}


@router.get("/items/{external_id:path}", response_model=WholeItem)
def item(request: Request, campaign_id: Id, external_id: ExternalId, principal: Reader) -> Any:
    """One item, and everything that was said of it."""
    with service_of(request).database.reading() as connection:
        schema = campaign_for(connection, principal, campaign_id).schema
        found = read_item(connection, campaign_id, external_id)
        labels, said = labels_of_item(connection, found.id), scores_of_item(connection, found.id)
    scores = [
        {"model": model, "task": task, "scores": dict(zip(schema.task(task).classes, probs, strict=True))}
        for model, task, probs in said
    ]
    return _shown(found) | {"labels": labels, "scores": scores}


# ---- parts ----------------------------------------------------------------------------------------------------------
async def _taken_in(
    request: Request,
    service: Service,
    principal: Principal,
    campaign_id: int,
    keep: Callable[[IO[bytes], str, Campaign], T],
) -> T:
    """The body is received only from who may send it, and then kept in a thread of its own."""
    kind = media_type(request)

    def seen() -> Campaign:
        with service.database.reading() as connection:
            return campaign_for(connection, principal, campaign_id)

    campaign = await run_in_threadpool(seen)
    with await spooled(request) as file:
        return await run_in_threadpool(keep, file, kind, campaign)


def _shown(item: ItemRow) -> dict[str, Any]:
    return {
        "id": item.id,
        "item": item.external_id,
        "content": item.content,
        "gold": item.gold,
        "anchor": item.anchor,
        "restricted": item.restricted,
        "tasks": {name: task._asdict() for name, task in item.state.items()},
    }
