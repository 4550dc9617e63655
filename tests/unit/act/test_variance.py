"""Proposition 5.1: the ACT loss is unbiased, and its variance is that of equations 9 and 16."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.act.budget import fixed_size, inclusion, independent
from quorate.act.variance import act_loss, added_variance, loss_variance, tuned_lambda

SIMULATIONS = 10_000
TYPES, N = 50, 30


def population(seed: int = 0):
    """Kinds of items: machine's and human loss, and a chance from a noisy error probability; all equally frequent."""
    rng = np.random.default_rng(seed)
    machine = rng.exponential(1.0, TYPES)
    wrong = rng.random(TYPES) < 0.4
    human = np.where(wrong, rng.exponential(2.0, TYPES), machine)
    errors = np.clip(np.where(wrong, 0.6, 0.2) + rng.normal(0, 0.1, TYPES), 0.05, 0.95)
    return machine, human, inclusion(errors, TYPES // 3, "optimal")


@pytest.mark.parametrize("lambda_", [0.0, 0.5, 1.0])
def test_in_10000_simulations_the_loss_is_unbiased_and_its_variance_that_of_equation_16(lambda_: float) -> None:
    """Items drawn at random, reviewed by independent draws: mean and variance within four of their errors."""
    machine, human, chance = population()
    rng = np.random.default_rng(1)
    kind = rng.integers(0, TYPES, (SIMULATIONS, N))
    weight = (rng.random(kind.shape) < chance[kind]) / chance[kind]
    each = act_loss(machine[kind].ravel(), human[kind].ravel(), weight.ravel(), lambda_).reshape(kind.shape)
    losses = each.mean(axis=1)
    assert abs(losses.mean() - human.mean()) < 4 * losses.std() / SIMULATIONS**0.5
    expected = loss_variance(machine, human, chance, lambda_) * TYPES / N
    squares = (losses - losses.mean()) ** 2
    assert abs(squares.mean() - expected) < 4 * squares.std() / SIMULATIONS**0.5


def test_given_the_items_review_alone_adds_the_second_term_and_a_fixed_number_less() -> None:
    """Independent draws add exactly it; draws of exactly B items are unbiased too, and add no more."""
    machine, human, chance = population()
    rng = np.random.default_rng(2)
    expected = added_variance(machine, human, chance)
    for draw, exact in ((independent, True), (fixed_size, False)):
        drawn = np.array([draw(chance, rng) for _ in range(2_500)])
        found = (machine + (human - machine) * drawn / chance).mean(axis=1)
        assert abs(found.mean() - human.mean()) < 4 * found.std() / 50
        squares = (found - found.mean()) ** 2
        allowed = 4 * squares.std() / 50
        assert squares.mean() < expected + allowed
        assert not exact or squares.mean() > expected - allowed


def test_a_perfect_machine_or_a_certain_review_adds_nothing_and_a_missed_error_without_a_chance_endlessly_much() -> (
    None
):
    """The limits of the proposition."""
    machine, human, chance = population()
    assert added_variance(human, human, chance) == 0
    assert added_variance(machine, human, np.ones(TYPES)) == 0
    assert added_variance(machine, human, np.where(machine == human, 0.0, 1.0)) == 0
    assert added_variance(machine, human, np.where(machine == human, 1.0, 0.0)) == np.inf


def test_tuned_lambda_has_the_least_variance_on_held_out_items() -> None:
    """With everything reviewed the estimate is the exact lowest point: no λ of a fine grid is better."""
    machine, human, chance = population(3)
    machine = machine + 0.8  # a machine whose losses are too high deserves less than full trust
    grid = np.linspace(0, 1, 1001)
    variances = [added_variance(machine, human, chance, each) for each in grid]
    gap = (1 - chance) / chance
    exact = np.clip((gap * machine * human).sum() / (gap * machine**2).sum(), 0, 1)
    assert grid[np.argmin(variances)] == pytest.approx(exact, abs=1e-3)
    rng = np.random.default_rng(4)
    found = []
    for _ in range(2_000):
        reviewed = independent(chance, rng)
        found.append(tuned_lambda(machine, np.where(reviewed, human, np.nan), reviewed, chance))
    assert np.median(found) == pytest.approx(exact, abs=4 * np.std(found) / 2_000**0.5 + 0.05)
    gained = added_variance(machine, human, chance, float(np.median(found)))
    assert gained < min(added_variance(machine, human, chance, 0.0), added_variance(machine, human, chance, 1.0))


def test_where_every_review_was_certain_machine_labels_count_in_full() -> None:
    """Thresholding: λ = 1."""
    reviewed = np.array([True, True, False])
    assert tuned_lambda(np.ones(3), np.zeros(3), reviewed, reviewed.astype(float)) == 1.0
