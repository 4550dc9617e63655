"""The application: settings in, an ASGI app out. `uvicorn` serves it; `quorate serve` starts both."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi

from quorate import __version__
from quorate.service.desk import Desk
from quorate.service.door import Door
from quorate.service.engine import Engine
from quorate.service.hints import Hints
from quorate.service.limits import Buckets, Gate
from quorate.service.pages import routes as pages
from quorate.service.problems import PROBLEMS, add_handlers
from quorate.service.routes import campaigns, health, items, session, users, work
from quorate.service.state import Service, ServiceSettings
from quorate.store.database import Database

API = "/api/v1"
ROUTERS: tuple[APIRouter, ...] = (  # under /api/v1
    session.router,
    users.router,
    work.router,
    campaigns.router,
    items.router,
)
BESIDE: tuple[APIRouter, ...] = (health.router, pages.router)  # beside it: pages, Label Studio, metrics
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
        try:
            yield
        finally:
            desk.close()
            database.close()

    return lifespan


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
