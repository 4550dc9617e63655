"""Laws of many calls at once, with transports of a few lines."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator

import pytest

from calls import QuickClock, request, requests
from quorate.errors import SettingError
from quorate.llm.failures import (
    BrokenError,
    CallError,
    FilteredError,
    OverloadError,
    QuotaError,
    RateError,
    UnreachedError,
)
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger, read_prices
from quorate.llm.limits import Limits
from quorate.llm.retry import Patience
from quorate.llm.run import UNREACHED, answers, ask
from quorate.llm.wire import Answer, Failure, Request, Usage


class Echo:
    """Answers each call with its key, fails as told, and counts."""

    def __init__(self, failures: dict[str, list[CallError]] | None = None) -> None:
        self.sent: Counter[str] = Counter()
        self.in_flight = self.most_in_flight = 0
        self._failures = failures or {}

    async def send(self, request: Request) -> Answer:
        """The key, or the next failure."""
        key = request.key()
        self.sent[key] += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0)
        self.in_flight -= 1
        if self._failures.get(key):
            raise self._failures[key].pop(0)
        return Answer(key, None, "stop", Usage(10, 1), request.model)


def _asked(wanted: list[Request], transport: Echo, **options: object):
    given = {"journal": Journal(), "ledger": Ledger(read_prices()), "limits": Limits(clock=QuickClock()), **options}
    return ask(wanted, transport, **given)


def test_every_request_comes_back_once_in_order_with_its_own_answer():
    """`ask` keeps the order; nothing is mixed up."""
    wanted = requests(500)
    said = _asked(wanted, Echo())
    assert [r for r, _ in said] == wanted
    assert all(isinstance(answer, Answer) and answer.text == r.key() for r, answer in said)


def test_no_requests_are_no_answers():
    """The empty run ends."""
    assert _asked([], Echo()) == []


def test_equal_requests_are_sent_once_and_all_answered():
    """One call is paid for once, however often it is asked for; another sample is another call."""
    transport = Echo()
    wanted = [request(item % 7) for item in range(100)] + [request(1, sample=1)]
    said = _asked(wanted, transport)
    assert len(said) == 101
    assert transport.sent == dict.fromkeys((r.key() for r in wanted), 1)


def test_what_the_journal_knows_is_not_sent():
    """A second run over the same requests sends nothing and gives the same."""
    journal, first, second = Journal(), Echo(), Echo()
    assert _asked(requests(50), first, journal=journal) == _asked(requests(50), second, journal=journal)
    assert not second.sent


def test_no_more_calls_fly_at_once_than_are_allowed():
    """The limit holds at every moment, and is reached."""
    transport = Echo()
    _asked(requests(300), transport, limits=Limits(most_in_flight=7, clock=QuickClock()))
    assert transport.most_in_flight == 7


def test_a_call_is_tried_again_as_often_as_patience_says():
    """Tries are bounded; those that may have been paid more tightly; the failure says how often it was retried."""
    free, paid, lucky = request(1), request(2), request(3)
    transport = Echo(
        {
            free.key(): [OverloadError("busy")] * 99,
            paid.key(): [BrokenError("cut", paid=True)] * 99,
            lucky.key(): [RateError("slow down")] * 4,
        }
    )
    ledger = Ledger(read_prices())
    patience = Patience(tries=5, paid_tries=2)
    [(_, first), (_, second), (_, third)] = _asked([free, paid, lucky], transport, ledger=ledger, patience=patience)
    assert first == Failure("overload", "busy", 4)
    assert second == Failure("broken", "cut", 1)
    assert isinstance(third, Answer)
    assert ledger.lost_usd == pytest.approx(2 * ledger.bound_usd(paid))
    assert ledger.held_usd == 0


def test_a_failure_of_one_request_is_not_a_failure_of_others():
    """A filtered prompt fails by itself."""
    wanted = requests(20)
    said = _asked(wanted, Echo({wanted[3].key(): [FilteredError("no")]}))
    assert [isinstance(answer, Answer) for _, answer in said] == [k != 3 for k in range(20)]


def test_a_server_that_asks_for_a_longer_wait_than_patience_has_stops_the_run():
    """Nobody waits for a day without knowing: the real clock is used here."""
    wanted = requests(100)
    transport = Echo({r.key(): [RateError("tomorrow", retry_after_s=86_400.0)] for r in wanted})
    said = _asked(wanted, transport, limits=Limits(most_in_flight=1))
    assert {answer.kind for _, answer in said if isinstance(answer, Failure)} == {"rate"}
    assert len(said) == 100
    assert transport.sent.total() <= 3


def test_calls_that_wait_for_a_closed_lane_give_up_when_the_run_stops():
    """A lane that is closed for an hour does not hold back the news that the account is empty."""
    wanted = requests(100)
    closing, emptying = wanted[0].key(), wanted[1].key()
    transport = Echo({closing: [RateError("later", retry_after_s=3_000.0)], emptying: [QuotaError("empty")]})
    limits = Limits(most_in_flight=2, requests_per_min=60_000.0)  # given, so that the first two fly together
    said = _asked(wanted, transport, limits=limits)
    assert {answer.kind for _, answer in said if isinstance(answer, Failure)} == {"quota"}
    assert len(said) == 100


def test_memory_does_not_grow_with_the_number_of_requests():
    """Requests are drawn as they are needed: a slow reader holds the run back, known answers or not."""
    drawn = 0

    def endless() -> Iterator[Request]:
        nonlocal drawn
        for item in itertools.count():
            drawn += 1
            yield request(item % 400 if drawn > 400 else item)

    async def run(journal: Journal) -> None:
        limits = Limits(most_in_flight=4, clock=QuickClock())
        stream = answers(endless(), Echo(), journal=journal, ledger=Ledger(read_prices()), limits=limits)
        for shown in range(1, 1_200):
            await anext(stream)
            assert drawn - shown < 200
        await stream.aclose()

    asyncio.run(run(Journal()))


def test_an_unknown_price_is_refused_before_anything_is_sent():
    """The error is the ledger's."""
    transport = Echo()
    with pytest.raises(SettingError, match="no price is known"):
        _asked([request(1, model="unheard-of")], transport)
    assert not transport.sent


