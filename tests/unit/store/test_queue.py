"""The queue and submission, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from quorate.errors import ConflictError, DataError, NotFoundError
from quorate.store.database import Database
from quorate.store.overlap import Overlap
from quorate.store.queue import lease, renew, skip, sweep
from quorate.store.records import Settings
from quorate.store.rows import read_labels
from quorate.store.submit import Answer, submit, undo
from quorate.store.tables import items, labels
from unit.store.laws import check
from unit.store.world import running

BOTH = [Answer("tone", "good"), Answer("topic", "food")]
OVERLAP = Overlap()


def count(database: Database, table) -> int:
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_person_who_asks_again_gets_the_item_in_hand(database):
    """A lease is kept until it ends: asking is idempotent."""
    world = running(database, n_items=3, n_users=1)
    first = lease(database, world.campaign.id, world.users[0], now=1.0)
    again = lease(database, world.campaign.id, world.users[0], now=2.0)
    assert first == again
    check(database, world.campaign.id)


def test_nobody_is_asked_twice_about_an_item(database):
    """Every person sees every item once, then nothing is left for them."""
    world = running(database, n_items=4, n_users=1)
    seen = []
    while found := lease(database, world.campaign.id, world.users[0], now=1.0):
        seen.append(found.external_id)
        submit(database, OVERLAP, found.id, world.users[0], BOTH, key=found.id, now=1.0)
        check(database, world.campaign.id)
    assert sorted(seen) == ["i0", "i1", "i2", "i3"]


def test_the_same_key_sent_twenty_times_at_once_keeps_one_answer(database):
    """Fault 1: one row per task, and the same receipt to all."""
    world = running(database, n_items=1, n_users=1)
    held = lease(database, world.campaign.id, world.users[0], now=1.0)
    with ThreadPoolExecutor(16) as pool:
        receipts = list(
            pool.map(lambda _: submit(database, OVERLAP, held.id, world.users[0], BOTH, key="k", now=2.0), range(20))
        )
    assert all(receipt == receipts[0] for receipt in receipts)
    assert count(database, labels) == 2
    check(database, world.campaign.id)


def test_a_key_is_for_one_request_only(database):
    """Another request under a used key is refused and changes nothing."""
    world = running(database, n_items=1, n_users=1)
    held = lease(database, world.campaign.id, world.users[0], now=1.0)
    submit(database, OVERLAP, held.id, world.users[0], BOTH, key="k", now=2.0)
    with pytest.raises(ConflictError, match="another request"):
        submit(database, OVERLAP, held.id, world.users[0], BOTH[:1], key="k", now=2.0)
    with pytest.raises(ConflictError, match="answered already"):
        submit(database, OVERLAP, held.id, world.users[0], BOTH, key="fresh", now=2.0)
    assert count(database, labels) == 2


def test_of_nine_people_at_an_item_for_one_only_one_is_let_in(database):
    """Fault 2: overlap 1, nine at once: one lease, one answer."""
    world = running(database, n_items=1, n_users=9, settings=Settings(overlap=1))

    def work(user):
        held = lease(database, world.campaign.id, user, now=1.0)
        return held and submit(database, OVERLAP, held.id, user, BOTH, key="k", now=2.0)

    with ThreadPoolExecutor(9) as pool:
        receipts = [found for found in pool.map(work, world.users) if found]
    assert len(receipts) == 1
    assert receipts[0].closed == ("tone", "topic")
    check(database, world.campaign.id)


def test_a_late_answer_is_kept_once_and_marked(database):
    """Fault 3: the seat went to another; both answers stand, one in time and one late, neither counted twice."""
    world = running(database, n_items=1, n_users=2, settings=Settings(overlap=1, lease_s=10.0))
    slow, fast = world.users
    first = lease(database, world.campaign.id, slow, now=0.0)
    assert lease(database, world.campaign.id, fast, now=5.0) is None
    second = lease(database, world.campaign.id, fast, now=11.0)
    assert second is not None
    assert second.fence > first.fence
    receipt = submit(database, OVERLAP, first.id, slow, BOTH, key="a", now=12.0)
    assert receipt.late == ("tone", "topic")
    check(database, world.campaign.id)
    submit(database, OVERLAP, second.id, fast, BOTH, key="b", now=13.0)
    check(database, world.campaign.id)
    with database.reading() as connection:
        live = read_labels(connection, first.item_id).live
    assert len(live) == 4
    assert submit(database, OVERLAP, first.id, slow, BOTH, key="a", now=99.0) == receipt


def test_a_late_answer_can_be_refused(database):
    """By the campaign's setting it changes nothing."""
    world = running(database, n_items=1, n_users=1, settings=Settings(lease_s=10.0, late="refuse"))
    held = lease(database, world.campaign.id, world.users[0], now=0.0)
    with pytest.raises(ConflictError, match="too late"):
        submit(database, OVERLAP, held.id, world.users[0], BOTH, key="a", now=11.0)
    assert count(database, labels) == 0
    check(database, world.campaign.id)


