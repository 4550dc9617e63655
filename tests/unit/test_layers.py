"""The rooms of the library stand in one row."""

from __future__ import annotations

from pathlib import Path

import pytest
from importlinter.cli import lint_imports

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.filterwarnings("default")  # another project's warnings
def test_every_room_imports_only_rooms_below_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contracts of pyproject.toml hold: errors < schema < data < ... < cli, and each package has its door."""
    monkeypatch.syspath_prepend(PROJECT / "src")
    broken = lint_imports(config_filename=str(PROJECT / "pyproject.toml"), cache_dir=str(tmp_path), no_logo=True)
    assert broken == 0, capsys.readouterr().out
