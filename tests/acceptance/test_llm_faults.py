"""Everything that can go wrong between us and a language model server, over real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from email.utils import formatdate
from pathlib import Path

import pytest

from calls import DEAR, QuickClock, asked, request, requests
from quorate.llm import batch
from quorate.llm.client import ChatClient
from quorate.llm.journal import Journal
from quorate.llm.ledger import PICO, Ledger, read_prices
from quorate.llm.limits import Limits
from quorate.llm.retry import Patience
from quorate.llm.run import answers, ask
from quorate.llm.testing.counts import Counts
from quorate.llm.testing.faults import Fault
from quorate.llm.testing.server import FakeServer
from quorate.llm.wire import OUTSIDE, Answer, Failure

RETRIED = ["rate", "tokens", "overload", "busy", "error", "reset", "reset-body", "truncated", "garbage", "no-choices"]
PAID = {"reset-body", "truncated", "garbage", "no-choices"}


# ---- the zoo --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", RETRIED)
def test_a_first_try_that_goes_wrong_is_tried_again_and_no_item_is_lost(wrong: str):
    """Every call that fails once is answered by its second try; each is billed once, or twice where the first was."""
    with FakeServer(faults=[Fault(wrong, first=1)]) as server, Journal() as journal:
        ledger = Ledger(read_prices())
        said = asked(requests(20), server, journal=journal, ledger=ledger, limits=Limits(clock=QuickClock()))
        assert all(isinstance(answer, Answer) for _, answer in said)
        assert set(server.counts.attempts.values()) == {2}
        assert set(server.counts.billed.values()) == {2 if wrong in PAID else 1}
        assert (ledger.lost_usd > 0) == (wrong in PAID | {"reset"})  # a reset tells not whether it was paid
        assert Counter(call.state for call in journal.calls())["answered"] == 20


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ("rate", "rate"),
        ("tokens", "tokens"),
        ("overload", "overload"),
        ("busy", "overload"),
        ("error", "overload"),
        ("reset", "broken"),
        ("reset-body", "broken"),
        ("truncated", "broken"),
        ("garbage", "broken"),
        ("no-choices", "broken"),
        ("quota", "quota"),
        ("auth", "auth"),
        ("bad-request", "bad request"),
        ("filtered", "filtered"),
    ],
)
def test_what_goes_wrong_for_ever_ends_after_a_bounded_number_of_tries_with_its_kind(wrong: str, kind: str):
    """No fault makes an endless loop; what cannot mend is not retried; what may have been paid is retried twice."""
    with FakeServer(faults=[Fault(wrong, first=10**6)]) as server:
        [(_, said)] = asked([request(1)], server)
        assert isinstance(said, Failure)
        tries = 1 if kind in {"quota", "auth", "bad request", "filtered"} else 3 if kind == "broken" else 8
        assert (said.kind, said.retried, server.counts.received) == (kind, tries - 1, tries)
        assert "sk-secret" not in said.detail


@pytest.mark.parametrize(
    ("told", "least_s", "most_s"),
    [("1", 0.9, 1.1), ("300", 299.0, 301.0), ("date", 3.0, 10.1), ("soon", 0.0, 0.6), ("-5", 0.0, 0.1)],
)
def test_retry_after_is_honored_in_seconds_and_as_a_date_and_garbage_does_no_harm(
    told: str, least_s: float, most_s: float
):
    """The wait before the next try is what the server asks for; what cannot be read is a short wait of our own."""
    clock = QuickClock()
    header = formatdate(time.time() + 10, usegmt=True) if told == "date" else told
    began_s = clock.now_s()
    with FakeServer(faults=[Fault("rate", at=[1], told=header)]) as server:
        [(_, said)] = asked([request(1)], server, limits=Limits(clock=clock))
    assert isinstance(said, Answer)
    assert clock.now_s() - began_s >= least_s
    assert sum(clock.slept_s) <= most_s


def test_retry_after_holds_back_every_call_not_only_the_one_that_was_refused():
    """While the server asks for patience nothing is sent."""
    with FakeServer(faults=[Fault("rate", at=[1], told="1")]) as server:
        asked(requests(60), server, limits=Limits(most_in_flight=1))
        first, *others = [call.at_s for call in server.calls]
        assert min(others) - first > 0.98


def test_an_empty_account_stops_the_run_and_is_never_retried():
    """After insufficient_quota nothing more is sent; every other call fails by the same kind; a later run goes on."""
    with FakeServer(latency_s=0.01, faults=[Fault("quota", at=range(6, 10**6))]) as server, Journal() as journal:
        said = asked(requests(300), server, journal=journal, limits=Limits(most_in_flight=4))
        kinds = Counter(s.kind for _, s in said if isinstance(s, Failure))
        assert kinds == {"quota": 295}
        assert server.counts.received <= 5 + 4
        assert max(server.counts.attempts.values()) == 1
        server.faults = []
        assert all(isinstance(s, Answer) for _, s in asked(requests(300), server, journal=journal))
        assert set(server.counts.billed.values()) == {1}


def test_a_server_that_is_silent_is_left_after_the_timeout():
    """A call without an answer in time is retried a bounded number of times and booked as perhaps paid."""
    ledger = Ledger(read_prices())
    with FakeServer(faults=[Fault("silence", first=10**6)]) as server:
        [(_, said)] = asked([request(1)], server, ledger=ledger, timeout_s=0.2)
        assert isinstance(said, Failure)
        assert (said.kind, server.counts.received) == ("timeout", 3)
        assert ledger.lost_usd == pytest.approx(3 * ledger.bound_usd(request(1)))


def test_a_server_that_is_not_there_is_a_clear_failure():
    """A refused connection ends with its kind and the address, and costs nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    ledger = Ledger(read_prices())
    client = ChatClient(f"http://127.0.0.1:{port}/v1")
    [(_, said)] = ask([request(1)], client, journal=Journal(), ledger=ledger, limits=Limits(clock=QuickClock()))
    assert isinstance(said, Failure)
    assert said.kind == "broken"
    assert str(port) in said.detail
    assert ledger.lost_usd == 0


