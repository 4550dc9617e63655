"""Means of a labeled set, corrected by graded items: unbiased whatever the judge says, and their intervals hold."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.errors import DataError, SettingError
from quorate.judge.prevalence import Corrected, Sample, Whole, _intervals, alike, corrected, on_simplex, tuned

SKEWED = (0.82, 0.14, 0.04)
K = len(SKEWED)
SHARES = (0.0, 1.0)


def drawn(rng: np.random.Generator, n: int, *, over: float = 0.2, right: float = 0.85) -> tuple[np.ndarray, np.ndarray]:
    """Two people's mean answers of items, and a judge's probabilities; it says the rare class of a share `over`."""
    truth = rng.choice(K, size=n, p=SKEWED)
    people = np.where(rng.random((n, 2)) < 0.9, truth[:, None], rng.choice(K, size=(n, 2), p=SKEWED))
    said = np.where(rng.random(n) < right, truth, rng.choice(K, size=n))
    said = np.where(rng.random(n) < over, K - 1, said)
    return (people[:, :, None] == np.arange(K)).mean(axis=1), 0.05 / K + 0.95 * np.eye(K)[said]


def whole_of(says: np.ndarray) -> Whole:
    """The set as the judge sees it."""
    return Whole(says.mean(axis=0), says.var(axis=0), len(says))


def study(n: int, repeats: int, *, level: float = 0.95, seed: int = 1, **judge) -> list[Corrected]:
    """Means of many sets of 4,000 items, n of them graded."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(repeats):
        people, says = drawn(rng, n, **judge)
        _, everything = drawn(rng, 4_000, **judge)
        found.append(corrected(Sample(people, says, np.ones(n)), whole_of(everything), SHARES, level))
    return found


@pytest.mark.parametrize(("n", "repeats"), [(30, 200), (100, 100), pytest.param(300, 80, marks=pytest.mark.slow)])
def test_intervals_hold_their_level_for_skewed_classes_and_a_biased_judge(n, repeats):
    """Each class is missed no oftener than 5 %, in units of the share's own error; and nobody is off on average."""
    found = study(n, repeats)
    truth = np.array(SKEWED)
    missed = np.array([(each.found.low > truth) | (each.found.high < truth) for each in found])
    assert (missed.mean(axis=0) <= 0.05 + 3 * (0.05 * 0.95 / repeats) ** 0.5).all()
    off = np.array([each.found.estimate - truth for each in found])
    assert (np.abs(off.mean(axis=0)) < 4 * off.std(axis=0) / repeats**0.5).all()
    told = np.sqrt(np.mean([each.found.se**2 for each in found], axis=0))
    np.testing.assert_allclose(told, off.std(axis=0), rtol=4 / (2 * repeats) ** 0.5)


def test_thirty_items_without_a_fault_do_not_prove_that_there_is_none():
    """A normal interval would have the width 0; 1 - 0.025^(1/30) of a class may be missed by both."""
    people = np.tile([1.0, 0.0], (30, 1))
    found = corrected(
        Sample(people, people, np.ones(30)), Whole(np.array([0.99, 0.01]), np.full(2, 0.0099), 10**6), SHARES
    )
    assert found.found.high[1] > 0.05


def test_a_good_judge_makes_intervals_narrower_and_a_bad_one_hardly_wider():
    """λ is near 1 for the first and near 0 for one that guesses."""
    good = study(300, 6, over=0.0, right=0.98)
    bad = study(300, 6, over=0.0, right=0.0)
    width = [np.mean([each.found.high - each.found.low for each in found]) for found in (good, bad)]
    alone = [np.mean([each.people.high - each.people.low for each in found]) for found in (good, bad)]
    assert width[0] < 0.8 * alone[0]
    assert width[1] < 1.05 * alone[1]
    assert np.mean([each.trust for each in good]) > 0.7
    assert np.mean([each.trust for each in bad]) < 0.2


def test_prevalences_sum_to_one_and_relabeling_classes_only_relabels_them():
    """One λ for all classes; the order of items and classes changes nothing."""
    rng = np.random.default_rng(3)
    people, says = drawn(rng, 80)
    whole = whole_of(drawn(rng, 2_000)[1])
    found = corrected(Sample(people, says, np.ones(80)), whole, SHARES)
    assert found.found.estimate.sum() == pytest.approx(1)
    turn = np.array([2, 0, 1])
    turned = Whole(whole.mean[turn], whole.variance[turn], whole.n_items)
    again = corrected(Sample(people[:, turn], says[:, turn], np.ones(80)), turned, SHARES)
    np.testing.assert_allclose(again.found.low, found.found.low[turn], atol=1e-12)
    assert on_simplex(np.array([0.7, 0.5, -0.2])).sum() == pytest.approx(1)


