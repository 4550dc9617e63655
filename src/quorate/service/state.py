"""What every request of one process shares: the database, the engine, the desk, the clock, the settings."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Literal

from quorate.errors import SettingError
from quorate.service.desk import Desk
from quorate.service.engine import Engine
from quorate.service.offer import Offer
from quorate.store.database import Database


@dataclass(frozen=True)
class ServiceSettings:
    """How a service runs; `quorate serve` fills it from its options and the environment."""

    database: str = "sqlite:///quorate.db"
    base_url: str = "http://127.0.0.1:8000"
    secure_cookies: bool = False  # on as soon as base_url is https
    session_hours: float = 12.0
    requests_per_minute: int = 1200  # of one person or address; the login has a tighter limit of its own
    max_body_mb: int = 64
    docs: bool = True
    allow_private_urls: bool = False  # of webhooks and images; only for tests and closed networks
    workers: Literal["own", "none"] = "own"  # whether this process sweeps, refits, asks models and delivers
    offer: Offer | None = None  # models that campaigns may have scores from

    def __post_init__(self) -> None:
        if not 0 < self.session_hours <= 24 * 90:
            raise SettingError(f"session_hours is above 0 and at most 2160, not {self.session_hours}")
        if self.requests_per_minute < 1 or self.max_body_mb < 1:
            raise SettingError("requests_per_minute and max_body_mb are 1 or more")

    def to_json(self) -> str:
        """For a process that is started by another; there is no secret in it but the database's address."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ServiceSettings:
        """Read back.

        >>> ServiceSettings.from_json(ServiceSettings(offer=Offer(("m",))).to_json()).offer.models
        ('m',)
        """
        given = json.loads(text)
        offer = given.pop("offer")
        return cls(**given, offer=Offer(**offer | {"models": tuple(offer["models"])}) if offer else None)


@dataclass(frozen=True)
class Service:
    """The parts of one process; `request.app.state.service` in a route."""

    settings: ServiceSettings
    database: Database
    engine: Engine
    desk: Desk
    clock: Callable[[], float] = field(default=time.time)
