"""The queue under every order of requests that hypothesis thinks of: the laws hold after each."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from quorate.errors import ConflictError, NotFoundError
from quorate.store.database import Database
from quorate.store.overlap import Overlap
from quorate.store.queue import lease, renew, skip, sweep
from quorate.store.rebuild import compare
from quorate.store.records import Settings
from quorate.store.submit import Answer, submit, undo
from unit.store.conftest import fresh_postgres
from unit.store.laws import check
from unit.store.world import SCHEMA, running

PEOPLE = st.integers(0, 3)
OVERLAP = Overlap()
LEASE_S = 10.0


class Machine(RuleBasedStateMachine):
    """Four people at three items, overlap 2, and a clock that jumps."""

    url = ""
    leases = Bundle("leases")
    answered = Bundle("answered")

    def __init__(self) -> None:
        super().__init__()
        self.database = Database.open(self.fresh())
        rules = Settings(overlap=2, together=2, lease_s=LEASE_S)
        self.world = running(self.database, n_items=3, n_users=4, settings=rules)
        self.now, self.key = 0.0, 0
        self.acknowledged: set[tuple[int, str, int]] = set()

    def fresh(self) -> str:
        """The address of an empty database."""
        raise NotImplementedError

    def teardown(self) -> None:
        """Close the database."""
        self.database.close()

    @rule(seconds=st.floats(0.0, 2 * LEASE_S))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    @rule(target=leases, person=PEOPLE)
    def ask(self, person: int):
        """A person asks for work; what they get has only tasks that they have not answered."""
        user = self.world.users[person]
        found = lease(self.database, self.world.campaign.id, user, now=self.now)
        if found is None:
            return multiple()
        assert found.tasks
        assert not {(found.item_id, task, user) for task in found.tasks} & self.acknowledged
        return (found, user)

    @rule(target=answered, held=leases, data=st.data(), twice=st.booleans())
    def answer(self, held, data, twice: bool):
        """An answer to some of the tasks, perhaps late, perhaps sent twice under one key."""
        found, user = held
        tasks = data.draw(st.sets(st.sampled_from(found.tasks), min_size=1))
        answers = [Answer(t, data.draw(st.sampled_from(SCHEMA.task(t).classes))) for t in sorted(tasks)]
        self.key += 1
        try:
            receipt = submit(self.database, OVERLAP, found.id, user, answers, key=f"{self.key}", now=self.now)
        except (ConflictError, NotFoundError):  # answered, skipped or replaced before
            return multiple()
        if twice:
            again = submit(self.database, OVERLAP, found.id, user, answers, key=f"{self.key}", now=self.now + 99)
            assert again == receipt
        assert set(receipt.labels) == tasks
        self.acknowledged |= {(found.item_id, task, user) for task in tasks}
        return held

    @rule(held=leases)
    def pass_on(self, held) -> None:
        """A person skips."""
        found, user = held
        try:
            skip(self.database, found.id, user, now=self.now)
        except (ConflictError, NotFoundError):
            return

    @rule(held=leases)
    def prolong(self, held) -> None:
        """A person is still there."""
        found, user = held
        try:
            assert renew(self.database, found.id, user, now=self.now).expires_at == self.now + LEASE_S
        except (ConflictError, NotFoundError):
            return

    @rule(held=consumes(answered))
    def take_back(self, held) -> None:
        """A person takes an answer back."""
        found, user = held
        self.key += 1
        back = undo(self.database, OVERLAP, found.id, user, key=f"{self.key}", now=self.now)
        self.acknowledged -= {(found.item_id, task, user) for task in back.withdrawn}

    @rule()
    def clean(self) -> None:
        """The sweeper runs; nothing that expired is left."""
        sweep(self.database, now=self.now)
        assert sweep(self.database, now=self.now) == 0

    @invariant()
    def laws_hold(self) -> None:
        """Overlap, counters, one answer per person, and nothing acknowledged is lost or invented."""
        live = check(self.database, self.world.campaign.id)
        assert live == self.acknowledged
        assert compare(self.database, OVERLAP, self.world.campaign.id).differences == ()


def machine(fresh) -> type[Machine]:
    """The machine on databases from that source."""
    return type("OnDatabase", (Machine,), {"fresh": lambda _self: fresh()})


@pytest.mark.slow
def test_every_order_of_requests_keeps_the_laws_on_sqlite(tmp_path: Path):
    """40 runs of up to 30 requests."""

    def fresh() -> str:
        return f"sqlite:///{tempfile.mkdtemp(dir=tmp_path)}/quorate.db"

    run_state_machine_as_test(machine(fresh), settings=settings(max_examples=40, stateful_step_count=30, deadline=None))


@pytest.mark.postgres
@pytest.mark.slow
def test_every_order_of_requests_keeps_the_laws_on_postgres(postgres_server: str):
    """The same on PostgreSQL, where a new database takes longer."""
    chosen = settings(max_examples=10, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(machine(lambda: fresh_postgres(postgres_server)), settings=chosen)
