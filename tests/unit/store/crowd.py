"""A process of its own that works at a queue until it is killed; what was acknowledged to it goes to its output.

Run as: python crowd.py URL CAMPAIGN SEED USER...
"""

from __future__ import annotations

import random
import sys

from quorate.errors import ConflictError
from quorate.store.database import Database
from quorate.store.overlap import Overlap
from quorate.store.queue import Lease, lease, skip
from quorate.store.submit import Answer, submit


def say(line: str) -> None:
    """Write a line out at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Lease and submit, twice now and then; every receipt is written out before the next request."""
    url, campaign, seed, *people = sys.argv[1:]
    database, rng = Database.open(url, pool=2), random.Random(int(seed))  # noqa: S311 # chooses answers, guards nothing
    say("ready")
    for turn in range(10**9):
        user, now = int(rng.choice(people)), float(turn)
        held = lease(database, int(campaign), user, now=now)
        if held is None:
            continue
        try:
            work(database, rng, held, user, now)
        except ConflictError:  # the same person, in the other process, was faster with another answer
            continue


def work(database: Database, rng: random.Random, held: Lease, user: int, now: float) -> None:
    """Skip, or answer and write out what was acknowledged."""
    if rng.random() < 0.05:
        skip(database, held.id, user, now=now)
        return
    choices = {"tone": ["good", "bad"], "topic": ["food", "staff"]}
    said = {task: rng.choice(choices[task]) for task in held.tasks}
    answers = [Answer(task, label) for task, label in said.items()]
    for _ in range(1 + (rng.random() < 0.2)):
        receipt = submit(database, Overlap(), held.id, user, answers, key=held.id, now=now)
        for task, label_id in receipt.labels.items():
            say(f"kept {label_id} {receipt.item_id} {task} {user} {said[task]}")


if __name__ == "__main__":
    main()
