"""What stopping early saves, judged by a known truth."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.cli.savings import Replayed, as_right_as, replayed, with_truth
from quorate.measure.efficiency import Curve
from quorate.simulate.world import world

CURVE = Curve(np.array([0.0, 0.6, 0.8, 0.9]), np.array([1.0, 0.7, 0.4, 0.0]), np.array([0.5, 0.9, 0.85, 0.95]))
FOUND = Replayed(np.array([0.5, 0.95]), CURVE, 1_000)


def test_the_cheapest_stop_that_is_as_right_is_found() -> None:
    """The most saved among those with at least the accuracy, though the curve does not rise everywhere."""
    assert as_right_as(0.85, FOUND) == (0.6, 300, 0.7, 0.9)
    assert as_right_as(0.95, FOUND) == (0.9, 1_000, 0.0, 0.95)


def test_where_the_accuracy_is_never_reached_there_is_no_stop() -> None:
    """Unknown is absence."""
    assert as_right_as(0.96, FOUND) is None


@pytest.mark.parametrize("name", ["majority", "dawid-skene"])
def test_with_all_labels_the_curve_ends_where_the_steps_end(name: str) -> None:
    """Never stopping early and taking every label are the same; with no label, nothing is bought."""
    simulated = world("paper", n_items=60)
    found = replayed(name, with_truth(simulated.coded(), simulated.truth), lambda _share, _what: None)
    assert len(found.accuracy) == 6
    assert found.curve.accuracy[-1] == pytest.approx(found.accuracy[-1])
    assert found.curve.accuracy[0] == pytest.approx(found.accuracy[0])


def test_the_truth_goes_with_its_item_wherever_the_protocol_puts_it() -> None:
    """Judged by a truth that is what everybody said, the majority is always right but for ties."""
    simulated = world("paper", n_items=40)
    coded = simulated.coded()
    said = np.column_stack([coded.counts(t).argmax(axis=1) for t in range(coded.n_tasks)]).astype(np.int16)
    single = [coded.counts(t) == coded.counts(t).max(axis=1, keepdims=True) for t in range(coded.n_tasks)]
    without_ties = np.mean([winners.sum(axis=1) == 1 for winners in single])
    found = replayed("majority", with_truth(coded, said), lambda _share, _what: None)
    assert found.accuracy[-1] >= without_ties
