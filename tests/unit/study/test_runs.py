"""Laws of the kept parts: computed once, again when anything behind them changed, never half written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from quorate.errors import SettingError
from quorate.study.runs import Runs, file_digest, reason, source_digest

MODULES = ["quorate.schema"]


class Counted:
    """Work that counts how often it is done."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> dict[str, int]:
        """The count, as a part."""
        self.times += 1
        return {"times": self.times}


def test_a_part_is_computed_once(tmp_path: Path) -> None:
    """The second asking reads the file, in this process or another."""
    work = Counted()
    first = Runs(tmp_path).once("one", {"seed": 1}, MODULES, work)
    assert Runs(tmp_path).once("one", {"seed": 1}, MODULES, work) == first == {"times": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["one.json"]


def test_another_setting_or_other_source_is_computed_anew(tmp_path: Path) -> None:
    """A stale figure would pass for a new one."""
    work, runs = Counted(), Runs(tmp_path)
    runs.once("one", {"seed": 1}, MODULES, work)
    assert runs.once("one", {"seed": 2}, MODULES, work) == {"times": 2}
    assert runs.once("one", {"seed": 2}, ["quorate.errors"], work) == {"times": 3}


@pytest.mark.parametrize("damage", ["", "{", '{"digest": 1}', "[]", "\x00\x01"])
def test_a_file_that_cannot_be_read_is_computed_anew(damage: str, tmp_path: Path) -> None:
    """Whatever another program left there."""
    work, runs = Counted(), Runs(tmp_path)
    (tmp_path / "one.json").write_text(damage)
    assert runs.once("one", {}, MODULES, work) == {"times": 1}
    assert json.loads((tmp_path / "one.json").read_text())["part"] == {"times": 1}


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_work_that_stops_leaves_no_file(stop: type[BaseException], tmp_path: Path) -> None:
    """Nothing half written, and the parts before it stay."""
    runs = Runs(tmp_path)
    runs.once("done", {}, MODULES, Counted())
    with pytest.raises(stop):
        runs.once("cut", {}, MODULES, _raising(stop))
    assert [path.name for path in tmp_path.iterdir()] == ["done.json"]


def _raising(kind: type[BaseException]) -> Callable[[], dict[str, int]]:
    def work() -> dict[str, int]:
        raise kind

    return work


def test_the_source_digest_follows_imports_and_nothing_else() -> None:
    """What a module imports is behind its figures; a rival estimator is not."""
    from quorate.study import runs

    behind = set(runs._closure("quorate.consensus.majority"))
    assert {"quorate.consensus.estimator", "quorate.data.encode", "quorate.schema"} <= behind
    assert not {name for name in behind if "hybrid" in name or "calco" in name}
    assert source_digest("quorate.consensus.majority") != source_digest("quorate.consensus.dawid_skene")


def test_a_file_digest_knows_names_and_contents(tmp_path: Path) -> None:
    """And not the order in which files are named."""
    one, two = tmp_path / "a.csv", tmp_path / "b.csv"
    one.write_text("1")
    two.write_text("2")
    before = file_digest([one, two])
    assert file_digest([two, one]) == before
    two.write_text("3")
    assert file_digest([one, two]) != before


def test_a_reason_names_the_type_of_what_nobody_foresaw() -> None:
    """Our own errors speak for themselves."""
    assert reason(SettingError("points must be a power of two")) == "points must be a power of two"
    assert reason(ValueError("no\n  luck")) == "ValueError: no luck"
