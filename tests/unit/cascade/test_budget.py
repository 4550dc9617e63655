"""Budgets: kept to, used, and never made worse by being larger."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from quorate.cascade.budget import within
from quorate.cascade.tree import grown
from quorate.errors import SettingError
from unit.cascade.tiny import tiny


@pytest.mark.parametrize("seed", range(10))
def test_a_budget_is_kept_and_a_larger_one_is_never_worse(seed: int) -> None:
    """Cost per item at most the budget; right answers rise with it."""
    of, strategies = tiny(150, 3, seed=seed, cells=(8, 4, 2), smoothing=2.0)
    budgets = np.linspace(float(of.prices.min()), float(of.prices.sum()), 8)
    found = [within(lambda weight: grown(of, strategies, weight), of.prices, float(each)) for each in budgets]
    assert all(each.worth.cost <= budget + 1e-9 for each, budget in zip(found, budgets, strict=True))
    right = [each.worth.right for each in found]
    assert all(after >= before - 1e-9 for before, after in pairwise(right))


def test_a_budget_for_everything_is_no_constraint() -> None:
    """The tree is that of cost weight 0."""
    of, strategies = tiny(100, 2, seed=1, cells=(5, 3))
    found = within(lambda weight: grown(of, strategies, weight), of.prices, float(of.prices.sum()))
    assert found.weight == 0.0
    assert found.tree == grown(of, strategies, 0.0)


def test_free_agents_fit_a_budget_of_nothing() -> None:
    """No cost, no constraint."""
    of, strategies = tiny(50, 2, seed=1)
    of = of._replace(prices=np.zeros(2))
    assert within(lambda weight: grown(of, strategies, weight), of.prices, 0.0).worth.cost == 0.0


def test_less_than_the_cheapest_call_is_refused_with_its_price() -> None:
    """Nothing can be answered for less."""
    of, strategies = tiny(50, 2, seed=1)
    with pytest.raises(SettingError, match="less than the cheapest call"):
        within(lambda weight: grown(of, strategies, weight), of.prices, float(of.prices.min()) / 2)
