"""A static scan of what faces the network."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[4] / "src" / "quorate"


@pytest.mark.slow
def test_every_finding_of_bandit_is_explained_where_it_stands() -> None:
    """Only asserts, which state invariants, and lines that give their reason beside `noqa: S...`, are found."""
    command = [sys.executable, "-W", "ignore", "-m", "bandit", "-q", "-f", "json", "-s", "B101", "-r"]
    done = subprocess.run([*command, SOURCE / "service", SOURCE / "store"], capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert not report["errors"]
    lines = [
        (each["test_id"], Path(each["filename"]).read_text().splitlines()[each["line_number"] - 1], each["filename"])
        for each in report["results"]
    ]
    assert [each for each in lines if "noqa: S" not in each[1]] == []
