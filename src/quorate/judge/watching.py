"""A watch: anchors graded again in blind mix, and whether the judge is still the one that passed.

It holds at every time at once: over an endless stream of an unchanged judge, P(`alarm` ever) <= level, 3/4 of it for
*worse*, 1/8 for *above*, 1/8 for the ceiling itself; and P(`changed` ever) <= level (see `anchor`). The
state is JSON, and a watch that is read back goes on exactly as it would have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

from quorate.errors import FormatError, SettingError
from quorate.judge.anchor import Money, Running, ceiling

VERSION = 1
WORSE, ABOVE = 3 / 4, 1 / 8  # of the level; the ceiling has what is left
QUIET_COMPARED, QUIET_MATCHED = 1 / 2, 1 / 3  # of the gradings; the others are stored, so that the stock stays
MOST_STORED = 8  # losses or answers of an anchor; the oldest are kept, for they are of the judge that passed


class Reading(NamedTuple):
    """Where a watch stands."""

    n: int  # anchors graded
    alarm: str | None  # "worse" or "above"
    changed: bool
    since: int | None  # after an alarm or a change: the last good grading, counted from 1; 0: none
    mean: float | None  # of the losses watched
    low: float | None  # with `high`: while the judge is as it was: at all times at once, with probability 1 - level
    high: float | None
    evidence: Mapping[str, float]  # log of the most money so far over what alarms, in nats: 0 alarms


@dataclass
class Anchor:
    """What is kept of one anchor: its losses and answers not used yet, and how often it was graded."""

    losses: list[float] = field(default_factory=list[float])
    answers: list[str] = field(default_factory=list[str])
    graded: int = 0


@dataclass
class Watch:
    """The state of a watch of one judge on one task."""

    level: float
    most: float  # the largest loss there can be
    ceiling: float
    seed: int = 0
    n: int = 0
    scale: float = 0.0  # mean size of the differences of losses so far
    differences: int = 0
    anchors: dict[str, Anchor] = field(default_factory=dict[str, Anchor])
    worse: Money = field(default_factory=Money)
    above: Money = field(default_factory=Money)
    odd: Money = field(default_factory=Money)
    running: Running = field(default_factory=Running)
    alarmed: str | None = None
    alarmed_at: int | None = None
    alarmed_since: int | None = None
    changed_at: int | None = None
    changed_since: int | None = None

    @classmethod
    def start(
        cls,
        losses: Mapping[str, Sequence[float]],
        answers: Mapping[str, Sequence[str]] | None = None,
        *,
        most: float,
        level: float = 0.05,
        seed: int = 0,
    ) -> Watch:
        """A watch from what the judge said of the anchors when it passed, one grading of each or more.

        `changed` sooner sees a judge that was asked twice or more of each. Raises SettingError where no anchor was
        graded, a loss is outside 0 to `most`, or the level is no probability.
        """
        if not 0 < level < 1 or not (math.isfinite(most) and most > 0):
            raise SettingError(f"a watch needs a level between 0 and 1 and a largest loss above 0, not {level}, {most}")
        anchors = {name: Anchor(losses=list(found), graded=len(found)) for name, found in losses.items() if found}
        for name, found in (answers or {}).items():
            anchors.setdefault(name, Anchor()).answers = list(found)
        every = [loss for each in anchors.values() for loss in each.losses]
        if not every or not all(0 <= loss <= most for loss in every):
            raise SettingError(f"a watch starts from losses of anchors from 0 to {most}, at least one")
        first = [each.losses[0] for each in anchors.values() if each.losses]
        return cls(level=level, most=most, ceiling=ceiling(first, most, level * ABOVE), seed=seed, anchors=anchors)

    # ---- one more grading -------------------------------------------------------------------------------------------
    def update(self, anchor: str, loss: float, answer: str | None = None) -> Reading:
        """Take in one grading of an anchor, drawn at random; where the watch stands then.

        Raises SettingError where the anchor is unknown or the loss is outside its range.
        """
        if anchor not in self.anchors:
            raise SettingError(f"{anchor!r} is no anchor of this watch")
        if not 0 <= loss <= self.most:
            raise SettingError(f"the loss of anchor {anchor!r} must lie between 0 and {self.most}, not {loss}")
        self.n += 1
        kept = self.anchors[anchor]
        kept.graded += 1
        self.running.add(loss / self.most, self.level)
        if 0 < self.ceiling < self.most:
            self.above.bet(loss / self.ceiling - 1, self.n)
        self._compare(anchor, kept, loss)
        if answer is not None:
            self._match(anchor, kept, answer)
        self._judge()
        return self.reading

    def _compare(self, name: str, kept: Anchor, loss: float) -> None:
        """Beside the oldest loss not used: every other time, and each time while alert; else it is stored."""
        if not kept.losses or not (self.worse.alert or self._coin(name, kept) < QUIET_COMPARED):
            kept.losses = [*kept.losses, loss][:MOST_STORED]
            return
        difference = loss - kept.losses.pop(0)
        size = abs(difference)
        if not size:
            self.worse.bet(0.0, self.n)
            return
        weight = min(size / self.scale, 1.0) if self.differences else 1.0
        self.worse.bet(math.copysign(weight, difference), self.n)
        self.differences += 1
        self.scale += (size - self.scale) / self.differences

    def _match(self, name: str, kept: Anchor, answer: str) -> None:
        """Beside the two oldest answers not used: every third time, and each time while alert; else it is stored."""
        if len(kept.answers) < 2 or not (self.odd.alert or self._coin(name, kept) < QUIET_MATCHED):
            kept.answers = [*kept.answers, answer][:MOST_STORED]
            return
        first, second = kept.answers.pop(0), kept.answers.pop(0)
        kinds = len({first, second, answer})
        self.odd.bet((2.0 if first == second else -1.0) if kinds == 2 else 0.0, self.n)

    def _coin(self, name: str, kept: Anchor) -> float:
        """A number from 0 to 1 that nobody can guess from the answers, the same when a watch is read back."""
        key = f"{self.seed}|{kept.graded}|{name}".encode("utf-8", "surrogatepass")
        return int.from_bytes(blake2b(key, digest_size=7).digest(), "big") / 2**56

    def _judge(self) -> None:
        if self.alarmed is None:
            for name, money, share in (("worse", self.worse, WORSE), ("above", self.above, ABOVE)):
                if money.most >= -math.log(share * self.level):
                    self.alarmed, self.alarmed_at, self.alarmed_since = name, self.n, money.since
                    break
        if self.changed_at is None and self.odd.most >= math.log(1 / self.level):
            self.changed_at, self.changed_since = self.n, self.odd.since

    # ---- where it stands --------------------------------------------------------------------------------------------
    @property
    def alarm(self) -> bool:
        """Whether the judge is worse than when it passed; once raised it stays."""
        return self.alarmed is not None

    @property
    def changed(self) -> bool:
        """Whether the judge answers otherwise than when it passed, better or worse; once told it stays."""
        return self.changed_at is not None

    @property
    def since(self) -> int | None:
        """The last good grading before what was raised, counted from 1; None while nothing was raised."""
        return self.alarmed_since if self.alarmed is not None else self.changed_since

    @property
    def reading(self) -> Reading:
        """Everything at once."""
        mean = self.running.interval(self.level)
        low, value, high = (None, None, None) if mean is None else (mean[1], mean[0], mean[2])
        found = [None if each is None else each * self.most for each in (value, low, high)]
        evidence = {
            "worse": self.worse.most + math.log(WORSE * self.level),
            "above": self.above.most + math.log(ABOVE * self.level),
            "changed": self.odd.most + math.log(self.level),
        }
        return Reading(self.n, self.alarmed, self.changed, self.since, found[0], found[1], found[2], evidence)

    def as_json(self) -> dict[str, Any]:
        """The state as JSON holds it, exactly."""
        plain = {name: value for name, value in vars(self).items() if not hasattr(value, "__dict__")}
        plain["anchors"] = {name: dict(vars(each)) for name, each in self.anchors.items()}
        money = {name: dict(vars(getattr(self, name))) for name in ("worse", "above", "odd", "running")}
        return {"version": VERSION, **plain, **money}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Watch:
        """The watch that was written. Raises FormatError where something else was."""
        mend = "start a new watch, or read the file that was written"
        if plain.get("version") != VERSION:
            raise FormatError(f"a watch of version {plain.get('version')!r}, not {VERSION}", mend=mend)
        try:
            parts = {name: Money(**_copied(plain[name])) for name in ("worse", "above", "odd")}
            anchors = {name: Anchor(**_copied(each)) for name, each in plain["anchors"].items()}
            rest: dict[str, Any] = {name: value for name, value in plain.items() if name != "version"}
            rest |= {**parts, "anchors": anchors, "running": Running(**plain["running"])}
            return cls(**rest)
        except (KeyError, TypeError, AttributeError) as error:
            raise FormatError(f"no state of a watch ({error})", mend=mend) from error


def _copied(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The lists are copied: two watches share nothing."""
    return {name: list(value) if isinstance(value, list) else value for name, value in plain.items()}
