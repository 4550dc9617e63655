"""A bucket that fills at a limit and learns a limit that nobody tells."""

from __future__ import annotations

import math

MINUTE_S = 60.0
HEADROOM = 0.98  # share of a limit that is used: clocks differ
BURST_S = 0.2  # so many seconds' worth may pass at once
CUT = 0.1  # a refusal lowers the pace by this share of the pace that was refused
KNOWN_CUT = 0.02  # the same where the limit is known: it was most likely a call that came a moment early
MOST_CUT = 0.5
SOON_S = 10.0  # a refusal so soon after the last cuts twice as deep as that
PROBE_S = 60.0  # the scale of time on which a refused pace is tried again, and then passed
FEW = 3.0  # fewer accepted calls than this say nothing of the pace


class Bucket:
    """Room that fills at a pace and is taken by calls. Pure: time comes in.

    After a refusal at the pace w the pace starts anew at (1 - c) w and follows w (1 + ((t - k) / PROBE_S)^3): flat
    where w was refused and then faster and faster [ha2008], up to the limit that is known. c is `CUT`, and doubles with
    every refusal that follows soon.

    >>> bucket = Bucket(61.2, now_s=0.0)  # a request a second, and two percent in hand
    >>> bucket.wait_s(1.0, now_s=0.0), bucket.take(1.0, now_s=0.0), round(bucket.wait_s(1.0, now_s=0.25), 3)
    (0.0, None, 0.75)
    """

    def __init__(self, limit_per_min: float | None, now_s: float, *, least: float = 2.0) -> None:
        self._limit_per_s = math.inf if limit_per_min is None else HEADROOM * limit_per_min / MINUTE_S
        self._per_s = self._limit_per_s
        self._least = least  # room for a late call to be followed at once by the next: else every delay is lost
        self._level = 1.0
        self._at_s = now_s
        self._refused_per_s = math.inf
        self._refused_s = now_s
        self._cut = 0.0
        self._bend_s = 0.0  # so long after the last refusal the refused pace is reached again
        self._accepted = 0.0  # since the last refusal

    @property
    def per_min(self) -> float:
        """The pace now, a minute."""
        return MINUTE_S * self._per_s

    def tell(self, limit_per_min: float, now_s: float, *, left: float = math.inf) -> None:
        """The limit is so much a minute, and so much is left of it at this moment."""
        self._fill(now_s)
        self._limit_per_s = HEADROOM * limit_per_min / MINUTE_S
        self._per_s = min(self._per_s, self._limit_per_s)
        self._level = min(self._level, self._capacity(), left - self._capacity())

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until so much may pass; what is larger than the bucket passes when it is full."""
        if math.isinf(self._limit_per_s) and math.isinf(self._refused_per_s):
            return 0.0
        self._fill(now_s)
        missing = min(amount, self._capacity()) - self._level
        return 0.0 if missing <= 1e-9 else missing / self._per_s

    def take(self, amount: float, now_s: float) -> None:
        """So much passes; the bucket may be left in debt."""
        if not math.isinf(self._per_s):
            self._fill(now_s)
            self._level -= amount

    def give_back(self, amount: float) -> None:
        """So much was taken and not used (less than nothing: more was used)."""
        if not math.isinf(self._per_s):
            self._level = min(self._capacity(), self._level + amount)

    def accept(self, amount: float) -> None:
        """So much was let through by the server."""
        self._accepted += amount

    def refuse(self, sent_s: float, now_s: float) -> None:
        """A call that was sent at that time was refused: lower the pace, once for calls sent together."""
        if sent_s < self._refused_s:
            return
        self._fill(now_s)
        passed_s, accepted = now_s - self._refused_s, self._accepted
        self._refused_s, self._accepted = now_s, 0.0
        if math.isinf(self._per_s):
            if accepted < FEW:
                return  # nothing is known yet: the wait that follows makes a pace that can be seen
            self._per_s = accepted / max(passed_s, 1e-3)
        first = CUT if math.isinf(self._limit_per_s) else KNOWN_CUT
        self._cut = min(MOST_CUT, max(first, 2 * self._cut if passed_s < SOON_S else 0.0))
        self._refused_per_s = self._per_s
        self._per_s *= 1 - self._cut
        self._bend_s = PROBE_S * self._cut ** (1 / 3)
        self._level = (
            -self._capacity()
        )  # the server's own bucket is empty: without some room every late call is refused

    def _fill(self, now_s: float) -> None:
        passed_s, self._at_s = max(0.0, now_s - self._at_s), max(now_s, self._at_s)
        if not math.isinf(self._refused_per_s):
            height = 1 + ((now_s - self._refused_s - self._bend_s) / PROBE_S) ** 3
            self._per_s = min(self._limit_per_s, self._refused_per_s * height)
        if not math.isinf(self._per_s):
            self._level = min(self._capacity(), self._level + passed_s * self._per_s)

    def _capacity(self) -> float:
        return max(self._least, BURST_S * self._per_s)
