"""A receiver of webhooks, on a real socket of the loopback."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Receiver:
    """Keeps what it takes; `status` is what it answers."""

    url: str = ""
    status: int = 200
    location: str = ""
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def events(self) -> list[int]:
        """Ids of the events taken, in the order of arrival."""
        return [event["id"] for _, body in self.requests for event in json.loads(body)["events"]]

    async def handle(self, request: web.Request) -> web.Response:
        """Take one message, unless `status` says otherwise."""
        body = await request.read()
        if self.status < 300:
            self.requests.append((dict(request.headers), body))
        return web.Response(status=self.status, headers={"Location": self.location} if self.location else {})


@asynccontextmanager
async def receiving(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    receiver.url = f"http://{host}:{runner.addresses[0][1]}/"
    try:
        yield receiver
    finally:
        await runner.cleanup()