def test_a_fault_of_a_transport_ends_the_run_and_keeps_what_was_answered():
    """An error that is no CallError is a fault of the program: it is seen, not swallowed."""
    wanted = requests(30)
    journal = Journal()
    with pytest.raises(ZeroDivisionError):
        _asked(wanted, Echo({wanted[5].key(): [ZeroDivisionError()]}), journal=journal)  # type: ignore[list-item]
    states = Counter(call.state for call in journal.calls())
    assert states["lost"] == 1
    assert states["answered"] == len(list(journal.answers()))
    assert "sent" not in states


def test_progress_tells_the_share_the_rate_and_the_cost_so_far_and_to_come():
    """Shares rise to one; the last line says all."""
    lines: list[tuple[float, str]] = []
    _asked(requests(300), Echo(), progress=lambda share, line: lines.append((share, line)))
    shares = [share for share, _ in lines]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert lines[-1][1].startswith("300 of 300, ")
    assert "so far, $0.000 to come" in lines[-1][1]


def test_ask_works_where_a_loop_already_runs():
    """As in a notebook."""

    async def cell() -> int:
        return len(_asked(requests(5), Echo()))

    assert asyncio.run(cell()) == 5


def test_where_nobody_was_ever_reached_the_run_stops_after_a_few_tries():
    """All fail alike, and most are never sent; one answer in between, and each is tried as often as ever."""
    wanted = requests(30)

    def unreached() -> list[CallError]:
        return [UnreachedError("no connection") for _ in range(Patience().tries)]

    nobody = Echo({each.key(): unreached() for each in wanted})
    said = ask(wanted, nobody, journal=Journal(), ledger=Ledger(read_prices()), limits=Limits(clock=QuickClock()))
    assert {(failure.kind, failure.detail) for _, failure in said} == {("broken", "no connection")}
    assert sum(nobody.sent.values()) < 30 + UNREACHED
    somebody = Echo({each.key(): unreached() for each in wanted[1:3]})
    limits = Limits(clock=QuickClock(), most_in_flight=1)
    said = ask(wanted[:3], somebody, journal=Journal(), ledger=Ledger(read_prices()), limits=limits)
    assert [isinstance(each, Answer) for _, each in said] == [True, False, False]
    assert sum(somebody.sent.values()) == 1 + 2 * Patience().tries
