"""The whole service on a real socket: uvicorn on the loopback, in a thread beside the test."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import uvicorn

from quorate.service.app import make_app
from quorate.service.server import Server
from quorate.service.state import ServiceSettings
from quorate.store.database import Database
from quorate.store.people import Role, add_token, add_user


class Served(NamedTuple):
    """A service that answers, and its app."""

    url: str
    app: Any


@contextmanager
def serving(
    database_url: str, *, port: int = 0, clock: Callable[[], float] = time.time, **settings: Any
) -> Iterator[Served]:
    """The service on that database until the block ends."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(2048)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        chosen = {"requests_per_minute": 10**6, "allow_private_urls": True} | settings
        app = make_app(ServiceSettings(database=database_url, base_url=url, **chosen), clock=clock)
        server = Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=5, lifespan="on"), app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.01)
            yield Served(url, app)
        finally:
            server.should_exit = True
            thread.join(30)


def token_of(database: Database, name: str, role: Role) -> str:
    """The token of a new user."""

    def work(connection: Any) -> str:
        made = add_user(connection, name, role, now=0.0)
        return add_token(connection, made.id, "test", now=0.0).text

    return database.write(work)
