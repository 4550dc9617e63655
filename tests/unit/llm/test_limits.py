"""Laws of the speed at which a model may be asked."""

from __future__ import annotations

import asyncio

import pytest

from calls import QuickClock
from quorate.errors import SettingError
from quorate.llm.bucket import CUT, HEADROOM, PROBE_S, Bucket
from quorate.llm.failures import OverloadError, RateError
from quorate.llm.gate import Gate
from quorate.llm.limits import FIRST_IN_FLIGHT, Lane, Limits


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now_s(self) -> float:
        """Where the hand stands."""
        return self.time_s

    async def sleep(self, seconds: float) -> None:
        """The hand moves on by itself."""
        self.time_s += seconds
        await asyncio.sleep(0)


def _taken(bucket: Bucket, until_s: float, *, start_s: float = 0.0, amount: float = 1.0) -> int:
    """How often an eager caller gets through."""
    now_s, taken = start_s, 0
    while (now_s := now_s + bucket.wait_s(amount, now_s)) < until_s:
        bucket.take(amount, now_s)
        taken += 1
    return taken


@pytest.mark.parametrize("per_min", [6.0, 500.0, 3_000.0])
def test_a_bucket_lets_pass_its_limit_and_no_more(per_min: float):
    """Over ten minutes the limit is used but for the headroom, and one burst."""
    passed = _taken(Bucket(per_min, 0.0), 600.0)
    assert abs(passed - HEADROOM * per_min * 10) <= 3


def test_in_no_minute_does_a_bucket_pass_more_than_its_limit_and_a_burst():
    """A caller that comes late is let catch up by a moment, not by a minute."""
    bucket = Bucket(600.0, 0.0)
    _taken(bucket, 10.0)
    assert _taken(bucket, 160.0, start_s=100.0) <= HEADROOM * 600 + 3  # idle from 10 to 100


def test_a_call_larger_than_the_bucket_passes_and_is_paid_for_by_waiting():
    """Nothing waits for ever; the mean pace is kept."""
    bucket = Bucket(600.0, 0.0)
    assert _taken(bucket, 600.0, amount=100.0) == pytest.approx(HEADROOM * 60, abs=2)


def test_without_a_limit_nothing_waits():
    """No limit, no wait, whatever is taken."""
    assert _taken(Bucket(None, 0.0), 0.0) == 0
    bucket = Bucket(None, 0.0)
    for _ in range(1_000):
        assert bucket.wait_s(1.0, 0.0) == 0.0
        bucket.take(1.0, 0.0)


def test_a_refused_pace_is_cut_once_for_calls_sent_together_then_tried_again_and_passed():
    """The pace after a refusal is a share of what was let through; it comes back, slowly where it was refused."""
    bucket = Bucket(None, 0.0)
    for _ in range(100):
        bucket.accept(1.0)
    bucket.refuse(sent_s=9.0, now_s=10.0)  # 100 in 10 s
    assert bucket.per_min == pytest.approx((1 - CUT) * 600)
    bucket.refuse(sent_s=9.5, now_s=10.1)
    assert bucket.per_min == pytest.approx((1 - CUT) * 600)
    paces = []
    bend_s = PROBE_S * CUT ** (1 / 3)
    for second in (bend_s / 4, bend_s / 2, bend_s, 2 * bend_s, 5 * bend_s):
        bucket.wait_s(1.0, 10.0 + second)
        paces.append(bucket.per_min / 600)
    assert paces == sorted(paces)
    assert paces[2] == pytest.approx(1.0, abs=0.01)
    assert paces[-1] > 1.5


def test_a_told_limit_is_never_passed_however_long_ago_the_last_refusal():
    """Learning does not go over what is known."""
    bucket = Bucket(600.0, 0.0)
    bucket.refuse(1.0, 1.0)
    bucket.wait_s(1.0, 10_000.0)
    assert bucket.per_min == pytest.approx(HEADROOM * 600)


def test_a_limit_that_is_told_with_what_is_left_of_it_leaves_the_server_some_room():
    """After the limit is told nothing passes that the server has not got, with a late call's worth to spare."""
    bucket = Bucket(None, 0.0)
    bucket.tell(600.0, 0.0, left=0.0)
    assert bucket.wait_s(1.0, 0.0) == pytest.approx(3 / (HEADROOM * 10), rel=0.01)


def test_where_the_limit_is_known_a_refusal_costs_little():
    """A call that came a moment early is no news of the limit."""
    bucket = Bucket(600.0, 0.0)
    _taken(bucket, 10.0)
    bucket.accept(97.0)
    bucket.refuse(10.0, 10.0)
    assert _taken(bucket, 70.0, start_s=10.0) >= 0.98 * HEADROOM * 600


