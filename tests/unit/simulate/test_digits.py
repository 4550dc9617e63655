"""The demonstration's data: real classifiers that err in families, people of the stated kind."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.errors import SettingError
from quorate.simulate.digits import FAMILIES, SCHEMA, SKILL, digits


@pytest.fixture(scope="module")
def made():
    """The default data and its truth, in codes."""
    data, truth = digits()
    return data.encode(), truth


def test_every_model_scores_every_item_and_task(made):
    """Six models, three tasks, scores that sum to 1."""
    coded, truth = made
    assert set(coded.models) == {name for family in FAMILIES.values() for name in family}
    assert coded.schema == SCHEMA
    for output in coded.outputs:
        assert (output.kind == 1).all()
        np.testing.assert_allclose(output.scores.sum(axis=2), 1.0, atol=1e-5)
    assert truth.shape == (1_500, 3)


def test_the_truth_is_one_number_seen_three_ways(made):
    """Parity and above_four follow from the digit."""
    truth = made[1]
    np.testing.assert_array_equal(truth[:, 1], truth[:, 0] % 2)
    np.testing.assert_array_equal(truth[:, 2], truth[:, 0] > 4)


def test_errors_correlate_inside_families_more_than_across(made):
    """For every task, the weakest tie inside a family is above the strongest across; and models are imperfect."""
    coded, truth = made
    family = np.array([next(i for i, names in enumerate(FAMILIES.values()) if m in names) for m in coded.models])
    same = family[:, None] == family
    for t, output in enumerate(coded.outputs):
        wrong = output.answer != truth[:, [t]]
        assert ((wrong.mean(axis=0) > 0.05) & (wrong.mean(axis=0) < 0.45)).all()
        phi = np.corrcoef(wrong.T)
        inside, across = phi[same & ~np.eye(6, dtype=bool)], phi[~same]
        assert inside.mean() > across.mean() + 0.2
    digit = np.corrcoef((coded.outputs[0].answer != truth[:, [0]]).T)
    assert digit[same].min() > digit[~same].max()


def test_people_are_as_skilled_as_stated(made):
    """Every annotator's share of right labels lies within 4 standard errors of the stated interval; five per cell."""
    coded, truth = made
    item, task = np.divmod(coded.cell_of_label(), 3)
    right = coded.labels.code == truth[item, task]
    assert (np.diff(coded.labels.start) == 5).all()
    assert len(coded.annotators) == 12
    for a in range(12):
        mine = right[coded.labels.annotator == a]
        se = np.sqrt(0.25 / len(mine))
        assert SKILL[0] - 4 * se < mine.mean() < SKILL[1] + 4 * se


def test_the_same_seed_makes_the_same_data(made):
    """Everything random hangs on the seed."""
    one, same = (digits(60, seed=1) for _ in range(2))
    assert one.data.labels.equals(same.data.labels)
    assert one.data.scores.equals(same.data.scores)
    assert (one.truth != made[1][:60]).any()


def test_more_items_than_images_are_refused():
    """SettingError names the range."""
    with pytest.raises(SettingError, match="1 to 1677"):
        digits(1_700)
