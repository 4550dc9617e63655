"""The way to language models, as options of the command line say it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.terminal import tell

if TYPE_CHECKING:
    from quorate.judge.answers import Line
    from quorate.llm.boundary import Boundary
    from quorate.llm.ledger import Ledger, Price
    from quorate.llm.wire import Transport

OPENAI_KEY, OTHER_KEY = "OPENAI_API_KEY", "QUORATE_API_KEY"
BaseUrl = Annotated[str, typer.Option("--base-url", help="An OpenAI-compatible server; by default OpenAI's own.")]
KeyEnv = Annotated[
    str,
    typer.Option("--key-env", help=f"The variable with the key: {OPENAI_KEY}, and {OTHER_KEY} for other servers."),
]
Cap = Annotated[float | None, typer.Option("--cap", min=0, help="Dollars that this step may spend, in all its runs.")]
PriceFile = Annotated[
    Path | None, typer.Option("--prices", help="A file of prices, over those that come with quorate.")
]
InFlight = Annotated[int, typer.Option("--in-flight", min=1, help="Calls at once, at most.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds that an answer may take.")]
UnknownPrices = Annotated[
    bool,
    typer.Option("--allow-unknown-prices", help="Ask models whose price nobody knows; they count as free."),
]
Inside = Annotated[
    str | None,
    typer.Option("--boundary", help="Hosts that items marked `restricted` may be sent to, over those of the rubric."),
]


def connection(base_url: str, key_env: str, timeout_s: float, in_flight: int, inside: Boundary) -> Transport:
    """The way to the server. A key of OpenAI's goes to OpenAI only, unless named; restricted items go inside only."""
    from quorate.llm.client import OPENAI, ChatClient, environment_proxy, key_of

    url = base_url or OPENAI
    return ChatClient(
        url,
        api_key=key_of(os.environ, url, key_env),
        timeout_s=timeout_s,
        connections=max(in_flight, 1),
        proxy=environment_proxy(url),
        boundary=inside,
    )


def line_to(
    models: Sequence[str],
    boundary: Boundary,
    *,
    base_url: str,
    key_env: str,
    cap: float | None,
    prices: Path | None,
    in_flight: int,
    timeout_s: float,
    allow_unknown: bool,
) -> Line:
    """What a judge is asked through. Raises SettingError for an unknown price or a missing key, before any call."""
    from quorate.judge.amplify import Purse
    from quorate.judge.answers import Line
    from quorate.llm.settings import is_local

    near = tuple(name for name in models if is_local(name))
    ledger_for(models, prices, cap, allow_unknown=allow_unknown)
    connect = partial(connection, base_url, key_env, timeout_s, in_flight, boundary)
    if len(near) < len(models):
        connect()  # says now what is missing, not after the work has begun
    local = partial(local_models, near) if near else None
    return Line(connect, Purse(prices_for(models, prices), cap, allow_unknown), {"most_in_flight": in_flight}, local)


def prices_for(models: Sequence[str], prices: Path | None) -> dict[str, Price]:
    """Prices of a file over those that come with quorate; what runs on this machine costs nothing."""
    from quorate.llm.ledger import Price, read_prices
    from quorate.llm.settings import is_local

    return {**read_prices(prices), **{name: Price(0.0, 0.0, "", "this machine") for name in models if is_local(name)}}


def ledger_for(models: Sequence[str], prices: Path | None, cap: float | None, *, allow_unknown: bool) -> Ledger:
    """What may be spent, in dollars. Raises SettingError for an unknown price, before anything else happens."""
    from quorate.llm.ledger import Ledger

    ledger = Ledger(prices_for(models, prices), cap_usd=cap, allow_unknown=allow_unknown)
    for name in models:
        ledger.price(name)
    return ledger


def local_models(names: Sequence[str], device: Any = "auto", dtype: Any = "auto", batch: int = 16) -> Transport:
    """Models on this machine, loaded."""
    from quorate.llm.local import LocalModel
    from quorate.llm.local_client import LocalClient
    from quorate.llm.settings import LOCAL

    models: dict[str, LocalModel] = {}
    for name in names:
        tell(f"loading {name.removeprefix(LOCAL)}")
        models[name] = LocalModel.load(name.removeprefix(LOCAL), device=device, dtype=dtype, batch=batch)
    return LocalClient(models)
