"""Who did what to what."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from quorate.service.auth import Owner, service_of
from quorate.service.wire import MOST_ID, Limit
from quorate.store.reading import list_audit

router = APIRouter(tags=["audit"])


class AuditShown(BaseModel):
    """One entry of the audit log."""

    id: int
    at: float
    user_id: int | None
    action: str
    target: str
    detail: dict[str, Any]


@router.get("/audit", response_model=list[AuditShown])
def audit(
    request: Request,
    principal: Owner,
    before: Annotated[int | None, Query(ge=1, le=MOST_ID, description="Only entries before this id")] = None,
    limit: Limit = 100,
) -> Any:
    """The audit log, the newest first."""
    del principal  # who it is has been seen to
    with service_of(request).database.reading() as connection:
        return [each._asdict() for each in list_audit(connection, before=before, limit=limit)]
