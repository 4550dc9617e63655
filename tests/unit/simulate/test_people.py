"""Laws of what simulated people do besides erring by their rows: rows kept, halo within a person, drift, spam, work."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quorate.simulate.draw import panels
from quorate.simulate.people import Habits, adjusted, arrivals, right_now, spammers, with_spam
from quorate.simulate.world import Setting, shared_components, simulate

PLAIN = Setting(
    classes=(3, 3),
    task_correlation=shared_components((3, 3), 0.5),
    n_annotators=4,
    labels_per_item=(2, 2),
    diagonal=7.0,
    off_diagonal=3.0,
)
N = 40_000


def habits(n=5, **change):
    """Nothing unusual but what is asked."""
    nobody = Habits(np.zeros(n, bool), np.ones(n), np.zeros(n), np.zeros(n), np.full(n, 0.3))
    return nobody._replace(**change)


def wrong_of(made):
    """Whether each label is wrong: items, tasks, seats."""
    return made.answers != made.truth[:, :, None]


# ---- one label ------------------------------------------------------------------------------------------------------
def test_moods_keep_the_row():
    """(1 - c) P(right | careful) + c P(right | careless) = P(right), for any row, and both are probabilities."""
    rng = np.random.default_rng(0)
    right, often, halo = rng.random(500), rng.uniform(0.01, 0.99, 500), rng.random(500)
    right[:2] = 0.0, 1.0
    of = habits(500, careless=often, halo=halo)
    who = np.arange(500, dtype=np.int32)
    careful, careless = (right_now(right, of, who, None, mood) for mood in (False, True))
    np.testing.assert_allclose((1 - often) * careful + often * careless, right, atol=1e-12)
    assert (careful >= careless).all()
    assert min(careless.min(), 1 - careful.max()) > -1e-12


def test_a_mood_explains_as_much_as_the_halo_says():
    """For a row with error c, c (1 - c) (careful - careless)^2 = halo c (1 - c)."""
    of = habits(1, careless=np.array([0.3]), halo=np.array([0.4]))
    careful, careless = (right_now(np.array([0.7]), of, np.zeros(1, np.int32), None, mood) for mood in (False, True))
    assert (careful - careless)[0] ** 2 == pytest.approx(0.4)


def test_drift_moves_the_log_odds_evenly_and_the_row_holds_at_half_time():
    """The logit of P(right) at time s = logit of the row + drift (s - 1/2); rows of 0 and 1 stay."""
    of = habits(3, drift=np.array([1.0, -2.0, 0.0]))
    who, time = np.arange(3, dtype=np.int32), np.array([0.9, 0.25, 0.1])
    found = right_now(np.full(3, 0.7), of, who, time, False)
    logit = np.log(found / (1 - found)) - np.log(0.7 / 0.3)
    np.testing.assert_allclose(logit, [0.4, 0.5, 0.0], atol=1e-12)
    np.testing.assert_allclose(right_now(np.full(3, 0.7), of, who, np.full(3, 0.5), False), 0.7)
    np.testing.assert_allclose(right_now(np.array([0.0, 1.0, 1.0]), of, who, time, False), [0.0, 1.0, 1.0])


def test_wrong_answers_keep_their_shares():
    """When the right one moves, the others are scaled alike, and the sum stays 1, also for a row without errors."""
    probs = np.array([[0.6, 0.3, 0.1], [1.0, 0.0, 0.0]])
    is_right = np.array([True, False, False])
    found = adjusted(probs, is_right, np.array([[0.6], [1.0]]), np.array([[0.2], [1.0]]))
    np.testing.assert_allclose(found, [[0.2, 0.6, 0.2], [1.0, 0.0, 0.0]])


# ---- halo -----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def careless_world():
    """Much halo and nothing else."""
    return simulate(replace(PLAIN, halo=0.5), N, seed=1)


def test_halo_keeps_every_row(careless_world):
    """Share of a label given annotator and class = the row's entry, within 4.5 standard errors (72 shares)."""
    made = careless_world
    item, task, seat = np.nonzero(made.answers >= 0)
    who = made.panel[item, seat]
    for a, t, k in np.ndindex(4, 2, 3):
        said = made.answers[item, task, seat][(who == a) & (task == t) & (made.truth[item, task] == k)]
        row = made.parameters.people[t][a, k]
        se = np.sqrt(row * (1 - row) / len(said))
        assert (np.abs(np.bincount(said, minlength=3) / len(said) - row) < 4.5 * se + 1e-12).all()


def test_halo_joins_the_errors_of_one_person_in_closed_form(careless_world):
    """Cov(wrong on task 1, wrong on task 2) given both classes = c (1 - c) d_1 d_2, within 4.5 standard errors."""
    made = careless_world
    wrong, of = wrong_of(made), made.parameters.habits
    for a, k, other in np.ndindex(4, 3, 3):
        here = (made.panel == a) & (made.truth[:, :1] == k) & (made.truth[:, 1:] == other)
        rows = [made.parameters.people[t][a, j, j] for t, j in ((0, k), (1, other))]
        who = np.full(2, a, np.int32)
        careful, careless = (right_now(np.array(rows), of, who, None, mood) for mood in (False, True))
        often = of.careless[a]
        expected = often * (1 - often) * np.prod(careful - careless)
        first, second = (wrong[:, t][here] - (1 - rows[t]) for t in range(2))
        product = first * second
        assert expected > 0
        assert abs(product.mean() - expected) < 4.5 * product.std() / np.sqrt(len(product))


