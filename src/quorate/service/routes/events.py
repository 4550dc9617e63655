"""What happens in a campaign: page by page, or as it happens."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from quorate.errors import QuorateError
from quorate.service.auth import Principal, Reader, campaign_for, service_of, signed_in
from quorate.service.stream import Stream
from quorate.service.wire import After, Id, Limit
from quorate.store.tail import told

router = APIRouter(tags=["events"])
EVENT_STREAM = "text/event-stream"
LastEvent = Annotated[str | None, Header(alias="Last-Event-ID", pattern=r"^[0-9]{0,15}$")]


class EventShown(BaseModel):
    """One thing that happened; `body` tells what its kind has to tell."""

    id: int
    kind: str
    item: str | None
    user: str | None
    body: dict[str, Any]
    at: float


@router.get("/campaigns/{campaign_id}/events", response_model=list[EventShown])
def events(
    request: Request, campaign_id: Id, principal: Reader, after: After = 0, limit: Limit = 100
) -> list[dict[str, Any]]:
    """The events after an id, oldest first; who asks again after the last one misses none."""
    through = stream_of(request).safe()
    with service_of(request).database.reading() as connection:
        campaign_for(connection, principal, campaign_id)
        return [each._asdict() for each in told(connection, [campaign_id], after=after, through=through, most=limit)]


@router.get(
    "/campaigns/{campaign_id}/stream",
    response_class=StreamingResponse,
    responses={200: {"description": "events, as server-sent events", "content": {EVENT_STREAM: {}}}},
)
async def stream(
    request: Request, campaign_id: Id, principal: Reader, last_event: LastEvent = None
) -> StreamingResponse:
    """Events as they happen; a reader that comes back with `Last-Event-ID` misses none."""
    await run_in_threadpool(_check, request, principal, campaign_id)

    async def still() -> bool:
        """Whether this reader may still read: tokens are revoked, members removed."""
        try:
            now = await signed_in(request)
            await run_in_threadpool(_check, request, now, campaign_id)
        except (QuorateError, HTTPException):
            return False
        return now.role != "annotator"

    reading = stream_of(request).read(campaign_id, int(last_event) if last_event else None, still=still)
    first = await anext(reading)  # a refusal is an answer, not a broken stream

    async def text() -> AsyncGenerator[bytes]:
        try:
            yield first
            async for piece in reading:
                yield piece
        finally:
            await reading.aclose()

    return StreamingResponse(text(), media_type=EVENT_STREAM, headers={"X-Accel-Buffering": "no"})


def stream_of(request: Request) -> Stream:
    """What every reader of the process shares."""
    return request.app.state.stream


def _check(request: Request, principal: Principal, campaign_id: int) -> None:
    with service_of(request).database.reading() as connection:
        campaign_for(connection, principal, campaign_id)
