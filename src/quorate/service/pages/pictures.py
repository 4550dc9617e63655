"""Pictures that items name by address are fetched here, for who holds the item, so that pages ask nobody outside."""

from __future__ import annotations

from typing import Annotated

from aiohttp import ClientError
from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from quorate.errors import NotFoundError, SettingError
from quorate.service.auth import SignedInUser, service_of
from quorate.service.guard import Guard
from quorate.service.pages.content import blocks_of, is_outside
from quorate.service.problems import Refusal
from quorate.service.wire import LeaseId
from quorate.store.overview import content_of_lease

router = APIRouter(include_in_schema=False)
KINDS = {"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "image/svg+xml"}
MOST = 10_000_000  # bytes
ALONE = "default-src 'none'; style-src 'unsafe-inline'; sandbox"  # a drawing opened by itself runs nothing
KEPT = {"cache-control": "private, max-age=3600", "content-security-policy": ALONE}


@router.get("/leases/{lease_id}/picture")
async def picture(
    request: Request, lease_id: LeaseId, principal: SignedInUser, name: Annotated[str, Query(max_length=500)]
) -> Response:
    """The picture in that field of the item that this person holds."""
    address = await run_in_threadpool(_address, request, lease_id, principal.id, name)
    try:
        found = await Guard(allow_private=service_of(request).settings.allow_private_urls).fetch(address, most=MOST)
    except (OSError, ClientError, SettingError):
        raise Refusal(404, "the picture could not be fetched") from None
    if found.status != 200 or found.media_type not in KINDS:
        raise Refusal(404, "there is no picture at that address")
    return Response(found.body, media_type=found.media_type, headers=KEPT)


def _address(request: Request, lease_id: str, user_id: int, name: str) -> str:
    """Only what the item itself names is ever fetched. Raises NotFoundError."""
    with service_of(request).database.reading() as connection:
        content = content_of_lease(connection, lease_id, user_id)
    for block in blocks_of(content):
        if block.kind == "picture" and block.name == name and is_outside(block.text):
            return block.text
    raise NotFoundError("the item has no such picture")
