"""All pages, as one router; it stands beside the API."""

from __future__ import annotations

from fastapi import APIRouter

from quorate.service.pages import change, doorway, lead, people, pictures, setup, work

router = APIRouter(include_in_schema=False)
for each in (
    doorway,
    setup,
    work,
    lead,
    change,
    people,
    pictures,
):  # the setup before the campaigns: `new` is no number
    router.include_router(each.router)
