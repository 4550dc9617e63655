"""Laws of the starts: all of the risk is used once, at places that the number of items allows."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import poisson

from quorate.policy.floor_starts import FIRST, starts

SHARE = np.linspace(0.01, 1.0, 100)


@pytest.mark.parametrize(("n", "floor", "delta"), list(product((5, 100, 1000, 50_000), (0.5, 0.9, 0.98), (0.1, 0.01))))
def test_the_weights_are_all_of_delta_and_no_more(n, floor, delta):
    """They sum to 1, on one threshold or two, also on a grid of one."""
    own = starts(SHARE, n, floor, delta)
    assert own.sum() == pytest.approx(1.0)
    assert (own >= 0).all()
    assert 1 <= (own > 0).sum() <= 2
    assert starts(np.ones(1), n, floor, delta).tolist() == [1.0]


def test_the_first_start_forgives_as_many_as_it_says():
    """The share closed there is the least at which so many wrong of those expected are rarer than its level."""
    own = starts(SHARE, 2000, 0.95, 0.1)
    at = int(np.flatnonzero(own)[0])
    level = 0.1 * own[at]
    assert poisson.cdf(FIRST, SHARE[at] * 2000 * 0.05) <= level < poisson.cdf(FIRST, SHARE[at - 1] * 2000 * 0.05)


def test_more_items_begin_stricter_and_few_have_one_start():
    """The first start moves up with n; where the second would close nearly all, the first has all of the risk."""
    firsts = [int(np.flatnonzero(starts(SHARE, n, 0.95, 0.1))[0]) for n in (500, 1000, 4000, 20_000)]
    assert firsts == sorted(firsts, reverse=True)
    assert (starts(SHARE, 1000, 0.98, 0.1) > 0).sum() == 1
    assert (starts(SHARE, 1000, 0.95, 0.1) > 0).sum() == 2
