"""The ladder: what every threshold buys, and the errors of what is read off it."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.report import ladder
from quorate.report.ladder import Ladder, cheapest, drawn, interval_of, needed, of_states, ratio

RUNGS = np.array([0.0, 0.6, 0.8, 0.95, 2.0])


def states(n_items: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Confidences that rise with labels and are right as often as they say; up to three labels of two tasks."""
    rng = np.random.default_rng(seed)
    sure = np.sort(rng.uniform(0.5, 1.0, (4, n_items, 2)), axis=0)
    credit = (rng.random(sure.shape) < sure).astype(float)
    n_labels = rng.integers(1, 4, (n_items, 2))
    counted = rng.random((n_items, 2)) < 0.9
    return sure, credit, n_labels, counted


def test_the_lowest_rung_buys_nothing_and_the_highest_everything() -> None:
    """Share 0 with the first state; share 1 with the state after the last label of every item-task."""
    sure, credit, n_labels, counted = states()
    of = of_states(sure, credit, n_labels, counted, RUNGS)
    last = np.take_along_axis(credit, n_labels[None], axis=0)[0]
    assert of.share()[[0, -1]].tolist() == [0.0, 1.0]
    assert of.accuracy()[0] == pytest.approx(credit[0][counted].mean())
    assert of.accuracy()[-1] == pytest.approx(last[counted].mean())


def test_a_stricter_rung_never_buys_less() -> None:
    """Item by item."""
    assert (np.diff(of_states(*states(), RUNGS).cost, axis=1) >= 0).all()


def test_a_hand_computed_ladder() -> None:
    """Two items of one task: the first is sure after one label, the second never."""
    sure = np.array([[[0.5], [0.5]], [[0.9], [0.6]], [[0.9], [0.7]]])
    credit = np.array([[[0.0], [1.0]], [[1.0], [0.0]], [[1.0], [1.0]]])
    of = of_states(sure, credit, np.array([[2], [2]]), np.ones((2, 1), bool), np.array([0.4, 0.8, 0.95]))
    assert of.cost.tolist() == [[0.0, 1.0, 2.0], [0.0, 2.0, 2.0]]
    assert of.credit.tolist() == [[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    assert needed(of, 0.75) == pytest.approx(0.375)  # half of the way from nothing to three labels of four
    assert needed(of, 1.0) == 0.75


def test_a_higher_goal_never_needs_less() -> None:
    """And a goal beyond all is never reached."""
    of = of_states(*states(), RUNGS)
    shares = [needed(of, goal) for goal in np.linspace(0.5, float(of.accuracy().max()), 20)]
    assert None not in shares
    assert (np.diff(np.array(shares, float)) >= -1e-12).all()
    assert needed(of, 1.01) is None


def test_counting_an_item_twice_is_having_it_twice() -> None:
    """Weights are counts of items."""
    of = of_states(*states(), RUNGS)
    twice = Ladder(of.threshold, *(np.concatenate([part, part[:50]]) for part in of[1:]))
    weight = np.where(np.arange(len(of.cells)) < 50, 2.0, 1.0)
    assert needed(of, 0.9, weight) == pytest.approx(needed(twice, 0.9))


def test_the_choice_satisfies_every_group_it_was_asked_to() -> None:
    """Each of two halves reaches the goal at the rung chosen, and no cheaper rung does that."""
    of = of_states(*states(), RUNGS)
    first = (np.arange(len(of.cells)) % 2).astype(float)
    groups = [first, 1 - first]
    goal = float(of.accuracy()[2]) - 0.05
    at = cheapest(of, goal, groups)
    assert at is not None
    fine = [all(w @ of.credit[:, r] >= goal * (w @ of.cells) for w in groups) for r in range(len(RUNGS))]
    assert fine.index(True) == at
    assert cheapest(of, 1.01, groups) is None


def test_the_error_of_a_ratio_is_that_of_drawing_items_anew() -> None:
    """Linearisation against the bootstrap, within the bootstrap's own error."""
    rng = np.random.default_rng(3)
    bottom = rng.integers(1, 6, 400).astype(float)
    top = rng.binomial(bottom.astype(int), 0.8).astype(float)
    draws = drawn(400, lambda weight: float(weight @ top / (weight @ bottom)))
    se = ratio(top, bottom).se
    assert se is not None
    assert abs(np.std(draws, ddof=1) - se) < 4 * se / np.sqrt(2 * len(draws))


def test_an_interval_holds_its_value_and_is_none_where_little_is_known() -> None:
    """Fewer than half of the draws: nothing is said."""
    found = interval_of(0.5, [0.6, 0.7] * (ladder.DRAWS // 2))
    assert found is not None
    assert found.low == 0.5
    assert interval_of(0.5, [0.5] * (ladder.DRAWS // 3)) is None
