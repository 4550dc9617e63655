"""The service as people use it: real processes, real sockets, both databases."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from http.client import HTTPConnection, HTTPException
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import select

from quorate.data.dataset import Dataset
from quorate.policy.replay import replay
from quorate.policy.stopping import policy_from_json
from quorate.service.engine import Engine
from quorate.store.database import Database
from quorate.store.queue import sweep
from quorate.store.rebuild import compare
from quorate.store.records import Settings, state_from_json
from quorate.store.tables import items, labels, users
from serving import Server
from unit.service.campaign import POLICY, Ground, ready
from unit.store.conftest import database, postgres_server, url  # noqa: F401 # fixtures
from unit.store.laws import check

pytestmark = pytest.mark.slow


class Person:
    """Somebody with a token, who says the same again when the line breaks."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._headers = port, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._line: HTTPConnection | None = None

    def close(self) -> None:
        """Hang up."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def say(self, path: str, body: Any = None, *, key: str | None = None) -> tuple[int, Any]:
        """Status and body of a POST. Raises OSError or HTTPException when the line breaks."""
        if self._line is None:
            self._line = HTTPConnection("127.0.0.1", self._port, timeout=30)
        headers = self._headers | ({"Idempotency-Key": key} if key else {})
        try:
            self._line.request("POST", path, json.dumps(body) if body is not None else None, headers)
            response = self._line.getresponse()
            text = response.read()
        except (OSError, HTTPException):
            self.close()
            raise
        return response.status, json.loads(text) if text else None


def test_a_campaign_over_http_ends_as_replay_says(database: Database, url: str):  # noqa: F811
    """Simulated people answer until nothing is asked; `replay` of the same labels in the same order buys the same
    number of labels of every item and task, and thinks the same of them.
    """
    ground = ready(database, n_items=30)
    said = answers_of(ground)
    with Server(url) as server:
        people = {name: Person(server.port, token) for name, token in ground.tokens.items()}
        idle = 0
        while idle < len(people):
            idle = 0
            for name, person in people.items():
                status, lease = person.say(f"/api/v1/campaigns/{ground.campaign}/next")
                if status == 204:
                    idle += 1
                    continue
                assert status == 200, lease
                answers = [{"task": task, "label": said[lease["item"], task, name]} for task in lease["tasks"]]
                status, receipt = person.say(
                    f"/api/v1/leases/{lease['id']}/submit", {"answers": answers}, key=lease["id"]
                )
                assert status == 200, receipt
                assert set(receipt["labels"]) == set(lease["tasks"])
        for person in people.values():
            person.close()
    bought, states = log_of(database)
    data = in_that_order(ground, bought, said)
    (outcome,) = replay(ground.model, data, [policy_from_json(json.dumps(POLICY))]).outcomes
    for i, item in enumerate(data.encode().items):
        for t, task in enumerate(data.schema.tasks):
            state = states[item][task.name]
            assert state.given == outcome.bought[i, t]
            assert state.confidence == pytest.approx(outcome.confidence[i, t], abs=1e-6)
    assert 0 < len(bought) < len(said), "the policy stopped some, and asked some"
    check(database, ground.campaign)


def answers_of(ground: Ground) -> dict[tuple[str, str, str], str]:
    """What everybody would say of everything."""
    rng, schema = np.random.default_rng(0), ground.model.schema
    names = list(ground.scores)
    said = {}
    for t, task in enumerate(schema.tasks):
        for a, annotator in enumerate(ground.model.annotators):
            for i, item in enumerate(names):
                right = rng.random() < 0.5 + 0.05 * a
                code = ground.world.truth[i, t] if right else rng.integers(len(task.classes))
                said[item, task.name, annotator] = task.classes[int(code)]
    return said


def log_of(database: Database) -> tuple[list[tuple[str, str, str, str]], dict[str, Any]]:  # noqa: F811
    """Labels in the order in which they came (item, task, annotator, label), and every item's state."""
    with database.reading() as connection:
        rows = connection.execute(
            select(items.c.external_id, labels.c.task, users.c.name, labels.c.label)
            .join(items, items.c.id == labels.c.item_id)
            .join(users, users.c.id == labels.c.user_id)
            .order_by(labels.c.id)
        ).all()
        found = connection.execute(select(items.c.external_id, items.c.state)).all()
    return [tuple(row) for row in rows], {row.external_id: state_from_json(row.state) for row in found}


