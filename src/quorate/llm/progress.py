"""Where a run stands: how fast, at what cost so far, and to come."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Progress = Callable[[float, str], None]


class Standing(NamedTuple):
    """Where a run stands."""

    done: int  # answered, failed, or known from an earlier run
    total: int | None  # None where the number of requests is not known beforehand
    known: int  # answered in an earlier run
    failed: int
    passed_s: float
    spent_usd: float  # by this run
    in_flight: int

    @property
    def rate_per_s(self) -> float:
        """Calls asked and done in a second."""
        return (self.done - self.known) / self.passed_s if self.passed_s > 0 else 0.0

    @property
    def share(self) -> float:
        """The share of the requests that is done; 0 where their number is not known."""
        return self.done / self.total if self.total else 0.0

    @property
    def to_come_usd(self) -> float | None:
        """The cost still to come (US dollars), if the rest costs what the answers so far did; None where unknown."""
        answered = self.done - self.known - self.failed
        if self.total is None or not answered:
            return 0.0 if self.total == self.done else None
        return (self.total - self.done) * self.spent_usd / answered

    def line(self) -> str:
        """One line for a terminal.

        >>> Standing(600, 1000, 100, 0, 2.5, 0.25, 40).line()
        '600 of 1,000, 200/s, $0.250 so far, $0.200 to come'
        """
        of = "" if self.total is None else f" of {self.total:,}"
        failed = f", {self.failed:,} failed" if self.failed else ""
        to_come = "" if self.to_come_usd is None else f", ${self.to_come_usd:.3f} to come"
        return f"{self.done:,}{of}{failed}, {self.rate_per_s:.0f}/s, ${self.spent_usd:.3f} so far{to_come}"