def test_halo_stays_within_a_person(careless_world):
    """Given the truth, errors of two people on an item do not correlate, on one task or across tasks."""
    made = careless_world
    right = np.stack([
        made.parameters.people[t][made.panel, made.truth[:, t, None], made.truth[:, t, None]] for t in range(2)
    ], axis=1)  # fmt: skip
    surplus = wrong_of(made) - (1 - right)
    for t, u in np.ndindex(2, 2):
        product = surplus[:, t, 0] * surplus[:, u, 1]
        assert abs(product.mean()) < 4 * product.std() / np.sqrt(N)


# ---- drift ----------------------------------------------------------------------------------------------------------
def test_drift_shows_in_the_tables():
    """created_at orders the labels; accuracy in each fifth of the campaign is the one that the drift says."""
    made = simulate(replace(PLAIN, drift=(-2.0, 0.5)), 10_000, seed=2)
    table = made.dataset().labels
    created = table.column("created_at").cast("int64").to_numpy()
    time = (created - created.min()) / (created.max() - created.min())
    item, task, seat = np.nonzero(made.answers >= 0)
    np.testing.assert_allclose(time, made.time[item, seat], atol=0.01)
    truth, who = made.truth[item, task], made.panel[item, seat]
    rows = np.stack([of_task[who, truth, truth] for of_task in made.parameters.people])[task, np.arange(len(item))]
    expected = right_now(rows, made.parameters.habits, who, made.time[item, seat], False)
    surplus = (made.answers[item, task, seat] == truth) - expected
    for fifth in range(5):
        part = surplus[(5 * time).astype(int).clip(max=4) == fifth]
        assert abs(part.mean()) < 4 * part.std() / np.sqrt(len(part))
    early, late = (expected[time < 0.2].mean(), expected[time > 0.8].mean())
    assert early - late > 0.2
    assert "created_at" not in simulate(PLAIN, 5).dataset().labels.column_names


def test_labels_of_an_item_arrive_one_after_another():
    """Times rise over the seats, lie within the campaign, and cover it."""
    time = arrivals(1_000, 4, np.random.default_rng(3))
    assert (np.diff(time, axis=1) > 0).all()
    assert 0 < time.min() < 0.01
    assert 0.98 < time.max() < 1


# ---- spam -----------------------------------------------------------------------------------------------------------
def test_spammers_answer_every_class_alike():
    """A third at random, a third always one class, a third by a mix of their own; the others keep their rows."""
    rng = np.random.default_rng(4)
    kind = spammers(0.3, 20, rng)
    assert sorted(kind[kind >= 0]) == [0, 0, 1, 1, 2, 2]
    rows = rng.dirichlet(np.ones(3), (20, 3))
    found = with_spam(rows, kind, rng)
    np.testing.assert_array_equal(found[kind < 0], rows[kind < 0])
    assert (found[kind >= 0] == found[kind >= 0][:, :1]).all()
    np.testing.assert_allclose(found[kind == 0], 1 / 3)
    assert set(found[kind == 1].ravel()) == {0.0, 1.0}
    np.testing.assert_allclose(found.sum(axis=2), 1.0)


def test_spam_leaves_everybody_else_as_they_were():
    """Truth, scores, panels, and the answers of honest people are those of the world without spammers."""
    plain, spammed = simulate(PLAIN, 500, seed=5), simulate(replace(PLAIN, spammers=0.5), 500, seed=5)
    spammer = spammed.parameters.habits.spammer
    assert spammer.sum() == 2
    np.testing.assert_array_equal(plain.panel, spammed.panel)
    np.testing.assert_array_equal(plain.truth, spammed.truth)
    honest = np.broadcast_to(~spammer[plain.panel][:, None], plain.answers.shape)
    np.testing.assert_array_equal(plain.answers[honest], spammed.answers[honest])
    assert (plain.answers[~honest] != spammed.answers[~honest]).any()


def test_spammers_have_no_moods():
    """A spammer's answers do not know the truth, whatever halo and drift are asked for."""
    made = simulate(replace(PLAIN, spammers=0.5, halo=0.9, drift=(-1.0, 1.0)), 10, seed=6)
    of = made.parameters.habits
    assert not of.halo[of.spammer].any()
    assert not of.drift[of.spammer].any()
    assert (of.halo[~of.spammer] == 0.9).all()


# ---- work -----------------------------------------------------------------------------------------------------------
def test_the_first_seat_goes_by_workload():
    """P(first on the panel) = weight / sum of weights; nobody sits twice."""
    weight = np.array([1.0, 2.0, 5.0])
    panel = panels(np.random.default_rng(7), np.full(N, 2), 3, weight)
    share = weight / weight.sum()
    found = np.bincount(panel[:, 0], minlength=3) / N
    assert (np.abs(found - share) < 4 * np.sqrt(share * (1 - share) / N)).all()
    assert (panel[:, 0] != panel[:, 1]).all()


def test_some_people_do_most_of_the_work():
    """With equal weights all do the same; with a sd of the logs of 1 the busiest do several times the median."""
    counts = [
        np.bincount(simulate(replace(PLAIN, n_annotators=60, workload_sd=sd), 2_000, seed=8).panel.ravel())
        for sd in (0.0, 1.0)
    ]
    assert counts[0].max() < 1.5 * np.median(counts[0])
    assert counts[1].max() > 3 * np.median(counts[1])


def test_tasks_are_left_out_at_random():
    """Share of labels that are missing = skipped, on every task; the rest is as without."""
    plain, made = simulate(PLAIN, 5_000, seed=9), simulate(replace(PLAIN, skipped=0.2), 5_000, seed=9)
    left_out = made.answers < 0
    assert (np.abs(left_out.mean(axis=(0, 2)) - 0.2) < 4 * np.sqrt(0.16 / 10_000)).all()
    np.testing.assert_array_equal(made.answers[~left_out], plain.answers[~left_out])
