"""The urgency of one item is the acquisition index of its open tasks."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.consensus.registry import estimator
from quorate.policy.acquire import rates
from quorate.policy.acquire_rows import rows_of
from quorate.policy.prices import Prices
from quorate.policy.stopping import policy
from quorate.policy.urgency import AHEAD, Urgency
from quorate.simulate.world import world


@pytest.fixture(scope="module")
def ground():
    """A model of 80 small items, and what it thinks of them after at most two labels."""
    data = world("paper", 80).dataset()
    model = estimator("dawid-skene").fit(data)
    return model, data.first_labels(2)


@pytest.mark.parametrize("target", ["panel", "latent"])
@pytest.mark.parametrize("rule", [None, policy("per-task-confidence", threshold=0.9), policy("minimum", threshold=0.8)])
def test_it_is_the_index_of_acquire_with_strangers_to_come(ground, target, rule):
    """Item by item it equals the weighted mean of `rates` when only strangers wait, whatever was asked before."""
    model, data = ground
    consensus = model.predict(data)
    consensus = consensus.panel(5) if target == "panel" else consensus.latent()
    rows = rows_of(model, consensus, ())
    queue = np.zeros((len(consensus.items), 40), np.int64)
    prices = Prices(1.0, {consensus.schema.tasks[1].name: 3.0})
    expected = rates(consensus, rows, prices=prices, queue=queue, bar=rule, horizon=AHEAD)
    urgency, weights = Urgency(consensus, rule, prices), np.array([1.0, 3.0, *[1.0] * (len(consensus.schema) - 2)])
    rng = np.random.default_rng(0)
    for i, item in enumerate(consensus.items[:30]):
        one = model.predict(data.select([item]))
        one = one.panel(5) if target == "panel" else one.latent()
        open_ = rng.random(len(weights)) < 0.7
        share = weights * open_
        found = urgency.of(one, open_)
        assert found == pytest.approx(float(expected[i] @ share / share.sum()) if share.sum() else 0.0, abs=1e-9)


def test_nothing_open_is_not_urgent(ground):
    """An item whose tasks are all closed comes last."""
    model, data = ground
    consensus = model.predict(data)
    assert Urgency(consensus).of(consensus, np.zeros(len(consensus.schema), bool)) == 0.0


def test_a_model_without_rows_says_so(ground):
    """Majority does not know what a label is worth."""
    _, data = ground
    model = estimator("majority").fit(data)
    consensus = model.predict(data)
    assert Urgency(consensus).usable == all(people.population is not None for people in consensus.people)
