"""What calls cost: prices from a file, a hard cap, reservation before a call and settlement after it.

Before a call the most it can cost is set aside; the call is refused where spent, lost and set aside would pass the cap.
After it, what it did cost is booked. A call that broke off may have been charged: what was set aside for it stays, as
"lost". Amounts are whole millionths of a millionth of a dollar, so that sums are exact.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from quorate.errors import DataError, FormatError, SettingError
from quorate.llm.chat import most_usage
from quorate.llm.failures import BudgetError
from quorate.llm.wire import Request, Usage

PRICES = Path(__file__).with_name("prices.json")
PICO = 10**12
MILLION = 10**6
DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


class Price(NamedTuple):
    """What a million tokens of a model cost, in US dollars; when and where that was read."""

    prompt: float
    completion: float
    date: str
    source: str
    batch_share: float = 1.0  # of the price, through the batch API


class Hold(NamedTuple):
    """What is set aside for one call, in millionths of a millionth of a dollar."""

    model: str
    amount: int


class Booked(NamedTuple):
    """What earlier runs have spent, and what they may have spent on calls whose answers never came."""

    spent: int
    lost: int


class Ledger:
    """Spends no more than the cap, however many ask at once.

    >>> ledger = Ledger({"m": Price(1.0, 2.0, "2026-11-01", "a contract")}, cap_usd=1.0)
    >>> ledger.cost_usd("m", Usage(1_000, 500))
    0.002
    """

    def __init__(
        self, prices: Mapping[str, Price], *, cap_usd: float | None = None, allow_unknown: bool = False
    ) -> None:
        if cap_usd is not None and not (math.isfinite(cap_usd) and cap_usd >= 0):
            raise SettingError(f"cap {cap_usd} USD: it must be 0 or more")
        self._prices = prices
        self._cap = None if cap_usd is None else math.floor(cap_usd * PICO)
        self._allow_unknown = allow_unknown
        self._spent = self._lost = self._held = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.stopped = False  # the cap was reached: nothing more is sent, not even what would still fit
        self.unpriced = 0  # answered calls whose price is unknown: booked as nothing

    # ---- what there is ------------------------------------------------------------------------------------------

    @property
    def spent_usd(self) -> float:
        """Cost of the answers (US dollars)."""
        return self._spent / PICO

    @property
    def lost_usd(self) -> float:
        """The most that calls without an answer may have cost (US dollars)."""
        return self._lost / PICO

    @property
    def held_usd(self) -> float:
        """Set aside for calls in flight (US dollars)."""
        return self._held / PICO

    @property
    def left_usd(self) -> float | None:
        """What may still be spent (US dollars); None without a cap."""
        return None if self._cap is None else max(0, self._cap - self._spent - self._lost - self._held) / PICO

    def carry(self, booked: Booked) -> None:
        """Count what the journal has booked in earlier runs; the cap is for all of them together."""
        self._spent, self._lost, self._held, self.stopped = booked.spent, booked.lost, 0, False

    # ---- prices -------------------------------------------------------------------------------------------------

    def price(self, model: str) -> Price | None:
        """The price of a model, by its name or its name without a date. Raises SettingError where it is unknown.

        None only where unknown prices are allowed.
        """
        price = self._prices.get(model) or self._prices.get(DATED.sub("", model))
        if price is None and not self._allow_unknown:
            raise SettingError(
                f"no price is known for model {model!r}: add it to a file of prices (known: "
                f"{', '.join(self._prices) or 'none'}), or allow unknown prices"
            )
        return price

    def cost_usd(self, model: str, usage: Usage) -> float:
        """What so many tokens of a model cost (US dollars); 0 where the price is unknown and that is allowed."""
        return self._cost(model, usage) / PICO

    def bound_usd(self, request: Request) -> float:
        """The most that a request can cost (US dollars)."""
        return self._cost(request.model, most_usage(request)) / PICO

    # ---- one call -----------------------------------------------------------------------------------------------

    async def reserve(self, model: str, most: Usage) -> Hold:
        """Set aside what a call costs that uses the most it can. Waits while calls in flight may yet leave room.

        Raises BudgetError, now and for all that follows, when there is no room and none can come.
        """
        hold = Hold(model, self._cost(model, most))
        stand = self._waiting.append  # at the end of the line, and once at its head there again
        while not self._fits(hold.amount):
            if self.stopped or not self._held:
                self._stop()
                raise BudgetError(self._reason(hold.amount))
            change = asyncio.get_running_loop().create_future()
            stand(change)
            stand = self._waiting.appendleft
            try:
                await change
            except asyncio.CancelledError:
                self._wake_one()
                raise
        self._held += hold.amount
        self._wake_one()
        return hold

    def settle(self, hold: Hold, usage: Usage) -> int:
        """Book what a call did cost, in millionths of a millionth of a dollar."""
        cost = self._cost(hold.model, usage)
        self.unpriced += self.price(hold.model) is None
        self._spent += cost
        self._free(hold.amount)
        return cost

    def book_batch(self, model: str, usage: Usage) -> int:
        """Book what an answer from the batch API did cost, in millionths of a millionth of a dollar."""
        price = self.price(model)
        cost = 0 if price is None else math.ceil(price.batch_share * self._cost(model, usage))
        self.unpriced += price is None
        self._spent += cost
        return cost

    def release(self, hold: Hold) -> None:
        """The call cost nothing."""
        self._free(hold.amount)

    def lose(self, hold: Hold) -> None:
        """The call gave no answer and may have been charged."""
        self._lost += hold.amount
        self._free(hold.amount)

    # ---- inside -------------------------------------------------------------------------------------------------

    def _fits(self, amount: int) -> bool:
        if self.stopped:
            return False
        return self._cap is None or self._spent + self._lost + self._held + amount <= self._cap

    def _free(self, amount: int) -> None:
        self._held -= amount
        self._wake_one()

    def _stop(self) -> None:
        self.stopped = True
        while self._waiting:
            self._wake_one()

    def _wake_one(self) -> None:
        """Let the head of the line look again; it wakes the next if it got through."""
        while self._waiting:
            change = self._waiting.popleft()
            if not change.done():
                change.set_result(None)
                return

    def _reason(self, amount: int) -> str:
        assert self._cap is not None
        return (
            f"cap of {self._cap / PICO:.4f} USD: {self.spent_usd:.4f} spent, {self.lost_usd:.4f} perhaps lost, and the "
            f"next call may cost {amount / PICO:.4f}; raise the cap and run again, answers are kept"
        )

    def _cost(self, model: str, usage: Usage) -> int:
        price = self.price(model)
        if price is None:
            return 0
        return usage.prompt_tokens * _each(price.prompt) + usage.completion_tokens * _each(price.completion)


def read_prices(path: Path | None = None) -> dict[str, Price]:
    """The prices of models by name: those that come with quorate, and over them those of a file of your own.

    Raises FormatError for a file that is no JSON, DataError for a price that is none.

    >>> read_prices()["gpt-4o-mini"].prompt
    0.15
    """
    prices = _read(PRICES)
    return prices if path is None else {**prices, **_read(path)}


def _read(path: Path) -> dict[str, Price]:
    try:
        models = json.loads(path.read_text(encoding="utf-8"))["models"].items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        mend = 'write {"models": {"name": {"prompt": 0.1, "completion": 0.4, "date": ..., "source": ...}}}'
        raise FormatError(
            f"no table of prices ({type(error).__name__}: {error})", mend=mend, source=path.name
        ) from None
    return {name: _price(name, fields, path.name) for name, fields in models}


def _price(name: str, fields: Mapping[str, Any], source: str) -> Price:
    try:
        price = Price(**fields)
        amounts = [float(price.prompt), float(price.completion), float(price.batch_share)]
    except (TypeError, ValueError) as error:
        mend = "give prompt and completion (US dollars per million tokens), date and source"
        raise DataError(f"price of {name!r}: {error}", mend=mend, source=source) from None
    if not all(math.isfinite(amount) and amount >= 0 for amount in amounts):
        raise DataError(f"price of {name!r} is negative or no number", mend="give 0 or more", source=source)
    return price


def _each(per_million: float) -> int:
    """The price of one token in millionths of a millionth of a dollar, rounded up."""
    return math.ceil(round(per_million * MILLION, 6))
