"""Scripted faults of the fake server: which calls go wrong, how, and what the server says."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

from quorate.errors import SettingError

Wrong = Literal[
    # refusals, with an HTTP status
    "rate",
    "tokens",
    "quota",
    "overload",
    "busy",
    "error",
    "auth",
    "bad-request",
    "filtered",
    "redirect",  # to the address that is told
    # connections
    "silence",
    "reset",
    "reset-body",
    # bodies
    "truncated",
    "garbage",
    "no-choices",
    # answers
    "refusal",
    "content-filter",
    "length",
    "no-logprobs",
    "outside",
]
SPEC = re.compile(r"(?P<wrong>[a-z-]+)(:(?P<told>[^=]*))?=(?P<share>[0-9.eE+-]+)")
STATUS: dict[str, tuple[int, str, str, str]] = {  # fault: status, type, code, message
    "rate": (429, "requests", "rate_limit_exceeded", "Rate limit reached for requests"),
    "tokens": (429, "tokens", "rate_limit_exceeded", "Rate limit reached for tokens per min"),
    "quota": (429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota"),
    "overload": (503, "server_error", "overloaded", "The server is overloaded"),
    "busy": (529, "overloaded_error", "overloaded", "Overloaded"),
    "error": (500, "server_error", "internal_error", "The server had an error"),
    "auth": (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided"),
    "bad-request": (400, "invalid_request_error", "invalid_value", "Invalid value for 'messages'"),
    "filtered": (400, "invalid_request_error", "content_filter", "The prompt was filtered"),
    "redirect": (307, "redirect", "moved", "Moved"),
}
BILLED = frozenset({"reset-body", "truncated", "garbage", "no-choices"})  # answered, paid, and lost on the way


class Fault(NamedTuple):
    """One way to go wrong, and when: a share of all calls, calls of given numbers, or the first tries of every call."""

    wrong: Wrong
    share: float = 0.0
    at: Sequence[int] = ()  # numbers of calls as the server receives them, from 1
    first: int = 0  # so many tries of every call
    told: str | None = None  # the header Retry-After, of a redirect Location, as it stands

    def strikes(self, number: int, attempt: int, draw: float) -> bool:
        """Whether the call of that number, in its so-manieth try (from 1), goes wrong; draw is uniform in [0, 1)."""
        return attempt <= self.first or number in self.at or draw < self.share


def parse(spec: str) -> list[Fault]:
    """Faults from a text as `rate:2=.01,reset=.005`: what goes wrong, what Retry-After says, share of all calls.

    >>> parse("rate:2=.01,reset=.005")[0]
    Fault(wrong='rate', share=0.01, at=(), first=0, told='2')
    """
    faults: list[Fault] = []
    for part in filter(None, (piece.strip() for piece in spec.split(","))):
        found = SPEC.fullmatch(part)
        if found is None or found["wrong"] not in get_args(Wrong):
            raise SettingError(
                f"fault {part!r}: write KIND=SHARE or KIND:RETRY_AFTER=SHARE; {', '.join(get_args(Wrong))}"
            )
        kind: Any = found["wrong"]
        faults.append(Fault(kind, share=float(found["share"]), told=found["told"]))
    return faults


def choose(faults: Sequence[Fault], number: int, name: str, attempt: int) -> Fault | None:
    """The first fault that strikes this call, if any; the same call and try meet the same fate in every run."""
    if not faults:
        return None
    digest = hashlib.blake2b(f"{name}|{attempt}".encode(), digest_size=2 * len(faults)).digest()
    draws = [int.from_bytes(digest[2 * k : 2 * k + 2]) / 65_536 for k in range(len(faults))]
    return next((f for f, draw in zip(faults, draws, strict=True) if f.strikes(number, attempt, draw)), None)
