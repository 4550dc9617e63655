"""Laws of the efficiency curve."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.errors import SettingError
from quorate.measure.efficiency import Curve, auc, auc_estimate, curve, moves, traced

RULES = ("minimum", "per_task")


def random_case(seed: int, *, n_items: int = 60, n_tasks: int = 3, most: int = 5):
    rng = np.random.default_rng(seed)
    n_labels = rng.integers(0, most + 1, (n_items, n_tasks))
    counted = rng.random((n_items, n_tasks)) < 0.8
    confidence = rng.integers(40, 101, (most + 1, n_items, n_tasks)) / 100  # many ties
    correct = rng.integers(0, 3, confidence.shape) / 2
    return confidence, correct, n_labels, counted


def stopped(confidence, correct, n_labels, counted, rule, threshold):
    """The definition, in plain loops: (efficiency, accuracy) at one threshold."""
    credit = bought = 0.0
    for i in range(len(n_labels)):
        tasks = np.flatnonzero(counted[i])
        units = [tasks] if rule == "minimum" else [np.array([t]) for t in tasks]
        for unit in (unit for unit in units if len(unit)):
            last = n_labels[i, unit].max()
            sure = [j for j in range(last) if confidence[j, i, unit].min() > threshold]
            step = sure[0] if sure else last
            credit += correct[step, i, unit].sum()
            bought += np.minimum(step, n_labels[i, unit]).sum()
    return 1 - bought / n_labels[counted].sum(), credit / counted.sum()


@pytest.mark.parametrize("rule", RULES)
def test_the_curve_is_the_definition_at_every_threshold(rule):
    """Curve at a threshold = stopping every unit by hand at that threshold."""
    case = random_case(1)
    found = curve(*case[:3], counted=case[3], rule=rule)
    for threshold in (0.0, 0.395, 0.5, 0.635, 0.777, 0.9, 0.985, 1.0):
        at = np.searchsorted(found.threshold, threshold + 1e-9) - 1
        expected = stopped(*case, rule, threshold)
        assert (found.efficiency[at], found.accuracy[at]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_the_curve_runs_from_all_saved_to_none_saved(rule):
    """Efficiency falls strictly from 1 to 0 while the threshold rises."""
    confidence, correct, n_labels, counted = random_case(2)
    found = curve(confidence, correct, n_labels, counted=counted, rule=rule)
    assert found.efficiency[0] == 1.0
    assert found.efficiency[-1] == pytest.approx(0.0, abs=1e-12)
    assert (np.diff(found.efficiency) < 0).all()
    assert (np.diff(found.threshold) > 0).all()


@pytest.mark.parametrize("rule", RULES)
def test_the_curve_knows_no_order_of_items_or_tasks(rule):
    """Permuting items and tasks changes neither curve nor area."""
    confidence, correct, n_labels, counted = random_case(3)
    items, tasks = np.random.default_rng(0).permutation(60), np.array([2, 0, 1])
    before = curve(confidence, correct, n_labels, counted=counted, rule=rule)
    after = curve(
        confidence[:, items][:, :, tasks],
        correct[:, items][:, :, tasks],
        n_labels[items][:, tasks],
        counted=counted[items][:, tasks],
        rule=rule,
    )
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_cells_without_truth_count_for_nothing(rule):
    """Whatever stands in an uncounted cell, the curve is the same."""
    confidence, correct, n_labels, counted = random_case(4)
    other = np.where(counted, confidence, 0.123), np.where(counted, correct, 1.0), np.where(counted, n_labels, 1)
    before = curve(confidence, correct, n_labels, counted=counted, rule=rule)
    after = curve(*other, counted=counted, rule=rule)
    for one, two in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_confidence_that_knows_the_errors_keeps_full_accuracy_until_only_right_answers_are_left_open():
    """Perfect confidence: labels are bought just where the first answer is wrong, so accuracy is 1 up to that share.

    With a share w of wrong first answers and one label each, the area is 1 - w^2 / 2.
    """
    wrong = np.arange(100) < 30
    confidence = np.stack([np.where(wrong, 0.5, 0.9), np.ones(100)])[:, :, None]
    correct = np.stack([~wrong, np.ones(100, bool)])[:, :, None].astype(float)
    found = curve(confidence, correct, np.ones((100, 1), int))
    assert found.saving(1.0) == pytest.approx(0.7)
    assert auc(found) == pytest.approx(1 - 0.3**2 / 2)


@pytest.mark.parametrize("rule", RULES)
def test_a_constant_confidence_buys_all_or_nothing(rule):
    """One confidence for all: the curve is the chord from no labels to all labels, its area their mean accuracy."""
    _, correct, n_labels, counted = random_case(5)
    confidence = np.full(correct.shape, 0.7)
    found = curve(confidence, correct, n_labels, counted=counted, rule=rule)
    assert len(found.threshold) == 2
    assert auc(found) == pytest.approx(found.accuracy.mean())


def test_with_one_task_both_rules_are_one():
    """Minimum over one task is that task."""
    confidence, correct, n_labels, counted = random_case(6, n_tasks=1)
    areas = [auc(curve(confidence, correct, n_labels, counted=counted, rule=rule)) for rule in RULES]
    assert areas[0] == pytest.approx(areas[1], abs=1e-12)


def test_rounding_in_the_last_bit_moves_nothing():
    """Confidences that differ by 1e-15 are one threshold."""
    confidence, correct, n_labels, counted = random_case(7)
    noise = np.random.default_rng(1).uniform(-1e-15, 1e-15, confidence.shape)
    assert auc(curve(confidence, correct, n_labels, counted=counted)) == pytest.approx(
        auc(curve(confidence + noise, correct, n_labels, counted=counted)), abs=1e-12
    )


def test_without_labels_the_area_is_the_accuracy():
    """Nothing to save: the curve is one point, extended flat."""
    correct = np.array([[[1.0], [0.0], [0.5]]])
    found = curve(np.full((1, 3, 1), 0.8), correct, np.zeros((3, 1), int))
    assert found == Curve(*(pytest.approx(np.array([value])) for value in (0.0, 1.0, 0.5)))
    assert auc(found) == pytest.approx(0.5)


def test_a_weighted_curve_is_the_curve_of_repeated_items():
    """Counting an item w times = w copies of it."""
    confidence, correct, n_labels, counted = random_case(8)
    weight = np.random.default_rng(2).integers(0, 3, 60)
    copies = np.repeat(np.arange(60), weight)
    weighted = traced(moves(confidence, correct, n_labels, counted=counted), weight.astype(float))
    repeated = curve(confidence[:, copies], correct[:, copies], n_labels[copies], counted=counted[copies])
    assert auc(weighted) == pytest.approx(auc(repeated), abs=1e-12)


def test_the_bootstrap_error_is_the_spread_over_fresh_samples():
    """Standard error of the area from one sample = standard deviation over samples, within a factor 1.5."""
    cases = [random_case(seed, n_items=200) for seed in range(40)]
    estimates = [auc_estimate(moves(*case[:3], counted=case[3])) for case in cases]
    spread = np.std([estimate.value for estimate in estimates], ddof=1)
    mean_se = np.mean([estimate.se for estimate in estimates])
    assert spread / 1.5 < mean_se < spread * 1.5


def test_nothing_to_count_and_missing_steps_are_refused():
    """An empty mask and too few steps raise SettingError."""
    confidence, correct, n_labels, counted = random_case(9)
    with pytest.raises(SettingError, match="no item-task"):
        curve(confidence, correct, n_labels, counted=np.zeros_like(counted))
    with pytest.raises(SettingError, match="give 6"):
        curve(confidence[:3], correct[:3], n_labels, counted=counted)