def test_items_drawn_with_unequal_chances_count_by_their_weights():
    """Every item of a rare stratum is graded, one in twenty of the other: only weighed do intervals hold."""
    rng, missed = np.random.default_rng(5), np.zeros(2)
    for _ in range(30):
        rare = rng.random(2_000) < 0.05
        truth = rng.random(2_000) < np.where(rare, 0.8, 0.1)
        said = np.where(rng.random(2_000) < 0.1, ~truth, truth).astype(float)[:, None]
        chance = np.where(rare, 1.0, 0.05)
        graded = np.flatnonzero(rng.random(2_000) < chance)
        people = truth[graded, None].astype(float)
        for place, weights in enumerate((1 / chance[graded], np.ones(len(graded)))):
            found = corrected(Sample(people, said[graded], weights), whole_of(said), SHARES)
            missed[place] += not found.found.low[0] <= truth.mean() <= found.found.high[0]
    assert missed[0] <= 30 * 0.05 + 3 * (30 * 0.05 * 0.95) ** 0.5
    assert missed[1] > 15


def test_no_item_chooses_how_far_the_judge_is_trusted_in_its_own_correction():
    """λ of an item is told from the others alone: with all others as they are, its own answers do not move it."""
    rng = np.random.default_rng(6)
    people, says = drawn(rng, 40)
    whole, weights = whole_of(says), rng.random(40)
    before = tuned(Sample(people, says, weights / weights.sum()), whole)
    people[7], says[7] = people[7][::-1], says[7][::-1]
    after = tuned(Sample(people, says, weights / weights.sum()), whole)
    assert after[7] == pytest.approx(before[7])
    assert np.abs(np.delete(after - before, 7)).max() > 1e-6


def test_graded_items_that_are_no_sample_of_the_set_are_told():
    """A random sample is called unlike as often as the level; one of other items always."""
    rng = np.random.default_rng(7)
    everything = drawn(rng, 20_000)[1]
    whole = whole_of(everything)
    said = [alike(Sample(part, part, np.ones(100)), whole) for part in everything[:20_000].reshape(200, 100, K)]
    assert np.mean(np.array(said) < 0.05) <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5
    other = drawn(rng, 100, over=0.6)[1]
    assert alike(Sample(other, other, np.ones(100)), whole) < 1e-4


def test_too_few_items_and_a_strange_level_are_refused():
    """The message says how many are needed."""
    few = np.tile([1.0, 0.0], (7, 1))
    whole = Whole(np.array([0.5, 0.5]), np.full(2, 0.25), 100)
    with pytest.raises(DataError, match="at least 8"):
        corrected(Sample(few, few, np.ones(7)), whole, SHARES)
    with pytest.raises(SettingError, match="between 0 and 1"):
        corrected(Sample(few, few, np.ones(7)), whole, SHARES, level=1.0)


def test_at_equal_weights_it_is_the_formula_of_the_papers():
    """Estimate and error of PPI at a given λ, and the λ of PPI++ as near as leaving one item out lets it; beside
    ppi_py itself: `benchmarks/prevalence.py --peer`.
    """
    rng = np.random.default_rng(8)
    (people, says), everything = drawn(rng, 400), drawn(rng, 5_000)[1]
    sample, whole = Sample(people, says, np.full(400, 1 / 400)), whole_of(everything)
    for trust in (0.0, 0.4, 1.0):
        ours, apart = _intervals(sample, whole, np.full(400, trust), SHARES, 0.95), people - trust * says
        np.testing.assert_allclose(ours.estimate, trust * everything.mean(axis=0) + apart.mean(axis=0))
        error = apart.var(axis=0, ddof=1) / 400 + trust**2 * everything.var(axis=0) / 5_000
        np.testing.assert_allclose(ours.se, np.sqrt(error))
    both = ((people - people.mean(axis=0)) * (says - says.mean(axis=0))).mean(axis=0).sum()
    power = both / ((1 + 400 / 5_000) * np.concatenate([says, everything]).var(axis=0).sum())
    assert tuned(sample, whole).mean() == pytest.approx(power, abs=0.05)
