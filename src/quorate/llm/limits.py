"""How fast a model may be asked under one key: calls in flight, requests a minute, tokens a minute.

Calls in flight follow additive increase and multiplicative decrease [chiu1989]: one more for every round of answers,
half of them when the server is overloaded; the first call goes alone where no limit is given, since its answer may tell
one. Requests and tokens pass through buckets that fill at the limit; a limit is given, told in the server's headers, or
learnt from refusals. Retry-After closes the whole lane, not one call.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from quorate.errors import SettingError
from quorate.llm.bucket import Bucket
from quorate.llm.failures import CallError
from quorate.llm.gate import Gate

Check = Callable[[], None]
IN_FLIGHT = 200
LOOK_UP_S = 1.0  # who waits longer looks up in between, whether it is still worth it
FIRST_IN_FLIGHT = 8.0  # once an answer has told the limits, if the server tells any
HALF = 0.5
AHEAD = 1.0  # so many, as a share of the calls in flight, may be made ready meanwhile
LIMIT, LEFT = "x-ratelimit-limit-", "x-ratelimit-remaining-"  # and then what is limited: requests or tokens


@runtime_checkable
class Clock(Protocol):
    """Time, and a way to let it pass."""

    def now_s(self) -> float:
        """Seconds on a clock that never jumps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let that time pass."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now_s(self) -> float:
        """Seconds on a clock that never jumps."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let that time pass."""
        await asyncio.sleep(seconds)


def _go_on() -> None:
    """Nothing speaks against it."""


class Lane:
    """The way to one model: enter, then start when all is written down that must be, then leave by what came of it.

    A few more calls may have entered than may be in flight, so that writing down costs no time of the line.
    """

    def __init__(
        self, clock: Clock, *, most_in_flight: int, requests_per_min: float | None, tokens_per_min: float | None
    ) -> None:
        now_s = clock.now_s()
        self.requests = Bucket(requests_per_min, now_s)
        self.tokens = Bucket(tokens_per_min, now_s)
        self._clock = clock
        self._most = float(most_in_flight)
        self._flight = Gate(0.0)
        self._hall = Gate(0.0)  # in flight, or about to be
        self._turn = Gate(1.0)  # who waits for a bucket waits in line
        self._starting = True  # before the first overload every answer lets one more call fly
        self._halved_s = now_s
        self._open_s = now_s  # closed until then
        self._heard = requests_per_min is not None or tokens_per_min is not None
        self._set_room(min(FIRST_IN_FLIGHT, self._most) if self._heard else 1.0)

    @property
    def in_flight(self) -> int:
        """Calls that have started and not left."""
        return self._flight.inside

    @property
    def room(self) -> float:
        """How many calls may be in flight now."""
        return self._flight.room

    async def enter(self, tokens: float, check: Check = _go_on) -> None:
        """Wait until a call of so many tokens may be made. `check` is called while it waits and may raise."""
        await self._hall.enter()
        try:
            now_s = self._clock.now_s()
            if self._turn.inside or self._wait_s(tokens, now_s) > 0:
                now_s = await self._in_line(tokens, check)
        except BaseException:
            self._hall.leave()
            raise
        self.requests.take(1.0, now_s)
        self.tokens.take(tokens, now_s)

    async def start(self, check: Check = _go_on) -> float:
        """Wait for a place in flight; the time at which the call is sent (seconds of the clock). Call off by `drop`."""
        await self._flight.enter()
        try:
            now_s = self._clock.now_s()
            while now_s < self._open_s:  # the lane was closed since the call entered
                now_s = await self._pause(self._open_s - now_s, check)
            check()
        except BaseException:
            self._flight.leave()
            raise
        return now_s

    def answered(self, held_tokens: float, used_tokens: int) -> None:
        """A call came back with an answer: what it did not use is room again, and one more may fly."""
        self.requests.accept(1.0)
        self.tokens.accept(float(used_tokens))
        self.tokens.give_back(held_tokens - used_tokens)
        if not self._heard and self._starting:
            self._set_room(min(FIRST_IN_FLIGHT, self._most))
        elif self.room < self._most:
            self._set_room(min(self._most, self.room + (1.0 if self._starting else 1.0 / self.room)))
        self._heard = True
        self._leave()

    def failed(self, error: CallError, sent_s: float, wait_s: float) -> None:
        """A call came back without one. It closes the lane for `wait_s` where the server asks for patience."""
        now_s = self._clock.now_s()
        if error.kind in {"rate", "tokens"}:
            (self.requests if error.kind == "rate" else self.tokens).refuse(sent_s, now_s)
        elif error.kind in {"overload", "timeout"} and sent_s >= self._halved_s:
            self._set_room(max(1.0, HALF * self.room))
            self._starting, self._halved_s = False, now_s
        if error.kind in {"rate", "tokens"} or error.retry_after_s is not None:
            self._open_s = max(self._open_s, now_s + wait_s)
        self._leave()

    def call_off(self) -> None:
        """A call that was in flight is given up by us."""
        self._leave()

    def drop(self) -> None:
        """A call that had entered is not started."""
        self._hall.leave()

    def _leave(self) -> None:
        self._flight.leave()
        self._hall.leave()

    def _set_room(self, room: float) -> None:
        self._flight.room = room
        self._hall.room = room + max(1.0, AHEAD * room)

    async def _in_line(self, tokens: float, check: Check) -> float:
        await self._turn.enter()
        try:
            now_s = self._clock.now_s()
            while (wait_s := self._wait_s(tokens, now_s)) > 0:
                now_s = await self._pause(wait_s, check)
        finally:
            self._turn.leave()
        return now_s

    async def _pause(self, wait_s: float, check: Check) -> float:
        check()
        await self._clock.sleep(min(wait_s, LOOK_UP_S))
        return self._clock.now_s()

    def _wait_s(self, tokens: float, now_s: float) -> float:
        return max(self._open_s - now_s, self.requests.wait_s(1.0, now_s), self.tokens.wait_s(tokens, now_s))


