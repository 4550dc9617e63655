"""The command line: one verb, one function. The only room that prints."""

from __future__ import annotations


def main() -> None:
    """Run `quorate` with the arguments of the process; ends the process with its exit code."""
    from quorate.cli.app import app

    app()
