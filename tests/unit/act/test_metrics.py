"""Laws of AQG and ABS: equal to what brute force over budgets and orders of ties gives."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from quorate.act.budget import RULES, inclusion
from quorate.act.metrics import (
    Found,
    aqg,
    area,
    by_class,
    curve,
    found,
    gains,
    influence,
    quality,
    random_area,
    rule_gains,
)
from quorate.errors import SettingError

SMALL = st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.9]), st.booleans()), min_size=1, max_size=6)


def brute(errors, wrong) -> np.ndarray:
    """AQG at every budget, as the mean over every order that the errors allow."""
    orders = [p for p in permutations(range(len(errors))) if all(np.diff(errors[list(p)]) <= 0)]
    mended = [np.append(0, np.cumsum(wrong[list(p)])) for p in orders]
    return np.mean(mended, axis=0) / wrong.sum()


def case(seed: int, n: int = 400, *, ties: bool = True):
    rng = np.random.default_rng(seed)
    errors = rng.beta(1, 3, n)
    wrong = rng.random(n) < errors
    return (np.round(errors, 1) if ties else errors), wrong


@given(items=SMALL)
def test_gains_and_area_equal_brute_force(items) -> None:
    """Every budget, every order of ties: AQG, and ABS as the integral of the step function."""
    errors, wrong = np.array([e for e, _ in items]), np.array([w for _, w in items])
    if not wrong.any():
        assert area(errors, wrong) is None
        assert gains(errors, wrong) is None
        return
    expected = brute(errors, wrong)
    assert gains(errors, wrong) == pytest.approx(expected)
    assert aqg(errors, wrong, len(items) // 2) == pytest.approx(expected[len(items) // 2])
    assert area(errors, wrong).estimate == pytest.approx(expected[:-1].mean())
    assert quality(errors, wrong) == pytest.approx(1 - wrong.mean() * (1 - expected[:-1].mean()))


@pytest.mark.parametrize("seed", range(3))
def test_area_is_a_rank_statistic(seed: int) -> None:
    """ABS = 1 - ((W + 1)/2 + (N - W)(1 - AUC)) / N; any rising map of the errors leaves it as it is."""
    errors, wrong = case(seed)
    n, n_wrong = len(wrong), wrong.sum()
    auc = roc_auc_score(wrong, errors)
    expected = 1 - ((n_wrong + 1) / 2 + (n - n_wrong) * (1 - auc)) / n
    assert area(errors, wrong).estimate == pytest.approx(expected)
    assert area(np.exp(5 * errors), wrong).estimate == pytest.approx(expected)
    assert expected <= area(wrong.astype(float), wrong).estimate == pytest.approx(1 - (n_wrong + 1) / (2 * n))


def test_an_order_that_says_nothing_has_the_area_of_random_review() -> None:
    """(N - 1) / 2N exactly, with all errors equal; and the mean over random orders is it."""
    _, wrong = case(0)
    assert area(np.full(400, 0.3), wrong).estimate == pytest.approx(random_area(400))
    rng = np.random.default_rng(1)
    draws = np.array([area(rng.random(400), wrong).estimate for _ in range(400)])
    assert abs(draws.mean() - random_area(400)) < 4 * draws.std() / 20


def test_positives_add_up_and_thresholding_spends_as_its_chances_say() -> None:
    """TP + FP = B, TP + missed = W; TP = Σ π over wrong labels; AQG = TP / W."""
    errors, wrong = case(2)
    for n in (0, 37, 200, 400):
        at = found(errors, wrong, n)
        assert at.true_positives + at.false_positives == pytest.approx(n)
        assert at.true_positives + at.missed == pytest.approx(wrong.sum())
        assert at.true_positives == pytest.approx(inclusion(errors, n)[wrong].sum())
        assert aqg(errors, wrong, n) == pytest.approx(at.true_positives / wrong.sum())
    assert found(errors, wrong, 0).precision is None
    assert found(errors, wrong, 400) == Found(400, wrong.sum(), 400 - wrong.sum(), 0.0, 1.0)


def test_classes_add_up_to_the_whole() -> None:
    """Positives of all classes under the common queue are those of all items; a class without an error has no ABS."""
    errors, wrong = case(3)
    codes = np.arange(400) % 4
    wrong &= codes != 3
    classes = by_class(errors, wrong, codes, 100)
    whole = found(errors, wrong, 100)
    assert sum(each.found.true_positives for each in classes) == pytest.approx(whole.true_positives)
    assert sum(each.found.false_positives for each in classes) == pytest.approx(whole.false_positives)
    assert [each.area is None for each in classes] == [False, False, False, True]


def test_the_standard_error_of_the_area_is_that_of_many_samples() -> None:
    """Mean of the stated errors against the spread over 600 fresh samples, within four of its own errors; no bias."""
    found_of = [area(*case(seed, 300)) for seed in range(600)]
    estimates = np.array([each.estimate for each in found_of])
    spread = estimates.std(ddof=1)
    assert abs(np.mean([each.se for each in found_of]) - spread) < 4 * spread / (2 * 600) ** 0.5
    truth = area(*case(99, 200_000)).estimate
    covered = np.mean([each.low <= truth <= each.high for each in found_of])
    assert abs(covered - 0.95) < 4 * (0.95 * 0.05 / 600) ** 0.5
    assert influence(*case(0)).mean() == pytest.approx(0, abs=1e-12)


def test_the_curve_goes_through_the_gains_and_its_band_holds_it() -> None:
    """At whole numbers of reviews it is AQG; it rises from 0 to 1."""
    errors, wrong = case(4)
    of = curve(errors, wrong, points=41)
    assert of.gain == pytest.approx(gains(errors, wrong)[::10])
    assert (np.diff(of.gain) >= 0).all()
    assert (of.low <= of.gain).all()
    assert (of.gain <= of.high).all()
    assert of.share_for(0.0) == 0.0
    assert of.share_for(of.gain[7]) == pytest.approx(of.share[7])
    assert curve(errors, np.zeros(400, bool)) is None


def test_rules_other_than_thresholding_have_their_own_gains() -> None:
    """Thresholding's are those of the queue; at no and at full budget all rules agree."""
    errors, wrong = case(5)
    budgets = np.array([0, 50, 400])
    for rule in RULES:
        of = rule_gains(errors, wrong, rule, budgets)
        assert of[[0, 2]] == pytest.approx([0, 1])
        assert of[1] <= gains(errors, wrong)[50] + 1e-9
    assert rule_gains(errors, wrong, "thresholding", budgets) == pytest.approx(gains(errors, wrong)[budgets])


def test_what_does_not_fit_together_is_refused() -> None:
    """Lengths, and errors that are no numbers."""
    with pytest.raises(SettingError, match="item 1"):
        area(np.array([0.1, np.inf]), np.array([True, False]))
    with pytest.raises(SettingError, match="one of each"):
        found(np.zeros(0), np.zeros(0, bool), 0)
