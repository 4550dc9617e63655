"""`quorate serve`: the service, with nothing configured or with everything."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.connection import OPENAI_KEY, OTHER_KEY
from quorate.cli.terminal import console, tell
from quorate.errors import MissingExtraError, SettingError

if TYPE_CHECKING:
    from socket import socket

    from quorate.service.offer import Offer
    from quorate.service.serving import FirstOwner
    from quorate.service.state import ServiceSettings
    from quorate.store.database import Database

HOST, PORT, DATABASE = "127.0.0.1", 8000, "sqlite:///quorate.db"


def serve(
    host: Annotated[
        str, typer.Option(envvar="QUORATE_HOST", help="Where to listen; 0.0.0.0 for every address of this machine.")
    ] = HOST,
    port: Annotated[int, typer.Option(min=0, max=65535, envvar="QUORATE_PORT", help="0 for any free one.")] = PORT,
    database: Annotated[
        str,
        typer.Option(
            envvar="QUORATE_DATABASE", help="sqlite:///file.db, or postgresql://user:password@host/name for a team."
        ),
    ] = DATABASE,
    base_url: Annotated[
        str | None,
        typer.Option(envvar="QUORATE_BASE_URL", help="How browsers reach it, such as https://labels.example.org."),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(min=1, max=64, envvar="QUORATE_WORKERS", help="Server processes; more than one on PostgreSQL."),
    ] = 1,
    models: Annotated[
        str,
        typer.Option(
            envvar="QUORATE_MODELS", help="Models that campaigns may have scores from, with commas: gpt-4o-mini,..."
        ),
    ] = "",
    models_url: Annotated[
        str,
        typer.Option(envvar="QUORATE_MODELS_URL", help="Their OpenAI-compatible server; by default OpenAI's own."),
    ] = "",
    models_key_env: Annotated[
        str,
        typer.Option(
            envvar="QUORATE_MODELS_KEY_ENV",
            help=f"The variable with their key: {OPENAI_KEY}, and {OTHER_KEY} for other servers.",
        ),
    ] = "",
    models_folder: Annotated[
        str,
        typer.Option(
            envvar="QUORATE_MODELS_FOLDER", help="Where calls to models are recorded; by default beside SQLite's file."
        ),
    ] = "",
    models_prices: Annotated[
        str, typer.Option(envvar="QUORATE_MODELS_PRICES", help="A file of prices, over those that come with quorate.")
    ] = "",
    models_in_flight: Annotated[
        int, typer.Option(min=1, envvar="QUORATE_MODELS_IN_FLIGHT", help="Calls to models at once, at most.")
    ] = 32,
    *,
    allow_unknown_prices: Annotated[
        bool,
        typer.Option(
            "--allow-unknown-prices",
            envvar="QUORATE_ALLOW_UNKNOWN_PRICES",
            help="Offer models whose price nobody knows; they count as free.",
        ),
    ] = False,
    demo: Annotated[
        bool, typer.Option("--demo", envvar="QUORATE_DEMO", help="Open with handwritten digits to label.")
    ] = False,
) -> None:
    """Start the service: people label what is still open, everything else closes by itself.

    With nothing configured it keeps its data in quorate.db in this folder and tells the owner's password once.
    """
    _check_extra()
    from quorate.service.serving import listening
    from quorate.service.state import ServiceSettings
    from quorate.store.database import Database

    if workers > 1 and database.startswith("sqlite"):
        raise SettingError("several workers need PostgreSQL: give --database postgresql://..., or --workers 1")
    offer = _offer(
        models,
        database,
        base_url=models_url,
        key_env=models_key_env,
        folder=models_folder,
        prices=models_prices,
        in_flight=models_in_flight,
        allow_unknown_prices=allow_unknown_prices,
    )
    opened = listening(host, port)
    try:
        shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 # compared, not bound
        address = base_url or f"http://{f'[{shown}]' if ':' in shown else shown}:{opened.getsockname()[1]}"
        settings = ServiceSettings(database=database, base_url=address, offer=offer)
        store = Database.open(database)
        try:
            owner = _prepare(store, demo)
        finally:
            store.close()
        _tell(settings, host, owner, demo)
        _run(settings, opened, workers)
    finally:
        opened.close()


def _check_extra() -> None:
    try:
        import argon2  # noqa: F401 # pyright: ignore[reportUnusedImport]
        import fastapi  # noqa: F401 # pyright: ignore[reportUnusedImport]
        import uvicorn  # noqa: F401 # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise MissingExtraError(error.name or "fastapi", "serve") from error


def _offer(models: str, database: str, **way: Any) -> Offer | None:
    """What campaigns may ask for; whatever is missing for it is said now."""
    from quorate.service.offer import Offer

    names = tuple(filter(None, (name.strip() for name in models.split(","))))
    if not names:
        return None
    offer = Offer(names, **way)
    offer.ready(database, os.environ)
    return offer


def _prepare(store: Database, demo: bool) -> FirstOwner:
    """The owner, and the demonstration's campaign where it is asked for."""
    from quorate.service.serving import first_owner

    owner = first_owner(store, now=time.time(), password=os.environ.get("QUORATE_OWNER_PASSWORD"))
    if demo:
        from quorate.service.digits import demo_campaign

        tell("making the digits campaign (once; some seconds)")
        demo_campaign(store, owner=owner.user.id, now=time.time())
    return owner


def _tell(settings: ServiceSettings, host: str, owner: FirstOwner, demo: bool) -> None:
    from quorate.service.serving import is_local

    screen = console()
    screen.print(f"quorate at [bold]{settings.base_url}[/bold] on {_without_password(settings.database)}")
    if owner.password and not os.environ.get("QUORATE_OWNER_PASSWORD"):
        screen.print(f"Sign in as [bold]{owner.user.name}[/bold] with the password [bold]{owner.password}[/bold]")
        screen.print("It is shown this once; change it under Account.")
    if settings.offer:
        screen.print(f"Campaigns may have scores from {', '.join(settings.offer.models)}", markup=False)
    if demo:
        screen.print("The campaign Digits is running: sign in, open it and label by number keys.")
    if not is_local(host) and not settings.base_url.startswith("https:"):
        tell("quorate: reachable from other machines without encryption; put a TLS proxy before it and give --base-url")


def _without_password(database: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(database).render_as_string(hide_password=True)


def _run(settings: ServiceSettings, opened: socket, workers: int) -> None:
    """Serve until interrupted; requests in hand are finished first."""
    from functools import partial

    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from quorate.service.server import Server
    from quorate.service.serving import app_for_life, tell_others

    configured = partial(
        uvicorn.Config, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=15
    )
    if workers > 1:
        tell_others(settings)
        several = configured("quorate.service.serving:app_of_environment", factory=True, workers=workers)
        Multiprocess(several, sockets=[opened]).run()
        return
    with suppress(KeyboardInterrupt):  # an orderly end: uvicorn has finished what it had in hand
        app = app_for_life(settings)
        Server(configured(app), app).run(sockets=[opened])