@pytest.mark.parametrize(
    ("wrong", "finish"), [("refusal", "refusal"), ("content-filter", "content_filter"), ("length", "length")]
)
def test_an_answer_that_ended_otherwise_is_an_answer_billed_once(wrong: str, finish: str):
    """A refusal in words, an answer cut by a filter or by its length is paid: kept, named and not asked for again."""
    with FakeServer(faults=[Fault(wrong, first=10**6)]) as server, Journal() as journal:
        for _ in range(2):
            [(_, said)] = asked([request(1)], server, journal=journal)
            assert isinstance(said, Answer)
            assert said.finish == finish
        assert server.counts.received == 1


def test_missing_log_probabilities_are_absent_and_minus_9999_is_no_probability():
    """Without log probabilities `tokens` is None; -9999.0 stays marked as outside the list."""
    with FakeServer(faults=[Fault("no-logprobs", at=[1]), Fault("outside", at=[2])]) as server:
        [(_, bare)] = asked([request(1)], server)
        [(_, marked)] = asked([request(2)], server)
    assert isinstance(bare, Answer)
    assert isinstance(marked, Answer)
    assert bare.tokens is None
    assert marked.tokens is not None
    choice = next(token for token in marked.tokens if len(token.top) == 3)
    assert [logprob for _, logprob in choice.top[1:]] == [OUTSIDE, OUTSIDE]
    assert choice.listed() == choice.top[:1]


def test_a_mixture_of_all_faults_loses_no_item_and_pays_for_none_twice_without_need():
    """With every fault at once each item is answered, and answers that arrived are never asked for again."""
    shares = [Fault(wrong, share=0.03) for wrong in RETRIED]
    with FakeServer(latency_s=0.005, faults=shares) as server, Journal() as journal:
        said = asked(requests(200), server, journal=journal, patience=Patience(tries=20, paid_tries=20))
        assert all(isinstance(answer, Answer) for _, answer in said)
        assert server.counts.answered == 200
        lost = sum(call.state == "lost" for call in journal.calls())
        assert server.counts.billed.total() <= 200 + lost


# ---- money ----------------------------------------------------------------------------------------------------------


def test_two_hundred_workers_with_one_dollar_left_never_spend_more():
    """Whatever the server bills stays within the cap at every moment; the rest stops clearly; a top-up goes on."""
    prices = {"fake-small": DEAR["m"]}
    wanted = requests(400)
    with FakeServer(latency_s=0.02) as server, Journal() as journal:
        ledger = Ledger(prices, cap_usd=1.0)
        said = asked(wanted, server, journal=journal, ledger=ledger, limits=Limits(most_in_flight=200))
        billed_usd = 100.0 * (server.counts.prompt_tokens + server.counts.completion_tokens) / 1e6
        assert 0.9 < billed_usd <= 1.0
        assert ledger.spent_usd == pytest.approx(billed_usd)
        assert ledger.stopped
        answered = sum(isinstance(answer, Answer) for _, answer in said)
        assert {s.kind for _, s in said if isinstance(s, Failure)} == {"budget"}
        assert 0 < answered < 400
        topped_up = Ledger(prices, cap_usd=100.0)
        said = asked(wanted, server, journal=journal, ledger=topped_up)
        assert all(isinstance(answer, Answer) for _, answer in said)
        assert set(server.counts.billed.values()) == {1}
        assert topped_up.spent_usd == pytest.approx(
            100.0 * (server.counts.prompt_tokens + server.counts.completion_tokens) / 1e6
        )


