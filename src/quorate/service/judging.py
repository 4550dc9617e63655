"""All items of a campaign are judged anew, beside the requests of people: after another policy, or new scores."""

from __future__ import annotations

from quorate.service.state import Service
from quorate.store.campaigns import read_campaign
from quorate.store.submit import rejudge


def rejudge_all(service: Service, campaign_id: int, *, after: int = 0, only_with_model: bool = False) -> None:
    """Judge the items after that one anew, a transaction each, so that people go on working between them.

    Before a model is fitted, scores change no verdict: with `only_with_model` nothing is done then.
    """
    with service.database.reading() as connection:
        campaign = read_campaign(connection, campaign_id)
    last: int | None = None if only_with_model and campaign.model_version is None else after
    while last is not None:
        last = rejudge(service.database, service.engine, campaign_id, now=service.clock(), after=last, most=500)