def in_that_order(ground: Ground, bought: list[tuple[str, str, str, str]], said: dict[tuple[str, str, str], str]):
    """The labels that were given, in their order; after them those of people who never came to the item.

    Who came is not asked again, so what they were not asked then cannot be bought.
    """
    came = {(item, annotator) for item, _, annotator, _ in bought}
    rows = [*bought, *((*key, label) for key, label in said.items() if (key[0], key[2]) not in came)]
    table = pa.table(dict(zip(("item", "task", "annotator", "label"), map(list, zip(*rows, strict=True)), strict=True)))
    scores = [
        {"item": item, "task": task, "model": model, "label": label, "score": score}
        for item, tasks in ground.scores.items()
        for task, models in tasks.items()
        for model, probs in models.items()
        for label, score in probs.items()
    ]
    gold = [
        {"item": item, "task": task.name, "label": task.classes[int(ground.world.truth[i, t])]}
        for i, item in enumerate(ground.scores)
        for t, task in enumerate(ground.model.schema.tasks)
    ]
    tables = {"scores": pa.Table.from_pylist(scores), "gold": pa.Table.from_pylist(gold)}
    return Dataset(labels=table, schema=ground.model.schema, **tables)


def test_no_acknowledged_label_is_lost_when_the_server_is_killed(database: Database, url: str):  # noqa: F811
    """Kill -9 at random under load, 30 times: what was acknowledged is there once, and after the last restart every
    item is what a full rebuild from the log makes of it.
    """
    ground = ready(database, n_items=700, settings=Settings(overlap=3, together=3, lease_s=3600.0))
    kept, over = list[tuple[int, str, str, str]](), threading.Event()
    server, rng = Server(url), random.Random(0)  # noqa: S311 # moments to kill at
    server.start()
    crowd = [threading.Thread(target=work, args=(server.port, ground, name, kept, over)) for name in ground.tokens]
    for person in crowd:
        person.start()
    try:
        for _ in range(30):
            wait_for(kept, len(kept) + rng.randint(1, 60))
            time.sleep(rng.uniform(0.0, 0.05))
            server.stop(signal.SIGKILL)
            server.start()
    finally:
        over.set()
        for person in crowd:
            person.join()
        server.stop(signal.SIGKILL)
    with database.reading() as connection:
        rows = connection.execute(
            select(labels.c.id, users.c.name, labels.c.task, labels.c.label).join(users, users.c.id == labels.c.user_id)
        ).all()
    there = [tuple(row) for row in rows]
    assert len(there) == len(set(there))
    assert set(kept) <= set(there)
    sweep(database, now=1e12)
    check(database, ground.campaign)
    assert compare(database, Engine(), ground.campaign).differences == ()


def wait_for(kept: list[Any], count: int) -> None:
    """Until so many labels were acknowledged."""
    end = time.monotonic() + 120
    while len(kept) < count:
        assert time.monotonic() < end, "nobody gets on"
        time.sleep(0.005)


def work(port: int, ground: Ground, name: str, kept: list[tuple[int, str, str, str]], over: threading.Event) -> None:
    """Answer until it is over; every receipt is written down, and a broken line means to say it again."""
    person, rng = Person(port, ground.tokens[name]), random.Random(name)  # noqa: S311 # chooses answers
    classes = {task.name: task.classes for task in ground.model.schema.tasks}
    pending: tuple[str, dict[str, str]] | None = None
    while not over.is_set():
        try:
            if pending is None:
                status, lease = person.say(f"/api/v1/campaigns/{ground.campaign}/next")
                if status != 200:
                    time.sleep(0.05)
                    continue
                pending = lease["id"], {task: rng.choice(classes[task]) for task in lease["tasks"]}
            lease_id, said = pending
            body = {"answers": [{"task": task, "label": label} for task, label in said.items()]}
            status, receipt = person.say(f"/api/v1/leases/{lease_id}/submit", body, key=lease_id)
        except (OSError, HTTPException):
            time.sleep(0.05)  # the server is dead, or was while it answered: the same again, under the same key
            continue
        if status == 200:
            kept += [(label_id, name, task, said[task]) for task, label_id in receipt["labels"].items()]
        if status in {200, 404, 409, 422}:
            assert status == 200, receipt
            pending = None
    person.close()