class Limits:
    """What one key may ask, model by model; given to every run under that key.

    >>> limits = Limits(requests_per_min=500.0)
    >>> limits.of("m") is limits.of("m"), round(limits.of("m").requests.per_min)
    (True, 490)
    """

    def __init__(
        self,
        *,
        requests_per_min: float | None = None,
        tokens_per_min: float | None = None,
        most_in_flight: int = IN_FLIGHT,
        clock: Clock | None = None,
    ) -> None:
        for name, value in (("requests_per_min", requests_per_min), ("tokens_per_min", tokens_per_min)):
            if value is not None and not value > 0:
                raise SettingError(f"{name} = {value}: it must be above 0, or None where there is no limit")
        if most_in_flight < 1:
            raise SettingError(f"most_in_flight = {most_in_flight}: at least one call must be allowed")
        self.clock = clock or SystemClock()
        self.most_in_flight = most_in_flight
        self._pace = {"requests_per_min": requests_per_min, "tokens_per_min": tokens_per_min}
        self._lanes: dict[str, Lane] = {}
        self._told: dict[tuple[str, str], str] = {}

    def of(self, model: str) -> Lane:
        """The lane of a model."""
        if model not in self._lanes:
            self._lanes[model] = Lane(self.clock, most_in_flight=self.most_in_flight, **self._pace)
        return self._lanes[model]

    def observe(self, model: str, headers: Mapping[str, str]) -> None:
        """Take the limits that a server tells in its headers, where none were given."""
        lane = self.of(model)
        for what, bucket in (("requests", lane.requests), ("tokens", lane.tokens)):
            told = headers.get(LIMIT + what, "")
            if self._pace[what + "_per_min"] is None and self._told.get((model, what)) != told and _count(told):
                self._told[model, what] = told
                left = _count(headers.get(LEFT + what, ""))
                bucket.tell(float(told), self.clock.now_s(), left=math.inf if left is None else left)


def _count(told: str) -> float | None:
    """The whole number that a header says, None where it says none."""
    return float(told) if told.isascii() and told.isdigit() else None
