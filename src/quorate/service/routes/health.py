"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from quorate.service.auth import service_of
from quorate.service.problems import documented
from quorate.service.wire import answer
from quorate.store.reading import is_ready

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> Response:
    """The process answers."""
    return answer({"status": "ok"})


@router.get("/readyz", responses=documented(503))
def ready(request: Request) -> Response:
    """The database answers too."""
    with service_of(request).database.reading() as connection:
        is_ready(connection)
    return answer({"status": "ready"})
