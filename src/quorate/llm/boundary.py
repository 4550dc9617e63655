"""The hosts that restricted items may be sent to; without a declared boundary, none but this machine's own models.

    boundary: [llm.example.org, "*.lab.example.org", "127.0.0.1:8000"]

It is asked where a request leaves, of the host that is connected to and of the proxy before it. A redirect is never
followed, so it cannot lead outside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from quorate.errors import SettingError

ANY_BELOW = "*."
HOST = re.compile(r"(\*\.)?([^\s/@:\\?#\[\]*]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?")
OUTSIDE = "the item is restricted, and {host} lies outside the declared boundary"
NO_BOUNDARY = "the item is restricted, and no boundary is declared"


@dataclass(frozen=True)
class Boundary:
    """Hosts, each alone or with a port; `*.host` stands for all hosts below it.

    >>> inside = Boundary(("llm.example.org", "*.lab.example.org", "127.0.0.1:8000"))
    >>> inside.holds("LLM.example.org", 443), inside.holds("a.lab.example.org", 80), inside.holds("lab.example.org", 80)
    (True, True, False)
    >>> inside.holds("127.0.0.1", 8000), inside.holds("127.0.0.1", 80), inside.holds("llm.example.org.evil.net", 443)
    (True, False, False)
    """

    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for host in self.hosts:
            if not HOST.fullmatch(host.strip()):
                raise SettingError(
                    f"boundary {host!r}: name a host, as llm.example.org, *.example.org or 127.0.0.1:8000"
                )

    @classmethod
    def of(cls, declared: Sequence[str], option: str | None = None) -> Boundary:
        """What an option says, names with commas between; without it, what the rubric declares."""
        names = declared if option is None else option.split(",")
        return cls(tuple(name.strip() for name in names if name.strip()))

    def holds(self, host: str, port: int | None) -> bool:
        """Whether this host, at this port, lies inside."""
        return any(_is_meant(entry, _plain(host), port) for entry in self.hosts)

    def problem(self, *places: tuple[str | None, int | None]) -> str | None:
        """Why nothing restricted may pass all of these hosts; None where it may."""
        if not self.hosts:
            return NO_BOUNDARY
        strange = next((host for host, port in places if not host or not self.holds(host, port)), "")
        return None if strange == "" else OUTSIDE.format(host=strange or "a place without a host")


@runtime_checkable
class Bounded(Protocol):
    """A transport that knows where its requests go; of any other, nothing restricted is sent."""

    def problem(self) -> str | None:
        """Why nothing restricted may be sent by it; None where it may."""
        ...


def problem_of(transport: object) -> str | None:
    """Why nothing restricted may be sent by a transport; None where it may."""
    if isinstance(transport, Bounded):
        return transport.problem()
    return f"the item is restricted, and nobody knows where {type(transport).__name__} sends it"


def _is_meant(entry: str, host: str, port: int | None) -> bool:
    name, _, wanted = entry.strip().rpartition(":") if re.search(r":\d+$", entry.strip()) else (entry.strip(), "", "")
    if wanted and int(wanted) != port:
        return False
    if name.startswith(ANY_BELOW):
        return host.endswith("." + _plain(name[len(ANY_BELOW) :])) and host != ""
    return host == _plain(name)


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").casefold()
