"""The learned value function against exhaustive dynamic programming, and its laws."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from quorate.consensus.posterior import Target
from quorate.errors import SettingError
from quorate.policy.acquire import rates
from quorate.policy.acquire_kernels import SCALE
from quorate.policy.acquire_rows import Rows
from quorate.policy.value import GRID, Value, learn_value, value_at
from unit.policy.test_acquire import believed, drawn, fair, people

Array = np.ndarray
KINDS = (0.85, 0.6)  # two kinds of people, as many of each
PRICES = GRID[[12, 20, 24]]
MOST = 3
START = np.linspace(0.02, 0.98, 97)


def crowd(n_each: int = 40) -> Rows:
    """So many people of every kind that drawing one hardly changes the mix."""
    rows = [fair(2, right) for right in KINDS for _ in range(n_each)]
    return Rows(tuple(f"p{a}" for a in range(len(rows))), (np.stack([*rows, fair(2)]),))


@cache
def learned() -> list[Value]:
    """Ten learnings, each on campaigns of its own."""
    consensus = believed(np.column_stack([START, 1 - START]))
    return [learn_value(consensus, crowd(), most=MOST, campaigns=4_000, seed=seed)[0] for seed in range(10)]


@cache
def exact(first: float, left: int, price: float) -> float:
    """V_n(p) = max(max(p, 1 - p), E V_(n-1)(p') - price), over who answers and what, answer by answer."""
    stop = max(first, 1.0 - first)
    if left == 0:
        return stop
    onward = 0.0
    for right in KINDS:
        for agree in (right, 1.0 - right):
            joint = first * agree, (1.0 - first) * (1.0 - agree)
            onward += sum(joint) * exact(joint[0] / sum(joint), left - 1, price) / len(KINDS)
    return max(stop, onward - price)


@pytest.mark.parametrize("left", [1, 2, 3])
def test_the_learned_value_agrees_with_exhaustive_lookahead(left: int) -> None:
    """Within four standard errors over ten learnings and the width of a bin, in which P(right) is taken for one."""
    probs = np.column_stack([START, 1 - START])[::6]
    for price in PRICES:
        found = np.stack([value_at(value, probs, left, float(price)) for value in learned()])
        wanted = np.array([exact(float(first), left, float(price)) for first in probs[:, 0]])
        se = found.std(axis=0, ddof=1) / np.sqrt(len(found))
        assert (np.abs(found.mean(axis=0) - wanted) <= 4 * se + 0.5 / SCALE).all()


def test_more_labels_are_never_worth_less_and_a_higher_price_never_more() -> None:
    """One may stop; and pay less."""
    consensus, rows, _ = drawn(1, 3, n_items=40)
    beyond = learn_value(consensus, rows, most=4, campaigns=2_000)[0].beyond
    assert (beyond >= 0).all()
    assert (beyond[0] == 0).all()
    assert (np.diff(beyond, axis=0) >= -1e-12).all()
    assert (np.diff(beyond, axis=1) <= 1e-12).all()


def test_a_price_of_one_buys_nothing() -> None:
    """No label gains more than what it takes to be certain."""
    consensus, rows, _ = drawn(2, 2)
    assert (learn_value(consensus, rows, most=3, campaigns=500)[0].beyond[:, -1] == 0).all()


def test_guessers_have_no_value() -> None:
    """Nothing is learned from them, however many there are."""
    consensus = believed(np.random.default_rng(0).dirichlet([1.0, 1.0, 1.0], 30))
    value = learn_value(consensus, people([np.full((3, 3), 1 / 3)] * 3), most=3, campaigns=500)[0]
    assert value.beyond.max() < 1e-9


def test_one_step_and_the_value_behind_it_come_near_the_whole_tree() -> None:
    """The rate by a tree of one label and a value for three more, with one kind of people, is that of four labels."""
    start = np.linspace(0.05, 0.95, 91)
    consensus = believed(np.column_stack([start, 1 - start]))
    rows, queue = people([fair(2, 0.75)] * 4), np.tile(np.arange(4), (len(start), 1))
    value = learn_value(consensus, rows, most=4, campaigns=20_000)
    whole = rates(consensus, rows, queue=queue, horizon=4)[:, 0]
    learned = rates(consensus, rows, queue=queue, horizon=1, value=value)[:, 0]
    assert np.abs(whole - learned).max() <= 1.0 / SCALE
    assert np.corrcoef(whole, learned)[0, 1] > 0.98


def test_a_panel_has_no_learned_value() -> None:
    """A label is a vote there."""
    consensus = believed(np.array([[0.5, 0.5]]), target=Target("panel", 3))
    with pytest.raises(SettingError, match="panel"):
        learn_value(consensus, people([fair(2)]))


def test_it_is_learned_from_the_seed_alone() -> None:
    """Twice the same."""
    consensus, rows, _ = drawn(3, 3)
    first, second = (learn_value(consensus, rows, campaigns=200, seed=5)[0].beyond for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_bad_numbers_are_refused() -> None:
    """At least one label and one campaign."""
    consensus, rows, _ = drawn(4, 2)
    with pytest.raises(SettingError, match="most"):
        learn_value(consensus, rows, most=0)
