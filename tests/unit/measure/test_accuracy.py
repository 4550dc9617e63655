"""Accuracy against an uncertain truth: by likelihood without the agent's answer, by expectation with everybody's."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.measure.accuracy import accuracy, expected_accuracy
from quorate.measure.intervals import jeffreys
from unit.measure.crowd import assert_within
from unit.measure.witnessed import answers, judged_together, pattern, truths

ASYMMETRIC = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.3, 0.1, 0.6]])
PREVALENCE = np.array([0.5, 0.3, 0.2])
REPEATS = 200


def judged(rows):
    return accuracy(rows, np.eye(rows.truth.shape[1]))


def repeated(confusion: np.ndarray, *, n: int, n_witnesses: int = 2, witness: float = 0.7, seed: int = 0):
    """Many agents of the same confusion, each on fresh items."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(REPEATS):
        truth, posterior = truths(n, PREVALENCE, pattern(witness, 3), n_witnesses, rng)
        parts.append((posterior, answers(truth, confusion, rng), None))
    return judged(judged_together(parts))


def test_a_certain_truth_gives_counts():
    """Accuracy is the share right with Jeffreys' interval; confusion rows are counts with a trace of the prior."""
    rng = np.random.default_rng(0)
    truth = rng.choice(3, 500, p=PREVALENCE)
    said = answers(truth, ASYMMETRIC, rng)
    found = judged(judged_together([(np.eye(3)[truth], said, None)]))
    right = int((said == truth).sum())
    expected = jeffreys(right, 500).at()
    assert found.right.at(0) == pytest.approx(expected, abs=2e-4)
    assert found.n_effective[0] == pytest.approx(500, rel=1e-3)
    counts = np.zeros((3, 3))
    np.add.at(counts, (truth, said), 1)
    assert np.allclose(found.truth_n[0], counts.sum(axis=1))
    assert np.allclose(found.confusion.estimate[0], counts / counts.sum(axis=1, keepdims=True), atol=0.01)


@pytest.mark.parametrize("confusion", [ASYMMETRIC, pattern(0.8, 3), pattern(1 / 3, 3)])
def test_an_uncertain_truth_does_not_blur_the_agent(confusion):
    """Against two witnesses who are right on 70 %, mean accuracy and confusion are true within their own error."""
    found, true = repeated(confusion, n=1000), (PREVALENCE * np.diag(confusion)).sum()
    estimate = found.right.estimate
    assert_within(estimate.mean(), true, se=estimate.std(ddof=1) / REPEATS**0.5)
    cells, inside = found.confusion.estimate, (confusion > 0) & (confusion < 1)
    off = np.abs(cells.mean(axis=0) - confusion)
    assert (off < cells.std(axis=0, ddof=1) / 2)[inside].all()


def test_a_nearly_perfect_agent_is_hardly_underrated():
    """Near 1 an estimate misses downward only: by less than half its standard error; at 1 the interval comes near."""
    found = repeated(pattern(0.97, 3), n=1000).right
    assert 0.97 - np.median(found.se) / 2 < found.estimate.mean() < 0.97
    assert np.median(repeated(pattern(1.0, 3), n=1000).right.high) > 0.995


@pytest.mark.parametrize(("n", "n_witnesses"), [(50, 2), (300, 2), (300, 6)])
def test_intervals_cover_the_true_accuracy_at_their_level(n, n_witnesses):
    """95 %, within the error of the repeats, whether the truth is vague or nearly known; never far too wide."""
    found, true = repeated(ASYMMETRIC, n=n, n_witnesses=n_witnesses), (PREVALENCE * np.diag(ASYMMETRIC)).sum()
    covered = ((found.right.low <= true) & (true <= found.right.high)).mean()
    assert covered > 0.95 - 4 * (0.95 * 0.05 / REPEATS) ** 0.5
    assert np.median(found.right.se) < 1.5 * found.right.estimate.std(ddof=1)


def test_intervals_cover_every_cell_of_the_confusion():
    """Cells away from 0 and 1 are covered at 95 %, within the error of the repeats."""
    found = repeated(ASYMMETRIC, n=500)
    covered = ((found.confusion.low <= ASYMMETRIC) & (found.confusion.high >= ASYMMETRIC)).mean(axis=0)
    inside = (ASYMMETRIC > 0) & (ASYMMETRIC < 1)
    assert (covered[inside] > 0.95 - 4 * (0.95 * 0.05 / REPEATS) ** 0.5).all()


def test_less_certain_truths_are_worth_fewer_answers():
    """More witnesses, more effective answers; without any witness none, and an interval over everything."""
    effective = [np.median(repeated(ASYMMETRIC, n=200, n_witnesses=w).n_effective) for w in (0, 1, 3, 9)]
    assert effective == sorted(effective)
    assert effective[0] < 3
    assert effective[-1] > 150
    blind = repeated(ASYMMETRIC, n=200, n_witnesses=0)
    assert (blind.right.high - blind.right.low > 0.75).all()


def test_chance_is_the_accuracy_of_blind_answers():
    """An agent who draws labels without looking is right as often as `chance` says."""
    blind = np.tile([0.2, 0.2, 0.6], (3, 1))
    found = repeated(blind, n=500, n_witnesses=6)
    gap = found.right.estimate - found.chance
    assert_within(gap.mean(), 0.0, se=gap.std(ddof=1) / REPEATS**0.5)


