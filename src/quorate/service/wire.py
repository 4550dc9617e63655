"""What goes over the wire: the shapes of requests and answers that several routes share."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from quorate.schema import UNFIT

NUL = re.compile(r"(?<!\\)(\\\\)*\\u0000")  # as JSON writes it
MOST_ID = 2**53 - 1  # the largest whole number that every client can read


class Wire(BaseModel):
    """A request: an unknown field is a mistake, not a wish to be ignored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


def _printing(text: str) -> str:
    if UNFIT.search(text):
        raise ValueError("control characters are not allowed")
    return text


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("the character U+0000 is not allowed")
    return text


def storable(value: Any) -> Any:
    """JSON that both databases hold: no NaN, no U+0000, no half of a surrogate pair, not too deep."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (ValueError, TypeError, RecursionError):
        raise ValueError("not storable: use texts, finite numbers, lists and objects") from None
    if NUL.search(text):
        raise ValueError("the character U+0000 is not allowed")
    return value


Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(_printing)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
LongText = Annotated[str, StringConstraints(max_length=200_000), AfterValidator(_storable)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_storable)]
Json = Annotated[dict[str, Any], AfterValidator(storable)]
Amount = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


def _digits(value: Any) -> Any:
    """Of a path or query, only plain digits: `1_0`, `+1` and ` 1` are no ids of ours."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise ValueError("should be a whole number, in digits")
    return value


Id = Annotated[int, BeforeValidator(_digits), Path(ge=1, le=MOST_ID)]
LeaseId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
ExternalId = Annotated[str, AfterValidator(_printing), Path(min_length=1, max_length=500)]
After = Annotated[int, BeforeValidator(_digits), Query(ge=0, le=MOST_ID, description="The last id that was read")]
Limit = Annotated[int, BeforeValidator(_digits), Query(ge=1, le=1000)]


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that is known to fit, without a second look at it."""
    body = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    return Response(body, status, dict(headers or {}), media_type="application/json")
