"""What a request costs in the server beside the desk: CPU of `next` and `submit` over a real socket.

The desk here answers at once; `/healthz` is what uvicorn and the gate cost alone.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import tempfile
import threading
import time
from typing import Any

import uvicorn

from quorate.schema import Schema, Task
from quorate.service.app import make_app
from quorate.service.desk import Answered
from quorate.service.state import ServiceSettings
from quorate.store.campaigns import add_campaign, change_state
from quorate.store.database import Database
from quorate.store.items import NewItem, add_items
from quorate.store.people import add_member, add_token, add_user
from quorate.store.queue import Lease
from quorate.store.submit import Receipt

TARGET_MS = 1.0


class Instant:
    """A desk that costs nothing."""

    def __init__(self, campaign: int) -> None:
        content = {"text": "words " * 40}
        self.lease = Lease("L" * 32, campaign, 1, "i0", content, ("tone",), 0.0, 600.0, 1)

    async def next(self, _campaign: int, _user: int) -> Lease:
        """The same seat for everybody."""
        return self.lease

    async def submit(
        self, _lease: str, _user: int, _answers: Any, *, key: str, then_next: int | None = None
    ) -> Answered:
        """A receipt, and the same seat."""
        return Answered(Receipt(1, {"tone": 1}, (), ()), self.lease if key and then_next else None)

    def close(self) -> None:
        """Nothing to close."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3000)
    n = parser.parse_args().requests
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/quorate.db"
        database = Database.open(url)
        campaign, token = database.write(_made)
        database.close()
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            port = listening.getsockname()[1]
            app = make_app(ServiceSettings(database=url, workers="none", requests_per_minute=10**7))
            server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            while not server.started:
                time.sleep(0.01)
            real = app.state.service.desk
            app.state.service.__dict__["desk"] = Instant(campaign)
            try:
                _measure(port, campaign, token, n)
            finally:
                app.state.service.__dict__["desk"] = real
                server.should_exit = True
                thread.join()


def _made(connection: Any) -> tuple[int, str]:
    user = add_user(connection, "ann", "annotator", now=0.0)
    campaign = add_campaign(connection, "c", Schema((Task("tone", ("good", "bad")),)), now=0.0)
    add_member(connection, campaign.id, user.id)
    add_items(connection, campaign, [NewItem("i0", {"text": "x"})], now=0.0)
    change_state(connection, campaign.id, "running", version=1, now=0.0)
    return campaign.id, add_token(connection, user.id, "t", now=0.0).text


def _measure(port: int, campaign: int, token: str, n: int) -> None:
    body = json.dumps({"answers": [{"task": "tone", "label": "good", "seconds": 1.5}], "next": True}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": "k"}
    next_path, submit_path = f"/api/v1/campaigns/{campaign}/next", f"/api/v1/leases/{'L' * 32}/submit"
    for name, method, path, sent in (
        ("healthz", "GET", "/healthz", None),
        ("next", "POST", next_path, None),
        ("submit and next", "POST", submit_path, body),
    ):
        server_ms, all_ms = _cost(port, method, path, sent, headers, n)
        target = "" if name == "healthz" else f"; target {TARGET_MS} ms"
        print(f"{name}: {server_ms:.3f} ms of CPU in the server, {all_ms:.3f} ms a request in all{target}")


def _cost(
    port: int, method: str, path: str, body: bytes | None, headers: dict[str, str], n: int
) -> tuple[float, float]:
    """CPU of the process less that of the client's thread, and wall time; milliseconds per request."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for turn in range(n + 200):
        if turn == 200:
            cpu, mine, wall = time.process_time(), time.thread_time(), time.perf_counter()
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
    spent = time.process_time() - cpu - (time.thread_time() - mine)
    return spent / n * 1e3, (time.perf_counter() - wall) / n * 1e3


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
