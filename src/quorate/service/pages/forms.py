"""What a form sent, as texts, and who may send it."""

from __future__ import annotations

from starlette.datastructures import UploadFile
from starlette.requests import Request

from quorate.errors import ForbiddenError
from quorate.service.auth import Principal


async def read_form(request: Request) -> dict[str, str]:
    """The fields, of those of one name the last."""
    return {name: value for name, value in (await request.form()).multi_items() if isinstance(value, str)}


async def read_lists(request: Request) -> dict[str, list[str]]:
    """The fields, of those of one name all."""
    found: dict[str, list[str]] = {}
    for name, value in (await request.form()).multi_items():
        if isinstance(value, str):
            found.setdefault(name, []).append(value)
    return found


async def read_file(request: Request, name: str = "file") -> UploadFile | None:
    """The file, if one was chosen."""
    value = (await request.form()).get(name)
    return value if isinstance(value, UploadFile) and value.filename else None


def check_lead(principal: Principal) -> None:
    """Raises ForbiddenError for all but owners and leads."""
    if principal.role not in {"owner", "lead"}:
        raise ForbiddenError(f"this is for owners and leads; you are {principal.role}")
