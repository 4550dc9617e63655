"""The models that a service offers its campaigns, as its operator says at the start; the key stays in the environment.

Nothing of the way to them is written to the database, a page or the log: neither the key nor the server's address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url

from quorate.errors import MissingExtraError, SettingError
from quorate.llm.client import OPENAI, ChatClient, environment_proxy, key_of
from quorate.llm.ledger import Ledger, read_prices
from quorate.llm.limits import Limits
from quorate.llm.settings import is_local
from quorate.store.asking import Labeler

BESIDE = ".calls"  # the folder of the records of calls, after the name of SQLite's file


class NotOfferedError(SettingError):
    """A campaign wants scores of a model that the service does not offer."""


@dataclass(frozen=True)
class Offer:
    """Models, and the way to them; with `folder` empty, calls are recorded beside the database."""

    models: tuple[str, ...]
    base_url: str = ""
    key_env: str = ""
    folder: str = ""
    prices: str = ""
    allow_unknown_prices: bool = False
    in_flight: int = 32
    timeout_s: float = 120.0

    def __post_init__(self) -> None:
        local = next(filter(is_local, self.models), None)
        if not self.models or local:
            raise SettingError(f"a service offers models of a server, not {local or 'none at all'}")
        if self.base_url and not self.base_url.startswith(("http://", "https://")):
            raise SettingError("the address of the models begins with http:// or https://")
        if "@" in urlsplit(self.base_url).netloc:
            raise SettingError("the address of the models holds a secret; name a variable that holds it instead")

    def check(self, labeler: Labeler | None) -> None:
        """Raises NotOfferedError for a model that is not offered."""
        strange = next((name for name in labeler.models if name not in self.models), None) if labeler else None
        if strange is not None:
            raise NotOfferedError(f"model {strange!r} is not offered here; choose among {', '.join(self.models)}")

    def ready(self, database: str, environment: Mapping[str, str]) -> None:
        """Make the folder of the records. Raises SettingError for whatever is missing, before anything is asked."""
        try:
            import tenacity  # noqa: F401 # pyright: ignore[reportUnusedImport]
        except ImportError:
            raise MissingExtraError("tenacity", "llm") from None
        key_of(environment, self.base_url, self.key_env)
        ledger = self.ledger(0.0)
        for name in self.models:
            ledger.price(name)
        folder = self.folder_of(database)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingError(
                f"calls cannot be recorded in {folder} ({error.strerror}); name another folder"
            ) from None

    def folder_of(self, database: str) -> Path:
        """Where calls are recorded, since what was paid for is never asked again. Raises SettingError without any."""
        if self.folder:
            return Path(self.folder)
        url = make_url(database)
        if not url.drivername.startswith("sqlite") or not url.database:
            raise SettingError(
                "name a folder that stays for the records of calls to models, such as --models-folder calls"
            )
        return Path(url.database + BESIDE)

    def client(self, environment: Mapping[str, str]) -> ChatClient:
        """The way to the server."""
        url = self.base_url or OPENAI
        return ChatClient(
            url,
            api_key=key_of(environment, url, self.key_env),
            timeout_s=self.timeout_s,
            connections=self.in_flight,
            proxy=environment_proxy(url),
        )

    def ledger(self, cap_usd: float) -> Ledger:
        """Prices and the cap."""
        prices = read_prices(Path(self.prices) if self.prices else None)
        return Ledger(prices, cap_usd=cap_usd, allow_unknown=self.allow_unknown_prices)

    def limits(self) -> Limits:
        """How fast the server may be asked."""
        return Limits(most_in_flight=self.in_flight)


def check_labeler(offer: Offer | None, labeler: Labeler | None) -> None:
    """Raises NotOfferedError for a labeler that this service cannot serve."""
    if labeler is not None and offer is None:
        raise NotOfferedError("this service offers no models; whoever runs it starts it with --models")
    if offer is not None:
        offer.check(labeler)
