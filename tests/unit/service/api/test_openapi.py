"""The document of the API against the API: whatever is sent, the answer is one that the document names."""

from __future__ import annotations

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

from unit.service.api.house import House

pytestmark = pytest.mark.slow
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
ENDLESS = ("stream",)  # a response that does not end


@pytest.fixture
def api(standing: House):
    """The document, as the service gives it."""
    return schemathesis.openapi.from_url(f"{standing.served.url}/openapi.json").exclude(path_regex="/stream$")


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_no_request_is_answered_with_what_is_not_documented(standing: House, case: Case) -> None:
    """No 500, no status, media type or shape that the document does not name."""
    case.call_and_validate(headers={"Authorization": f"Bearer {standing.tokens['owner']}"}, checks=list(CHECKS))
