"""What a fake server has received and done, and the limit that it may keep."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, NamedTuple

MINUTE_S = 60.0


class Call(NamedTuple):
    """One call as the server saw it."""

    at_s: float  # on the server's clock
    name: str
    attempt: int  # 1 for the first of that name
    outcome: str  # "answered", "limited" (by the server's own limit), or the fault


class Counts:
    """What a server has received and done since it started."""

    def __init__(self) -> None:
        self.received = 0
        self.answered = 0  # with a whole answer
        self.limited = 0  # refused by the server's own limit
        self.in_flight = 0
        self.most_in_flight = 0
        self.busy_s = 0.0  # seconds of calls in flight, summed over calls
        self.connections = 0
        self.prompt_tokens = 0  # billed
        self.completion_tokens = 0  # billed
        self.by_outcome: Counter[str] = Counter()
        self.attempts: Counter[str] = Counter()  # by name of the call
        self.billed: Counter[str] = Counter()  # by name of the call

    def totals(self) -> dict[str, Any]:
        """All that is one number, and the outcomes."""
        numbers = {name: value for name, value in vars(self).items() if isinstance(value, (int, float))}
        twice = sum(1 for n in self.billed.values() if n > 1)
        return {
            **numbers,
            "calls": len(self.attempts),
            "billed": self.billed.total(),
            "billed_twice": twice,
            "cpu_s": time.process_time(),  # of the process that serves
            "outcomes": dict(self.by_outcome),
        }


class Limiter:
    """A server's limit on requests: a bucket of `burst` that fills at `per_min` a minute."""

    def __init__(self, per_min: float, burst: float, now_s: float) -> None:
        self.per_min = per_min
        self._burst = max(1.0, burst)
        self._level = self._burst
        self._at_s = now_s

    def admit(self, now_s: float) -> bool:
        """Whether a request may pass now; takes its place in the bucket if so."""
        self._level = min(self._burst, self._level + (now_s - self._at_s) * self.per_min / MINUTE_S)
        self._at_s = now_s
        if self._level < 1:
            return False
        self._level -= 1
        return True

    def headers(self, told: str | None) -> dict[str, str]:
        """What the server says of its limit."""
        wait_s = max(0.0, 1 - self._level) * MINUTE_S / self.per_min
        return {
            "x-ratelimit-limit-requests": str(round(self.per_min)),
            "x-ratelimit-remaining-requests": str(int(self._level)),
            "x-ratelimit-reset-requests": f"{1000 * wait_s:.0f}ms",
            **({} if told is None else {"Retry-After": told}),
        }
