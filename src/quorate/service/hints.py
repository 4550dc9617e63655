"""What people are shown of what models and others think, and which campaigns show it, remembered for a moment."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool

from quorate.errors import NotFoundError
from quorate.service.state import Service
from quorate.store.campaigns import read_campaign
from quorate.store.queue import Lease
from quorate.store.reading import Suggestion, read_suggestions

BLIND_S = 3.0  # for so long a campaign is held to be blind, or not


class Hints:
    """Which campaigns are blind, and what others show; one per process, used on its event loop only."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._blind: dict[int, tuple[bool, float]] = {}

    async def suggestions(self, lease: Lease) -> dict[str, Suggestion] | None:
        """What is thought of the lease's tasks so far; None in a blind campaign."""
        return None if await self._is_blind(lease.campaign_id) else await run_in_threadpool(self._suggestions, lease)

    async def _is_blind(self, campaign_id: int) -> bool:
        """Whether people in that campaign answer without seeing what models and peers say."""
        blind, until = self._blind.get(campaign_id, (None, float("-inf")))
        now = self._service.clock()
        if blind is None or now >= until:
            if blind is not None:  # one looks; the others go on with what was
                self._blind[campaign_id] = (blind, now + BLIND_S)
            blind = await run_in_threadpool(self._read_blind, campaign_id)
            self._blind[campaign_id] = (blind, self._service.clock() + BLIND_S)
        return blind

    def _suggestions(self, lease: Lease) -> dict[str, Suggestion]:
        with self._service.database.reading() as connection:
            return read_suggestions(connection, lease.item_id, lease.tasks)

    def _read_blind(self, campaign_id: int) -> bool:
        try:
            with self._service.database.reading() as connection:
                return read_campaign(connection, campaign_id).settings.blind
        except NotFoundError:
            return True