def test_refusals_that_follow_each_other_cut_deeper_and_deeper():
    """Half of a known limit, as where another program uses the same key, is found within a few refusals."""
    bucket = Bucket(6_000.0, 0.0)
    now_s, refused, accepted = 0.0, 0, 0
    server = Bucket(3_000.0, 0.0)
    while now_s < 120.0:
        now_s += bucket.wait_s(1.0, now_s)
        bucket.take(1.0, now_s)
        if server.wait_s(1.0, now_s) > 0:
            refused += 1
            bucket.refuse(now_s, now_s)
        else:
            server.take(1.0, now_s)
            bucket.accept(1.0)
            accepted += 1
        now_s += 1e-4
    assert accepted >= 0.9 * 120 * 50 * HEADROOM
    assert refused <= 0.01 * accepted


def test_a_gate_lets_in_so_many_in_the_order_they_came():
    """First come, first served; a place that is given up while waiting harms nobody."""

    async def run() -> list[int]:
        gate, order = Gate(2.0), []

        async def visitor(number: int) -> None:
            await gate.enter()
            order.append(number)
            assert gate.inside <= 2
            await asyncio.sleep(0.001)
            gate.leave()

        tasks = [asyncio.create_task(visitor(number)) for number in range(10)]
        await asyncio.sleep(0)
        tasks[5].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert gate.inside == 0
        return order

    assert asyncio.run(run()) == [0, 1, 2, 3, 4, 6, 7, 8, 9]


def _lane(clock: Hand, most: int = 100, **pace: float) -> Lane:
    given = {"requests_per_min": None, "tokens_per_min": None, **pace}
    return Lane(clock, most_in_flight=most, **given)


async def _call(lane: Lane) -> float:
    await lane.enter(10.0)
    return await lane.start()


def test_after_the_first_call_calls_in_flight_double_each_round_until_an_overload_then_halve_and_grow_by_one():
    """Additive increase, multiplicative decrease, and one halving for calls that were sent together."""

    async def run() -> None:
        clock = Hand()
        lane = _lane(clock)
        for expected in (1.0, 8.0, 16.0, 32.0, 64.0, 100.0, 100.0):
            assert lane.room == expected
            clock.time_s += 1.0
            sent = [await _call(lane) for _ in range(int(lane.room))]
            for _ in sent:
                lane.answered(10.0, 5)
        sent = [await _call(lane) for _ in range(100)]
        clock.time_s += 1.0
        for sent_s in sent:
            lane.failed(OverloadError("busy"), sent_s, 0.0)
        assert lane.room == 50.0
        sent = [await _call(lane) for _ in range(50)]
        for _ in sent:
            lane.answered(10.0, 5)
        assert lane.room == pytest.approx(51.0, abs=0.05)
        assert lane.in_flight == 0

    assert FIRST_IN_FLIGHT == 8
    asyncio.run(run())


def test_calls_in_flight_never_fall_below_one():
    """However often the server is overloaded, the lane stays open."""

    async def run() -> None:
        clock = Hand()
        lane = _lane(clock)
        for _ in range(20):
            sent_s = await _call(lane)
            clock.time_s += 1.0
            lane.failed(OverloadError("busy"), sent_s, 0.0)
        assert lane.room == 1.0

    asyncio.run(run())


def test_retry_after_closes_the_lane_for_every_call_those_that_had_entered_too():
    """Nothing starts before the time that the server named."""

    async def run() -> None:
        clock = Hand()
        lane = _lane(clock, requests_per_min=60_000.0)
        await lane.enter(1.0)
        await lane.enter(1.0)
        sent_s = await lane.start()
        lane.failed(RateError("slow down", retry_after_s=30.0), sent_s, 30.0)
        assert await lane.start() >= 30.0
        await lane.enter(1.0)
        assert await lane.start() >= 30.0

    asyncio.run(run())


def test_tokens_that_were_not_used_are_room_again():
    """A call takes what it may use and gives back what it did not."""

    async def run() -> float:
        clock = Hand()
        lane = _lane(clock, tokens_per_min=6_000.0)
        for _ in range(60):
            await lane.enter(1_000.0)
            await lane.start()
            lane.answered(1_000.0, 100)
        return clock.time_s

    assert asyncio.run(run()) == pytest.approx(60 * 100 / (HEADROOM * 100), rel=0.2)


def test_limits_told_in_headers_are_taken_where_none_were_given():
    """A limit that the user gave stands; nonsense in a header is left aside."""
    told = Limits(clock=QuickClock())
    told.observe("m", {"x-ratelimit-limit-requests": "500", "x-ratelimit-limit-tokens": "many"})
    assert told.of("m").requests.per_min == pytest.approx(HEADROOM * 500)
    assert told.of("n").requests.per_min == float("inf")
    given = Limits(requests_per_min=100.0, clock=QuickClock())
    given.observe("m", {"x-ratelimit-limit-requests": "500"})
    assert given.of("m").requests.per_min == pytest.approx(HEADROOM * 100)


@pytest.mark.parametrize("wrong", [{"requests_per_min": 0.0}, {"tokens_per_min": -1.0}, {"most_in_flight": 0}])
def test_a_limit_that_lets_nothing_pass_is_refused(wrong: dict[str, float]):
    """The message names the option."""
    with pytest.raises(SettingError, match=next(iter(wrong))):
        Limits(**wrong)
