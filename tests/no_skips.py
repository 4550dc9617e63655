"""In CI a skip is a failure: a test that CI can run must run.

Tests that need an accelerator are excused, and those beside Label Studio and DSPy, which are large to install and want
other versions of what we use; `make label-studio` and `make dspy` run them.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

EXCUSED = ("gpu", "label_studio", "dspy")


def in_ci() -> bool:
    """Whether the environment says CI=true."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    excused = any(item.get_closest_marker(name) for name in EXCUSED) or hasattr(report, "wasxfail")
    if report.skipped and in_ci() and not excused:
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and in_ci():
        _fail(report)
    return report


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid} was skipped, and CI must run everything it can. {reason}"
