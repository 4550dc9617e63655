"""Laws of the simulated world: its moments are its parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quorate.errors import SettingError
from quorate.simulate.world import (
    SETTINGS,
    Setting,
    draw_parameters,
    families,
    prevalence,
    shared_components,
    simulate,
    world,
)

RAGGED = Setting(
    classes=(2, 4, 3), task_correlation=shared_components((2, 4, 3), 0.5), n_annotators=6, labels_per_item=(1, 4)
)


def assert_within(found, expected, se, sigmas=4):
    np.testing.assert_array_less(np.abs(np.asarray(found) - expected), sigmas * np.asarray(se) + 1e-12)


def test_the_same_seed_makes_the_same_world_and_another_seed_another():
    """Everything random hangs on the seed."""
    one, same, other = (simulate(RAGGED, 50, seed=seed) for seed in (3, 3, 4))
    assert (one.truth == same.truth).all()
    assert (one.answers == same.answers).all()
    assert all((a == b).all() for a, b in zip(one.scores, same.scores, strict=True))
    assert (one.truth != other.truth).any()


def test_a_world_of_more_items_has_the_same_parameters():
    """Parameters are drawn before items, from a stream of their own."""
    small, large = (simulate(RAGGED, n, seed=3).parameters for n in (10, 100))
    np.testing.assert_array_equal(small.mean, large.mean)
    for one, other in zip((*small.models, *small.people), (*large.models, *large.people), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_named_worlds_have_the_constants_of_the_research_note():
    """Both worlds: sizes, correlations, scales."""
    paper, coupled = SETTINGS["paper"], SETTINGS["coupled"]
    for setting, correlation, sigma in ((paper, 0.6, 2.0), (coupled, 0.85, 3.0)):
        assert setting.classes == (3,) * 10
        assert (setting.n_annotators, setting.labels_per_item, setting.concentration) == (50, (5, 5), 2.0)
        assert (setting.sigma, setting.mean_sd, setting.model_accuracy) == (sigma, 0.7, (0.4, 0.6))
        assert setting.task_correlation[0, [1, 2, 3]].tolist() == [0.0, correlation, 0.0]
        assert setting.model_correlation.tolist() == [[1.0, 0.7, 0.1], [0.7, 1.0, 0.1], [0.1, 0.1, 1.0]]
    assert (paper.diagonal, paper.off_diagonal) == (3.0, 2.0)


def test_true_classes_are_as_frequent_as_their_prevalence():
    """Share of a class = E softmax(q), and two tasks agree as often as E theta_t theta_u says."""
    made = simulate(RAGGED, 20_000, seed=5)
    draws = np.random.default_rng(0).multivariate_normal(made.parameters.mean, made.parameters.covariance, 200_000)
    parts = [prevalence(part) for part in np.split(draws, [1, 4], axis=1)]
    for t, part in enumerate(parts):
        expected = part.mean(axis=0)
        found = np.bincount(made.truth[:, t], minlength=part.shape[1]) / 20_000
        assert_within(found, expected, np.sqrt(expected * (1 - expected) / 20_000 + part.var(axis=0) / 200_000))
    together = parts[0][:, 0] * parts[1][:, 0]
    both = ((made.truth[:, 0] == 0) & (made.truth[:, 1] == 0)).mean()
    mean = together.mean()
    assert_within(both, mean, np.sqrt(mean * (1 - mean) / 20_000 + together.var() / 200_000))


def test_scores_are_dirichlet_around_the_confusion_row():
    """Mean of the scores given the class = the row; variance = row (1 - row) / (lambda + 1)."""
    made = simulate(RAGGED, 20_000, seed=6)
    for t, scores in enumerate(made.scores):
        np.testing.assert_allclose(scores.sum(axis=2), 1.0, atol=1e-5)
        for k in range(made.setting.classes[t]):
            chosen = scores[made.truth[:, t] == k].astype(float)
            row = made.parameters.models[t][:, k]
            variance = row * (1 - row) / (made.setting.concentration + 1)
            assert_within(chosen.mean(axis=0), row, np.sqrt(variance / len(chosen)))
            spread = chosen.var(axis=0)
            fourth = ((chosen - chosen.mean(axis=0)) ** 4).mean(axis=0)
            assert_within(spread, variance, np.sqrt((fourth - spread**2) / len(chosen)))


def test_people_answer_by_the_rows_of_their_confusion_matrix():
    """Share of a label given annotator and class = the row's entry."""
    made = simulate(RAGGED, 20_000, seed=7)
    item, task, seat = np.nonzero(made.answers >= 0)
    for a in range(made.setting.n_annotators):
        for t, n_classes in enumerate(made.setting.classes):
            mine = (task == t) & (made.panel[item, seat] == a)
            for k in range(n_classes):
                said = made.answers[item, task, seat][mine & (made.truth[item, task] == k)]
                row = made.parameters.people[t][a, k]
                found = np.bincount(said, minlength=n_classes) / len(said)
                assert_within(found, row, np.sqrt(row * (1 - row) / len(said)), sigmas=4.5)  # 174 shares at once


