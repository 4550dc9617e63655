"""The databases of the store's tests, under a whole service."""

from unit.store.conftest import database, postgres_server, url

__all__ = ["database", "postgres_server", "url"]
