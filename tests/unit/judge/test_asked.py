"""How a judge is asked: a judge with tools keeps their files, and answers to no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from quorate.errors import FormatError
from quorate.judge.asked import judge_of, keep, rubric_of, take_rubric
from quorate.judge.calibrate import Calibrated
from quorate.judge.folder import CALIBRATION, JudgeFolder
from quorate.llm.items import Items
from quorate.llm.testing.server import FakeServer
from quorate.llm.wire import ToolCall
from unit.judge import loop

TOOLS = "tools: [{glossary: words.csv}]\n"


def calibrated_with_tools(tmp_path: Path) -> JudgeFolder:
    """A judge whose rubric has a glossary, which lay beside it."""
    with FakeServer(table=loop.GOOD) as server:
        folder = loop.calibrated(tmp_path / "judge", server.url)
    (tmp_path / "words.csv").write_text("term,meaning\nAOV,average order value\n")
    (tmp_path / "rubric.yaml").write_text(TOOLS + loop.TEXT)
    take_rubric(folder, tmp_path / "rubric.yaml")
    take_rubric(folder, folder.file("rubric.yaml"))  # its own: nothing to copy
    found = Calibrated.from_json(folder.file(CALIBRATION).read_text("utf-8"))
    before = judge_digest(folder)
    names = keep(folder, found, rubric=rubric_of(folder))
    folder.take("calibrated", files={name: folder.digest(name) for name in names})
    assert judge_digest(folder) != before
    return folder


def judge_digest(folder: JudgeFolder) -> str:
    """The name of its prompt; "" where its files were changed."""
    try:
        return judge_of(folder).prompt_digest()
    except FormatError:
        return ""


@pytest.mark.slow
def test_a_judge_keeps_the_files_of_its_tools_and_no_other_takes_their_place(tmp_path: Path) -> None:
    """They are copied with the rubric, so the first may go; one that was changed since is refused."""
    folder = calibrated_with_tools(tmp_path)
    (tmp_path / "words.csv").unlink()
    toolbox = judge_of(folder).job(Items((), {}, {})).toolbox
    assert toolbox is not None
    assert toolbox.result(ToolCall("", "glossary", '{"term": "aov"}')) == "AOV: average order value"
    (path,) = folder.file("tools").iterdir()
    path.write_text("term,meaning\nAOV,another thing\n")
    with pytest.raises(FormatError, match="not the one that was kept"):
        judge_of(folder)


def test_a_rubric_whose_tools_are_missing_is_not_taken(tmp_path: Path) -> None:
    """Nothing is copied then."""
    (tmp_path / "rubric.yaml").write_text(TOOLS + loop.TEXT)
    folder = JudgeFolder(tmp_path / "judge")
    (tmp_path / "judge").mkdir()
    with pytest.raises(FormatError, match=r"words\.csv: the file of a tool cannot be read"):
        take_rubric(folder, tmp_path / "rubric.yaml")
    assert not any(folder.path.iterdir())
