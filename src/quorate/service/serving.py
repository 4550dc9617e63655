"""A server process: the socket that it listens on, the first owner, and the app as several processes import it."""

from __future__ import annotations

import gc
import ipaddress
import os
import secrets
import socket
from typing import NamedTuple

from fastapi import FastAPI
from sqlalchemy import Connection

from quorate.errors import SettingError
from quorate.service.app import make_app
from quorate.service.door import hashed_password
from quorate.service.state import ServiceSettings
from quorate.store.accounts import list_accounts
from quorate.store.database import Database
from quorate.store.people import User, add_user

SETTINGS = "QUORATE_SERVICE_SETTINGS"  # how the first process tells the others
OWNER = "owner"
BACKLOG = 2048
OBJECTS, TIMES = 2_000, (10, 50)  # made and kept between two looks at the young; those between two at older ones


class FirstOwner(NamedTuple):
    """The owner, and the password when it was made just now."""

    user: User
    password: str | None


def first_owner(database: Database, *, now: float, password: str | None = None) -> FirstOwner:
    """The first owner; made with a fresh password where nobody is there yet. Raises SettingError for a short one."""
    chosen = password or secrets.token_urlsafe(12)
    with database.reading() as connection:
        anybody = list_accounts(connection)
    hashed = None if anybody else hashed_password(chosen)

    def work(connection: Connection) -> FirstOwner:
        there = list_accounts(connection)
        if not there and hashed:
            return FirstOwner(add_user(connection, OWNER, "owner", now=now, password_hash=hashed), chosen)
        owner = next(each for each in there if each.role == "owner" and each.disabled_at is None)
        return FirstOwner(User(owner.id, owner.name, owner.role), None)

    return database.write(work)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 is any free one. Raises SettingError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(BACKLOG)  # who comes before the app stands waits, and is not refused
    except OSError as error:
        made.close()
        raise SettingError(f"cannot listen on {host}:{port} ({error.strerror}); choose another --port") from None
    made.set_inheritable(True)
    return made


def is_local(host: str) -> bool:
    """Whether only this machine can reach that address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def tell_others(settings: ServiceSettings) -> None:
    """Leave the settings where processes that this one starts find them."""
    os.environ[SETTINGS] = settings.to_json()


def app_for_life(settings: ServiceSettings) -> FastAPI:
    """The app of a process that does nothing else.

    Every request waits while Python looks through all objects for cycles, a fifth of a second with thousands of items
    in hand, and by Python's own thresholds it does so every few seconds of load. What is loaded now is never looked at
    again, and the rest some ten times less often.
    """
    app = make_app(settings)
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS, *TIMES)
    return app


def app_of_environment() -> FastAPI:
    """The app, in a process that was started by another."""
    return app_for_life(ServiceSettings.from_json(os.environ[SETTINGS]))
