"""Laws of waiting."""

from __future__ import annotations

import numpy as np
import pytest

from quorate.llm.failures import OverloadError
from quorate.llm.retry import Patience, wait_s


def test_waits_are_uniform_below_a_bound_that_doubles_up_to_a_longest():
    """Full jitter: between 0 and the bound, with the mean of a uniform draw."""
    rng = np.random.default_rng(0)
    patience = Patience(first_s=0.5, most_s=8.0)
    for failures, bound in ((1, 0.5), (2, 1.0), (5, 8.0), (30, 8.0)):
        waits = np.array([wait_s(OverloadError("busy"), failures, patience, rng) for _ in range(2_000)])
        assert 0 <= waits.min() <= waits.max() <= bound
        assert abs(waits.mean() - bound / 2) < 4 * bound / np.sqrt(12 * 2_000)


@pytest.mark.parametrize("told", [0.0, 1.0, 300.0])
def test_a_wait_that_was_asked_for_is_kept_to(told: float):
    """No jitter, no doubling: the server knows."""
    error = OverloadError("busy", retry_after_s=told)
    assert wait_s(error, 7, Patience(), np.random.default_rng(0)) == told
