"""Lines of text files: bytes of another encoding on the way in, JSON on the way out."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

UTF8_MEND = "save the whole file as UTF-8"


class Line(NamedTuple):
    """A line as text; bytes that are not UTF-8 show as backslash escapes, and the first of them is told."""

    text: str
    problem: str | None


def decoded(line: bytes) -> Line:
    r"""One line as text.

    >>> decoded(b"caf\xe9").problem
    "byte 0xe9 is not UTF-8 (it is 'é' in Latin-1)"
    """
    try:
        return Line(line.decode("utf-8"), None)
    except UnicodeDecodeError as error:
        byte = line[error.start]
        latin = f" (it is {chr(byte)!r} in Latin-1)" if byte >= 0xA0 else ""
        return Line(line.decode("utf-8", "backslashreplace"), f"byte 0x{byte:02x} is not UTF-8{latin}")


def first_line(error: BaseException) -> str:
    """What a library says of its trouble, short enough for a message."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def as_json(value: Any) -> str:
    """JSON; dates as ISO text; numbers that JSON does not have as null."""
    try:
        return json.dumps(value, ensure_ascii=False, default=_text, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, default=_text)


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
