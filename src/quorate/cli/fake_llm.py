"""`quorate fake-llm`: a language model server that needs no key, for trying and measuring."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Annotated

import typer

from quorate.cli.arguments import AsJson
from quorate.cli.terminal import print_json, tell


def fake_llm(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where to listen; 0 takes a free port.")] = 8_123,
    latency_ms: Annotated[float, typer.Option(min=0, help="Milliseconds before an answer.")] = 50.0,
    table: Annotated[
        Path | None,
        typer.Option(help="Recorded answers, JSONL: text, probs or tasks or answer [, model, says, calls]."),
    ] = None,
    faults: Annotated[
        str, typer.Option(help="What goes wrong, and how often: rate:2=.01,reset=.005,truncated=.001.")
    ] = "",
    rpm: Annotated[float | None, typer.Option(min=1, help="The server's own limit, requests a minute.")] = None,
    burst: Annotated[float, typer.Option(min=1, help="How many requests that limit lets pass at once.")] = 10.0,
    models: Annotated[str, typer.Option(help="Names that /v1/models lists; any name is answered.")] = "",
    seed: Annotated[int, typer.Option(help="The same seed gives the same answers.")] = 0,
    *,
    quiet_limits: Annotated[
        bool, typer.Option("--quiet-limits", help="Do not say the limit in headers, as some servers do not.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Serve answers of a pretended language model, in the form of OpenAI's chat completions.

    Answers come from the table, or from a seeded hash of the question, with log probabilities that agree with them.
    Stop it with Ctrl-C: it then says what it received.
    """
    from quorate.llm.testing.faults import parse
    from quorate.llm.testing.replies import read_table
    from quorate.llm.testing.server import MODELS, FakeServer

    names = tuple(filter(None, models.split(","))) or MODELS
    server = FakeServer(
        latency_s=latency_ms / 1000,
        table=[] if table is None else read_table(table),
        faults=parse(faults),
        requests_per_min=rpm,
        burst=burst,
        tell_limits=not quiet_limits,
        models=names,
        seed=seed,
        port=port,
    )
    tell(f"listening at {server.url} as {', '.join(names)}; stop with Ctrl-C")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(server.serve())
    if as_json:
        print_json(server.totals())
    else:
        counts = server.counts
        tell(f"{counts.received:,} calls received, {counts.answered:,} answered, {counts.limited:,} over the limit")
