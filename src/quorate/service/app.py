"""The application: settings in, an ASGI app out. `uvicorn` serves it; `quorate serve` starts both."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi

from quorate import __version__
from quorate.service import label_studio
from quorate.service.desk import Desk
from quorate.service.door import Door
from quorate.service.engine import Engine
from quorate.service.hints import Hints
from quorate.service.limits import Buckets, Gate
from quorate.service.metrics import Measured, Metrics
from quorate.service.pages import routes as pages
from quorate.service.problems import PROBLEMS, add_handlers
from quorate.service.routes import (
    audit,
    campaigns,
    events,
    export,
    health,
    hooks,
    items,
    labels,
    metrics,
    models,
    results,
    session,
    users,
    work,
)
from quorate.service.state import Service, ServiceSettings
from quorate.service.stream import Stream
from quorate.service.worker import Worker
from quorate.store.database import Database
from quorate.store.figures import read_figures

API = "/api/v1"
ROUTERS: tuple[APIRouter, ...] = (  # under /api/v1
    session.router,
    users.router,
    work.router,
    campaigns.router,
    items.router,
    labels.router,
    results.router,
    export.router,
    audit.router,
    models.router,
    events.router,
    hooks.router,
)
BESIDE: tuple[APIRouter, ...] = (  # beside it
    health.router,
    metrics.router,
    label_studio.router,
    pages.router,
)
PUBLIC = {("post", f"{API}/session"), ("get", "/healthz"), ("get", "/readyz")}


def make_app(settings: ServiceSettings, *, clock: Callable[[], float] = time.time) -> FastAPI:
    """The application on that database; it opens it when it starts, and closes it when it ends."""
    app = FastAPI(
        title="quorate",
        version=__version__,
        lifespan=_lifespan(settings, clock),
        openapi_url="/openapi.json" if settings.docs else None,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    add_handlers(app)
    app.add_middleware(
        Gate,
        buckets=Buckets(settings.requests_per_minute, clock),
        max_body=settings.max_body_mb << 20,
        https=settings.base_url.startswith("https:"),
    )
    app.state.metrics = Metrics()
    app.state.metrics.also(lambda: _figures(app))
    app.add_middleware(Measured, metrics=app.state.metrics)
    for router in ROUTERS:
        app.include_router(router, prefix=API, responses=PROBLEMS)
    for router in BESIDE:
        app.include_router(router)
    app.openapi = lambda: _openapi(app)
    return app


def _lifespan(settings: ServiceSettings, clock: Callable[[], float]) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        database, engine = Database.open(settings.database), Engine()
        desk = Desk(database, engine, clock=clock)
        service = Service(settings, database, engine, desk, clock)
        app.state.service, app.state.door, app.state.hints = service, Door(service), Hints(service)
        app.state.stream = stream = Stream(database)
        app.state.worker = worker = Worker(service, count=app.state.metrics.count)
        stream.start()
        if settings.workers == "own":
            await worker.start()
        try:
            yield
        finally:
            await worker.stop()
            await stream.stop()
            desk.close()
            database.close()

    return lifespan


def _figures(app: FastAPI) -> Mapping[str, tuple[str, float]]:
    with app.state.service.database.reading() as connection:
        found = read_figures(connection)
    return {**found, "quorate_stream_readers": ("Open streams of events", float(app.state.stream.readers))}


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The document, with how to sign in."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        document["components"]["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer", "description": "A token of /users/{user_id}/tokens"},
            "session": {"type": "apiKey", "in": "cookie", "name": "quorate_session"},
        }
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                operation["security"] = [] if (method, path) in PUBLIC else [{"token": []}, {"session": []}]
        app.openapi_schema = document
    return app.openapi_schema
