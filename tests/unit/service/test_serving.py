"""A server process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import gc, sys
from quorate.service.serving import OBJECTS, app_for_life
from quorate.service.state import ServiceSettings
app = app_for_life(ServiceSettings(database=sys.argv[1]))
print(gc.get_freeze_count() > 10_000, gc.get_threshold()[0] == OBJECTS, gc.isenabled(), len(app.routes) > 10)
"""


def test_a_server_does_not_stop_for_what_it_loaded_once(tmp_path: Path) -> None:
    """The collector looks past all that is loaded, comes less often, and still comes."""
    command = [sys.executable, "-c", CODE, f"sqlite:///{tmp_path}/q.db"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 4
