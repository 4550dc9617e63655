"""Figures for an operator: right, bounded in number, and without a name in them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from quorate.client.client import Client
from quorate.errors import ForbiddenError, NotFoundError, SignInError
from unit.service.serving import serving, token_of


def figures(text: str) -> Mapping[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Name and labels to value."""
    families = text_string_to_metric_families(text)
    return {(each.name, tuple(sorted(each.labels.items()))): each.value for of in families for each in of.samples}


def test_requests_are_counted_by_route_and_never_by_path(database, url):
    """A thousand campaigns are one route; what somebody made up is none."""
    token = token_of(database, "owner", "owner")
    with serving(url, workers="none") as served, Client(served.url, token) as owner:
        for campaign_id in range(1, 6):
            with pytest.raises(NotFoundError):
                owner.campaign(campaign_id)
        with pytest.raises(NotFoundError):
            owner._get("/secret-name")
        text = owner.metrics()
    found = figures(text)
    route = (("method", "GET"), ("route", "/api/v1/campaigns/{campaign_id}"), ("status", "404"))
    assert found["quorate_requests_total", route] == 5
    assert found["quorate_requests_total", (("method", "GET"), ("route", "none"), ("status", "404"))] == 1
    assert found["quorate_open_leases", ()] == 0
    assert "secret-name" not in text


def test_figures_are_for_those_who_may_read(database, url):
    """Annotators and strangers get none; a reader's token is enough for a scraper."""
    tokens = {role: token_of(database, role, role) for role in ("annotator", "reader")}
    with serving(url, workers="none") as served:
        with Client(served.url, tokens["reader"]) as reader:
            assert "quorate_labels" in reader.metrics()
        with Client(served.url, tokens["annotator"]) as annotator, pytest.raises(ForbiddenError):
            annotator.metrics()
        with Client(served.url, "qr_nobody") as nobody, pytest.raises(SignInError):
            nobody.metrics()


def test_two_applications_in_one_process_count_for_themselves(database, url):
    """No figure is the process's: a second application begins at zero."""
    token = token_of(database, "owner", "owner")
    with serving(url, workers="none") as first, serving(url, workers="none") as second:
        with Client(first.url, token) as owner:
            owner.me()
        with Client(second.url, token) as owner:
            text = owner.metrics()
    assert 'route="/api/v1/me"' not in text
