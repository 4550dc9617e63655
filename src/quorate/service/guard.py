"""The guard of requests that the service makes to addresses users gave it: never into the network it stands in.

What counts is the number that a socket is connected to, not how it was spelled: every connection, of every redirect,
passes `Guard.admits` with the very address that is connected to next. So odd spellings, names that resolve to private
addresses, and names that resolve to another address at the second look, are all refused at the same place.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver

from quorate.errors import SettingError

Address = IPv4Address | IPv6Address
MAX_URL = 2000
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 3
TRANSLATED = (
    IPv6Network("64:ff9b::/96"),
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("::/96"),
)  # IPv4 in the last 32 bits
TIMEOUT = aiohttp.ClientTimeout(total=20, sock_connect=5)


class BlockedError(OSError):
    """The address is not in the public network; the service asks nothing of it."""


class Fetched(NamedTuple):
    """What an address answered."""

    status: int
    media_type: str
    body: bytes
    headers: Mapping[str, str]


class Guard:
    """Makes the requests that users' URLs ask for."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        admits: Callable[[Address], bool] | None = None,
        resolver: Callable[[], AbstractResolver] | None = None,
    ) -> None:
        self.admits = admits or ((lambda _address: True) if allow_private else is_public)
        self._resolver = resolver

    @asynccontextmanager
    async def session(self) -> AsyncGenerator[aiohttp.ClientSession]:
        """A session of which every connection is guarded."""
        connector = aiohttp.TCPConnector(
            resolver=self._resolver() if self._resolver else None,
            socket_factory=self._socket,
            use_dns_cache=False,
        )
        async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, trust_env=False) as session:
            yield session

    async def post(
        self, session: aiohttp.ClientSession, url: str, body: bytes, headers: Mapping[str, str], *, most: int = 1000
    ) -> Fetched:
        """The answer to a message, of which at most so many bytes are read; a redirect is an answer, not followed.

        Raises SettingError for a URL that is none of the web's, OSError or aiohttp.ClientError when it cannot be sent.
        """
        check_url(url)
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
            return Fetched(answer.status, answer.content_type, await answer.content.read(most), dict(answer.headers))

    async def fetch(self, url: str, *, most: int = 10_000_000) -> Fetched:
        """What is at that URL, or where it leads to within three redirects.

        Raises SettingError for a URL that is none of the web's or for more than `most` bytes, OSError or
        aiohttp.ClientError when it cannot be read.
        """
        async with self.session() as session:
            for _ in range(MOST_REDIRECTS + 1):
                check_url(url)
                async with session.get(url, allow_redirects=False) as answer:
                    if answer.status in REDIRECTS and "Location" in answer.headers:
                        url = urljoin(url, answer.headers["Location"])
                        continue
                    return Fetched(answer.status, answer.content_type, await _read(answer, most), dict(answer.headers))
        raise SettingError(f"the URL leads through more than {MOST_REDIRECTS} redirects")

    def _socket(self, info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
        """A socket for that address: the connection is made to the very number that is checked here."""
        family, kind, protocol, _name, place = info
        address = address_of(str(place[0]))
        if address is None or not self.admits(address):
            raise BlockedError(errno.EACCES, f"{place[0]} is no public address")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made


# ---- what is checked ------------------------------------------------------------------------------------------------
def check_url(url: str) -> None:
    """Raises SettingError for a URL that is not http(s), or names a user, or no host."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        (parts.hostname or "").encode("idna")  # as the resolver does it, who refuses labels beyond 63 characters
    except ValueError:
        parts, fine = None, False
    if not fine or parts is None or len(url) > MAX_URL or not url.isprintable() or " " in url or "\\" in url:
        raise SettingError("a URL is given as https://host/path or http://host/path, in at most 2000 characters")
    if "@" in parts.netloc:
        raise SettingError("a URL may not carry a user name or password")


def check_target(url: str, *, allow_private: bool = False) -> None:
    """Raises SettingError for a URL that the guard would refuse as it is spelled; names are looked up only later.

    This tells a mistake early; the guard itself is at the connection.
    """
    check_url(url)
    host = urlsplit(url).hostname or ""
    address = address_of(host)
    local = host == "localhost" or host.endswith((".localhost", ".local", ".internal"))
    if not allow_private and (local or (address is not None and not is_public(address))):
        raise SettingError(f"{host} is no public address")


def address_of(host: str) -> Address | None:
    """The address that a host spells, also as resolvers of old read it; None for a name.

    >>> str(address_of("0x7f000001")), str(address_of("127.1")), address_of("example.org")
    ('127.0.0.1', '127.0.0.1', None)
    """
    plain = host.partition("%")[0].strip("[]")
    try:
        return ip_address(plain)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(plain)) if plain[:1].isdigit() else None
    except (OSError, ValueError):
        return None


def is_public(address: Address) -> bool:
    """Whether anybody in the world may be reached under that address, and nobody here.

    >>> [is_public(ip_address(each)) for each in ("1.1.1.1", "::ffff:127.0.0.1", "169.254.169.254", "64:ff9b::a00:1")]
    [True, False, False, False]
    """
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a tunnel or a translator would reach through this one."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in TRANSLATED):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


async def _read(answer: aiohttp.ClientResponse, most: int) -> bytes:
    body = bytearray()
    async for piece in answer.content.iter_chunked(65_536):
        body += piece
        if len(body) > most:
            raise SettingError(f"there are more than {most} bytes at that URL")
    return bytes(body)
