"""The document of the API against the API: whatever is sent, the answer is one that the document names."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from quorate.service.app import make_app
from quorate.service.state import ServiceSettings
from unit.service.api.house import House

pytestmark = pytest.mark.slow
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


@schemathesis.serializer("application/x-ndjson", "application/vnd.apache.parquet")
def as_it_is(_context: Any, value: Any) -> bytes:
    """What stands for a file in the document is sent as its bytes."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


schema = schemathesis.openapi.from_dict(make_app(ServiceSettings()).openapi()).exclude(path_regex="/stream$")


@schema.parametrize()
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_no_request_is_answered_with_what_is_not_documented(standing: House, case: Case) -> None:
    """No 500, no status, media type or shape that the document does not name."""
    given = case.path_parameters
    given |= {"campaign_id": standing.campaign} if isinstance(given.get("campaign_id"), int) else {}
    headers = {"Authorization": f"Bearer {standing.tokens['owner']}"}
    case.call_and_validate(base_url=standing.served.url, headers=headers, checks=list(CHECKS))
