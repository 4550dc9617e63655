"""Files that a verb writes."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from quorate.cli.files import whole, write_table
from quorate.errors import SettingError

TABLE = pa.table({"item": ["a", "b,c"], "confidence": [0.5, 1.0], "probs": [[0.5, 0.5], [0.0, 1.0]]})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def cut_short(path: Path, fault: type[BaseException]) -> None:
    with whole(path) as part:
        part.write_text("half")
        raise fault


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_a_write_that_is_cut_short_leaves_the_old_file_and_no_half_of_the_new(
    tmp_path: Path, fault: type[BaseException]
) -> None:
    """Whole or not at all, also under Ctrl-C."""
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(fault):
        cut_short(path, fault)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["out.txt"]


def test_a_finished_write_takes_the_place_of_the_old_file(tmp_path: Path) -> None:
    """And its folder is made where there is none."""
    path = tmp_path / "new folder" / "out.txt"
    for text in ("old", "new"):
        with whole(path) as part:
            part.write_text(text)
    assert path.read_text() == "new"
    assert names(path.parent) == ["out.txt"]


def test_parquet_keeps_a_table_as_it_is(tmp_path: Path) -> None:
    """Read back, it is the same table."""
    write_table(TABLE, tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet").equals(TABLE)


def test_csv_keeps_every_value_and_holds_lists_as_json(tmp_path: Path) -> None:
    """Read back, columns are the same, lists after a JSON parser."""
    write_table(TABLE, tmp_path / "t.csv")
    back = pa_csv.read_csv(tmp_path / "t.csv").to_pydict()
    back["probs"] = [json.loads(text) for text in back["probs"]]
    assert back == TABLE.to_pydict()


def test_jsonl_keeps_every_row(tmp_path: Path) -> None:
    """One JSON object per row."""
    write_table(TABLE, tmp_path / "t.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert rows == TABLE.to_pylist()


def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    """The message names the mend."""
    with pytest.raises(SettingError, match=r"\.parquet, \.csv, \.jsonl"):
        write_table(TABLE, tmp_path / "t.xlsx")
    assert names(tmp_path) == []
