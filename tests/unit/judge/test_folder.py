"""The judge folder: a log that only grows, and what may follow what."""

import json
import multiprocessing
from datetime import UTC, datetime

import pytest

from quorate.errors import FormatError, SettingError
from quorate.judge.folder import BEFORE, EVENTS, Event, JudgeFolder, Standing, after


def at_noon() -> datetime:
    """The time of all tests."""
    return datetime(2026, 11, 23, 12, tzinfo=UTC)


def folder_at(path, *steps: str) -> JudgeFolder:
    """A judge that took these steps, with a gate that opens for 'tone'."""
    folder = JudgeFolder(path, clock=at_noon)
    details = {"gated": {"open": ["tone"]}, "alarm": {"tasks": ["tone"], "since": "x"}}
    for step in steps:
        folder.take(step, **details.get(step, {}))
    return folder


def test_a_judge_goes_its_way_step_by_step(tmp_path):
    """seeded, calibrated, gated, amplifying, watched; an alarm closes the gate, and calibration begins anew."""
    folder = folder_at(tmp_path, "seeded", "calibrated", "gated", "amplifying", "watched")
    assert folder.standing().line() == "watched, the gate is open for tone"
    closed = folder.take("alarm", tasks=["tone"], since="2026-11-20")
    assert (closed.stage, closed.open, closed.alarm["since"]) == ("gated", (), "2026-11-20")
    with pytest.raises(SettingError, match="the gate is closed"):
        folder.take("amplifying")
    again = folder.take("calibrated")
    assert (again.version, again.alarm) == (2, None)
    assert folder.take("gated", open=["tone"]).tries == 2  # the same gate items were asked twice


def test_what_cannot_follow_is_refused_before_any_work(tmp_path):
    """No amplifying before a gate, no gate before calibration; the message says what to do first."""
    for step, allowed in BEFORE.items():
        if None not in allowed:
            with pytest.raises(SettingError, match="quorate judge"):
                JudgeFolder(tmp_path / step).check(step)
    with pytest.raises(SettingError, match="calibrate first"):
        folder_at(tmp_path, "seeded").check("gated")


def test_new_gate_items_begin_the_count_of_tries_anew():
    """Only grades that no decision has seen give the whole error level back."""
    standing = Standing("gated", 1, (), tries=3)
    assert after(standing, Event("", "seeded", {"new_gate_items": False})).tries == 3
    assert after(standing, Event("", "seeded", {"new_gate_items": True})).tries == 0


def test_a_line_cut_off_by_a_crash_never_happened(tmp_path):
    """The folder stands as before the step, and the next step is written whole."""
    folder = folder_at(tmp_path, "seeded", "calibrated")
    log = tmp_path / EVENTS
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"at": "2026-11-23", "step": "gat')
    assert folder.standing().stage == "calibrated"
    folder.take("gated", open=["tone"])
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == ["seeded", "calibrated", "gated"]


def test_a_log_that_tells_of_the_impossible_is_refused_with_its_line(tmp_path):
    """Whoever edits the log by hand is told where."""
    folder_at(tmp_path, "seeded")
    with (tmp_path / EVENTS).open("a") as file:
        file.write('{"at": "", "step": "amplifying"}\n')
    with pytest.raises(FormatError, match="row 2"):
        JudgeFolder(tmp_path).standing()
    (tmp_path / EVENTS).write_text("rubbish\n")
    with pytest.raises(FormatError, match="row 1"):
        JudgeFolder(tmp_path).events()


def test_a_file_that_was_changed_after_its_step_is_not_used(tmp_path):
    """A gate passed by one calibration lets no other through."""
    folder = folder_at(tmp_path, "seeded")
    folder.file("calibration.json").write_text("{}")
    folder.take("calibrated", files={"calibration.json": folder.digest("calibration.json")})
    assert folder.sealed("calibration.json", "calibrated").is_file()
    folder.file("calibration.json").write_text('{"better": true}')
    with pytest.raises(FormatError, match="not the one that was kept"):
        folder.sealed("calibration.json", "calibrated")
    with pytest.raises(FormatError, match="no such file"):
        folder.sealed("gate.json", "gated")


def test_one_process_at_a_time(tmp_path):
    """A second one is told so at once, and may work afterwards."""
    folder = JudgeFolder(tmp_path)
    with folder.held(), multiprocessing.get_context("spawn").Pool(1) as pool:
        assert "another process works" in pool.apply(tried, (tmp_path,))
    with folder.held():
        pass


def tried(path) -> str:
    """What a second process hears."""
    try:
        with JudgeFolder(path).held():
            return "let in"
    except SettingError as error:
        return str(error)
