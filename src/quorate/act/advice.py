"""How many labels to have reviewed, and what it costs: before the review from a test set, then from the review itself.

The ideal budget is the number of wrong labels; [lin2025act], F.2, adds a buffer, a tenth of all items, since no
criticizer finds errors only. Here it is never less than the upper end of what the error rate may be.

While people review, the rate is estimated anew at every look. Where every item had a chance, each reviewed item counts
one over its chance [horvitz1952], and the interval is that of as many equal observations [kish1965, clopper1934]. Under
thresholding nothing is seen of the items below; there the share of mistakes among the last reviews is taken as a bound,
which holds if labels further down the queue are wrong no more often. Looks are paid for: look j has the error
6 α/(π j)², all together α, so that stopping when one likes does no harm.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from quorate.errors import SettingError
from quorate.measure.intervals import Interval, clopper_pearson

Array = np.ndarray
BUFFER = 0.1  # of all items
WINDOW = 100  # reviews that say how often labels are wrong at this place of the queue


class Advice(NamedTuple):
    """A budget in reviews, and the number of wrong labels that it is meant for, with its interval."""

    ideal: Interval  # wrong labels
    budget: int

    def share(self, n_items: int) -> float:
        """Of all items."""
        return self.budget / n_items


class Price(NamedTuple):
    """What labels cost with and without models, in US dollars (Table 13 of [lin2025act])."""

    annotation_usd: float
    criticism_usd: float
    review_usd: float
    human_only_usd: float

    @property
    def total_usd(self) -> float:
        """Of the models and of review."""
        return self.annotation_usd + self.criticism_usd + self.review_usd

    @property
    def saved(self) -> float:
        """Share of the price of people alone; below 0 where models cost more than they save."""
        return 1.0 - self.total_usd / self.human_only_usd if self.human_only_usd else 0.0


def advised(wrong: int, n: int, n_items: int, *, buffer: float = BUFFER, level: float = 0.95) -> Advice:
    """The budget from a test set of n items with so many wrong labels: max(rate + buffer, upper end) · N.

    Raises SettingError for counts or a buffer that cannot be.

    >>> found = advised(24, 200, 10_000)
    >>> found.budget, [round(x) for x in found.ideal[:3]]
    (2200, [1200, 784, 1733])
    """
    if not 0 < n <= n_items or not 0 <= wrong <= n or not 0 <= buffer <= 1:
        raise SettingError(
            f"{wrong} wrong of {n} labels, {n_items:,} items, buffer {buffer}: needs 0 <= wrong <= n <= items, "
            "and a buffer from 0 to 1"
        )
    rate = clopper_pearson(wrong, n, level).at()
    return _advice(Interval(*(n_items * each for each in rate)), buffer, n_items)


def revised(
    wrong: Bool[Array, "reviewed"],
    chance: Float64[Array, "reviewed"],
    n_items: int,
    *,
    look: int = 1,
    buffer: float = BUFFER,
    level: float = 0.95,
) -> Advice:
    """The budget from a review at random so far: which labels were wrong, and the chance of each to be seen by now.

    The chance is that of the draw, times the share of the queue that is done, if its order is random. look: how often
    one has looked, this time included. Raises SettingError for chances outside (0, 1] or no review.

    >>> seen = np.arange(100) < 12
    >>> round(revised(seen, np.full(100, 0.1), 1_000).ideal.estimate)
    120
    """
    if not len(wrong) or not ((chance > 0) & (chance <= 1)).all():
        raise SettingError("a revised budget needs reviews, each with a chance above 0 and up to 1")
    weight = 1.0 / chance
    rate = float(weight @ wrong / weight.sum())
    as_many = float(weight.sum() ** 2 / (weight @ weight))
    found = clopper_pearson(rate * as_many, as_many, _level(level, look)).at()
    low = max(n_items * found.low, float(wrong.sum()))  # what was found is there
    ideal = Interval(max(n_items * rate, low), low, max(n_items * found.high, low), n_items * found.se)
    return _advice(ideal, buffer, n_items)


def revised_queue(
    wrong: Bool[Array, "reviewed"],
    n_items: int,
    test_wrong: int,
    test_n: int,
    *,
    look: int = 1,
    window: int = WINDOW,
    buffer: float = BUFFER,
    level: float = 0.95,
) -> Advice:
    """The budget from a queue worked off from the largest error down: which labels were wrong, in the queue's order.

    At least the mistakes found, at most these and the rate of the last `window` reviews among all that is left; within
    it what the test set says. Half of the error goes to each. Raises SettingError for too few reviews to fill it.

    >>> queue = np.repeat([True, False], [40, 160])
    >>> [round(x) for x in revised_queue(queue, 1_000, 10, 100).ideal[:3]]
    [73, 41, 73]
    """
    if not 0 < window <= len(wrong) <= n_items:
        raise SettingError(f"{len(wrong)} reviews of {n_items:,} items do not fill a window of {window}")
    half = 1 - (1 - _level(level, look)) / 2
    tail = clopper_pearson(int(wrong[-window:].sum()), window, 2 * half - 1).at()  # one side is asked for
    test = clopper_pearson(test_wrong, test_n, half).at()
    found = float(wrong.sum())
    most = found + (n_items - len(wrong)) * tail.high
    low, high = min(max(found, n_items * test.low), most), min(n_items * test.high, most)
    high = max(high, low)
    middle = min(max(n_items * test.estimate, low), high)
    return _advice(Interval(middle, low, high, n_items * test.se), buffer, n_items)


def price(
    n_items: int, reviews: int, *, human_usd: float, annotate_usd: float = 0.0, criticize_usd: float = 0.0
) -> Price:
    """What it costs, from the prices of one answer each (US dollars). Raises SettingError for a negative price.

    >>> found = price(50_000, 5_000, human_usd=0.08, annotate_usd=0.002, criticize_usd=0.002)
    >>> found.total_usd, found.human_only_usd, round(found.saved, 2)
    (600.0, 4000.0, 0.85)
    """
    if min(human_usd, annotate_usd, criticize_usd) < 0:
        raise SettingError("prices of answers must be 0 or more, in US dollars")
    return Price(n_items * annotate_usd, n_items * criticize_usd, reviews * human_usd, n_items * human_usd)


def _advice(ideal: Interval, buffer: float, n_items: int) -> Advice:
    wanted = max(ideal.estimate + buffer * n_items, ideal.high)
    return Advice(ideal, min(math.ceil(wanted - 1e-9), n_items))


def _level(level: float, look: int) -> float:
    if look < 1:
        raise SettingError(f"looks are counted from 1, not {look}")
    return 1.0 - (1.0 - level) * 6.0 / (math.pi * look) ** 2
