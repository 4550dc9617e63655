"""The databases of the store's tests, for the service on top of them."""

from unit.store.conftest import database, postgres_server, url

__all__ = ["database", "postgres_server", "url"]