def test_human_rows_have_the_mean_of_their_dirichlet():
    """Diagonal mean = 3 / 5 in the paper world."""
    rows = np.stack(world("paper", 1).parameters.people)  # tasks, annotators, classes, classes
    diagonal = np.diagonal(rows, axis1=2, axis2=3)
    assert_within(diagonal.mean(), 0.6, np.sqrt(0.6 * 0.4 / 6 / diagonal.size))


def test_model_accuracies_follow_the_gaussian_copula():
    """Rank correlation inside a family = 6 / pi asin(rho / 2); accuracies uniform on their interval."""
    setting = replace(RAGGED, model_correlation=families([0, 0, 1], 0.7, 0.1))
    rng = np.random.default_rng(0)
    drawn = np.array([draw_parameters(setting, rng).models[0][:, 0, 0] for _ in range(2_000)])
    se = 0.2 / np.sqrt(12 * 2_000)
    assert_within(drawn.mean(axis=0), 0.5, se)
    correlation = np.corrcoef(drawn.T)
    assert_within(correlation[0, 1], 6 / np.pi * np.arcsin(0.35), 1 / np.sqrt(2_000))
    assert_within(correlation[0, 2], 6 / np.pi * np.arcsin(0.05), 1 / np.sqrt(2_000))


def test_panels_are_random_subsets_without_repetition():
    """Every annotator equally often, nobody twice on an item, empty seats last."""
    made = simulate(RAGGED, 20_000, seed=8)
    seats = (made.panel >= 0).sum(axis=1)
    assert set(seats) == {1, 2, 3, 4}
    assert all(len(set(row[row >= 0])) == n for row, n in zip(made.panel[:500], seats[:500], strict=True))
    assert ((made.panel >= 0) == (np.arange(4) < seats[:, None])).all()
    share = np.bincount(made.panel[made.panel >= 0], minlength=6) / len(made.truth)
    expected = seats.mean() / 6
    assert_within(share, expected, np.sqrt(expected * (1 - expected) / len(made.truth)))


def test_tables_and_codes_tell_the_same():
    """dataset().encode() = coded(), array by array."""
    made = simulate(RAGGED, 60, seed=9)
    direct, read = made.coded(), made.dataset().encode()
    assert (read.items, read.annotators, read.models) == (direct.items, direct.annotators, direct.models)
    assert read.schema == direct.schema
    for one, other in zip(direct.labels, read.labels, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(direct.outputs, read.outputs, strict=True):
        np.testing.assert_array_equal(one.kind, other.kind)
        np.testing.assert_array_equal(one.answer, other.answer)
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-5)
    assert (read.gold == -1).all()


def test_the_truth_is_in_the_data_only_where_it_is_asked_for():
    """gold=True adds the truth as gold; else nothing tells it."""
    made = simulate(RAGGED, 30, seed=10)
    assert made.dataset().gold is None
    np.testing.assert_array_equal(made.dataset(gold=True).encode().gold, made.truth)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"classes": (2, 1, 3)}, "two classes"),
        ({"task_correlation": np.eye(5)}, "task_correlation"),
        ({"model_correlation": np.array([[1.0, 2.0], [2.0, 1.0]])}, "model_correlation"),
        ({"labels_per_item": (2, 7)}, "labels_per_item"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(change, match):
    """SettingError names what is wrong."""
    with pytest.raises(SettingError, match=match):
        replace(RAGGED, **change)


def test_an_unknown_world_is_refused():
    """SettingError lists the known ones."""
    with pytest.raises(SettingError, match="paper, coupled"):
        world("flat")
