"""The command line: one verb, one function. The only room that prints."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `quorate` with the arguments of the process; ends the process with its exit code."""
    try:
        from quorate.cli.app import app

        app()
    except KeyboardInterrupt:  # before a verb has begun, or while it ends
        sys.exit(130)
