"""What the work routes need to know of leases and campaigns, remembered so that it is not read for every answer."""

from __future__ import annotations

from collections import OrderedDict

from starlette.concurrency import run_in_threadpool

from quorate.errors import NotFoundError
from quorate.service.state import Service
from quorate.store.campaigns import read_campaign
from quorate.store.queue import Lease
from quorate.store.reading import Suggestion, campaign_of_lease, read_suggestions

BLIND_S = 3.0  # for so long a campaign is held to be blind, or not
MOST = 50_000  # leases


class Hints:
    """Leases' campaigns, and which campaigns are blind; one per process, used on its event loop only."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._campaigns: OrderedDict[str, int] = OrderedDict()  # of leases; a lease never changes its campaign
        self._blind: dict[int, tuple[bool, float]] = {}

    def granted(self, lease: Lease) -> None:
        """Remember where a lease is from."""
        self._campaigns[lease.id] = lease.campaign_id
        while len(self._campaigns) > MOST:
            self._campaigns.popitem(last=False)

    async def campaign_of(self, lease_id: str, user_id: int) -> int:
        """The campaign of that user's lease. Raises NotFoundError."""
        known = self._campaigns.get(lease_id)
        return known if known is not None else await run_in_threadpool(self._read_campaign, lease_id, user_id)

    async def is_blind(self, campaign_id: int) -> bool:
        """Whether people in that campaign answer without seeing what models and peers say."""
        blind, until = self._blind.get(campaign_id, (True, float("-inf")))
        if self._service.clock() >= until:
            blind = await run_in_threadpool(self._read_blind, campaign_id)
            self._blind[campaign_id] = (blind, self._service.clock() + BLIND_S)
        return blind

    async def suggestions(self, lease: Lease) -> dict[str, Suggestion] | None:
        """What is thought of the lease's tasks so far; None in a blind campaign."""
        return None if await self.is_blind(lease.campaign_id) else await run_in_threadpool(self._suggestions, lease)

    def _suggestions(self, lease: Lease) -> dict[str, Suggestion]:
        with self._service.database.reading() as connection:
            return read_suggestions(connection, lease.item_id, lease.tasks)

    def _read_campaign(self, lease_id: str, user_id: int) -> int:
        with self._service.database.reading() as connection:
            found = campaign_of_lease(connection, lease_id, user_id)
        if found is None:
            raise NotFoundError("there is no such lease of yours")
        return found

    def _read_blind(self, campaign_id: int) -> bool:
        try:
            with self._service.database.reading() as connection:
                return read_campaign(connection, campaign_id).settings.blind
        except NotFoundError:
            return True
