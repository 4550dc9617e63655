"""Evidence that a judge is no longer the one that passed, which may be read after every anchor, for ever.

Each process is money staked against "the judge is as it was": while that is true the money is not expected to grow, so
that it ever reaches 1/level with at most this probability [ville1939]. Three claims are staked against.
- *worse*: an anchor's loss now beside a loss of the same anchor earlier, at the gate or later. If the judge is as it
  was, the two may be swapped, so that given their values each order has probability 1/2, whatever the distribution:
  money · (1 + λ s), s = ±min(|difference| / scale, 1) [vovk2005].
- *above*: the loss beside a ceiling, an upper bound of the anchors' mean loss from before: 1 + λ (loss / ceiling - 1),
  for anchors drawn at random [waudbysmith2024].
- *changed*: an answer beside two earlier ones of the same anchor. Where one of the three is odd, each is the odd one
  with probability 1/3: 1 + λ (2 if it is the new one, else -1). It says that the judge answers differently, not worse.
An earlier loss or answer is used once and then forgotten. Shared by several comparisons (say e = g(new) / mean of all g
of the anchor so far) every factor still has mean 1, but their product, watched until it is large, has not: what an
anchor's first comparisons were tells the next factor's mean, and such an alarm is false more often than its level.
Since no bet looks at what is stored, the money of `worse` and `changed` is a martingale of the comparisons alone.
Stakes: an equal share of the money on each λ of a grid, on starts every `EPOCH` comparisons with shares 1/(k (k + 1)),
so that a judge that changes late meets money that was not lost before [shin2024].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64
from scipy.special import logsumexp

from quorate.errors import SettingError

Array = np.ndarray

STAKES: Float64[Array, "stakes"] = np.array([0.1, 0.25, 0.5, 0.8])
EPOCH = 40  # bets between two starts
MOST_STARTS = 40  # alive; beyond it the poorest is cashed in, which is a bet of 0 from then on
STEPS = 40
ALERT = 0.4  # nats that a walk has risen above its least: one comparison for the worse; from then on all are made


@dataclass
class Money:
    """A mixture of bets over stakes and starts, with the place where a walk at a middle stake was last at its least."""

    bets: int = 0  # that were not nil
    starts: int = 0  # so far
    shares: list[list[float]] = field(default_factory=list[list[float]])  # log money per start alive and stake
    cash: float = 0.0  # of starts that were cashed in
    most: float = 0.0  # log of the most money there ever was
    walk: float = 0.0
    least: float = 0.0
    since: int = 0  # the grading at which the walk was last at its least: the last good point

    def bet(self, gain: float, at: int) -> None:
        """One bet of expected gain <= 0, at least -1, at grading `at`."""
        if gain:
            self._stake(gain)
        self.walk += math.log1p(0.5 * gain)
        if self.walk <= self.least:
            self.least, self.since = self.walk, at

    def _stake(self, gain: float) -> None:
        if self.bets % EPOCH == 0:
            self._start()
        self.bets += 1
        factor = np.log1p(STAKES * gain)
        money = np.array(self.shares) + factor
        self.shares = money.tolist()
        self.most = max(self.most, math.log(math.exp(min(float(logsumexp(money)), 700.0)) + self.cash + self._unused()))

    def _start(self) -> None:
        self.starts += 1
        share = 1 / (self.starts * (self.starts + 1))
        self.shares.append([math.log(share / len(STAKES))] * len(STAKES))
        if len(self.shares) > MOST_STARTS:
            poorest = min(range(len(self.shares) - 1), key=lambda at: max(self.shares[at]))
            self.cash += float(np.exp(self.shares.pop(poorest)).sum())

    def _unused(self) -> float:
        """The money of starts to come: Σ_{k > K} 1/(k (k + 1)) = 1/(K + 1)."""
        return 1 / (self.starts + 1)

    @property
    def alert(self) -> bool:
        """Whether the last bets were won: a reason to bet more often, which only bets themselves may give."""
        return self.walk - self.least > ALERT


@dataclass
class Running:
    """A confidence sequence of the mean of losses from 0 to 1: it holds at all times at once [waudbysmith2024].

    The predictable plug-in of an empirical Bernstein bound (their theorem 2). It is of one mean that does not change:
    after a change it lags, and the alarms are what tells.
    """

    n: int = 0
    total: float = 0.0
    spread: float = 0.0
    stakes: float = 0.0
    staked: float = 0.0
    paid: float = 0.0

    def add(self, loss: float, level: float) -> None:
        """One more loss."""
        mean, variance = (0.5 + self.total) / (self.n + 1), (0.25 + self.spread) / (self.n + 1)
        self.n += 1
        stake = min(math.sqrt(2 * math.log(2 / level) / (variance * self.n * math.log(1 + self.n))), 0.5)
        self.stakes += stake
        self.staked += stake * loss
        self.paid += (loss - mean) ** 2 * (-math.log1p(-stake) - stake)
        self.total += loss
        self.spread += (loss - (0.5 + self.total) / (self.n + 1)) ** 2

    def interval(self, level: float) -> tuple[float, float, float] | None:
        """Mean, low and high; None before the first loss."""
        if not self.n:
            return None
        centre, reach = self.staked / self.stakes, (math.log(2 / level) + self.paid) / self.stakes
        return self.total / self.n, max(centre - reach, 0.0), min(centre + reach, 1.0)


def ceiling(losses: Sequence[float], most: float, level: float) -> float:
    """An upper bound of the anchors' mean loss from one loss of each, in the loss's unit.

    It is the least u at which mean_λ Π_a (1 - λ (loss_a - u) / (most - u)) reaches 1/level. For anchors of means p_a
    the expected product is Π (1 - λ (p_a - u) / (most - u)) <= 1 wherever their mean is u or more, by the inequality of
    the means, so the bound fails with at most the level: given the anchors, and in whichever order [waudbysmith2024].

    Raises SettingError where there is no loss, or one lies outside 0 to `most`.
    """
    values = np.asarray(losses, float)
    if not len(values) or not ((values >= 0) & (values <= most)).all():
        raise SettingError(f"a ceiling needs losses from 0 to {most}, at least one")
    low, high = float(values.mean()), float(most)
    for _ in range(STEPS):
        middle = (low + high) / 2
        gains = (middle - values) / max(most - middle, 1e-300)
        money = np.log1p(np.minimum(STAKES, 0.99)[:, None] * np.maximum(gains, -1.0)).sum(axis=1)
        if float(logsumexp(money)) - math.log(len(STAKES)) >= math.log(1 / level):
            high = middle
        else:
            low = middle
    return high
