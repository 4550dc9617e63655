"""Laws of what a failure means."""

from __future__ import annotations

import json
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.llm.failures import FATAL, RETRIED, CallError, of_response, retry_after_s


def _error(**fields: str) -> bytes:
    return json.dumps({"error": {"message": "words", "type": None, "param": None, "code": None, **fields}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, _error(code="rate_limit_exceeded", type="requests"), "rate"),
        (429, _error(code="rate_limit_exceeded", type="tokens"), "tokens"),
        (429, _error(message="Rate limit reached for m on tokens per min (TPM)"), "tokens"),
        (429, _error(code="insufficient_quota", type="insufficient_quota"), "quota"),
        (429, _error(code="billing_hard_limit_reached"), "quota"),
        (429, _error(message="You exceeded your current quota, please check your plan"), "quota"),
        (429, b"slow down", "rate"),
        (402, b"", "quota"),
        (401, _error(code="invalid_api_key"), "auth"),
        (403, _error(), "auth"),
        (403, _error(code="moderation_flagged"), "filtered"),
        (400, _error(code="content_filter"), "filtered"),
        (400, _error(code="context_length_exceeded"), "bad request"),
        (400, b'{"error": "flat"}', "bad request"),
        (400, b'{"message": "flatter"}', "bad request"),
        (404, _error(code="model_not_found"), "bad request"),
        (408, b"", "timeout"),
        (504, b"<html>", "timeout"),
        (500, _error(), "overload"),
        (502, b"[]", "overload"),
        (503, b"", "overload"),
        (529, _error(type="overloaded_error"), "overload"),
    ],
)
def test_every_status_has_its_kind(status: int, body: bytes, kind: str):
    """Three kinds of 429 are told apart; an empty account and a bad key are never retried."""
    error = of_response(status, {}, body, wall_s=0.0)
    assert error.kind == kind
    assert error.retry == (kind in RETRIED)
    assert not (RETRIED & FATAL)


@given(st.integers(300, 599), st.binary(max_size=60), st.text(max_size=20))
def test_no_response_is_too_strange_to_have_a_kind(status: int, body: bytes, told: str):
    """Any status, any bytes and any header give a failure, and a wait that is none or not negative."""
    error = of_response(status, {"Retry-After": told}, body, wall_s=0.0)
    assert isinstance(error, CallError)
    assert error.retry_after_s is None or error.retry_after_s >= 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "1"}, 1.0),
        ({"retry-after": "300"}, 300.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After": formatdate(1_000_030, usegmt=True)}, 30.0),
        ({"Retry-After": formatdate(999_000, usegmt=True)}, 0.0),
        ({"retry-after-ms": "250", "Retry-After": "1"}, 0.25),
        ({"retry-after-ms": "x", "Retry-After": "2"}, 2.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_seconds_in_milliseconds_and_as_a_date(headers: dict[str, str], seconds: float | None):
    """What cannot be read is as if it were not said."""
    assert retry_after_s(headers, wall_s=1_000_000.0) == seconds


def test_a_server_may_say_that_a_retry_is_useless():
    """`x-should-retry: false` is believed."""
    assert not of_response(503, {"x-should-retry": "false"}, b"", wall_s=0.0).retry
