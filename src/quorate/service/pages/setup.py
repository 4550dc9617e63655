"""Setting a campaign up in the browser: from a file of items to the first question."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import IO, Annotated, Any

from fastapi import APIRouter, Depends, Request
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from quorate.data.restricted import RESTRICTED, is_restricted
from quorate.errors import DataError, QuorateError, SchemaError, SettingError
from quorate.policy.stopping import PerTaskConfidence
from quorate.schema import UNFIT, Schema, Task
from quorate.service.auth import Principal, page_user, service_of
from quorate.service.offer import Offer
from quorate.service.pages.charts import Number
from quorate.service.pages.entered import HOW_SURE, Reading, entered_in
from quorate.service.pages.forms import check_lead, read_file, read_lists
from quorate.service.pages.guess import fine, guess_of, kind_of, plain
from quorate.service.pages.rendering import PageRoute, go, page, render
from quorate.service.pages.words import sentence
from quorate.service.uploads import Row, read_rows
from quorate.store.campaigns import add_campaign, change_state
from quorate.store.items import NewItem, add_items
from quorate.store.log import note_audit
from quorate.store.people import add_member
from quorate.store.records import Settings

router = APIRouter(route_class=PageRoute, include_in_schema=False)
User = Annotated[Principal, Depends(page_user)]
GOLD_RATE = 0.05


class FieldsError(SettingError):
    """Some fields of the form do not fit; what is wrong stands beside them."""

    def __init__(self, wrong: Mapping[str, str]) -> None:
        self.wrong = wrong
        super().__init__(next(iter(wrong.values())))


@router.get("/campaigns/new")
async def new(request: Request, principal: User) -> Response:
    """The form."""
    check_lead(principal)
    return _form(request, principal)


@router.post("/campaigns/new/look")
async def look(request: Request, principal: User) -> Response:
    """What the file seems to hold, as the rest of the form."""
    check_lead(principal)
    file = await read_file(request)
    if file is None:
        return render("guess.html.jinja", 422, guess=None, problem="Choose a file first.")
    try:
        guess = await run_in_threadpool(guess_of, file.file, file.filename or "")
    except QuorateError as error:
        return render("guess.html.jinja", 422, guess=None, problem=sentence(str(error)))
    return render("guess.html.jinja", guess=guess, problem=None)


@router.post("/campaigns/new")
async def make(request: Request, principal: User) -> Response:
    """The campaign with its items, running; then its first question."""
    check_lead(principal)
    fields, file = await read_lists(request), await read_file(request)
    try:
        if file is None:
            raise SettingError("choose a file with the items")
        campaign_id = await run_in_threadpool(_make, request, principal, fields, file.file, file.filename or "")
    except QuorateError as error:
        wrong = error.wrong if isinstance(error, FieldsError) else {}
        return _form(request, principal, problem=sentence(str(error)), fields=fields, wrong=wrong, status=422)
    return go(f"/campaigns/{campaign_id}/work")


# ---- the campaign ---------------------------------------------------------------------------------------------------
def _make(
    request: Request, principal: Principal, fields: Mapping[str, list[str]], file: IO[bytes], file_name: str
) -> int:
    """One transaction: the campaign and all its items, or nothing."""
    service, now, kind = service_of(request), service_of(request).clock(), kind_of(file_name)
    schema, sources = schema_of(fields)
    name = (_one(fields, "name") or PurePath(file_name).stem)[:200]
    if not name or UNFIT.search(name):
        raise SettingError("a campaign has a name of printing characters")
    settings = _settings(fields, service.settings.offer, with_gold=bool(sources))
    threshold = _number(fields, "confidence", 0.95, 0.5, 0.999)
    guidelines = _one(fields, "guidelines").replace("\x00", "")[:200_000]

    def work(connection: Connection) -> int:
        campaign = add_campaign(
            connection,
            name,
            schema,
            now=now,
            policy=json.loads(PerTaskConfidence(threshold).to_json()),
            settings=settings,
            prices={"label": _number(fields, "price", 0.0, 0.0, 1e9)},
            budget=_number(fields, "budget", 0.0, 0.0, 1e12) or None,
            guidelines=guidelines,
        )
        add_member(connection, campaign.id, principal.id)
        done = add_items(connection, campaign, items_of(file, kind, schema, fields, sources), now=now)
        if not done.added:
            raise DataError("the file holds no rows", mend="give a header and at least one row")
        change_state(connection, campaign.id, "running", version=campaign.version, now=now)
        note_audit(connection, principal.id, "campaign made", f"campaign {campaign.id}", done._asdict(), now=now)
        return campaign.id

    return service.database.write(work)


def schema_of(fields: Mapping[str, list[str]]) -> tuple[Schema, dict[str, str]]:
    """The tasks as they were typed, and of those with gold the column that holds it. Raises SchemaError."""
    tasks: list[Task] = []
    sources: dict[str, str] = {}
    columns, known = fields.get("task_column", []), set(fields.get("gold", []))
    ordered = set(fields.get("ordered", []))
    for at, (name, classes) in enumerate(zip(fields.get("task", []), fields.get("classes", []), strict=False)):
        split = "\n" if "\n" in classes.strip() else ","
        listed = tuple(each.strip() for each in classes.split(split) if each.strip())
        if not name.strip() and not listed:
            continue
        if not name.strip():
            raise SchemaError("a question has no name", mend="give every question a short name")
        if len(listed) < 2:
            raise SchemaError(f"question {name.strip()!r} has fewer than two answers", mend="list them with commas")
        if any(UNFIT.search(text) or len(text) > 200 for text in (name, *listed)):
            raise SchemaError("a name or an answer is too long or does not print", mend="shorten or clean it")
        tasks.append(Task(name.strip(), listed, str(at) in ordered))
        if str(at) in known and at < len(columns) and columns[at]:
            sources[name.strip()] = columns[at]
    if not tasks:
        raise SchemaError("there is no question", mend="ask at least one, with two answers or more")
    return Schema(tuple(tasks)), sources


def items_of(
    file: IO[bytes], kind: str, schema: Schema, fields: Mapping[str, list[str]], sources: Mapping[str, str]
) -> Iterator[NewItem]:
    """The rows as items. Raises DataError that names the row."""
    id_column, chosen = _one(fields, "id_column"), fields.get("shown", [])
    looked = "looked" in fields  # without scripts nothing could be chosen: everything but the id is shown then
    seen: set[str] = set()
    for row in map(fine, read_rows(file, kind)):
        values = row.values
        content = {name: value for name, value in values.items() if (name in chosen if looked else name != id_column)}
        name = plain(values[id_column]) if id_column in values else _digest(content, row.number, seen)
        if name in seen:
            raise DataError(f"item {name!r} is there twice", mend="name every item once", row=row.number)
        seen.add(name)
        if not content:
            raise DataError("there is nothing to show", mend="choose columns that are filled", row=row.number)
        known = {task: plain(values[column]) for task, column in sources.items() if column in values}
        gold = {task: label for task, label in known.items() if label in schema.task(task).code_of}
        yield NewItem(name, content, gold or None, restricted=_is_marked(row))


# ---- parts ----------------------------------------------------------------------------------------------------------
def _settings(fields: Mapping[str, list[str]], offer: Offer | None, *, with_gold: bool) -> Settings:
    overlap = int(_number(fields, "overlap", 3, 1, 50))
    blind = "suggest" not in fields
    reading = Reading(entered_in(fields, 0))
    labeler = reading.labeler(None, offer)
    if reading.wrong:
        raise FieldsError(reading.wrong)
    gold_rate = GOLD_RATE if with_gold else 0.0
    return Settings(overlap=overlap, together=overlap, blind=blind, gold_rate=gold_rate, labeler=labeler)


def _number(fields: Mapping[str, list[str]], name: str, usual: Number, low: Number, high: Number) -> float:
    text = _one(fields, name).replace(",", ".")
    try:
        value = float(text or usual)
    except ValueError:
        raise SettingError(f"{name} is a number, not {text!r}") from None
    if not low <= value <= high:
        raise SettingError(f"{name} is between {low:g} and {high:g}, not {value:g}")
    return value


def _one(fields: Mapping[str, list[str]], name: str) -> str:
    return (fields.get(name) or [""])[-1].strip()


def _is_marked(row: Row) -> bool:
    """Whether a column says that people may not be shown this item."""
    marks = [(name, is_restricted(mark)) for name, mark in row.values.items() if name.casefold() == RESTRICTED]
    for name, mark in marks:
        if mark is None:
            problem = f"{row.values[name]!r} is neither true nor false"
            raise DataError(problem, mend="write true or false", row=row.number, column=name)
    return any(mark for _, mark in marks)


def _digest(content: Mapping[str, Any], number: int, seen: set[str]) -> str:
    """A name that the content alone decides; of two alike the second bears its row."""
    name = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]
    return name if name not in seen else f"{name}-{number}"


def _form(
    request: Request,
    principal: Principal,
    *,
    problem: str | None = None,
    fields: Mapping[str, list[str]] | None = None,
    wrong: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    given = fields or {}
    typed = list(zip(given.get("task", []), given.get("classes", []), strict=False)) or [("", "")]
    one = defaultdict(str, {name: values[-1] for name, values in given.items() if values})
    offer = service_of(request).settings.offer
    return page(
        "setup.html.jinja",
        principal,
        status,
        problem=problem,
        typed=typed,
        given=one,
        offered=offer.models if offer else (),
        chosen=given.get("model", []),
        how_sure=HOW_SURE,
        wrong={name: sentence(text) for name, text in (wrong or {}).items()},
    )
