"""Items in dispute go to people, and into the next seed as items to learn from."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.csv as pa_csv
import pytest

from quorate.errors import DataError, SettingError
from quorate.judge.behavior import Log
from quorate.judge.disputes import dispute
from quorate.judge.folder import DISCREPANCIES, TO_PEOPLE, JudgeFolder
from quorate.judge.seed import read_seed
from quorate.judge.seeding import Wish, begin
from unit.judge import afterwards as after


@pytest.fixture
def folder(tmp_path) -> JudgeFolder:
    """A judge that has labeled everything."""
    found = after.seeded(tmp_path / "judge")
    after.passed(found)
    after.labeled(found, 0, slice(None))
    return found


def clicks() -> Log:
    """People click on what is good; an item that nobody labeled is among them."""
    rng = np.random.default_rng(4)
    item = np.repeat(np.arange(after.N), 120)
    signal = (rng.random(len(item)) < np.array([0.05, 0.2, 0.5])[after.TRUTH][item]).astype(float)
    item, signal = np.append(item, after.N), np.append(signal, 1.0)
    names = (*after.NAMES, "unlabeled")
    return Log(names, ("q",), item, np.zeros(len(item), np.int64), signal, np.ones(len(item)), None)


def test_the_list_holds_what_the_judge_was_too_kind_to_and_nothing_that_people_may_not_see(folder):
    """Nearly all of the listed are misjudged; restricted items and those that people graded are not among them."""
    found = dispute(folder, clicks(), restricted=after.HIDDEN, most=60)
    wrong = {name for name, said, truth in zip(after.NAMES, after.SAID, after.TRUTH, strict=True) if said != truth}
    listed = [each.item for each in found.disputes]
    right = np.mean([item in wrong for item in listed])
    base = len(wrong) / after.N
    assert right > base + 5 * (base * (1 - base) / 60) ** 0.5
    assert len(set(listed)) == 60
    assert not set(listed) & (after.HIDDEN | set(read_seed(folder.file("roles.parquet")).items))
    assert {each.says for each in found.disputes if each.item in wrong} == {"too high"}
    assert (found.unlabeled, found.cells) == (1, after.N)
    lines = folder.file(TO_PEOPLE).read_text().splitlines()
    assert [json.loads(line) for line in lines] == ["item", *listed]
    table = pa_csv.read_csv(folder.file(DISCREPANCIES))
    assert table["item"].to_pylist() == listed
    assert table["residual"].to_pylist() == pytest.approx([each.residual for each in found.disputes])


def test_the_list_is_taken_into_the_next_seed_to_learn_from_and_never_decides(folder):
    """Listed items become calibration items that are sure to be graded; roles and gate items stay; twice is once."""
    found = dispute(folder, clicks(), restricted=after.HIDDEN, most=30)
    before = read_seed(folder.file("roles.parquet"))
    listed = [each.item for each in found.disputes]
    came = begin(folder, after.data(), Wish(items=300), also=[*listed, before.items[0]])
    assert came.seed.items[:300] == before.items
    assert came.seed.items[300:] == tuple(listed)
    assert set(came.seed.role[300:]) == {"calibration"}
    assert came.seed.of("gate") == before.of("gate")
    again = begin(folder, after.data(), Wish(items=300), also=listed)
    assert again.seed.items == came.seed.items
    for item, words in ((min(after.HIDDEN), "restricted"), ("nobody", "not in the data")):
        with pytest.raises(DataError, match=words):
            begin(folder, after.data(), Wish(items=300), also=[item])


def test_what_cannot_be_compared_is_refused_with_its_mend(folder):
    """Another log's items, a class that there is not."""
    other = Log(tuple(f"x{at}" for at in range(30)), ("q",), *clicks().keep(clicks().item < 30)[2:])
    with pytest.raises(DataError, match="labeled no item of the log"):
        dispute(folder, other, restricted=frozenset())
    with pytest.raises(SettingError, match="no class '9'"):
        dispute(folder, clicks(), restricted=frozenset(), of_class="9")
    by_class = dispute(folder, clicks(), restricted=after.HIDDEN, of_class="3", most=5)
    assert all(0 <= each.judge <= 1 for each in by_class.disputes)