def test_only_open_tasks_are_asked(database):
    """A task that was answered often enough is not in the next person's lease; an unanswered one still is."""
    world = running(database, n_items=1, n_users=2, settings=Settings(overlap=1))
    first = lease(database, world.campaign.id, world.users[0], now=1.0)
    submit(database, OVERLAP, first.id, world.users[0], BOTH[:1], key="a", now=1.0)
    second = lease(database, world.campaign.id, world.users[1], now=1.0)
    assert second is not None
    assert second.tasks == ("topic",)


def test_a_skipped_item_goes_to_somebody_else(database):
    """The seat is free at once; who skipped is not asked again; skipping twice is once."""
    world = running(database, n_items=1, n_users=2, settings=Settings(overlap=1))
    held = lease(database, world.campaign.id, world.users[0], now=1.0)
    skip(database, held.id, world.users[0], now=2.0)
    skip(database, held.id, world.users[0], now=2.0)
    check(database, world.campaign.id)
    assert lease(database, world.campaign.id, world.users[0], now=3.0) is None
    assert lease(database, world.campaign.id, world.users[1], now=3.0) is not None


def test_what_is_taken_back_stays_in_the_log_and_no_longer_counts(database):
    """Undo adds rows and changes none; the person gets the seat again and may answer otherwise."""
    world = running(database, n_items=2, n_users=1, settings=Settings(overlap=1))
    user = world.users[0]
    held = lease(database, world.campaign.id, user, now=1.0)
    submit(database, OVERLAP, held.id, user, BOTH, key="a", now=1.0)
    lease(database, world.campaign.id, user, now=2.0)
    back = undo(database, OVERLAP, held.id, user, key="b", now=3.0)
    assert back.withdrawn == ("tone", "topic")
    assert undo(database, OVERLAP, held.id, user, key="b", now=3.0) == back
    check(database, world.campaign.id)
    again = lease(database, world.campaign.id, user, now=4.0)
    assert (again.id, again.item_id) == (back.lease_id, held.item_id)
    submit(database, OVERLAP, again.id, user, [Answer("tone", "bad")], key="c", now=5.0)
    check(database, world.campaign.id)
    with database.reading() as connection:
        assert [row.label for row in read_labels(connection, held.item_id).live] == ["bad"]
    assert count(database, labels) == 5


def test_renewal_keeps_a_seat_and_cannot_wake_a_dead_one(database):
    """A renewed lease outlives its first end; an expired one is refused."""
    world = running(database, n_items=1, n_users=1, settings=Settings(lease_s=10.0))
    held = lease(database, world.campaign.id, world.users[0], now=0.0)
    assert renew(database, held.id, world.users[0], now=9.0).expires_at == 19
    assert sweep(database, now=15.0) == 0
    assert sweep(database, now=19.0) == 1
    check(database, world.campaign.id)
    with pytest.raises(ConflictError, match="ended"):
        renew(database, held.id, world.users[0], now=20.0)


def test_a_lease_is_its_owners_alone(database):
    """Fault 6: another's lease looks like none at all, whatever is asked of it."""
    world = running(database, n_items=1, n_users=2)
    mine, other = world.users
    held = lease(database, world.campaign.id, mine, now=0.0)
    for attempt in (
        lambda: submit(database, OVERLAP, held.id, other, BOTH, key="k", now=1.0),
        lambda: undo(database, OVERLAP, held.id, other, key="k", now=1.0),
        lambda: skip(database, held.id, other, now=1.0),
        lambda: renew(database, held.id, other, now=1.0),
        lambda: lease(database, world.campaign.id, 10**6, now=1.0),
    ):
        with pytest.raises(NotFoundError):
            attempt()
    assert count(database, labels) == 0


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [Answer("nope", "good")],
        [Answer("tone", "food")],
        [Answer("tone", "good"), Answer("tone", "bad")],
        [Answer("tone", "good", seconds=float("nan"))],
        [Answer("tone", "good", seconds=-1.0)],
    ],
)
def test_an_answer_outside_the_schema_changes_nothing(database, answers):
    """Fault 8: one clear error, and the tables are as before."""
    world = running(database, n_items=1, n_users=1)
    held = lease(database, world.campaign.id, world.users[0], now=0.0)
    with pytest.raises(DataError):
        submit(database, OVERLAP, held.id, world.users[0], answers, key="k", now=1.0)
    assert count(database, labels) == 0
    check(database, world.campaign.id)


def test_the_queue_empties_under_a_crowd_and_every_law_holds(database):
    """8 people at 60 items with overlap 2: exactly 120 answers, none lost or doubled."""
    world = running(database, n_items=60, n_users=8, settings=Settings(overlap=2))

    def work(user):
        n = 0
        while held := lease(database, world.campaign.id, user, now=1.0):
            for _ in range(1 + n % 2):  # half of the requests are sent twice
                submit(database, OVERLAP, held.id, user, BOTH, key=held.id, now=2.0)
            n += 1
        return n

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, world.users)) == 120
    check(database, world.campaign.id)
    with database.reading() as connection:
        assert connection.execute(select(func.sum(items.c.room))).scalar_one() == 0