def test_answers_that_never_arrive_count_against_the_cap():
    """A server that bills and breaks off cannot make us spend more than the cap."""
    ledger = Ledger({"fake-small": DEAR["m"]}, cap_usd=0.2)
    with FakeServer(faults=[Fault("reset-body", share=0.5)]) as server:
        asked(requests(200), server, ledger=ledger)
        billed_usd = 100.0 * (server.counts.prompt_tokens + server.counts.completion_tokens) / 1e6
    assert billed_usd <= 0.2
    assert ledger.spent_usd + ledger.lost_usd <= 0.2


# ---- kill -9 --------------------------------------------------------------------------------------------------------

CHILD = """
import sys
from calls import requests
from quorate.llm.client import ChatClient
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger, read_prices
from quorate.llm.run import ask
url, path, n = sys.argv[1:]
with Journal(path) as journal:
    ask(requests(int(n)), ChatClient(url), journal=journal, ledger=Ledger(read_prices()))
"""


def _child(server: FakeServer, path: Path, n: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", CHILD, server.url, str(path), str(n)], env=environment)


def _table(path: Path) -> list[tuple[str, str]]:
    with Journal(path) as journal:
        return [(key, answer.to_json()) for key, answer in journal.answers()]


def _killed_run(path: Path, *, n: int, kills: int, seed: int) -> None:
    """A run of n calls killed so many times at random; checks the laws and leaves its journal at the path."""
    rng = random.Random(seed)  # noqa: S311 - moments, not secrets
    with FakeServer(latency_s=0.05) as server:
        stops = sorted(rng.uniform(0.0, 0.95) * n for _ in range(kills))
        for stop in stops:
            child = _child(server, path, n)
            while server.counts.answered < stop and child.poll() is None:
                time.sleep(0.002)
            time.sleep(rng.uniform(0.0, 0.1))
            child.send_signal(signal.SIGKILL)
            child.wait()
        assert _child(server, path, n).wait() == 0
        with closing(sqlite3.connect(path)) as file:
            in_flight = file.execute("SELECT count(*) FROM calls WHERE state = 'lost'").fetchone()[0]
            tries = dict(file.execute("SELECT key, count(*) FROM calls GROUP BY key"))
            most_lost = file.execute("SELECT max(n) FROM (SELECT count(*) n FROM calls GROUP BY key)").fetchone()[0]
        assert len(tries) == n
        assert most_lost <= 1 + kills
        received = server.counts.attempts
        assert sum(received.values()) <= n + in_flight
        assert all(received[key] <= tries[key] for key in tries)  # each was written down before it was sent
        with Journal(path) as journal:
            assert Counter(call.key for call in journal.calls() if call.state == "answered") == dict.fromkeys(tries, 1)
            assert journal.booked().lost > 0 or in_flight == 0


def test_a_run_that_is_killed_twice_ends_with_the_table_of_one_that_was_not(tmp_path: Path):
    """Resume is exact: the same answers, bit by bit, and no known answer is asked for again."""
    _killed_run(tmp_path / "killed.sqlite", n=200, kills=2, seed=1)
    with FakeServer(latency_s=0.001) as server:
        assert _child(server, tmp_path / "whole.sqlite", 200).wait() == 0
    assert _table(tmp_path / "killed.sqlite") == _table(tmp_path / "whole.sqlite")


@pytest.mark.slow
def test_ten_thousand_calls_killed_twenty_times_end_with_the_table_of_a_run_that_was_not(tmp_path: Path):
    """The same at full size."""
    _killed_run(tmp_path / "killed.sqlite", n=10_000, kills=20, seed=2)
    with FakeServer(latency_s=0.001) as server:
        assert _child(server, tmp_path / "whole.sqlite", 10_000).wait() == 0
    assert _table(tmp_path / "killed.sqlite") == _table(tmp_path / "whole.sqlite")


def test_a_run_that_is_left_early_lets_calls_in_flight_land_and_keeps_what_was_paid(tmp_path: Path):
    """Who stops reading loses nothing that was paid for, and a second run pays only for the rest."""

    async def first_ten(server: FakeServer, journal: Journal) -> None:
        client = ChatClient(server.url)
        run = answers(requests(200), client, journal=journal, ledger=Ledger(read_prices()), limits=Limits())
        for _ in range(10):
            await anext(run)
        await run.aclose()
        await client.aclose()

    with FakeServer(latency_s=0.05) as server, Journal(tmp_path / "calls.sqlite") as journal:
        asyncio.run(first_ten(server, journal))
        states = Counter(call.state for call in journal.calls())
        assert set(states) <= {"answered", "free"}  # free: made ready, and never sent
        assert states["answered"] == server.counts.received >= 10
        asked(requests(200), server, journal=journal)
        assert set(server.counts.attempts.values()) == {1}


# ---- limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [True, False])
def test_a_limit_of_the_server_is_kept_to(told: bool):
    """At 3,000 a minute, and a second's worth at once, 1 % is refused at most, whether the limit is given or told."""
    with FakeServer(latency_s=0.02, requests_per_min=3_000.0, burst=50.0, tell_limits=told) as server:
        asked(requests(150), server, limits=Limits(requests_per_min=None if told else 3_000.0))
        assert server.counts.limited <= 0.01 * server.counts.received
        assert server.counts.answered == 150


@pytest.mark.slow
def test_a_limit_of_500_a_minute_is_used_to_95_percent_and_1_percent_is_refused_at_most():
    """The pace is the server's, given or told: hardly a call comes too early, and hardly a moment is lost."""
    with ThreadPoolExecutor() as side_by_side:
        for counts, passed_s in side_by_side.map(_at_500_a_minute, [True, False]):
            assert counts.limited <= 0.01 * counts.received
            assert counts.answered >= 0.95 * (500 / 60) * passed_s


def _at_500_a_minute(told: bool) -> tuple[Counts, float]:
    """What a server counted that takes 500 calls a minute, and how long it had them, in seconds."""
    with FakeServer(latency_s=0.05, requests_per_min=500.0, tell_limits=told) as server:
        asked(requests(800), server, limits=Limits(requests_per_min=None if told else 500.0))
        return server.counts, server.calls[-1].at_s - server.calls[0].at_s


# ---- batch files ----------------------------------------------------------------------------------------------------


def _results(paths: list[Path], server: FakeServer) -> list[dict[str, object]]:
    """What a batch API gives for these files, worked out by the fake server."""
    lines: list[dict[str, object]] = []
    for line in (json.loads(text) for path in paths for text in path.read_text().splitlines()):
        url = server.url + "/chat/completions"
        posted = urllib.request.Request(url, json.dumps(line["body"]).encode())  # noqa: S310 - our own server
        with urllib.request.urlopen(posted) as response:  # noqa: S310 - the same
            body = json.load(response)
        said = {"status_code": 200, "request_id": "r", "body": body}
        lines.append({"id": "b", "custom_id": line["custom_id"], "response": said, "error": None})
    return lines


def test_a_batch_that_comes_back_shuffled_short_double_and_expired_is_reconciled(tmp_path: Path):
    """Every request is answered, failed or missing; the journal gets the answers once; the rest is asked later."""
    wanted = requests(30)
    with FakeServer() as server, Journal() as journal:
        lines = _results(batch.write(wanted, tmp_path), server)
        random.Random(3).shuffle(lines)  # noqa: S311 - an order, not a secret
        expired = {"custom_id": lines[0]["custom_id"], "response": None, "error": {"code": "batch_expired"}}
        refused_body = {"error": {"message": "no", "code": "content_filter"}}
        refused = {"custom_id": lines[1]["custom_id"], "response": {"status_code": 400, "body": refused_body}}
        stranger = {**lines[5], "custom_id": "stranger"}
        kept = [*lines[4:], lines[6], expired, refused, stranger]  # lines 2 and 3 never come
        out = tmp_path / "out.jsonl"
        out.write_text("\n".join(map(json.dumps, kept)) + '\n{"custom_id": "cut o')
        ledger = Ledger(read_prices())
        found = batch.reconcile(wanted, [out], journal=journal, ledger=ledger)
        assert (len(found.answers), len(found.failures), len(found.missing)) == (26, 1, 3)
        assert (found.expired, found.repeated, found.unknown, found.unreadable) == (1, 1, ["stranger"], 1)
        assert next(iter(found.failures.values())).kind == "filtered"
        again = batch.reconcile(wanted, [out], journal=journal, ledger=ledger)
        assert again.answers == found.answers
        assert journal.booked().spent == round(ledger.spent_usd * PICO)
        before = server.counts.received
        assert all(isinstance(answer, Answer) for _, answer in asked(wanted, server, journal=journal))
        assert server.counts.received == before + 4
