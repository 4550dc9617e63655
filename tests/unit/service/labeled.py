"""A campaign in which people have answered, through the store as the service uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from quorate.store.database import Database
from quorate.store.fitting import Learning, change_learning
from quorate.store.overlap import Overlap
from quorate.store.queue import lease
from quorate.store.records import Decider, Settings
from quorate.store.submit import Answer, submit
from unit.store.world import SCHEMA, World, running

Says = Callable[[str, tuple[str, ...], np.random.Generator], str]  # truth, classes, randomness


def able(accuracy: float) -> Says:
    """A person who is right so often."""

    def says(truth: str, classes: tuple[str, ...], rng: np.random.Generator) -> str:
        return truth if rng.random() < accuracy else str(rng.choice([each for each in classes if each != truth]))

    return says


def constant(_truth: str, classes: tuple[str, ...], _rng: np.random.Generator) -> str:
    """A person who always gives the first answer."""
    return classes[0]


def truth_of(external_id: str, task: str) -> str:
    """What is right, evenly spread."""
    classes = SCHEMA.task(task).classes
    return classes[int(external_id[1:]) * 7 % 11 % len(classes)]


def campaign_of(database: Database, people: Sequence[Says], n_items: int, *, learning: Learning | None = None) -> World:
    """A running campaign in which all may answer everything."""
    settings = Settings(overlap=len(people), together=len(people))
    world = running(database, n_items=n_items, n_users=len(people), settings=settings)
    if learning:
        database.write(lambda c: change_learning(c, world.campaign.id, learning, now=0.0))
    return world


def answer(
    world: World,
    people: Sequence[Says],
    *,
    most: int = 10**9,
    decider: Decider | None = None,
    seed: int = 0,
    now: float = 1.0,
) -> int:
    """Have the people answer in turn until there is nothing to ask, or each has answered so many; how many did."""
    rng, done = np.random.default_rng(seed), 0
    for _ in range(most):
        before = done
        for user, says in zip(world.users, people, strict=True):
            seat = lease(world.database, world.campaign.id, user, now=now)
            if seat is None:
                continue
            said = [
                Answer(task, says(truth_of(seat.external_id, task), SCHEMA.task(task).classes, rng))
                for task in seat.tasks
            ]
            submit(world.database, decider or Overlap(), seat.id, user, said, key=seat.id, now=now)
            done += 1
        if done == before:
            break
    return done
