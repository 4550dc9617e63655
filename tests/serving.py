"""A real server process on a real socket, to be killed and started again. Run as: python serving.py URL PORT"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

SRC = Path(__file__).parents[1] / "src"


class Server:
    """One process at one port; the port stays its own over restarts."""

    def __init__(self, url: str) -> None:
        self.url = url
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [sys.executable, __file__, self.url, str(self.port)]
        self._process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(SRC)})
        for _ in range(600):
            assert self._process.poll() is None, "the server ended"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError("the server did not start")

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Stop the process with that signal."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGKILL)


def main() -> None:
    """Serve until killed."""
    import uvicorn

    from quorate.service.app import make_app
    from quorate.service.state import ServiceSettings

    app = make_app(ServiceSettings(database=sys.argv[1], requests_per_minute=10**6, workers="none"))
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False)


if __name__ == "__main__":
    main()
