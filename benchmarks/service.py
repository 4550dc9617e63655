"""Load of the whole service: people who lease and submit over HTTP, a fitted model deciding after every label.

    python benchmarks/service.py DATABASE [--items 100000] [--people 200] [--rate 320] [--seconds 30] [--processes 1]

DATABASE is an empty one: sqlite:///load.db or postgresql://user@host/name. Everything runs on this machine: database,
server processes, people. Every person thinks between an answer and the next (exponential, such that all together ask
for `rate` pairs a second; 0: nobody thinks), sends the answers and gets the next item with the receipt (`--apart`: asks
for it in a request of its own). The target on 2 cores: 300 pairs a second on PostgreSQL and 150 on SQLite, p99 under
250 ms. `--peer` starts Label Studio afterwards (`make label-studio` installs it) and times its annotations beside.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import socket
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import numpy as np
from label_studio import started, time_annotations

from quorate.consensus.archive import save
from quorate.consensus.registry import estimator
from quorate.service.engine import Engine
from quorate.simulate.setting import Setting
from quorate.simulate.world import simulate
from quorate.store.campaigns import add_campaign, add_model, change_state
from quorate.store.database import Database
from quorate.store.items import NewItem, add_items
from quorate.store.people import add_member, add_token, add_user
from quorate.store.rebuild import compare
from quorate.store.records import Settings

TASKS, TAUGHT = 5, 300
LABELS = ["a", "b", "c"]


def main() -> None:
    """Load, serve, work, prove."""
    options = parsed()
    campaign, tokens = load(options)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    servers = [
        context.Process(target=serve, args=(options.database, port), daemon=True) for _ in range(options.processes)
    ]
    for server in servers:
        server.start()
    try:
        wait_for(port)
        taken, wall, burnt = asyncio.run(work(options, port, campaign, tokens, [server.pid or 0 for server in servers]))
    finally:
        memory = [peak_mib(server.pid) for server in servers]
        for server in servers:
            server.terminate()
            server.join()
    p50, p99 = 1000 * np.quantile(taken, [0.5, 0.99])
    print(f"{len(taken) / wall:.0f} lease-and-submit pairs a second, {options.processes} server process(es)")
    print(f"one pair: median {p50:.1f} ms, p99 {p99:.1f} ms, largest {1000 * taken.max():.0f} ms")
    print(f"processor time of the server(s): {1000 * burnt / len(taken):.2f} ms a pair")
    print(f"peak memory of a server: {', '.join(f'{each:.0f} MiB' for each in memory)}")
    database = Database.open(options.database)
    if options.prove:
        found = compare(database, Engine(), campaign)
        print(f"{found.items:,} items against the log: {len(found.differences)} differences")
    database.close()
    if options.peer:
        with started() as (url, token):
            print(f"Label Studio: {time_annotations(url, token).line()}")


# ---- the ground -----------------------------------------------------------------------------------------------------
def load(options: argparse.Namespace) -> tuple[int, list[str]]:
    """A running campaign with a fitted model, items with the scores of three models, and people with tokens."""
    ties = np.full((2 * TASKS, 2 * TASKS), 0.4) + 0.6 * np.eye(2 * TASKS)
    setting = Setting(classes=(3,) * TASKS, task_correlation=ties)
    data = simulate(setting, TAUGHT + 200, seed=0).dataset()
    taught = data.select(data.encode().items[:TAUGHT])
    model = estimator("hybrid").fit(taught)
    shown = scores_of(data, data.encode().items[TAUGHT:])
    database = Database.open(options.database)
    began = time.perf_counter()

    def make(connection: Any) -> tuple[int, list[str]]:
        policy = {"policy": "per-task-confidence", "threshold": 0.95}
        campaign = add_campaign(
            connection, "load", data.schema, now=0.0, policy=policy, settings=Settings(overlap=5, together=3)
        )
        people = [add_user(connection, f"person {p}", "annotator", now=0.0).id for p in range(options.people)]
        for person in people:
            add_member(connection, campaign.id, person)
        text = {"text": "What is to be judged, a sentence or two. " * 3}
        new = (NewItem(f"item {i}", text, scores=shown[i % len(shown)]) for i in range(options.items))
        add_items(connection, campaign, new, now=0.0)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "model.quorate"
            save(model, path)
            add_model(connection, campaign.id, path.read_bytes(), "hybrid", through_event=0, now=0.0)
        change_state(connection, campaign.id, "running", version=campaign.version, now=0.0)
        return campaign.id, [add_token(connection, person, "load", now=0.0).text for person in people]

    try:
        return database.write(make)
    finally:
        database.close()
        print(f"{options.items:,} items with {TASKS} tasks loaded in {time.perf_counter() - began:.0f} s")


def scores_of(data: Any, items: Any) -> list[dict[str, dict[str, dict[str, float]]]]:
    """Scores of some items, to be dealt out to all."""
    place = {item: i for i, item in enumerate(items)}
    found: list[dict[str, dict[str, dict[str, float]]]] = [{} for _ in items]
    for row in data.scores.to_pylist():
        if row["item"] in place:
            of_task = found[place[row["item"]]].setdefault(row["task"], {})
            of_task.setdefault(row["model"], {})[row["label"]] = row["score"]
    return found


def serve(url: str, port: int) -> None:
    """One server process; all of them listen at one port."""
    import uvicorn

    from quorate.service.serving import app_for_life
    from quorate.service.state import ServiceSettings

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    app = app_for_life(ServiceSettings(database=url, requests_per_minute=10**6, workers="none"))
    uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listener])


def wait_for(port: int) -> None:
    """Until somebody answers."""
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("the server did not start")


def peak_mib(pid: int | None) -> float:
    """The largest resident size so far."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def processor_s(pid: int) -> float:
    """Processor time so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- people ---------------------------------------------------------------------------------------------------------
async def work(
    options: argparse.Namespace, port: int, campaign: int, tokens: list[str], servers: list[int]
) -> tuple[np.ndarray, float, float]:
    """How long each pair took after the first seconds, for how long they were counted, and the servers' work then."""
    think = options.people / options.rate if options.rate else 0.0
    taken: list[tuple[float, float]] = []
    began = time.perf_counter()
    end = began + options.warm + options.seconds
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector) as session:
        people = [
            person(session, options, campaign, token, np.random.default_rng(i), think, end, taken)
            for i, token in enumerate(tokens)
        ]
        work_ = asyncio.gather(*people)
        await asyncio.sleep(options.warm)
        before = sum(map(processor_s, servers))
        await work_
    burnt = sum(map(processor_s, servers)) - before
    return np.array([each for at, each in taken if at > began + options.warm]), options.seconds, burnt


