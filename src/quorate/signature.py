"""The signature of a webhook: who receives one knows that it comes from the service, whole, and just now."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping

TIMESTAMP, SIGNATURE = "X-Quorate-Timestamp", "X-Quorate-Signature"
TOLERANCE_S = 300.0


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """HMAC-SHA256 of `timestamp.body`, as `sha256=` and 64 hexadecimal digits.

    >>> signature("secret", 1, b"{}")[:15]
    'sha256=1122767b'
    """
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"sha256={digest}"


def verify_webhook(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
    tolerance_s: float = TOLERANCE_S,
) -> bool:
    """Whether this body was signed with that secret within the last minutes; give the body as it was received."""
    given = {name.lower(): value for name, value in headers.items()}
    stamp, signed = given.get(TIMESTAMP.lower(), ""), given.get(SIGNATURE.lower(), "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 15):
        return False
    fresh = abs((time.time() if now is None else now) - int(stamp)) <= tolerance_s
    same = hmac.compare_digest(signature(secret, int(stamp), body).encode(), signed.encode())
    return fresh and same
