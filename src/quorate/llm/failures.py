"""Why a call gave no answer, and what is done about it.

CallError               no answer came; `kind` says why, `paid` whether the server may charge for it all the same
├── RateError           too many requests a minute: wait, then retry
├── TokensError         too many tokens a minute: wait, then retry
├── OverloadError       the server is down or busy: wait, go slower, retry
├── SlowError           no answer in time: retry a few times
├── BrokenError         the connection or the body broke off: retry a few times
│   └── UnreachedError  no connection at all: stop the run where nobody was ever reached
├── QuotaError          the account is empty: stop the run
├── AuthError           the key is not accepted: stop the run
├── BudgetError         the cap is reached: stop the run; nothing was sent
├── RefusedError        the server refuses this request: the next one may pass
├── RestrictedError     the item may not leave the boundary: nothing was sent; the next one may pass
├── FilteredError       a filter stopped the prompt: the next one may pass
└── BadRequestError     the server cannot use the request: the next one may pass
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

from quorate.errors import QuorateError
from quorate.llm.wire import Kind

MOST_DETAIL = 300  # characters of a server's message that are kept
RETRIED: frozenset[Kind] = frozenset({"rate", "tokens", "overload", "timeout", "broken"})
FATAL: frozenset[Kind] = frozenset({"quota", "auth", "budget"})  # every further call would fail alike


class CallError(QuorateError):
    """A call to a language model gave no answer."""

    kind: ClassVar[Kind] = "broken"

    def __init__(
        self, detail: str, *, retry_after_s: float | None = None, paid: bool = False, retry: bool | None = None
    ) -> None:
        self.detail = detail[:MOST_DETAIL]
        self.retry_after_s = retry_after_s  # as the server says, None where it does not
        self.paid = paid  # the server may have worked it out and charge for it
        self.retry = self.kind in RETRIED if retry is None else retry
        super().__init__(f"{self.kind}: {self.detail}")


class RateError(CallError):
    """The server takes fewer requests a minute."""

    kind = "rate"


class TokensError(CallError):
    """The server takes fewer tokens a minute."""

    kind = "tokens"


class OverloadError(CallError):
    """The server is down or asks for patience."""

    kind = "overload"


class SlowError(CallError):
    """The server did not answer in time."""

    kind = "timeout"


class BrokenError(CallError):
    """The connection or the body broke off, or the body is no answer."""

    kind = "broken"


class UnreachedError(BrokenError):
    """Nobody listens at the address."""


class QuotaError(CallError):
    """The account at the provider is empty: top it up, then run again; what was answered is kept."""

    kind = "quota"


class AuthError(CallError):
    """The server does not accept the key."""

    kind = "auth"


class BudgetError(CallError):
    """The next call might pass the cap: raise it, then run again; what was answered is kept."""

    kind = "budget"


class RefusedError(CallError):
    """The server refuses this request."""

    kind = "refusal"


class FilteredError(CallError):
    """A filter of the server stopped the prompt."""

    kind = "filtered"


class RestrictedError(CallError):
    """The item is restricted, and the place it would be sent to lies outside the declared boundary."""

    kind = "restricted"


class BadRequestError(CallError):
    """The server cannot use the request as it is."""

    kind = "bad request"


def of_response(status: int, headers: Mapping[str, str], body: bytes, *, wall_s: float) -> CallError:
    """What a response that is no answer means; `wall_s` is the time of day in seconds since 1970.

    >>> of_response(429, {"Retry-After": "2"}, b'{"error": {"code": "rate_limit_exceeded"}}', wall_s=0.0).retry_after_s
    2.0
    >>> of_response(429, {}, b'{"error": {"code": "insufficient_quota"}}', wall_s=0.0).retry
    False
    """
    error = _error(body)
    wait_s = retry_after_s(headers, wall_s)
    kind = _kind(status, error)
    retry = False if headers.get("x-should-retry") == "false" else None
    detail = (
        f"HTTP {status}: {error.get('message') or error.get('code') or body[:MOST_DETAIL].decode(errors='replace')}"
    )
    return kind(detail, retry_after_s=wait_s, paid=status == 504, retry=retry)


def retry_after_s(headers: Mapping[str, str], wall_s: float) -> float | None:
    """Seconds to wait as the server says, in seconds, in milliseconds or as a date; None where it says nothing usable.

    >>> retry_after_s({"Retry-After": "Thu, 01 Jan 1970 00:01:00 GMT"}, wall_s=20.0)
    40.0
    >>> retry_after_s({"Retry-After": "soon"}, wall_s=20.0) is None
    True
    """
    exact = _number(headers.get("retry-after-ms", ""))
    if exact is not None:
        return max(0.0, exact / 1000)
    told = headers.get("Retry-After") or headers.get("retry-after") or ""
    seconds = _number(told)
    if seconds is not None:
        return max(0.0, seconds)
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - wall_s)
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def _kind(status: int, error: Mapping[str, Any]) -> type[CallError]:
    said = " ".join(str(error.get(field) or "") for field in ("code", "type")).lower()
    message = str(error.get("message") or "").lower()
    if "insufficient_quota" in said or "billing" in said or "exceeded your current quota" in message or status == 402:
        return QuotaError
    if "content_filter" in said or "content_policy" in said or "moderation" in said:
        return FilteredError
    if status == 429:
        about_tokens = "tokens" in said.split() or "tokens per" in message or "tpm" in message
        return TokensError if about_tokens else RateError
    if "refusal" in said:
        return RefusedError
    if status in {401, 403, 407}:
        return AuthError
    if status in {408, 504}:
        return SlowError
    return OverloadError if status in {409, 425} or status >= 500 else BadRequestError


def _error(body: bytes) -> Mapping[str, Any]:
    """The error of a body in OpenAI's form, or in that of a server that says it flat."""
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(said, dict):
        return {}
    error = said.get("error", said)
    return error if isinstance(error, dict) else {"message": str(error)}


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
