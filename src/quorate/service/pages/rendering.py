"""Templates and assets: what every page is made with, and how a refused request looks to a person."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Callable, Coroutine
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from quorate.errors import QuorateError
from quorate.service.auth import Principal
from quorate.service.pages import charts, words
from quorate.service.pages.markup import as_html
from quorate.service.problems import STATUS_OF

HERE = Path(__file__).parent
TITLES = {
    401: "Sign in first",
    403: "This is not for you to do",
    404: "There is nothing here",
    409: "Something changed meanwhile",
    413: "That is too large",
    422: "That does not fit",
    429: "Too fast",
    503: "The database does not answer",
}


class Asset(NamedTuple):
    """A file that pages load; its address changes with its content."""

    body: bytes
    media_type: str
    digest: str


@lru_cache(maxsize=1)
def assets() -> dict[str, Asset]:
    """All of them, by name."""
    found: dict[str, Asset] = {}
    for path in sorted((HERE / "static").iterdir()):
        body, kind = path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        found[path.name] = Asset(body, kind, hashlib.sha256(body).hexdigest()[:12])
    return found


def asset_url(name: str) -> str:
    """Where pages load it from."""
    return f"/static/{assets()[name].digest}/{name}"


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates; every value is escaped, and one that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shared: dict[str, Any] = {"asset": asset_url, "words": words, "charts": charts}
    made.globals.update(shared)
    made.filters["markdown"] = as_html
    return made


def render(template: str, /, status: int = 200, headers: dict[str, str] | None = None, **values: Any) -> HTMLResponse:
    """The template with these values."""
    text = environment().get_template(template).render(**values)
    return HTMLResponse(text, status, headers=headers)


def page(template: str, principal: Principal | None, status: int = 200, /, **values: Any) -> HTMLResponse:
    """A whole page for that person."""
    return render(template, status, me=principal, **values)


def go(address: str) -> RedirectResponse:
    """Load that page next."""
    return RedirectResponse(address, 303)


class PageRoute(APIRoute):
    """A route whose refusals are pages, not JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with what it raises turned into a page."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await inner(request)
            except QuorateError as error:
                status = next(code for kind, code in STATUS_OF.items() if isinstance(error, kind))
                return refused(status, str(error))
            except RequestValidationError:
                return refused(404, "the address is misspelled")
            except HTTPException as error:
                if error.status_code < 400:
                    return Response(status_code=error.status_code, headers=error.headers)
                return refused(error.status_code, str(error.detail), error.headers)
            finally:
                await request.close()  # files of a form

        return handler


def refused(status: int, message: str, headers: Any = None) -> Response:
    """What a person is told."""
    title = TITLES.get(status, "This did not work")
    answer = page("problem.html.jinja", None, status, title=title, message=words.sentence(message))
    answer.headers.update(headers or {})
    return answer