async def person(
    session: aiohttp.ClientSession,
    options: argparse.Namespace,
    campaign: int,
    token: str,
    rng: np.random.Generator,
    think: float,
    end: float,
    taken: list[tuple[float, float]],
) -> None:
    """Work until the end."""
    headers, ask = {"Authorization": f"Bearer {token}"}, f"/api/v1/campaigns/{campaign}/next"
    await asyncio.sleep(rng.uniform(0.0, think))
    held = await said(session, ask, headers, None)
    while held and time.perf_counter() < end:
        if think:
            await asyncio.sleep(rng.exponential(think))
        answers = [{"task": task, "label": rng.choice(LABELS), "seconds": think} for task in held["tasks"]]
        key, began = held["id"], time.perf_counter()
        body = {"answers": answers, "next": not options.apart}
        done = await said(session, f"/api/v1/leases/{held['id']}/submit", headers | {"Idempotency-Key": key}, body)
        held = await said(session, ask, headers, None) if options.apart else done["next"]
        now = time.perf_counter()
        taken.append((now, now - began))


async def said(session: aiohttp.ClientSession, path: str, headers: dict[str, str], body: Any) -> Any:
    """The answer to a request."""
    async with session.post(path, headers=headers, json=body) as response:
        if response.status == 204:
            return None
        if response.status != 200:
            raise SystemExit(f"{path}: {response.status} {await response.text()}")
        return await response.json()


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database")
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--rate", type=float, default=320.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--warm", type=float, default=5.0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--peer", action="store_true", help="time Label Studio in the same run")
    parser.add_argument("--prove", action="store_true", help="rebuild every item from the log and compare")
    return parser.parse_args()


if __name__ == "__main__":
    main()
