"""What CI makes of a skipped test."""

from __future__ import annotations

import pytest

TESTS = """
    import pytest

    def test_runs():
        assert True

    def test_is_skipped():
        pytest.skip("no data here")

    @pytest.mark.gpu
    def test_needs_an_accelerator():
        pytest.skip("no accelerator")

    @pytest.mark.label_studio
    def test_needs_label_studio():
        pytest.skip("not installed")

    @pytest.mark.xfail(strict=True)
    def test_fails_as_expected():
        assert False
"""


def outcomes(pytester: pytest.Pytester, ci: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    monkeypatch.setenv("CI", ci)
    pytester.makeini("[pytest]\nmarkers =\n  gpu: needs an accelerator\n  label_studio: needs it")
    return pytester.runpytest_inprocess("-p", "no_skips", "-p", "no:cacheprovider").parseoutcomes()


def test_in_ci_a_skip_is_a_failure_unless_ci_cannot_run_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Skipped in CI: failed, but for tests marked gpu or label_studio; an expected failure stays one."""
    pytester.makepyfile(TESTS)
    assert outcomes(pytester, "true", monkeypatch) == {"passed": 1, "failed": 1, "skipped": 2, "xfailed": 1}


def test_outside_ci_a_skip_stays_a_skip(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without recorded data the rest still passes."""
    pytester.makepyfile(TESTS)
    assert outcomes(pytester, "", monkeypatch) == {"passed": 1, "skipped": 3, "xfailed": 1}


def test_in_ci_a_file_skipped_as_a_whole_is_an_error(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing package must not take a whole file of tests away unseen."""
    pytester.makepyfile("import pytest\npytest.importorskip('no_such_package_here')")
    assert outcomes(pytester, "true", monkeypatch) == {"errors": 1}
