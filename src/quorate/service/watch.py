r"""Annotators are watched: whose answers say nothing of what turns out is flagged, at once and once.

Every answer to a task that closed is bet on twice. The one bet says that the person guesses: it offers each class as
often as the person gave it so far, whatever is true, q(l). The other says that the person answers at least half as the
others do, with p(l | c) their rates of answers by truth c and a share e up to one half of guesses,
(1 - e) p(l | c) + e q(l); or that the person knows the answer but for a share s of even guesses, whatever the others
do, (1 - s) [l = c] + s / K. The sum of

    log q(l) - log(the other bet),

least over e and s, exceeds log(1/a) ever with a chance of at most a for whoever answers in the second way (Ville's
inequality), however often one looks. The same sum, begun anew whenever it is below zero, finds who began to guess later
(Page's rule); it is held to a stricter bound, as it has more chances.
"""

from __future__ import annotations

import math
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.store.watching import Outcome

Array = np.ndarray
SHARES = np.linspace(0.0, 0.5, 6)  # e, of guesses in one who else answers as the others do
EVEN = np.array([0.06, 0.2, 0.4, 0.6])  # s, of guesses in one who else is right
SPAM = math.log(1e3)
DRIFT = math.log(1e5)
LEAST_OTHERS = 20  # answers of others to a task, before anybody is held against them
REMEMBERED = 100_000  # labels that were counted, so that a task that closes again counts none twice
Reason = Literal["answers say nothing", "answers have come to say nothing"]


class Flag(NamedTuple):
    """An annotator whose answers say nothing, and on what evidence."""

    campaign_id: int
    user_id: int
    reason: Reason
    answers: int  # judged so far
    agreed: int  # of them as it turned out
    log_odds: float  # nats


class _Person:
    """The bets on one annotator in one campaign."""

    def __init__(self) -> None:
        self.counts: dict[str, Float64[Array, "classes classes"]] = {}  # truth by label
        self.since_start = np.zeros(len(SHARES) + len(EVEN))
        self.since_best = np.zeros(len(SHARES) + len(EVEN))
        self.answers = self.agreed = 0
        self.flagged: set[Reason] = set()

    def take(self, outcome: Outcome, others: Float64[Array, "classes classes"]) -> None:
        """One more answer; `others` counts what they said of each truth."""
        own = self.counts.setdefault(outcome.task, np.zeros((outcome.n_classes,) * 2))
        if others.sum() >= LEAST_OTHERS:
            q = (own[:, outcome.label].sum() + 0.5) / (own.sum() + 0.5 * outcome.n_classes)
            said = others[outcome.truth]
            p = (said[outcome.label] + 0.5) / (said.sum() + 0.5 * outcome.n_classes)
            right = EVEN / outcome.n_classes + (1 - EVEN) * (outcome.label == outcome.truth)
            gain = math.log(q) - np.log(np.concatenate([(1 - SHARES) * p + SHARES * q, right]))
            self.since_start += gain
            self.since_best = np.maximum(self.since_best + gain, 0.0)
            self.answers += 1
            self.agreed += outcome.label == outcome.truth
        own[outcome.truth, outcome.label] += 1

    def flags(self) -> Iterable[tuple[Reason, float]]:
        """Reasons that are new."""
        start, best = float(self.since_start.min()), float(self.since_best.min())
        found: dict[Reason, float] = {}
        if start > SPAM:
            found["answers say nothing"] = start
        elif best > DRIFT:
            found["answers have come to say nothing"] = best
        for reason, odds in found.items():
            if reason not in self.flagged:
                self.flagged.add(reason)
                yield reason, odds


class Watch:
    """What is known of everybody's answers; one thread's."""

    def __init__(self) -> None:
        self._people: dict[tuple[int, int], _Person] = defaultdict(_Person)
        self._all: dict[tuple[int, str], Float64[Array, "classes classes"]] = {}
        self._counted: OrderedDict[int, None] = OrderedDict()

    def take(self, outcomes: Iterable[Outcome]) -> list[Flag]:
        """Count the outcomes; who is to be flagged now."""
        found = list[Flag]()
        for outcome in outcomes:
            if self._is_new(outcome.label_id):
                found += self._take(outcome)
        return found

    def _take(self, outcome: Outcome) -> list[Flag]:
        person = self._people[outcome.campaign_id, outcome.user_id]
        shape = (outcome.n_classes,) * 2
        everybody = self._all.setdefault((outcome.campaign_id, outcome.task), np.zeros(shape))
        person.take(outcome, everybody - person.counts.get(outcome.task, np.zeros(shape)))
        everybody[outcome.truth, outcome.label] += 1
        return [
            Flag(outcome.campaign_id, outcome.user_id, reason, person.answers, person.agreed, odds)
            for reason, odds in person.flags()
        ]

    def _is_new(self, label_id: int) -> bool:
        if label_id in self._counted:
            return False
        self._counted[label_id] = None
        if len(self._counted) > REMEMBERED:
            self._counted.popitem(last=False)
        return True
