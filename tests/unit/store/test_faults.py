"""Faults that touch the store, with real processes and kill -9, on both databases."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from quorate.store.database import Database
from quorate.store.overlap import Overlap
from quorate.store.queue import sweep
from quorate.store.rebuild import compare
from quorate.store.records import Settings
from quorate.store.tables import labels
from unit.store.laws import check
from unit.store.world import running

CROWD = Path(__file__).with_name("crowd.py")
SRC = Path(__file__).parents[3] / "src"


def start(url: str, campaign: int, seed: int, people: tuple[int, ...]) -> subprocess.Popen[str]:
    command = [sys.executable, str(CROWD), url, str(campaign), str(seed), *map(str, people)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(SRC)}
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.stderr
    return process


@pytest.mark.slow
def test_no_acknowledged_label_is_lost_when_processes_are_killed(database: Database, url: str):
    """Fault 4: kill -9 at random under load; what was acknowledged is there once, and the state is the log's."""
    world = running(database, n_items=600, n_users=8, settings=Settings(overlap=3, together=3))
    rng, kept = random.Random(0), list[str]()  # noqa: S311 # moments to kill at
    for round_ in range(6):
        halves = world.users[:4], world.users[3:]  # person 4 works in both processes
        processes = [start(url, world.campaign.id, 10 * round_ + i, half) for i, half in enumerate(halves)]
        time.sleep(rng.uniform(0.2, 1.0))
        for process in processes:
            process.send_signal(signal.SIGKILL)
        for process in processes:
            out, errors = process.communicate()
            assert process.returncode == -signal.SIGKILL, errors
            kept += [line for line in out.splitlines(keepends=True) if line.startswith("kept ") and line.endswith("\n")]
    sweep(database, now=1e12)
    assert len(kept) > 20
    with database.reading() as connection:
        found = {
            f"kept {row.id} {row.item_id} {row.task} {row.user_id} {row.label}\n"
            for row in connection.execute(select(labels))
        }
    assert set(kept) <= found
    check(database, world.campaign.id)
    assert compare(database, Overlap(), world.campaign.id).differences == ()
