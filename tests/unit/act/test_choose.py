"""Choosing annotator and criticizer, and advising a budget: what is found, and how sure it is."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.act.advice import advised, price, revised, revised_queue
from quorate.act.budget import sample
from quorate.act.choose import choose, criticisms, critics
from quorate.act.metrics import area
from quorate.errors import SettingError

NAMES = ("strong", "middle", "weak")
SIGNAL = (4.0, 2.0, 0.5)


def world(n: int, seed: int):
    """Three models whose scores are honest, and a truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, n)
    x = np.array(SIGNAL)[:, None] * np.eye(4)[truth][:, None] + 1.5 * rng.gumbel(size=(n, 3, 4))
    odds = np.exp(x - x.max(axis=2, keepdims=True))
    return odds / odds.sum(axis=2, keepdims=True), truth


def test_the_most_accurate_model_annotates_and_the_best_critic_of_it_criticizes() -> None:
    """Figures in order, the choice at their head; by accuracy the second takes the criticism."""
    scores, truth = world(600, 0)
    found, by_rank = choose(scores, truth, NAMES), choose(scores, truth, NAMES, way="second")
    assert [each.model for each in found.abilities] == list(NAMES)
    assert found.annotator == "strong"
    assert found.clear
    assert found.criticizer == found.critics[0].model
    assert by_rank.criticizer == "middle"
    areas = [each.area.estimate for each in found.critics]
    assert areas == sorted(areas, reverse=True)
    assert found.critics[0].behind is None
    assert found.critics[1].behind.estimate == pytest.approx(areas[0] - areas[1])


def test_naming_the_models_in_another_order_chooses_the_same() -> None:
    """Only the names move."""
    scores, truth = world(500, 1)
    found, turned = choose(scores, truth, NAMES), choose(scores[:, ::-1], truth, NAMES[::-1])
    assert (found.annotator, found.criticizer) == (turned.annotator, turned.criticizer)


def test_with_few_mistakes_the_second_best_criticizes() -> None:
    """ABS of five mistakes says nothing; without a mistake there is no ABS at all."""
    scores, truth = world(40, 2)
    scores[:, 0] = 0.01
    scores[np.arange(40), 0, truth] = 0.97
    found = choose(scores, truth, NAMES)
    assert (found.criticizer, found.way, found.critics) == ("middle", "second", ())
    with pytest.raises(SettingError, match="no label"):
        critics(criticisms(scores, truth), np.zeros(40, bool), NAMES)


def test_paired_differences_of_areas_have_the_spread_that_they_state() -> None:
    """Stated standard errors against the spread over 300 test sets, within four of its errors."""
    gaps, stated = [], []
    for seed in range(300):
        scores, truth = world(200, seed)
        wrong = scores[:, 0].argmax(axis=1) != truth
        errors = criticisms(scores, scores[:, 0].argmax(axis=1))[:, 1:]
        first, second = critics(errors, wrong, NAMES[1:])
        gaps.append(second.behind.estimate * (1 if first.model == "middle" else -1))
        stated.append(second.behind.se)
        assert first.area == area(errors[:, NAMES[1:].index(first.model)], wrong)
    assert np.mean(stated) == pytest.approx(np.std(gaps, ddof=1), rel=4 / 600**0.5)


def test_the_advised_budget_covers_the_wrong_labels() -> None:
    """In 95 % of test sets at least, even without a buffer; it grows with the buffer and never exceeds the items."""
    rng = np.random.default_rng(3)
    wrong = rng.binomial(100, 0.12, 2_000)
    covered = np.mean([advised(int(w), 100, 5_000, buffer=0.0).budget >= 600 for w in wrong])
    assert covered > 0.95
    assert advised(12, 100, 5_000, buffer=0.3).budget == 2_100
    assert advised(100, 100, 5_000).budget == 5_000


def test_while_reviewing_the_interval_holds_the_number_of_wrong_labels_at_every_look() -> None:
    """Four looks at a random queue: all four intervals hold it in 95 % of runs; the last is narrower than the first."""
    rng = np.random.default_rng(4)
    held, narrower = [], []
    for _ in range(200):
        errors = rng.beta(1, 6, 2_000)
        wrong = rng.random(2_000) < errors
        drawn = sample(errors, 400, "normalization", rng=rng, even=0.2)
        queue = rng.permutation(np.flatnonzero(drawn.reviewed))
        looks = []
        for look, done in enumerate((100, 200, 300, 400), start=1):
            seen = queue[:done]
            looks.append(revised(wrong[seen], drawn.inclusion[seen] * done / 400, 2_000, look=look).ideal)
        held.append(all(each.low <= wrong.sum() <= each.high for each in looks))
        narrower.append(looks[-1].high - looks[-1].low < looks[0].high - looks[0].low)
    assert np.mean(held) > 0.95 - 4 * (0.95 * 0.05 / 200) ** 0.5
    assert np.mean(narrower) > 0.95


def test_a_queue_that_runs_dry_says_more_than_the_test_set() -> None:
    """Under thresholding: no mistakes among the last reviews bound what is left; the truth stays inside."""
    rng = np.random.default_rng(5)
    errors = np.sort(rng.beta(0.15, 1.5, 3_000))[::-1]
    held, narrower = [], []
    for _ in range(200):
        wrong = rng.random(3_000) < errors
        test = rng.choice(3_000, 100, replace=False)
        before = advised(int(wrong[test].sum()), 100, 3_000)
        after = revised_queue(wrong[:1_200], 3_000, int(wrong[test].sum()), 100, window=300)
        held.append(after.ideal.low <= wrong.sum() <= after.ideal.high)
        narrower.append(after.ideal.high - after.ideal.low < before.ideal.high - before.ideal.low)
    assert np.mean(held) > 0.95 - 4 * (0.95 * 0.05 / 200) ** 0.5
    assert np.mean(narrower) > 0.9


def test_prices_are_those_of_table_13() -> None:
    """50,000 images at 8 cents by people; $600 with one model in both roles, $2,500 with a rented one as critic."""
    own = price(50_000, 5_000, human_usd=0.08, annotate_usd=0.002, criticize_usd=0.002)
    rented = price(50_000, 5_000, human_usd=0.08, annotate_usd=0.002, criticize_usd=0.04)
    assert (own.human_only_usd, own.total_usd, rented.total_usd) == pytest.approx((4_000, 600, 2_500))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: advised(5, 4, 10),
        lambda: advised(1, 4, 10, buffer=-1.0),
        lambda: revised(np.array([True]), np.array([0.0]), 10),
        lambda: revised(np.array([True]), np.array([0.5]), 10, look=0),
        lambda: revised_queue(np.ones(10, bool), 100, 1, 10),
        lambda: price(1, 1, human_usd=-1.0),
        lambda: choose(np.ones((3, 1, 2)) / 2, np.zeros(3, np.int64), ["a"]),
    ],
)
def test_what_cannot_be_is_refused(wrong) -> None:
    """One error each."""
    with pytest.raises(SettingError):
        wrong()
