"""A real Label Studio, from its package in an environment of its own, on loopback and SQLite.

`make label-studio` installs it once into a cache folder; QUORATE_LABEL_STUDIO names another environment. Nothing that
it does leaves the machine, and it ends with the block that started it.
"""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

START_S = 400  # its first start migrates an empty database: a minute or two on two cores
ADMIN, PASSWORD = "admin@example.com", "Passw0rd-123"  # of a server that only this process reaches
QUIET = {
    "COLLECT_ANALYTICS": "False",
    "LATEST_VERSION_CHECK": "False",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
    "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
    "ML_BLOCK_LOCAL_IP": "false",  # our backend and webhooks are on loopback too
    "SSRF_PROTECTION_ENABLED": "false",
}


def installed() -> Path | None:
    """The program, where it is installed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "quorate" / "label-studio"
    program = Path(os.environ.get("QUORATE_LABEL_STUDIO", cache)) / "bin" / "label-studio"
    return program if program.is_file() else None


class Peer(NamedTuple):
    """A running Label Studio, seen by one of its users."""

    url: str
    token: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What it answers. Raises AssertionError for a refusal."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Token {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read()[:1000]!r}") from None
        return json.loads(text) if text else None

    def join(self, email: str) -> Peer:
        """The same server, seen by a new user who follows the organization's invitation."""
        link = self.ask("GET", "/api/invite")["invite_url"]
        link = self.url + link if link.startswith("/") else link
        jar = http.cookiejar.CookieJar()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        page = browser.open(link, timeout=60).read().decode()
        field = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert field, "the sign-up page has no form"
        form = {"csrfmiddlewaretoken": field[1], "email": email, "password": PASSWORD, "allow_newsletters": "false"}
        request = urllib.request.Request(link, urllib.parse.urlencode(form).encode(), {"Referer": link})  # noqa: S310
        browser.open(request, timeout=60).close()
        with browser.open(f"{self.url}/api/current-user/token", timeout=60) as answer:
            return Peer(self.url, json.loads(answer.read())["token"])


@contextmanager
def label_studio(program: Path, folder: Path) -> Iterator[Peer]:
    """Label Studio with an empty database in that folder, for as long as the block lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(20)
    command = [str(program), "start", "--no-browser", "--data-dir", str(folder), "--internal-host", "127.0.0.1"]
    command += ["-p", str(port), "--username", ADMIN, "--password", PASSWORD, "--user-token", token]
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    environment |= {"HOME": str(folder), **QUIET}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        try:
            _wait(f"http://127.0.0.1:{port}/health", process, folder / "server.log")
            yield Peer(f"http://127.0.0.1:{port}", token)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # it starts a process of its own; nothing of it is kept
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310
                return
        except OSError:
            assert process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.5)
    raise AssertionError(f"Label Studio did not start in {START_S} s: {log.read_text()[-2000:]}")
