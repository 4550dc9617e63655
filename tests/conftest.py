"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("quorate", deadline=None)  # a loaded machine is no failure; time is for benchmarks
settings.load_profile("quorate")

DATA = Path(os.environ.get("QUORATE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], Path]:
    """The folder of a recorded labeling; the test is skipped where the recordings are absent."""

    def folder(name: str) -> Path:
        if not (DATA / name).is_dir():
            pytest.skip(f"recorded labeling {name!r} is not on this machine (set QUORATE_DATA)")
        return DATA / name

    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of an accelerator, and those beside Label Studio, run where there is one."""
    _leave_out(items, "gpu", _accelerator, "no accelerator on this machine")
    _leave_out(items, "label_studio", _label_studio, "Label Studio is not installed (make label-studio)")


def _leave_out(items: list[pytest.Item], marker: str, is_there: Callable[[], bool], reason: str) -> None:
    marked = [item for item in items if item.get_closest_marker(marker)]
    if marked and not is_there():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


def _label_studio() -> bool:
    from label_studio_peer import installed

    return installed() is not None


def _accelerator() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()
