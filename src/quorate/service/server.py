"""uvicorn's server, which ends open streams of events before it waits for requests to end."""

from __future__ import annotations

from socket import socket

import uvicorn
from fastapi import FastAPI


class Server(uvicorn.Server):
    """Serves one app; a stream that never ends by itself holds its shutdown up no longer."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._served = app

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Finish what was begun, and stop."""
        stream = getattr(self._served.state, "stream", None)
        if stream is not None:
            stream.close()
        await super().shutdown(sockets)
