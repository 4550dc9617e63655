"""Laws of the protocol: what is shown, what is hidden, what counts as right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quorate.consensus.majority import Majority
from quorate.consensus.posterior import PeopleRows
from quorate.errors import DataError
from quorate.evaluate.protocol import (
    FLOOR,
    MOST_ITEMS,
    MOST_LABELS,
    clustered_mean,
    hidden,
    last_labels,
    n_labels,
    replay,
    score_of,
    shuffled,
    strict_majority,
    target_of,
    trial,
    truth_of,
)
from quorate.simulate.world import Setting, shared_components, simulate

SETTING = Setting(
    classes=(2, 3), task_correlation=shared_components((2, 3), 0.5), n_annotators=15, labels_per_item=(0, 13)
)


def coded(n_items=80, seed=1, *, gold_tasks=()):
    made = simulate(SETTING, n_items, seed=seed)
    gold = np.full(made.truth.shape, -1, np.int16)
    gold[:, list(gold_tasks)] = made.truth[:, list(gold_tasks)]
    return replace(made.coded(), gold=gold)


def test_folds_share_no_item_and_leave_none_out():
    """Every item that carries something to judge is judged once, by a model that was taught by the others."""
    ready = trial(coded())
    first, second = ready.folds
    assert sorted([*first, *second]) == list(range(ready.coded.n_items))
    assert abs(len(first) - len(second)) <= 1
    for teach, judged, truth in ready.halves():
        assert not set(teach.items) & set(judged.items)
        assert len(truth.code) == judged.n_items


def test_items_with_nothing_to_judge_are_left_out():
    """Without gold and with fewer than two labels on each task an item tells nothing."""
    data = coded()
    told = {name for name, n in zip(data.items, n_labels(data).max(axis=1), strict=True) if n >= 2}
    assert set(trial(data).coded.items) == told
    assert set(trial(coded(gold_tasks=[0])).coded.items) == set(data.items)


def test_the_sample_is_capped():
    """At most MOST_ITEMS items, at most MOST_LABELS labels per item and task."""
    ready = trial(coded(MOST_ITEMS + 700))
    assert ready.coded.n_items == MOST_ITEMS
    assert n_labels(ready.coded).max() == MOST_LABELS


def test_shuffling_moves_labels_only_inside_their_cell():
    """The same labels in every cell; all orders equally likely (two labels swap in half of the cells)."""
    data = coded(2_000).first_labels(2)
    moved = shuffled(data, np.random.default_rng(0))
    assert sorted(zip(data.cell_of_label(), data.labels.row, data.labels.code, data.labels.annotator, strict=True)) == (
        sorted(zip(moved.cell_of_label(), moved.labels.row, moved.labels.code, moved.labels.annotator, strict=True))
    )
    pairs = np.flatnonzero(np.diff(data.labels.start) == 2)
    swapped = (moved.labels.row != data.labels.row)[data.labels.start[pairs]]
    assert abs(swapped.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(pairs))


def test_the_seed_decides_and_nothing_else():
    """Same seed, same trial; another seed, another order."""
    one, same, other = (trial(coded(), seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.coded.labels.row, same.coded.labels.row)
    np.testing.assert_array_equal(one.folds[0], same.folds[0])
    assert not np.array_equal(one.coded.labels.row, other.coded.labels.row)


def test_the_judged_half_comes_without_gold_and_the_teaching_half_with_its_own():
    """No model sees the gold that it is judged by."""
    ready = trial(coded(gold_tasks=[1]))
    for teach, judged, truth in ready.halves():
        assert (judged.gold == -1).all()
        assert (teach.gold[:, 1] >= 0).all()
        assert (truth.code[:, 1] >= 0).all()


def test_truth_is_gold_where_a_task_has_it_and_else_the_strict_majority():
    """Task by task; a tie or a single label is no truth."""
    data = coded(gold_tasks=[1])
    truth = truth_of(data)
    assert truth.kind == ("panel", "gold")
    np.testing.assert_array_equal(truth.code[:, 1], data.gold[:, 1])
    np.testing.assert_array_equal(truth.code[:, 0], strict_majority(data.counts(0)))


def test_a_task_is_judged_by_the_target_that_its_truth_is():
    """Gold by gold where learned, panels by panels of the item's size without ties, else the model's own shares."""
    rows, size = np.eye(2), np.array([3, 1], np.int32)
    assert target_of(PeopleRows(rows, rows, rows), size, "gold").kind == "gold"
    panel = target_of(PeopleRows(rows, rows, None), size, "gold")
    assert (panel.kind, panel.ties) == ("panel", "exclude")
    assert panel.n is size
    assert target_of(PeopleRows(rows, rows, rows), size, "panel").kind == "panel"
    assert target_of(PeopleRows(rows, None, None), size, "gold").kind == "latent"
    assert target_of(PeopleRows(rows, rows, rows), size, "latent").kind == "latent"


def test_one_label_of_every_cell_with_two_is_hidden():
    """Places are the last of their cells; cells with one label keep it."""
    data = coded()
    places, cell = last_labels(data), coded().cell_of_label()
    assert len(places) == (n_labels(data) >= 2).sum()
    assert (np.diff(cell[places]) > 0).all()
    assert all(place + 1 == len(cell) or cell[place + 1] != cell[place] for place in places)


def test_a_hidden_label_is_judged_by_the_others_only():
    """Majority by hand: smoothed shares of the cell's other labels."""
    data = trial(coded()).coded
    model = Majority(smoothing=2.0).fit(data)
    found = hidden(model, data, "others")
    places = last_labels(data)
    places = places[
        np.argsort(data.cell_of_label()[places] % 2, kind="stable")
    ]  # task after task, as the models answer
    for place, item, loss in zip(places, found.item, found.loss, strict=True):
        cell = data.cell_of_label()[place]
        others = data.labels.code[data.labels.start[cell] : place]
        prior = model.tasks[cell % 2].shares
        share = (np.bincount(others, minlength=len(prior)) + 2.0 * prior) / (len(others) + 2.0)
        assert item == cell // 2
        assert loss == pytest.approx(-np.log(share[data.labels.code[place]]))


