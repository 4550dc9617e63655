"""Laws of money."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import pytest

from calls import request
from quorate.errors import DataError, FormatError, SettingError
from quorate.llm.failures import BudgetError
from quorate.llm.ledger import PICO, Booked, Ledger, Price, read_prices
from quorate.llm.wire import Usage

PRICES = {"m": Price(1.0, 2.0, "2026-11-22", "a test")}


def test_two_hundred_workers_never_pass_the_cap_at_any_moment():
    """Spent, lost and set aside together stay within the cap, whatever comes of the calls."""

    async def run(seed: int) -> Ledger:
        rng = random.Random(seed)  # noqa: S311 - a fate, not a secret
        ledger = Ledger(PRICES, cap_usd=1.0)

        async def worker() -> None:
            for _ in range(50):
                most = Usage(rng.randrange(20_000), rng.randrange(10_000))
                hold = await ledger.reserve("m", most)
                assert ledger.spent_usd + ledger.lost_usd + ledger.held_usd <= 1.0
                await asyncio.sleep(0)
                fate = rng.random()
                if fate < 0.1:
                    ledger.release(hold)
                elif fate < 0.2:
                    ledger.lose(hold)
                else:
                    ledger.settle(hold, Usage(rng.randrange(most[0] + 1), rng.randrange(most[1] + 1)))

        await asyncio.gather(*(worker() for _ in range(200)), return_exceptions=True)
        return ledger

    for seed in range(5):
        ledger = asyncio.run(run(seed))
        assert ledger.stopped
        assert ledger.held_usd == 0
        assert 0.9 < ledger.spent_usd + ledger.lost_usd <= 1.0


def test_a_call_waits_for_room_that_may_yet_come_and_stops_when_none_can():
    """While calls are in flight their reservation may turn out too large; afterwards the stop is final."""

    async def run() -> None:
        ledger = Ledger(PRICES, cap_usd=1.0)
        first = await ledger.reserve("m", Usage(900_000, 0))
        second = asyncio.create_task(ledger.reserve("m", Usage(500_000, 0)))
        await asyncio.sleep(0)
        assert not second.done()
        ledger.settle(first, Usage(100_000, 0))
        hold = await second
        ledger.settle(hold, Usage(500_000, 0))
        with pytest.raises(BudgetError, match=r"cap of 1.0000 USD: 0.6000 spent"):
            await ledger.reserve("m", Usage(500_000, 0))
        with pytest.raises(BudgetError):  # what would fit is not let past what did not
            await ledger.reserve("m", Usage(1, 0))
        ledger.carry(Booked(round(0.6 * PICO), 0))
        await ledger.reserve("m", Usage(1, 0))

    asyncio.run(run())


def test_who_is_called_off_while_waiting_holds_nobody_back():
    """The next in line is told in their place."""

    async def run() -> None:
        ledger = Ledger(PRICES, cap_usd=1.0)
        first = await ledger.reserve("m", Usage(900_000, 0))
        waiting = [asyncio.create_task(ledger.reserve("m", Usage(200_000, 0))) for _ in range(4)]
        await asyncio.sleep(0)
        ledger.release(first)  # wakes the head of the line, which is called off in the same moment
        waiting[0].cancel()
        waiting[2].cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(hold, asyncio.CancelledError) for hold in done] == [True, False, True, False]

    asyncio.run(asyncio.wait_for(run(), 5.0))


def test_sums_are_exact():
    """A thousand calls of a fraction of a millionth of a dollar add up to the last digit."""
    ledger = Ledger({"m": Price(0.1, 0.3, "2026-11-22", "a test")})

    async def run() -> None:
        for _ in range(1_000):
            ledger.settle(await ledger.reserve("m", Usage(1, 1)), Usage(1, 1))

    asyncio.run(run())
    assert ledger.spent_usd == 0.0004


def test_an_unknown_price_is_refused_and_named_unless_it_is_allowed():
    """Nobody spends what they cannot see."""
    with pytest.raises(SettingError, match=r"'fake-small'.*known: m"):
        Ledger(PRICES).bound_usd(request(1))
    ledger = Ledger(PRICES, allow_unknown=True)
    assert ledger.bound_usd(request(1)) == 0.0
    hold = asyncio.run(ledger.reserve("x", Usage(1, 1)))
    assert (ledger.settle(hold, Usage(1, 1)), ledger.unpriced) == (0, 1)


def test_a_model_with_a_date_has_the_price_of_its_name_and_no_other():
    """gpt-4o-mini is not gpt-4o."""
    ledger = Ledger(read_prices())
    usage = Usage(10**6, 0)
    assert ledger.cost_usd("gpt-4o-mini-2024-07-18", usage) == ledger.cost_usd("gpt-4o-mini", usage) == 0.15
    with pytest.raises(SettingError):
        ledger.cost_usd("gpt-4o-large", usage)


def test_a_file_of_prices_stands_over_those_that_come_with_quorate(tmp_path: Path):
    """A user's own price wins; the others stay."""
    path = tmp_path / "prices.json"
    entry = {"prompt": 9.0, "completion": 9.0, "date": "2026-11-22", "source": "our contract"}
    path.write_text(json.dumps({"models": {"gpt-4o": entry, "ours": entry}}))
    prices = read_prices(path)
    assert (prices["gpt-4o"].prompt, prices["ours"].prompt, prices["gpt-4o-mini"].prompt) == (9.0, 9.0, 0.15)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", FormatError),
        ("[]", FormatError),
        ('{"models": []}', FormatError),
        ('{"models": {"m": {"prompt": 1}}}', DataError),
        ('{"models": {"m": {"prompt": -1, "completion": 1, "date": "d", "source": "s"}}}', DataError),
        ('{"models": {"m": {"prompt": "x", "completion": 1, "date": "d", "source": "s"}}}', DataError),
        ('{"models": {"m": {"prompt": NaN, "completion": 1, "date": "d", "source": "s"}}}', DataError),
    ],
)
def test_a_file_of_prices_that_cannot_be_used_is_named(tmp_path: Path, text: str, error: type[Exception]):
    """One clear error, with the file's name."""
    path = tmp_path / "prices.json"
    path.write_text(text)
    with pytest.raises(error, match=r"prices\.json"):
        read_prices(path)


def test_every_price_that_comes_with_quorate_says_when_and_where_it_was_read():
    """A price without a date is a rumor."""
    for price in read_prices().values():
        assert price.date.startswith("20")
        assert price.source


def test_a_cap_below_nothing_is_refused():
    """The message names the cap."""
    with pytest.raises(SettingError, match=r"-1"):
        Ledger(PRICES, cap_usd=-1.0)
