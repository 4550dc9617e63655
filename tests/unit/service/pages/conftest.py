"""One service for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from unit.service.pages.site import Site, running_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The service."""
    with running_site(tmp_path_factory.mktemp("site")) as found:
        yield found
