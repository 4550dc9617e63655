"""Laws of the sampling rules: chances that add up to the budget, draws that keep to both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quorate.act.budget import (
    RULES,
    alpha_of,
    correction,
    fixed_size,
    inclusion,
    independent,
    proportional,
    reviews,
    sample,
)
from quorate.errors import SettingError

ERRORS = arrays(
    np.float64, st.integers(1, 60), elements=st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
)


@given(errors=ERRORS, share=st.floats(0, 1), rule=st.sampled_from(RULES), beta=st.sampled_from([0.1, 10.0, 1e3, 1e9]))
def test_chances_lie_in_0_to_1_and_add_up_to_the_budget(errors, share: float, rule, beta: float) -> None:
    """Σ π = B for every rule, ties, zeros and certain errors included."""
    budget = reviews(share, len(errors))
    chance = inclusion(errors, budget, rule, beta=beta)
    assert ((chance >= 0) & (chance <= 1)).all()
    assert chance.sum() == pytest.approx(budget, abs=1e-9)


@given(errors=ERRORS, share=st.floats(0, 1), rule=st.sampled_from(RULES), even=st.sampled_from([0.0, 0.2]))
def test_a_sample_never_exceeds_the_budget_and_spends_it(errors, share: float, rule, even: float) -> None:
    """Exactly B items are reviewed, and none that has no chance."""
    drawn = sample(errors, share, rule, rng=np.random.default_rng(0), even=even)
    assert drawn.reviewed.sum() == drawn.budget
    assert not drawn.reviewed[drawn.inclusion == 0].any()
    assert drawn.reviewed[drawn.inclusion == 1].all()


@given(errors=ERRORS, share=st.floats(0, 1), rule=st.sampled_from(RULES))
def test_a_likelier_error_has_no_smaller_chance(errors, share: float, rule) -> None:
    """Chances rise with the error."""
    chance = inclusion(errors, share, rule)[np.argsort(errors, kind="stable")]
    assert (np.diff(chance) >= -1e-12).all()


@pytest.mark.parametrize("rule", RULES)
def test_items_are_drawn_as_often_as_their_chance_says(rule) -> None:
    """4,000 draws: shares within five standard errors of π, of every item."""
    rng = np.random.default_rng(1)
    errors = np.round(rng.beta(0.6, 2.0, 40), 1)
    chance = inclusion(errors, 12, rule, beta=5.0)
    n = 4_000
    found = sum(fixed_size(chance, rng).astype(np.int64) for _ in range(n)) / n
    se = np.sqrt(np.maximum(chance * (1 - chance), 1e-12) / n)
    assert (np.abs(found - chance) <= 5 * se + 1e-12).all()


def test_independent_draws_meet_the_budget_in_expectation_only() -> None:
    """As in the source; the mean is the budget, single draws exceed it."""
    rng = np.random.default_rng(2)
    chance = inclusion(rng.random(200), 50, "normalization")
    sizes = np.array([independent(chance, rng).sum() for _ in range(2_000)])
    assert abs(sizes.mean() - 50) < 4 * (chance * (1 - chance)).sum() ** 0.5 / 2_000**0.5
    assert sizes.max() > 50


def test_what_the_cap_cuts_off_goes_to_the_others_in_proportion() -> None:
    """Below the cap chances stay in proportion to the error; those at the cap could not be lower."""
    errors = np.array([0.9, 0.8, 0.1, 0.05, 0.05])
    chance = inclusion(errors, 3, "normalization")
    assert chance[:2].tolist() == [1.0, 1.0]
    assert chance[2:] == pytest.approx([0.5, 0.25, 0.25])
    assert proportional(np.array([1.0, 0.0, 0.0]), 2).tolist() == [1.0, 0.5, 0.5]


def test_thresholding_is_exponential_weighting_with_endless_sharpness() -> None:
    """β to infinity, as the source says; ties share what is left."""
    errors = np.array([0.1, 0.5, 0.5, 0.5, 0.9])
    expected = [0.0, 1 / 3, 1 / 3, 1 / 3, 1.0]
    assert inclusion(errors, 2, "thresholding") == pytest.approx(expected)
    assert inclusion(errors, 2, "exponential", beta=np.inf) == pytest.approx(expected)
    assert inclusion(errors, 2, "exponential", beta=1e7) == pytest.approx(expected)


def test_alpha_is_the_center_of_the_weighting() -> None:
    """The chances are those of the formula at this α."""
    errors = np.random.default_rng(3).random(100)
    alpha = alpha_of(errors, 30, beta=10.0)
    formula = 1 / (1 + np.exp(-10.0 * (errors - alpha)))
    assert inclusion(errors, 30, "exponential", beta=10.0) == pytest.approx(formula)
    with pytest.raises(SettingError, match="finite"):
        alpha_of(errors, 0)


def test_no_other_chances_add_less_variance_than_the_optimal_rule() -> None:
    """Σ ε m (1/π - 1) is least: against the other rules, and against 500 random ones of the same budget."""
    rng = np.random.default_rng(4)
    errors, moments = rng.beta(0.5, 2, 80) + 1e-3, rng.exponential(2.0, 80)
    errors = np.minimum(errors, 1.0)

    def added(chance) -> float:
        return float((errors * moments * (1 / chance - 1)).sum())

    best = inclusion(errors, 30, "optimal", moments=moments)
    rivals = [inclusion(errors, 30, "normalization"), inclusion(errors, 30, "exponential", beta=5.0)]
    rivals += [proportional(best * rng.lognormal(0, 0.3, 80), 30) for _ in range(500)]
    assert all(added(best) < added(rival) for rival in rivals)


def test_an_even_share_leaves_no_item_without_a_chance() -> None:
    """π = (1 - s) π_rule + s B / N."""
    chance = inclusion(np.array([0.0, 0.0, 0.3, 0.9]), 2, even=0.1)
    assert chance == pytest.approx([0.05, 0.05, 0.95, 0.95])


def test_a_human_label_weighs_one_over_its_chance_and_one_under_thresholding() -> None:
    """δ / π; of thresholding δ, since its ties are drawn for want of an order, not by chance of an error."""
    errors = np.array([0.5, 0.5, 0.2, 0.2])
    for rule in RULES:
        drawn = sample(errors, 1, rule, rng=np.random.default_rng(0))
        weight = drawn.correction()
        assert (weight[~drawn.reviewed] == 0).all()
        expected = 1.0 if rule == "thresholding" else 1 / drawn.inclusion[drawn.reviewed]
        assert weight[drawn.reviewed] == pytest.approx(expected)
    assert drawn.table(list("abcd")).column_names == ["item", "inclusion", "reviewed"]


def test_truncated_weights_end_at_the_root_of_the_number_of_items() -> None:
    """Those below √N stay; a rare review cannot outweigh all others."""
    reviewed, chance = np.array([True, True, True, False]), np.array([1e-9, 0.8, 1.0, 0.1])
    assert correction(reviewed, chance, "optimal", truncated=True) == pytest.approx([2.0, 1.25, 1.0, 0.0])
    assert correction(reviewed, chance, "optimal")[0] == pytest.approx(1e9)
    with pytest.raises(SettingError, match="item 0"):
        correction(reviewed, np.zeros(4), "optimal")


def test_a_million_items_take_no_time() -> None:
    """All rules, and the draw, on a million items."""
    errors = np.random.default_rng(5).random(1_000_000)
    for rule in RULES:
        assert sample(errors, 0.1, rule, rng=np.random.default_rng(0)).reviewed.sum() == 100_000


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"budget": 5}, "0 to 4"),
        ({"budget": -1}, "0 to 4"),
        ({"budget": 1.5}, "share"),
        ({"budget": float("nan")}, "share"),
        ({"errors": np.array([0.1, np.nan, 0.2, 0.3])}, r"item 1 \(from 0\)"),
        ({"errors": np.array([0.1, 0.2, 1.2, 0.3])}, r"1.2 of item 2"),
        ({"rule": "best"}, "normalization"),
        ({"rule": "exponential", "beta": 0.0}, "beta"),
        ({"even": 1.5}, "even"),
        ({"rule": "optimal", "moments": np.array([1.0])}, "moments"),
    ],
)
def test_what_cannot_be_is_refused_by_name(wrong: dict, says: str) -> None:
    """One error that says what may be given."""
    settings = {"errors": np.array([0.1, 0.2, 0.3, 0.4]), "budget": 2, "rule": "thresholding", **wrong}
    if settings["rule"] == "best":
        settings["rule"] = "best"
    with pytest.raises(Exception, match=says):
        inclusion(settings.pop("errors"), settings.pop("budget"), **settings)
