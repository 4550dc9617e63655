"""Laws of confidence routing: the best threshold is the best of all, budgets hold, false confidence is found out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import SettingError
from quorate.policy.routing import route, search_threshold, trust


def answers(seed, n=300, human=1.0):
    rng = np.random.default_rng(seed)
    confidence = rng.beta(5, 2, n).round(2)  # rounded: many ties
    return confidence, (rng.random(n) < confidence).astype(float), (rng.random(n) < human).astype(float)


# ---- the search -----------------------------------------------------------------------------------------------------
@given(st.integers(0, 10_000), st.floats(0, 1), st.sampled_from([1.0, 0.9, 0.6]))
def test_the_best_threshold_is_the_best_of_all_that_the_budget_allows(seed, budget, human):
    """Equal to brute force over every threshold there is, by routing and counting."""
    confidence, right, by_people = answers(seed, 40, human)
    found = search_threshold(confidence, right, budget, by_people)
    best = -1.0
    for threshold in (*confidence, 2.0):
        accepted = route(confidence, threshold)
        if (~accepted).mean() <= budget + 1e-12:
            best = max(best, np.where(accepted, right, by_people).mean())
    assert found.overall.estimate[found.best] == pytest.approx(best)
    assert found.human_share[found.best] <= budget + 1e-12


@given(st.integers(0, 10_000))
def test_every_point_of_the_curve_is_what_routing_there_gives(seed):
    """Accuracy of the accepted, share reviewed and overall accuracy are those of `route` at that threshold."""
    confidence, right, by_people = answers(seed, 60, 0.8)
    found = search_threshold(confidence, right, 0.5, by_people)
    for place, threshold in enumerate(found.threshold):
        accepted = route(confidence, float(threshold))
        assert found.accepted[place] == accepted.sum()
        assert found.human_share[place] == pytest.approx((~accepted).mean())
        assert found.overall.estimate[place] == pytest.approx(np.where(accepted, right, by_people).mean())
        if accepted.any():
            assert found.auto.estimate[place] == pytest.approx(right[accepted].mean())


def test_a_threshold_between_two_confidences_changes_nothing():
    """All thresholds that matter are there: a fine grid finds nothing better than the curve does."""
    confidence, right, _ = answers(3)
    found = search_threshold(confidence, right, 0.3)
    grid = np.arange(0.0, 1.0, 0.001)
    reviewed = np.array([(~route(confidence, each)).mean() for each in grid])
    overall = np.array([np.where(route(confidence, each), right, 1.0).mean() for each in grid])
    assert overall[reviewed <= 0.3].max() <= found.overall.estimate[found.best] + 1e-12


def test_answers_of_one_confidence_go_together():
    """Four answers at .8 cannot be split: a budget of a half reviews none of them."""
    found = search_threshold(np.array([0.8, 0.8, 0.8, 0.8, 0.9]), np.array([0, 1, 1, 1, 1]), 0.5)
    assert found.human_share.tolist() == [0.0, 0.8, 1.0]
    assert found.best == 0


def test_without_a_budget_all_is_accepted_and_with_all_of_it_perfect_people_leave_no_error():
    """The limits at 0 and 1."""
    confidence, right, _ = answers(1)
    none, everything = search_threshold(confidence, right, 0.0), search_threshold(confidence, right, 1.0)
    assert none.human_share[none.best] == 0
    assert none.overall.estimate[none.best] == pytest.approx(right.mean())
    assert everything.overall.estimate[everything.best] == 1.0


def test_a_larger_budget_is_never_worse():
    """The best overall accuracy rises with the budget."""
    confidence, right, human = answers(2, human=0.85)
    found = [search_threshold(confidence, right, share, human) for share in np.linspace(0, 1, 21)]
    best = [each.overall.estimate[each.best] for each in found]
    assert np.all(np.diff(best) >= 0)


def test_people_who_err_more_than_the_model_are_not_asked_about_what_it_knows():
    """Where people are right in 70 %, an answer that is right in 95 % is accepted though the budget would allow all."""
    confidence = np.repeat([0.95, 0.5], 200)
    right = np.concatenate([np.arange(200) % 20 > 0, np.arange(200) % 2 > 0]).astype(float)
    found = search_threshold(confidence, right, 1.0, human_accuracy=0.7)
    assert found.threshold[found.best] == 0.95


def test_the_order_of_the_answers_does_not_matter():
    """Relabeling answers relabels nothing of the curve."""
    confidence, right, _ = answers(5)
    shuffled = np.random.default_rng(0).permutation(len(confidence))
    one, other = search_threshold(confidence, right), search_threshold(confidence[shuffled], right[shuffled])
    np.testing.assert_allclose(one.overall.estimate, other.overall.estimate)
    assert one.best == other.best


def test_the_figures_are_json_without_infinities():
    """The threshold that accepts nothing is null."""
    confidence, right, _ = answers(6, 50)
    told = json.loads(json.dumps(search_threshold(confidence, right).figures(), allow_nan=False))
    assert told["all_thresholds"][-1]["threshold"] is None
    assert told["all_thresholds"][-1]["human_fraction"] == 1.0
    assert told["best"]["within_budget"] is True


# ---- trust ----------------------------------------------------------------------------------------------------------
def test_calibrated_confidences_are_seldom_refused():
    """At most 1 - level of samples, within three standard errors of 400 repetitions."""
    refused = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        confidence = rng.beta(5, 2, 500)
        refused += trust(confidence, rng.random(500) < confidence).verdict == "not trusted"
    assert refused / 400 <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_a_confidence_of_90_that_is_right_in_75_is_found_out_and_named():
    """The case of which the seed warns: not trusted, with the figures and the mend."""
    rng = np.random.default_rng(0)
    confidence = np.concatenate([np.full(300, 0.9), rng.uniform(0.5, 0.8, 300)])
    right = np.concatenate([np.arange(300) % 4 > 0, rng.random(300) < confidence[300:]])
    found = trust(confidence, right)
    assert found.verdict == "not trusted"
    assert "said to be 90 % sure are right in 75 %" in found.sentence
    assert "calibrate" in found.sentence


def test_few_answers_tell_nothing():
    """Thirty answers that look right are no reason to trust."""
    assert trust(np.full(30, 0.8), np.arange(30) % 5 > 0).verdict == "cannot tell"


# ---- bad input ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("confidence", "right", "options", "says"),
    [
        ([], [], {}, "no answers"),
        ([0.5, np.nan], [1, 0], {}, "NaN"),
        ([0.5, 1.5], [1, 0], {}, "from 0 to 1"),
        ([0.5], [2], {}, "right lies between 0 and 1"),
        ([0.5], [1], {"budget_share": 1.2}, "budget_share"),
        ([0.5], [1], {"human_accuracy": -0.1}, "human_accuracy"),
    ],
)
def test_bad_input_says_what_is_wrong(confidence, right, options, says):
    """One error that names the argument."""
    with pytest.raises(SettingError, match=says):
        search_threshold(np.array(confidence, float), np.array(right, float), **options)
