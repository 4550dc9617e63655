"""Labels that people gave elsewhere come in: a table of them, all or none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import IO, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from quorate.errors import DataError
from quorate.service.auth import Lead, campaign_for, service_of
from quorate.service.problems import MOST_ROWS, Refusal, RowProblem, documented
from quorate.service.uploads import Row, media_type, openapi_body, problem_of, read_rows, spooled
from quorate.service.wire import Id
from quorate.store.labels import Said, Taken, check_said, import_labels
from quorate.store.log import note_audit
from quorate.store.records import Campaign

router = APIRouter(prefix="/campaigns/{campaign_id}", tags=["items"])
MOST_LABELS = 5_000  # of one request: they share a transaction, and others wait for it
NEEDED = ("item", "task", "annotator", "label")
TEXT = {"type": "string"}
BODY = openapi_body(
    {
        **dict.fromkeys(NEEDED, TEXT),
        "created_at": {"type": ["string", "number"], "description": "ISO 8601, or seconds since 1970"},
        "seconds": {"type": "number"},
        "assisted": {"type": "boolean"},
    }
)


class TakenShown(BaseModel):
    """What became of the labels, and how many tasks they closed and opened again."""

    added: int
    withdrawn: int
    unchanged: int
    refused: int
    closed: int
    reopened: int


@router.post("/labels", response_model=TakenShown, responses=documented(415), openapi_extra=BODY)
async def upload_labels(request: Request, campaign_id: Id, principal: Lead) -> Any:
    """Keep labels that people gave elsewhere, at most 5,000; what a person said before of the same task is replaced."""
    service, kind = service_of(request), media_type(request)

    def seen() -> Campaign:
        with service.database.reading() as connection:
            return campaign_for(connection, principal, campaign_id)

    def keep(file: IO[bytes], campaign: Campaign) -> Taken:
        rows, now = labels_of(file, kind, campaign), service.clock()

        def work(connection: Connection) -> Taken:
            taken = import_labels(connection, service.engine, campaign, rows, now)
            target = f"campaign {campaign_id}"
            note_audit(connection, principal.id, "labels imported", target, taken._asdict(), now=now)
            return taken

        return service.database.write(work)

    campaign = await run_in_threadpool(seen)
    with await spooled(request) as file:
        return (await run_in_threadpool(keep, file, campaign))._asdict()


def labels_of(file: IO[bytes], kind: str, campaign: Campaign) -> list[Said]:
    """The rows of a table. Raises Refusal that tells the bad ones, the first hundred, or that they are too many."""
    found: list[Said] = []
    problems: list[RowProblem] = []
    seen: dict[tuple[str, str, str], int] = {}
    for row in read_rows(file, kind):
        if row.number > MOST_LABELS:
            raise Refusal(413, f"more than {MOST_LABELS} labels; send them in parts")
        try:
            said = _said(row)
            check_said(campaign, said, row.number)
            key = (said.item, said.person, next(iter(said.answers or {})))
            if key in seen:
                raise _bad(f"the same person answers the same in row {seen[key]} too", "keep one of them", row, "label")
            seen[key] = row.number
            found.append(said)
        except DataError as error:
            problems.append(RowProblem(row=row.number, column=error.column, message=problem_of(error)))
        if len(problems) == MOST_ROWS:
            break
    if problems:
        first = problems[0]
        path = f"body.rows[{first.row}]" + (f".{first.column}" if first.column else "")
        raise Refusal(422, f"row {first.row}: {first.message}", path=path, rows=problems)
    return found


def _said(row: Row) -> Said:
    if row.problem:
        raise _bad(row.problem, "mend or remove the row", row, None)
    for name in NEEDED:
        if not isinstance(row.values.get(name), str | int) or isinstance(row.values[name], bool):
            raise _bad("the cell is missing, or no text", f"give {', '.join(NEEDED)}", row, name)
    item, task, person, label = (str(row.values[name]) for name in NEEDED)
    at, seconds = _time(row), _number(row, "seconds")
    return Said(item, person, {task: label}, at=at, seconds=seconds, assisted=_truth(row))


def _time(row: Row) -> float | None:
    given = row.values.get("created_at")
    try:
        moment = datetime.fromisoformat(given) if isinstance(given, str) else given
    except ValueError:
        return _number(row, "created_at")
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return _number(row, "created_at")


def _number(row: Row, name: str) -> float | None:
    given = row.values.get(name)
    try:
        found = None if given is None else float(given)
    except (TypeError, ValueError, OverflowError):
        found = float("nan")
    if found is not None and (isinstance(given, bool) or not 0 <= found < 1e12):
        raise _bad(f"{str(given)[:40]!r} is no number of seconds", "give a number of 0 or more", row, name)
    return found


def _truth(row: Row) -> bool:
    given = row.values.get("assisted")
    if given is None or isinstance(given, bool):
        return bool(given)
    if str(given).lower() in {"true", "1", "yes"}:
        return True
    if str(given).lower() in {"false", "0", "no"}:
        return False
    raise _bad(f"{str(given)[:40]!r} is neither true nor false", "write true or false", row, "assisted")


def _bad(problem: str, mend: str, row: Row, column: str | None) -> DataError:
    return DataError(problem, mend=mend, row=row.number, column=column)
