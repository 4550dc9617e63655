"""Speed of the queue: lease-and-submit pairs a second, and how long one takes, by processes at one database.

    python benchmarks/leases.py DATABASE [--items 2000] [--tasks 5] [--people 200] [--processes 8] [--seconds 10]

DATABASE is an empty one: sqlite:///queue.db or postgresql://user@host/name. The target on 2 cores: 300 pairs a second
on PostgreSQL and 150 on SQLite, p99 under 250 ms. Answers close by the overlap rule; the engine has its own tests.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time

import numpy as np

from quorate.schema import Schema, Task
from quorate.store.campaigns import add_campaign, change_state
from quorate.store.database import Database
from quorate.store.items import NewItem, add_items
from quorate.store.overlap import Overlap
from quorate.store.people import add_member, add_user
from quorate.store.queue import lease
from quorate.store.rebuild import compare
from quorate.store.submit import Answer, submit


def main() -> None:
    """Load, work, prove."""
    options = parsed()
    campaign, people = load(options)
    shares = [people[k :: options.processes] for k in range(options.processes)]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        start_at = time.time() + 4  # processes first import
        work = [(options.database, campaign, share, start_at, options.seconds) for share in shares]
        taken = np.concatenate(pool.starmap(worked, work, chunksize=1))
    p50, p99 = 1000 * np.quantile(taken, [0.5, 0.99])
    print(f"{options.processes} processes: {len(taken) / options.seconds:.0f} lease-and-submit pairs a second")
    print(f"one pair: median {p50:.1f} ms, p99 {p99:.1f} ms")
    database = Database.open(options.database)
    found = compare(database, Overlap(), campaign)
    print(f"{found.items:,} items against the log: {len(found.differences)} differences")
    database.close()


def load(options: argparse.Namespace) -> tuple[int, list[int]]:
    """A running campaign with its people and items."""
    database = Database.open(options.database)
    schema = Schema(tuple(Task(f"task {t}", ("yes", "no", "unsure")) for t in range(options.tasks)))
    new = (
        NewItem(f"item {i}", {"text": "What is to be judged, a sentence or two. " * 3}) for i in range(options.items)
    )

    def make(connection):
        campaign = add_campaign(connection, "benchmark", schema, now=0.0)
        people = [add_user(connection, f"person {p}", "annotator", now=0.0).id for p in range(options.people)]
        for person in people:
            add_member(connection, campaign.id, person)
        began = time.perf_counter()
        add_items(connection, campaign, new, now=0.0)
        print(f"{options.items:,} items loaded in {time.perf_counter() - began:.1f} s")
        return change_state(connection, campaign.id, "running", version=campaign.version, now=0.0).id, people

    try:
        return database.write(make)
    finally:
        database.close()


def worked(url: str, campaign: int, people: list[int], start_at: float, seconds: float) -> np.ndarray:
    """How long each pair took, in seconds."""
    database, decider, taken = Database.open(url, pool=1), Overlap(), []
    time.sleep(max(0.0, start_at - time.time()))
    end = time.time() + seconds
    turn = 0
    while time.time() < end:
        user, began = people[turn % len(people)], time.perf_counter()
        turn += 1
        held = lease(database, campaign, user, now=time.time())
        if held is None:
            break
        submit(database, decider, held.id, user, [Answer(t, "yes") for t in held.tasks], key=held.id, now=time.time())
        taken.append(time.perf_counter() - began)
    database.close()
    return np.array(taken)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database")
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--tasks", type=int, default=5)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