def test_names_of_classes_say_nothing():
    """Turning the classes turns the confusion and leaves the accuracy."""
    rng, turn = np.random.default_rng(0), np.array([2, 0, 1])
    truth, posterior = truths(300, PREVALENCE, pattern(0.7, 3), 2, rng)
    said = answers(truth, ASYMMETRIC, rng)
    one = judged(judged_together([(posterior, said, None)]))
    other = judged(judged_together([(posterior[:, turn], np.argsort(turn)[said], None)]))
    assert np.allclose(one.right, other.right, atol=1e-6)
    assert np.allclose(one.confusion.estimate[0][np.ix_(turn, turn)], other.confusion.estimate[0], atol=1e-6)


def test_agents_do_not_change_each_other():
    """Judged side by side or alone, with agents without answers between them, each gets the same figures."""
    rng = np.random.default_rng(0)
    parts = []
    for accuracy_of_one in (0.9, 0.4):
        truth, posterior = truths(100, PREVALENCE, pattern(0.7, 3), 2, rng)
        parts.append((posterior, answers(truth, pattern(accuracy_of_one, 3), rng), None))
    nobody = (np.zeros((0, 3)), np.zeros(0, int), None)
    together = judged(judged_together([nobody, parts[0], nobody, parts[1], nobody]))
    for place, part in ((1, parts[0]), (3, parts[1])):
        alone = judged(judged_together([part]))
        assert together.right.at(place) == pytest.approx(alone.right.at(0), abs=1e-6)
    assert together.n.tolist() == [0, 100, 0, 100, 0]


def test_one_class_is_always_right():
    """A task with one class: accuracy 1 and chance 1."""
    found = judged(judged_together([(np.ones((5, 1)), np.zeros(5, int), None)]))
    assert found.right.estimate[0] == found.chance[0] == pytest.approx(1.0)


# ---- latent classes that are no classes -----------------------------------------------------------------------------
def test_the_order_and_number_of_latent_classes_says_nothing():
    """Latent classes in another order, or one cut in two halves alike: the same figures, read through the credit."""
    rng, turn = np.random.default_rng(0), np.array([2, 0, 1])
    truth, posterior = truths(300, PREVALENCE, pattern(0.7, 3), 2, rng)
    said = answers(truth, ASYMMETRIC, rng)
    one = accuracy(judged_together([(posterior, said, None)]), np.eye(3))
    turned = accuracy(judged_together([(posterior[:, turn], said, None)]), np.eye(3)[turn])
    assert np.allclose(one.right, turned.right, atol=1e-6)
    assert np.allclose(one.confusion, turned.confusion, atol=1e-6)
    halves = np.hstack([posterior[:, :1] / 2, posterior[:, :1] / 2, posterior[:, 1:]])
    cut = accuracy(judged_together([(halves, said, None)]), np.eye(3)[[0, 0, 1, 2]])
    assert np.allclose(one.right.estimate, cut.right.estimate, atol=0.005)
    assert np.allclose(one.truth_n, cut.truth_n, atol=2)


def test_an_answer_that_is_right_by_halves_counts_a_half():
    """Where nothing more can be known than that a class is right for half of the people, answering it is half right."""
    said = np.repeat([0, 1], 50)
    credit = np.array([[0.5, 0.5], [0.0, 1.0]])
    truth = np.tile([1.0, 0.0], (100, 1))
    assert accuracy(judged_together([(truth, said, None)]), credit).right.estimate[0] == pytest.approx(0.5)


# ---- expected counts ------------------------------------------------------------------------------------------------
def test_expected_counts_are_right_under_a_posterior_that_knows_the_answers():
    """With the agent's own answer in the posterior, its mean probability is its accuracy, within the repeats' error."""
    rng = np.random.default_rng(0)
    parts = []
    for _ in range(REPEATS):
        truth, posterior = truths(300, PREVALENCE, pattern(0.7, 3), 2, rng)
        said = answers(truth, ASYMMETRIC, rng)
        knowing = posterior * ASYMMETRIC[:, said].T
        parts.append((knowing / knowing.sum(axis=1, keepdims=True), said, None))
    found = expected_accuracy(judged_together(parts))
    true = (PREVALENCE * np.diag(ASYMMETRIC)).sum()
    assert_within(found.right.estimate.mean(), true, se=found.right.estimate.std(ddof=1) / REPEATS**0.5)
    assert ((found.right.low <= true) & (true <= found.right.high)).mean() > 0.95 - 4 * (0.95 * 0.05 / REPEATS) ** 0.5


def test_both_ways_of_counting_agree_on_a_certain_truth():
    """Where nothing is uncertain there is one accuracy, and one confusion."""
    rng = np.random.default_rng(0)
    truth = rng.choice(3, 400, p=PREVALENCE)
    rows = judged_together([(np.eye(3)[truth], answers(truth, ASYMMETRIC, rng), None)])
    one, other = accuracy(rows, np.eye(3)), expected_accuracy(rows)
    assert np.allclose(one.right, other.right, atol=1e-3)
    assert np.allclose(one.confusion.estimate, other.confusion.estimate, atol=0.01)
    assert np.allclose(one.chance, other.chance)
