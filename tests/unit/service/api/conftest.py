"""One service for the tests that leave it as it is, and one for each of the others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from unit.service.api.house import House
from unit.service.api.house import house as house_of


@pytest.fixture
def house(url: str) -> Iterator[House]:
    """A service of the test's own, on either database."""
    with house_of(url) as made:
        yield made


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A service that all tests of a module share, on SQLite."""
    with house_of(f"sqlite:///{tmp_path_factory.mktemp('house') / 'quorate.db'}", n_items=400) as made:
        yield made
