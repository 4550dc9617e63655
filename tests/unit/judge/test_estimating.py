"""Means of what a judge's folder holds: who may serve, nothing leaks, and mixtures of judges are one judge."""

from __future__ import annotations

import json

import numpy as np
import pytest

from quorate.data.dataset import Dataset
from quorate.errors import FormatError, SettingError
from quorate.judge.estimating import estimate
from quorate.judge.folder import AMPLIFIED, ANSWERS, PREVALENCE, JudgeFolder
from quorate.judge.seed import Seed, read_seed, weights_of
from quorate.judge.seeding import Wish, begin
from unit.judge import afterwards as after


@pytest.fixture
def folder(tmp_path) -> JudgeFolder:
    """A judge that has labeled everything."""
    found = after.seeded(tmp_path)
    after.passed(found)
    after.labeled(found, 0, slice(None))
    return found


def test_the_mean_grade_and_the_shares_are_people_s_where_the_judge_s_are_too_kind(folder):
    """Intervals hold the truth, the judge's own mean is outside; the file beside the labels says the same."""
    found = estimate(folder)
    rows = {row.of: row for row in found.tasks[0].rows}
    mean = 1 + after.TRUTH.mean()
    assert rows[None].corrected.low < mean < rows[None].corrected.high < rows[None].judge
    for code, name in enumerate(after.CARE.classes):
        assert rows[name].corrected.low <= np.mean(code == after.TRUTH) <= rows[name].corrected.high
    assert sum(row.corrected.estimate for name, row in rows.items() if name) == pytest.approx(1)
    assert (found.roles, found.tasks[0].n_graded, found.tasks[0].n_items) == (("gate", "anchor"), 180, after.N)
    assert found.tasks[0].n_effective == pytest.approx(180)
    assert json.loads((folder.file(AMPLIFIED) / PREVALENCE).read_text()) == json.loads(json.dumps(found.as_json()))
    assert any("20 items are restricted" in note for note in found.notes())


def test_what_people_said_of_calibration_items_moves_nothing(tmp_path):
    """With every grade of a calibration item turned round, every figure is the same to the last digit."""
    first = after.seeded(tmp_path / "one")
    taught = set(read_seed(first.file("roles.parquet")).of("calibration"))
    other = np.array(
        [2 - code if name in taught else code for name, code in zip(after.NAMES, after.TRUTH, strict=True)]
    )
    second = after.seeded(tmp_path / "two", after.data(other))
    found = []
    for each in (first, second):
        after.passed(each)
        after.labeled(each, 0, slice(None))
        found.append(estimate(each))
    assert found[0] == found[1]


def test_gate_items_that_were_looked_at_before_the_judge_passed_do_not_serve(tmp_path):
    """After a closed gate anchors alone do, as they do where it is asked for; and it is said."""
    later = after.seeded(tmp_path / "later")
    after.passed(later, tries=2)
    after.labeled(later, 0, slice(None))
    found = estimate(later)
    assert (found.roles, found.tasks[0].n_graded) == (("anchor",), 90)
    assert any("anchors alone" in note for note in found.notes())
    assert estimate(later, anchors_only=True).tasks == found.tasks


def test_labels_of_two_versions_are_of_one_judge_that_is_each_in_its_share(tmp_path):
    """The better version labeled a quarter: its answers to graded items weigh a quarter; nothing is left out."""
    folder = after.seeded(tmp_path)
    after.passed(folder)
    after.labeled(folder, 0, slice(0, 900))
    better = np.where(np.random.default_rng(3).random(after.N) < 0.95, after.TRUTH, after.SAID)
    after.passed(folder, "kind v2", better, tries=1)
    after.labeled(folder, 1, slice(900, None), "kind v2", better)
    found = estimate(folder, anchors_only=True)
    assert (found.judges, found.left_out) == (("kind v1", "kind v2"), {})
    row = found.tasks[0].rows[-1]
    assert row.corrected.low < 1 + after.TRUTH.mean() < row.corrected.high
    after.labeled(folder, 2, slice(0, 10), "unknown v9", better)
    assert estimate(folder).left_out == {"unknown v9": 10}


def test_items_drawn_later_count_by_their_number_not_by_their_chance():
    """100 of 1,000, then 10 of the 900 left: each item of either drawing weighs the same."""
    items = tuple(map(str, range(110)))
    seed = Seed(items, ("gate",) * 110, np.append(np.full(100, 0.1), np.full(10, 10 / 900)))
    np.testing.assert_allclose(weights_of(seed, [100, 110], ("gate",)), 1.0)
    roles = ("calibration",) * 60 + ("anchor",) * 50
    found = weights_of(seed._replace(role=roles), [100, 110], ("gate", "anchor"))
    assert (found[:60] == 0).all()
    np.testing.assert_allclose(found[60:], 1.0)


def test_a_stratified_seed_is_weighed_by_what_it_was_drawn_with(tmp_path):
    """A rare stratum is drawn more often: as many graded items say less than under equal chances, and the set's mean is
    held.
    """
    people = after.data()
    topic = ["rare" if code == 2 else "common" for code in after.TRUTH]
    assert people.items is not None
    items = people.items.append_column("topic", [topic])
    people = Dataset(people.labels, None, None, None, items, people.schema)
    folder = JudgeFolder(tmp_path)
    begin(folder, people, Wish(items=300, by="stratum", column="topic"))
    after.passed(folder)
    after.labeled(folder, 0, slice(None))
    found = estimate(folder).tasks[0]
    assert found.n_effective < 0.97 * found.n_graded
    row = found.rows[-1]
    assert row.corrected.low < 1 + after.TRUTH.mean() < row.corrected.high
    assert found.alike > 0.01


def test_before_a_gate_and_before_labels_it_says_what_is_missing_and_a_changed_file_is_not_used(tmp_path):
    """Each message names the step."""
    folder = after.seeded(tmp_path)
    with pytest.raises(SettingError, match="quorate judge gate"):
        estimate(folder)
    after.passed(folder)
    with pytest.raises(SettingError, match="quorate judge amplify"):
        estimate(folder)
    folder.file(ANSWERS).write_bytes(b"PAR1")
    with pytest.raises(FormatError, match="not the one that was kept"):
        estimate(folder)
