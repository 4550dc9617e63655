"""`quorate serve` as a person starts it: a process, its output, and the address that it prints."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from unit.store.conftest import fresh_postgres, postgres_server

__all__ = ["postgres_server"]
pytestmark = pytest.mark.slow


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[str, str]]:
    """The address and everything that was said until it stood there; the process ends in good order."""
    command = [sys.executable, "-m", "quorate", "serve", "--port", "0", *options]
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout
        said = ""
        try:
            for line in process.stdout:
                said += line
                if "Account" in line or ("quorate at" in line and "again" in options):
                    break
            found = re.search(r"quorate at (\S+) on", said)
            assert found, said
            yield found[1], said
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
    assert process.returncode == 0


def ask(url: str, path: str, body: Any = None, **headers: str) -> tuple[Any, Any]:
    """The JSON that is answered, and the headers; the server is given time to begin."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json", **headers})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.loads(answer.read() or b"null"), answer.headers


def signed_in(url: str, said: str) -> dict[str, str]:
    """The headers of the owner, by the password that was printed."""
    found = re.search(r"as (\S+) with the password (\S+)", said)
    assert found, said
    body, headers = ask(url, "/api/v1/session", {"name": found[1], "password": found[2]})
    return {"Cookie": headers["set-cookie"].split(";")[0], "X-CSRF-Token": body["csrf"]}


def test_with_nothing_configured_it_serves_and_tells_the_password_once(tmp_path: Path) -> None:
    """A file in the folder, an owner who can sign in with what was printed; the second start prints no password."""
    with serving(tmp_path) as (url, said):
        assert ask(url, "/api/v1/me", **signed_in(url, said))[0]["role"] == "owner"
    assert (tmp_path / "quorate.db").is_file()
    command = [sys.executable, "-m", "quorate", "serve", "--port", "99999"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 2


def test_the_demonstration_can_be_labeled_at_once(tmp_path: Path) -> None:
    """Digits as pictures, a model that has closed some of them, and the next open one for the owner."""
    with serving(tmp_path, "--demo") as (url, said):
        owner = signed_in(url, said)
        (campaign,), _ = ask(url, "/api/v1/campaigns", **owner)
        assert (campaign["name"], campaign["state"], campaign["model_version"]) == ("Digits", "running", 1)
        overview, _ = ask(url, f"/api/v1/campaigns/{campaign['id']}/overview", **owner)
        assert 0 < overview["closed_items"] < overview["items"]
        lease, _ = ask(url, f"/api/v1/campaigns/{campaign['id']}/next", {}, **owner)
        assert lease["content"]["image"].startswith("data:image/png;base64,iVBOR")
        answers = [{"task": name, "label": LABEL[name]} for name in lease["tasks"]]
        done, _ = ask(
            url, f"/api/v1/leases/{lease['id']}/submit", {"answers": answers}, **owner, **{"Idempotency-Key": "k"}
        )
        assert set(done["labels"]) == set(lease["tasks"])


LABEL = {"digit": "3", "parity": "odd", "above_four": "no"}


@pytest.mark.postgres
def test_several_processes_serve_one_database(tmp_path: Path, postgres_server: str) -> None:
    """Two workers on PostgreSQL answer on one socket; on SQLite they are refused."""
    with serving(tmp_path, "--workers", "2", "--database", fresh_postgres(postgres_server)) as (url, said):
        owner = signed_in(url, said)
        assert {ask(url, "/api/v1/me", **owner)[0]["name"] for _ in range(20)} == {"owner"}
    command = [sys.executable, "-m", "quorate", "serve", "--workers", "2"]
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "PostgreSQL" in refused.stderr
