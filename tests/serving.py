"""A real server process on a real socket, to be killed and started again.

Servers are forked from one process that has imported the service already (as servers with preloading do), since a
test that kills thirty of them would spend its time importing. Run as: python serving.py, which reads lines `URL PORT`.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import time
from functools import cache
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
        self._pid: int | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._pid = int(_ask(f"serve {self.url} {self.port}"))
        for _ in range(1200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            os.kill(self._pid, 0)  # an error when it ended
            time.sleep(0.05)
        raise AssertionError("the server did not start")

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Stop the process with that signal, and wait until it is gone."""
        if self._pid is not None:
            _ask(f"stop {self._pid} {int(how)}")
            self._pid = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGKILL)


def _ask(line: str) -> str:
    parent = _parent()
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write(line + "\n")
    parent.stdin.flush()
    return parent.stdout.readline().strip()


@cache
def _parent() -> subprocess.Popen[str]:
    """The process that all servers of this test process are forked from; it ends with it."""
    environ = {**os.environ, "PYTHONPATH": str(SRC)}
    command = [sys.executable, __file__]
    parent = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(parent.terminate)
    return parent


def main() -> None:
    """Fork and stop servers as told, until nobody tells any more."""
    import uvicorn

    from quorate.service.app import make_app
    from quorate.service.state import ServiceSettings

    for line in sys.stdin:
        match line.split():
            case ["serve", url, port]:
                if not (pid := os.fork()):
                    signal.signal(signal.SIGTERM, signal.SIG_DFL)
                    app = make_app(ServiceSettings(database=url, requests_per_minute=10**6, workers="none"))
                    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="error", access_log=False)
                    os._exit(0)
                _say(pid)
            case ["stop", pid, how]:
                os.kill(int(pid), int(how))
                os.waitpid(int(pid), 0)
                _say("stopped")
            case _:
                raise SystemExit(f"not understood: {line}")


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
