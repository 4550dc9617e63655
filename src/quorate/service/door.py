"""Who is let in: passwords, sessions, and what is remembered for a moment of who came with which token.

A token is looked up in the database once in `REMEMBERED_S`; what this process itself revokes is forgotten at once,
what another revokes within that time.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection

from quorate.errors import SettingError, SignInError
from quorate.service.limits import Buckets
from quorate.service.state import Service
from quorate.store.log import note_audit
from quorate.store.people import Role, user_of_token
from quorate.store.sessions import (
    NewSession,
    add_session,
    end_session,
    end_sessions_of,
    read_password,
    set_password,
    user_of_session,
)

REMEMBERED_S = 10.0  # a token revoked in another process opens for that long at most
LEAST_PASSWORD, MOST_PASSWORD = 10, 1000  # characters
LOGINS_PER_MINUTE = 10  # of one name from one address
LOGINS_OF_ADDRESS = 60  # a team may share one
FAILURES_OF_ADDRESS = 120  # tokens that nobody has, in a minute
AT_ONCE = 2  # passwords verified at the same time: each takes 64 MiB and a core


class Principal(NamedTuple):
    """Who makes a request."""

    id: int
    name: str
    role: Role
    via: Literal["token", "session"]
    csrf: str | None


class Credential(NamedTuple):
    """What a request came with."""

    via: Literal["token", "session"]
    text: str


class SignedIn(NamedTuple):
    """A person after the password was right, and the new session."""

    principal: Principal
    session: NewSession


class Remembered:
    """Who came with what, for a moment; bounded, safe between threads. Keys are hashes: no secret stays in memory."""

    def __init__(self, clock: Callable[[], float], *, most: int = 20_000) -> None:
        self._clock = clock
        self._most = most
        self._kept: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, credential: Credential) -> Principal | None:
        """Who it was, if that is not long ago."""
        found = self._kept.get(_key(credential))
        return found[0] if found and 0 <= self._clock() - found[1] < REMEMBERED_S else None

    def put(self, credential: Credential, principal: Principal, at: float) -> None:
        """Remember who came with it, as the database had it at that time."""
        with self._lock:
            self._kept[_key(credential)] = (principal, at)
            self._kept.move_to_end(_key(credential))
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def forget(self, user_id: int) -> None:
        """Look that user up again, whatever they come with."""
        with self._lock:
            for key in [key for key, (principal, _) in self._kept.items() if principal.id == user_id]:
                del self._kept[key]


class Door:
    """Lets people in; one per process."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._hasher = PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_urlsafe(16))  # a name nobody has takes as long as a wrong word
        self._verifying = threading.BoundedSemaphore(AT_ONCE)
        self._logins = Buckets(LOGINS_PER_MINUTE, service.clock)
        self._login_addresses = Buckets(LOGINS_OF_ADDRESS, service.clock)
        self._failures = Buckets(FAILURES_OF_ADDRESS, service.clock)
        self._generation = 0
        self.remembered = Remembered(service.clock)
        self.rates = Buckets(service.settings.requests_per_minute, service.clock)

    def who(self, credential: Credential, address: str) -> Principal:
        """Who comes with that credential, by the database. Raises SignInError; Refusal after too many tries."""
        now, generation = self._service.clock(), self._generation
        with self._service.database.reading() as connection:
            if credential.via == "token":
                user, csrf = user_of_token(connection, credential.text, now=now), None
            else:
                visit = user_of_session(connection, credential.text, now=now)
                user, csrf = (visit.user, visit.csrf) if visit else (None, None)
        if user is None:
            self._failures.take(address)
            raise SignInError
        principal = Principal(user.id, user.name, user.role, credential.via, csrf)
        if generation == self._generation:  # nobody was turned away while we looked
            self.remembered.put(credential, principal, now)
        return principal

    def sign_in(self, name: str, password: str, address: str, *, old: str | None = None) -> SignedIn:
        """A new session for who knows the password; the one that the browser came with ends.

        Raises SignInError, the same for a wrong name and a wrong password, and Refusal after too many tries.
        """
        self._login_addresses.take(address)
        self._logins.take((address, name))
        service, now = self._service, self._service.clock()
        with service.database.reading() as connection:
            found = read_password(connection, name)
        known = found[1] if found else None
        if not self._matches(known or self._nobody, password) or not found or not known:
            raise SignInError("name and password do not belong together")
        user = found[0]

        def work(connection: Connection) -> NewSession:
            if old:
                end_session(connection, old)
            note_audit(connection, user.id, "signed in", "session", {"address": address}, now=now)
            return add_session(connection, user.id, now=now, hours=service.settings.session_hours)

        session = service.database.write(work)
        if self._hasher.check_needs_rehash(known):
            service.database.write(lambda connection: set_password(connection, user.id, self.hashed(password)))
        self.forget(user.id)
        return SignedIn(Principal(user.id, user.name, user.role, "session", session.csrf), session)

    def sign_out(self, principal: Principal, session: str) -> None:
        """End that session."""
        self._service.database.write(lambda connection: end_session(connection, session))
        self.forget(principal.id)

    def change_password(self, principal: Principal, old: str, new: str, address: str, *, session: str | None) -> None:
        """Replace one's own password; all other sessions end. Raises SignInError when the old one is wrong."""
        self._logins.take((address, principal.name))
        with self._service.database.reading() as connection:
            found = read_password(connection, principal.name)
        if not found or not found[1] or not self._matches(found[1], old):
            raise SignInError("the present password is another one")
        self.set_password(principal.id, new, keep=session)

    def set_password(self, user_id: int, password: str, *, keep: str | None = None) -> None:
        """Set a user's password; their sessions end, but the one of that id. Raises SettingError, NotFoundError."""
        hashed = self.hashed(password)

        def work(connection: Connection) -> None:
            set_password(connection, user_id, hashed)
            end_sessions_of(connection, user_id, but=keep)

        self._service.database.write(work)
        self.forget(user_id)

    def hashed(self, password: str) -> str:
        """The password as the store keeps it. Raises SettingError for one that is too short."""
        return hashed_password(password, self._hasher, self._verifying)

    def forget(self, user_id: int) -> None:
        """Look that user up again, whatever they come with: a token was revoked, a role changed."""
        self._generation += 1
        self.remembered.forget(user_id)

    def _matches(self, known: str, password: str) -> bool:
        with self._verifying:
            try:
                return self._hasher.verify(known, password[:MOST_PASSWORD])
            except (VerificationError, InvalidHashError):
                return False


_HASHER, _ONE = PasswordHasher(), threading.BoundedSemaphore(AT_ONCE)


def hashed_password(password: str, hasher: PasswordHasher = _HASHER, slots: threading.BoundedSemaphore = _ONE) -> str:
    """The password as the store keeps it (argon2id). Raises SettingError for one that is too short or too long."""
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise SettingError(f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters")
    with slots:
        return hasher.hash(password)


def _key(credential: Credential) -> bytes:
    return hashlib.sha256(f"{credential.via} {credential.text}".encode(errors="surrogateescape")).digest()