def test_a_replay_ends_where_all_labels_are_seen_and_starts_where_none_is():
    """First step = prediction without labels, last step = prediction with all; with all labels a majority is right."""
    ready = trial(coded())
    model = Majority(smoothing=0.01).fit(ready.coded)
    steps = replay(model, ready.coded, ready.truth)
    known = ready.truth.code >= 0
    assert len(steps.loss) == n_labels(ready.coded).max() + 1
    assert len(np.unique(steps.confidence[0].round(9), axis=0)) == 1
    assert (steps.credit[-1][known] == 1.0).all()
    assert (steps.credit[:, ~known] == 0.0).all()
    assert (steps.loss[:, ~known] == 0.0).all()


def test_ties_share_the_credit_and_a_floor_bounds_the_loss():
    """Two tied classes get one half each; probability 0 counts as FLOOR."""
    score = score_of(np.array([[0.4, 0.4, 0.2], [1.0, 0.0, 0.0]]), np.array([1, 2], np.int16))
    assert score.credit.tolist() == [0.5, 0.0]
    assert score.loss[1] == pytest.approx(-np.log(FLOOR))


def test_the_clustered_error_is_the_plain_one_where_every_row_is_its_own_cluster():
    """And copies of rows inside their cluster leave it as it was."""
    values = np.random.default_rng(0).normal(size=50)
    plain = clustered_mean(values, np.arange(50))
    assert plain.se == pytest.approx(values.std(ddof=1) / np.sqrt(50))
    copies = clustered_mean(np.repeat(values, 3), np.repeat(np.arange(50), 3))
    assert copies == pytest.approx(plain)
    assert clustered_mean(values, np.zeros(50, np.int64)).se is None


def test_the_clustered_error_is_the_spread_over_fresh_samples():
    """Rate = theory: rows that share their item's effect."""
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(100), 4)
    samples = [clustered_mean(rng.normal(size=100)[cluster] + rng.normal(size=400), cluster) for _ in range(300)]
    spread = np.std([sample.value for sample in samples], ddof=1)
    assert np.mean([sample.se for sample in samples]) == pytest.approx(spread, rel=4 / np.sqrt(2 * 300))


def test_too_little_to_judge_is_refused():
    """DataError says what is missing."""
    with pytest.raises(DataError, match="at least two"):
        trial(coded().without_labels())
