"""A campaign's tables as files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import IO, Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from quorate.service.auth import Reader, campaign_for, service_of
from quorate.service.exports import ENDING, MEDIA_TYPE, ExportFormat, write_export
from quorate.service.wire import Id
from quorate.store.exporting import ExportName
from quorate.store.log import note_audit

router = APIRouter(prefix="/campaigns/{campaign_id}", tags=["export"])
PIECE = 1 << 16  # bytes
BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
FILES: dict[int | str, dict[str, Any]] = {
    200: {"description": "the file", "content": {kind.partition(";")[0]: BINARY for kind in MEDIA_TYPE.values()}}
}


@router.get("/export", response_class=Response, responses=FILES)
def export(
    request: Request,
    campaign_id: Id,
    principal: Reader,
    table: ExportName = "consensus",
    kind: Annotated[ExportFormat, Query(alias="format")] = "parquet",
) -> Response:
    """One table; as `huggingface` a zipped folder of all. The file is whole before its first byte is sent."""
    service = service_of(request)
    file: IO[bytes] = TemporaryFile()  # noqa: SIM115 # closed when it was sent
    try:
        with service.database.reading() as connection:
            campaign = campaign_for(connection, principal, campaign_id)
            write_export(connection, campaign, table, kind, file)
        detail, now = {"table": table, "format": kind}, service.clock()
        target = f"campaign {campaign_id}"
        service.database.write(
            lambda connection: note_audit(connection, principal.id, "exported", target, detail, now=now)
        )
    except BaseException:
        file.close()
        raise
    size = file.tell()
    stem = re.sub(r"[^A-Za-z0-9]+", "-", campaign.name).strip("-").lower() or f"campaign-{campaign_id}"
    name = f"{stem}.{ENDING[kind]}" if kind == "huggingface" else f"{stem}-{table}.{ENDING[kind]}"
    headers = {"Content-Length": str(size), "Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_pieces(file), headers=headers, media_type=MEDIA_TYPE[kind])


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(PIECE):
            yield piece
