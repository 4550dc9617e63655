"""Figures for an operator; read with any token but an annotator's."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from quorate.service.auth import Reader
from quorate.service.metrics import MEDIA_TYPE
from quorate.service.problems import documented

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={**documented(401, 403, 429, 503), 200: {"description": "figures", "content": {"text/plain": {}}}},
)
def metrics(request: Request, principal: Reader) -> Response:  # noqa: ARG001 # only who may read them
    """The figures, as Prometheus reads them."""
    return Response(request.app.state.metrics.text(), media_type=MEDIA_TYPE)
