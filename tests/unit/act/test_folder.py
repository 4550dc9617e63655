"""The folder tells where it stands from its files alone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from quorate.act.folder import CORRECTED, CRITICISMS, LABELS, PLAN, ActFolder
from quorate.errors import FormatError, SettingError

ONE, TWO = pa.table({"a": [1]}), pa.table({"a": [2]})


def folder(path: Path) -> ActFolder:
    return ActFolder(path, clock=lambda: datetime(2026, 1, 2, tzinfo=UTC))


def test_from_nothing_to_trained(tmp_path: Path) -> None:
    """Each step's record says what it was made from; what follows is told."""
    at = folder(tmp_path)
    assert (at.standing().stage, at.standing().following) == (None, "annotate")
    at.write(LABELS, ONE)
    at.note("annotate", models=["m"])
    assert (at.standing().stage, at.standing().following) == ("annotated", "criticize")
    at.write(CRITICISMS, ONE)
    at.note("criticize", stopped=True)
    assert at.standing().following == "criticize"  # stopped before its end
    at.note("criticize")
    at.write(PLAN, ONE)
    at.note("review", left=3)
    assert (at.standing().stage, at.standing().following) == ("reviewing", "review")
    at.note("review", left=0)
    at.write(CORRECTED, ONE)
    at.note("train")
    assert (at.standing().stage, at.standing().following) == ("trained", "report")
    assert ActFolder(tmp_path).standing() == at.standing()


def test_a_step_whose_ground_has_changed_is_stale(tmp_path: Path) -> None:
    """Other labels: what was said of the old ones no longer counts, and the message says which step to take."""
    at = folder(tmp_path)
    at.write(LABELS, ONE)
    at.note("annotate")
    at.write(CRITICISMS, ONE)
    at.note("criticize")
    at.write(LABELS, TWO)
    assert at.standing().stale == ("criticize",)
    assert "criticize" in at.standing().line()
    with pytest.raises(SettingError, match="changed since `quorate act criticize`"):
        at.need("review", "criticize")
    with pytest.raises(SettingError, match="first: quorate act review"):
        at.need("train", "review")


def test_a_record_that_is_none_and_a_folder_in_use_are_told(tmp_path: Path) -> None:
    """With the mend, and never as a traceback."""
    at = folder(tmp_path)
    (tmp_path / "annotate.json").write_text("[1")
    with pytest.raises(FormatError, match="quorate act annotate"):
        at.standing()
    with at.held(), pytest.raises(SettingError, match="another process"), ActFolder(tmp_path).held():
        pass
    with pytest.raises(FormatError, match="take the step that made it again"):
        at.table(PLAN)
