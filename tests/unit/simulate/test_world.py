"""Laws of the simulated world: its moments are its parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from quorate.errors import SettingError
from quorate.simulate.world import (
    SETTINGS,
    Setting,
    Together,
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


def as_ever(setting, n_items, seed):
    """Truth, scores, panel and answers of the paper's simulator, written down once more, draw by draw.

    Not a stored hash: the root of the covariance, and with it every draw of the truth, differs between processors.
    """

    def softmax(q):
        share = np.exp(np.column_stack([q, np.zeros(len(q))]))
        return share / share.sum(axis=1, keepdims=True)

    def chosen(rng, probs):
        return (rng.random(probs.shape[:-1])[..., None] > probs.cumsum(axis=-1)[..., :-1]).sum(axis=-1)

    def shares(rng, weight):
        share = np.maximum(rng.standard_gamma(weight), 1e-30)
        return share / share.sum(axis=-1, keepdims=True)

    rng = np.random.default_rng(seed)
    mean = setting.mean_sd * rng.standard_normal(len(setting.task_correlation))
    ability = ndtr(rng.multivariate_normal(np.zeros(len(setting.model_correlation)), setting.model_correlation))
    low, high = setting.model_accuracy
    right = (low + (high - low) * ability)[:, None, None]
    eyes = [np.eye(k, dtype=bool) for k in setting.classes]
    models = [np.where(eye, right, (1 - right) / (len(eye) - 1)) for eye in eyes]
    weights = [np.where(eye, setting.diagonal, setting.off_diagonal / (len(eye) - 1)) for eye in eyes]
    people = [shares(rng, np.broadcast_to(each, (setting.n_annotators, *each.shape))) for each in weights]
    draws = [np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(4)]
    q = draws[0].multivariate_normal(mean, setting.sigma**2 * setting.task_correlation, n_items)
    ends = np.cumsum([k - 1 for k in setting.classes])[:-1]
    truth = np.column_stack([chosen(draws[0], softmax(part)) for part in np.split(q, ends, axis=1)])
    fewest, most = setting.labels_per_item
    size = draws[1].integers(fewest, most + 1, n_items)
    panel = draws[1].random((n_items, setting.n_annotators)).argsort(axis=1)[:, : size.max()]
    panel[np.arange(size.max()) >= size[:, None]] = -1
    scores = [
        shares(draws[2], setting.concentration * rows.transpose(1, 0, 2)[truth[:, t]]).astype(np.float32)
        for t, rows in enumerate(models)
    ]
    said = [chosen(draws[3], rows[panel, truth[:, t, None]]) for t, rows in enumerate(people)]
    return truth, scores, panel, np.where(panel[:, None] >= 0, np.stack(said, axis=1), -1)


@pytest.mark.parametrize("seed", [1, 7])
@pytest.mark.parametrize("setting", [SETTINGS["paper"], SETTINGS["coupled"], RAGGED])
def test_the_worlds_of_the_paper_stay_bit_for_bit_what_they_were(setting, seed):
    """Nothing that was added draws a number or changes one, where it is off."""
    made = simulate(setting, 200, seed=seed)
    truth, scores, panel, said = as_ever(setting, 200, seed)
    np.testing.assert_array_equal(made.truth, truth)
    np.testing.assert_array_equal(made.panel, panel)
    np.testing.assert_array_equal(made.answers, said)
    for one, other in zip(made.scores, scores, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)  # the exponential function may differ in the last bit
    assert made.time is made.parameters.habits is None


def test_the_real_like_world_has_all_that_the_paper_lacks():
    """Five tasks of 2 to 4 classes, two ordered; six models in three families; 3 to 5 labels; a few spammers."""
    setting, made = SETTINGS["real-like"], world("real-like", 50)
    assert setting.model_family == (0, 0, 1, 1, 2, 2)
    assert 0 < setting.together.across < setting.together.inside
    assert min(setting.halo, setting.spammers, setting.workload_sd, setting.skipped) > 0
    assert [(len(task.classes), task.ordered) for task in made.schema.tasks] == [
        (2, False), (3, False), (3, True), (4, True), (3, False),
    ]  # fmt: skip
    assert set((made.panel >= 0).sum(axis=1)) == {3, 4, 5}
    assert made.parameters.habits.spammer.sum() == 2


def test_the_real_like_world_looks_like_recorded_sets():
    """Between people, agreement .5 to .8 and kappa .3 to .6; models right .6 to .8; errors correlate .13 to .50.

    Ranges of the recorded sets as means over tasks, judged by the simulated truth; seed by seed.
    """
    for seed in (1, 2, 3):
        made = world("real-like", 2_000, seed)
        answer = np.stack([scores.argmax(axis=2) for scores in made.scores], axis=1)
        wrong = answer != made.truth[:, :, None]
        together = np.mean([np.corrcoef(of_task.T) for of_task in wrong.transpose(1, 0, 2)], axis=0)
        inside, across = together[[0, 2, 4], [1, 3, 5]].mean(), together[:2, 2:].mean()
        assert 0.13 < across < inside < 0.5
        assert 0.6 < 1 - wrong.mean() < 0.8
        people = [_agreement(made.answers[:, t]) for t in range(5)]
        agreement, kappa = np.mean(people, axis=0)
        assert 0.5 < agreement < 0.8
        assert 0.3 < kappa < 0.6


def _agreement(labels):
    """How often the first two people agree, and the same above chance."""
    both = (labels[:, :2] >= 0).all(axis=1)
    agree = (labels[both, 0] == labels[both, 1]).mean()
    chance = ((np.bincount(labels[labels >= 0]) / (labels >= 0).sum()) ** 2).sum()
    return agree, (agree - chance) / (1 - chance)


def test_every_addition_leaves_the_other_parts_alone():
    """Each has a random stream of its own: what it is not about is bit for bit that of the plain world."""
    plain = simulate(RAGGED, 200, seed=3)
    parts = {
        "scores": {"readings": 2, "together": Together(0.5, 0.1), "model_family": (0, 0, 1)},
        "answers": {"halo": 0.5, "drift": (-0.5, 0.5), "spammers": 0.4, "skipped": 0.3},
    }
    for part, change in parts.items():
        made = simulate(replace(RAGGED, **change), 200, seed=3)
        np.testing.assert_array_equal(made.truth, plain.truth)
        np.testing.assert_array_equal(made.panel, plain.panel)
        same_scores = all((a == b).all() for a, b in zip(made.scores, plain.scores, strict=True))
        assert same_scores == (part != "scores")
        assert (made.answers == plain.answers).all() == (part != "answers")


def test_a_real_like_world_hangs_on_its_seed_alone_and_more_items_change_no_parameter():
    """Same seed, same world; parameters and habits do not depend on the number of items."""
    one, same, large = (world("real-like", n, 3) for n in (30, 30, 90))
    np.testing.assert_array_equal(one.answers, same.answers)
    np.testing.assert_array_equal(one.time, same.time)
    for a, b in zip(one.scores, same.scores, strict=True):
        np.testing.assert_array_equal(a, b)
    few, many = one.parameters, large.parameters
    for a, b in zip((*few.people, *few.habits), (*many.people, *many.habits), strict=True):
        np.testing.assert_array_equal(a, b)


def test_ordered_tasks_have_their_errors_nearby():
    """Wrong answers in proportion to 1 / distance, by models exactly and by people on average."""
    setting = replace(RAGGED, ordered=(1,), n_annotators=4_000, off_diagonal=11.0)
    of = draw_parameters(setting, np.random.default_rng(0))
    row = of.models[1][0, 0]
    np.testing.assert_allclose(row[1:] / row[1], [1, 1 / 2, 1 / 3])
    np.testing.assert_allclose(of.models[1].sum(axis=2), 1.0)
    share = of.people[1][:, 0, 1:].mean(axis=0) / of.people[1][:, 0, 1:].sum(axis=1).mean()
    assert_within(share, np.array([6, 3, 2]) / 11, of.people[1][:, 0, 1:].std(axis=0) / np.sqrt(4_000))
    np.testing.assert_allclose(of.models[2][0, 0, 1:], (1 - of.models[2][0, 0, 0]) / 2)


def test_scores_of_models_that_read_have_the_mean_of_their_row():
    """Mean given the class = (n row + doubt / K) / (n + doubt), model by model, whatever is shared."""
    made = world("real-like", 20_000)
    setting = made.setting
    for t, scores in enumerate(made.scores):
        n_classes, total = setting.classes[t], setting.readings + setting.doubt
        for k in range(n_classes):
            chosen = scores[made.truth[:, t] == k].astype(float)
            row = (setting.readings * made.parameters.models[t][:, k] + setting.doubt / n_classes) / total
            assert_within(chosen.mean(axis=0), row, chosen.std(axis=0) / np.sqrt(len(chosen)), sigmas=4.5)


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


@pytest.mark.parametrize("setting", [RAGGED, replace(RAGGED, drift=(-1.0, 0.0), skipped=0.2, ordered=(1,))])
def test_tables_and_codes_tell_the_same(setting):
    """dataset().encode() = coded(), array by array; also where labels are ordered by their time."""
    made = simulate(setting, 60, seed=9)
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
        ({"halo": 1.5}, "halo"),
        ({"spammers": -0.1}, "spammers"),
        ({"drift": (0.0, -1.0)}, "drift"),
        ({"ordered": (3,)}, "ordered"),
        ({"readings": 2, "together": Together(0.1, 0.2), "model_family": (0, 0, 1)}, "across <= inside"),
        ({"together": Together(0.5, 0.2), "model_family": (0, 0, 1)}, "readings"),
        ({"readings": 2, "together": Together(0.5, 0.2)}, "model_family"),
        ({"readings": 2, "model_accuracy": (0.5, 1.0)}, "below 1"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(change, match):
    """SettingError names what is wrong."""
    with pytest.raises(SettingError, match=match):
        replace(RAGGED, **change)


def test_an_unknown_world_is_refused():
    """SettingError lists the known ones."""
    with pytest.raises(SettingError, match="paper, coupled, real-like"):
        world("flat")
