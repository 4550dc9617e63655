"""A service that really runs, on a loopback socket and a file of SQLite, with a person of every role."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import requests
import uvicorn

from quorate.service.app import make_app
from quorate.service.door import hashed_password
from quorate.service.state import Service, ServiceSettings
from quorate.store.database import Database
from quorate.store.people import add_user

PASSWORD = "correct horse battery"  # noqa: S105 # of people who live as long as a test
PEOPLE = {"ada": "owner", "lea": "lead", "ann": "annotator", "bob": "annotator", "rea": "reader"}
CSRF = re.compile(r'name="csrf" value="([^"]+)"')


class Site(NamedTuple):
    """A running service."""

    url: str
    service: Service
    ids: dict[str, int]
    known: dict[str, Visitor]

    def http(self) -> Http:
        """Somebody who has not signed in."""
        return Http(self.url)

    def visitor(self, name: str) -> Visitor:
        """Somebody who has signed in, once: logins are limited."""
        if name not in self.known:
            self.known[name] = Visitor(self, name)
        return self.known[name]


class Http:
    """Requests to one service, with the cookies of one browser."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def get(self, path: str, **options) -> requests.Response:
        """Read."""
        return self._session.get(self._url + path, timeout=20, **options)

    def post(self, path: str, **options) -> requests.Response:
        """Send."""
        return self._session.post(self._url + path, timeout=20, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()


class Visitor:
    """A browser without scripts: it follows links and sends forms."""

    def __init__(self, site: Site, name: str) -> None:
        self.http = Http(site.url)
        answer = self.http.post("/login", data={"name": name, "password": PASSWORD, "next": "/"})
        assert answer.status_code == 200, answer.text
        found = CSRF.search(answer.text)
        assert found
        self.csrf = found[1]

    def get(self, path: str, **options) -> requests.Response:
        """Read a page."""
        return self.http.get(path, **options)

    def post(self, path: str, fields: dict | None = None, **options) -> requests.Response:
        """Send a form."""
        return self.http.post(path, data={**(fields or {}), "csrf": self.csrf}, **options)

    def close(self) -> None:
        """Leave."""
        self.http.__exit__()


@contextmanager
def running_site(folder: Path, **settings) -> Iterator[Site]:
    """The service, until the end of the block."""
    address = f"sqlite:///{folder / 'quorate.db'}"
    database = Database.open(address)
    hashed = hashed_password(PASSWORD)

    def make(connection):
        return {
            name: add_user(connection, name, role, now=time.time(), password_hash=hashed).id
            for name, role in PEOPLE.items()
        }

    ids = database.write(make)
    database.close()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = make_app(ServiceSettings(database=address, base_url=url, workers="none", **settings))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        known: dict[str, Visitor] = {}
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield Site(url, app.state.service, ids, known)
        finally:
            for visitor in known.values():
                visitor.close()
            server.should_exit = True
            thread.join()
