"""All items of a campaign are judged anew, beside the requests of people: after another policy, or new scores."""

from __future__ import annotations

from quorate.service.state import Service
from quorate.store.submit import rejudge


def rejudge_all(service: Service, campaign_id: int) -> None:
    """Judge every item anew, a transaction each, so that people go on working between them."""
    last: int | None = 0
    while last is not None:
        last = rejudge(service.database, service.engine, campaign_id, now=service.clock(), after=last, most=500)
