"""An annotator's loop: the next item, its answers, and what one does instead. The hot path: nothing is done twice."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from quorate.errors import ForbiddenError, NotFoundError
from quorate.service.auth import Principal, Worker, campaign_for, service_of
from quorate.service.hints import Hints
from quorate.service.wire import Id, LeaseId, Text, Wire, answer
from quorate.store.queue import Lease
from quorate.store.submit import Answer

router = APIRouter(tags=["work"])
Key = Annotated[
    str,
    Header(alias="Idempotency-Key", min_length=1, max_length=200, description="A fresh UUID; the same when sent again"),
]


class AnswerIn(Wire):
    """An answer to one task."""

    task: Text
    label: Text
    seconds: float | None = Field(default=None, ge=0, le=1e9, allow_inf_nan=False)
    assisted: bool = False


class Submission(Wire):
    """The answers to an item's tasks, and whether to hand out the next item with the receipt."""

    answers: Annotated[list[AnswerIn], Field(min_length=1, max_length=200)]
    next: bool = False


class SuggestionShown(BaseModel):
    """What models and people think of a task; only where the campaign is not blind."""

    label: str
    confidence: float | None


class LeaseShown(BaseModel):
    """A seat at an item: what is asked, and until when."""

    id: str
    campaign: int
    item: str
    content: dict[str, Any]
    tasks: list[str]
    expires_at: float
    suggestions: dict[str, SuggestionShown] | None = None


class ReceiptShown(BaseModel):
    """What was kept; `next` is there when it was asked for, and null when there is nothing to ask."""

    labels: dict[str, int]
    late: list[str]
    closed: list[str]
    next: LeaseShown | None = None


class WithdrawalShown(BaseModel):
    """What was taken back, and the lease under which it may be answered anew."""

    withdrawn: list[str]
    lease: str | None


def _says(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": model, "description": "done"}}


@router.post("/campaigns/{campaign_id}/next", responses={**_says(LeaseShown), 204: {"description": "nothing to ask"}})
async def next_item(request: Request, campaign_id: Id, principal: Worker) -> Response:
    """The seat that one holds, or the next."""
    try:
        lease = await service_of(request).desk.next(campaign_id, principal.id)
    except NotFoundError:
        if principal.role == "owner":
            await run_in_threadpool(_check_seen, request, campaign_id, principal)
        raise
    if lease is None:
        return Response(status_code=204)
    return answer(await _shown(request, lease))


@router.post("/leases/{lease_id}/submit", responses=_says(ReceiptShown))
async def submit(request: Request, lease_id: LeaseId, given: Submission, key: Key, principal: Worker) -> Response:
    """Keep the answers, once per key; with `next`, hand out the next item in the same breath."""
    answers = [Answer(each.task, each.label, each.seconds, each.assisted) for each in given.answers]
    desk = service_of(request).desk
    done = await desk.submit(lease_id, principal.id, answers, key=key, then_next="same" if given.next else None)
    receipt = done.receipt
    body: dict[str, Any] = {"labels": dict(receipt.labels), "late": receipt.late, "closed": receipt.closed}
    if given.next:
        body["next"] = await _shown(request, done.next) if done.next else None
    return answer(body)


@router.post("/leases/{lease_id}/skip", status_code=204)
async def skip(request: Request, lease_id: LeaseId, principal: Worker) -> Response:
    """Give the seat back; one is not asked about the item again."""
    await service_of(request).desk.skip(lease_id, principal.id)
    return Response(status_code=204)


@router.post("/leases/{lease_id}/undo", responses=_says(WithdrawalShown))
async def undo(request: Request, lease_id: LeaseId, key: Key, principal: Worker) -> Response:
    """Take the answers back that were given under a lease."""
    done = await service_of(request).desk.undo(lease_id, principal.id, key=key)
    return answer({"withdrawn": done.withdrawn, "lease": done.lease_id})


@router.post("/leases/{lease_id}/renew", responses=_says(LeaseShown))
async def renew(request: Request, lease_id: LeaseId, principal: Worker) -> Response:
    """Keep the seat for as long as a new one."""
    return answer(await _shown(request, await service_of(request).desk.renew(lease_id, principal.id)))


# ---- parts ----------------------------------------------------------------------------------------------------------
def _hints(request: Request) -> Hints:
    return request.app.state.hints


async def _shown(request: Request, lease: Lease) -> dict[str, Any]:
    """The lease as its holder may see it: nothing that tells how often, when or by whom the item was answered."""
    said = await _hints(request).suggestions(lease)
    body: dict[str, Any] = {
        "id": lease.id,
        "campaign": lease.campaign_id,
        "item": lease.external_id,
        "content": lease.content,
        "tasks": lease.tasks,
        "expires_at": lease.expires_at,
    }
    return body if said is None else body | {"suggestions": {name: each._asdict() for name, each in said.items()}}


def _check_seen(request: Request, campaign_id: int, principal: Principal) -> None:
    """An owner sees every campaign, but only members are asked. Raises NotFoundError, ForbiddenError."""
    with service_of(request).database.reading() as connection:
        campaign_for(connection, principal, campaign_id)
    raise ForbiddenError("you are no member of this campaign; make yourself one to be asked")
