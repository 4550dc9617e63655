"""Figures of the whole database that an index gives at once."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from quorate.store.tables import OPEN, WAITS, campaigns, hooks, labels, leases, outbox
from quorate.store.tail import last_event


def read_figures(connection: Connection) -> Mapping[str, tuple[str, float]]:
    """Name to meaning and value."""
    count = lambda where, table: connection.execute(select(func.count()).select_from(table).where(where)).scalar_one()  # noqa: E731
    last_label = connection.execute(select(func.coalesce(func.max(labels.c.id), 0))).scalar_one()
    return {
        "quorate_labels": ("Labels and withdrawals ever written", float(last_label)),
        "quorate_events": ("Events ever written", float(last_event(connection))),
        "quorate_open_leases": ("Seats held now", float(count(OPEN, leases))),
        "quorate_campaigns_running": ("Campaigns that run", float(count(campaigns.c.state == "running", campaigns))),
        "quorate_outbox_waiting": ("Events that wait for a receiver", float(count(WAITS, outbox))),
        "quorate_hooks_stopped": ("Receivers told nothing more", float(count(hooks.c.stopped_at.is_not(None), hooks))),
    }
