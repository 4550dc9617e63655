"""How a campaign asks is changed in the browser: policy, prices, budget, models; scores come in, a fit is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy import Connection
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from quorate.errors import ConflictError, NotFoundError, QuorateError, SettingError
from quorate.service.auth import Principal, campaign_for, page_user, service_of
from quorate.service.changing import ask_fit, change, changes_verdicts, take_scores
from quorate.service.judging import rejudge_all
from quorate.service.pages.entered import HOW_SURE, KEEP, KINDS, Entered, Reading, entered_in, entered_of
from quorate.service.pages.forms import check_lead, read_file, read_lists
from quorate.service.pages.guess import kind_of
from quorate.service.pages.rendering import PageRoute, go, page
from quorate.service.pages.words import sentence
from quorate.service.problems import Refusal, RowProblem
from quorate.service.wire import Id
from quorate.store.accounts import list_members
from quorate.store.fitting import last_fit, read_learning
from quorate.store.overview import read_model
from quorate.store.reading import read_campaign_page
from quorate.store.scoring import read_scoring

router = APIRouter(route_class=PageRoute, include_in_schema=False)
User = Annotated[Principal, Depends(page_user)]
Said = Annotated[str, Query(pattern="^(kept|same|scores|refit)$")]
MOST_NAMED = 200  # people whose price may be set on the page
MOST_ROWS = 10  # of a file that are told
MOVED = "somebody else has changed the campaign meanwhile; this is how it stands now"


@router.get("/campaigns/{campaign_id}/settings")
def settings(
    request: Request,
    campaign_id: Id,
    principal: User,
    said: Said | None = None,
    n: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> Response:
    """The form."""
    return _form(request, campaign_id, principal, said=(said, n) if said else None)


@router.post("/campaigns/{campaign_id}/settings")
async def change_settings(request: Request, campaign_id: Id, principal: User) -> Response:
    """Keep what was changed, or say beside each field what is wrong with it; nothing is kept then."""
    check_lead(principal)
    fields, service = await read_lists(request), service_of(request)
    text = (fields.get("version") or [""])[-1]
    version = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1

    def keep() -> Response:
        with service.database.reading() as connection:
            campaign = campaign_for(connection, principal, campaign_id)
        entered = entered_in(fields, len(campaign.schema.tasks))
        reading = Reading(entered)
        given = reading.change(campaign, service.settings.offer)
        if reading.wrong:
            return _form(request, campaign_id, principal, entered=entered, wrong=reading.wrong, status=422)
        if not given.model_fields_set:
            return go(f"/campaigns/{campaign_id}/settings?said=same")
        service.database.write(lambda c: change(c, service, principal, campaign_id, given, version=version))
        answer = go(f"/campaigns/{campaign_id}/settings?said=kept")
        if changes_verdicts(given):
            answer.background = BackgroundTask(rejudge_all, service, campaign_id)
        return answer

    try:
        return await run_in_threadpool(keep)
    except ConflictError:
        return await run_in_threadpool(lambda: _form(request, campaign_id, principal, problem=MOVED, status=409))
    except NotFoundError:
        raise
    except QuorateError as error:
        told = str(error)
        return await run_in_threadpool(lambda: _form(request, campaign_id, principal, problem=told, status=422))


@router.post("/campaigns/{campaign_id}/scores")
async def upload_scores(request: Request, campaign_id: Id, principal: User) -> Response:
    """Scores of models from a file, all or none."""
    check_lead(principal)
    file, service = await read_file(request), service_of(request)

    def keep(content: IO[bytes], name: str) -> Response:
        with service.database.reading() as connection:
            campaign = campaign_for(connection, principal, campaign_id)
        touched = take_scores(service, principal, campaign, content, kind_of(name))
        answer = go(f"/campaigns/{campaign_id}/settings?said=scores&n={len(touched)}#scores")
        if touched:
            answer.background = BackgroundTask(
                rejudge_all, service, campaign_id, after=min(touched) - 1, only_with_model=True
            )
        return answer

    rows: Sequence[RowProblem] = ()
    try:
        if file is None:
            raise SettingError("choose a file first")
        return await run_in_threadpool(keep, file.file, file.filename or "")
    except Refusal as refusal:
        told, rows = refusal.detail if not refusal.rows else "nothing was kept, for these rows are wrong", refusal.rows
    except NotFoundError:
        raise
    except QuorateError as error:
        told = str(error)
    wrong = {"file": told}
    return await run_in_threadpool(
        lambda: _form(request, campaign_id, principal, wrong=wrong, rows=rows[:MOST_ROWS], status=422)
    )


@router.post("/campaigns/{campaign_id}/refit")
def refit(request: Request, campaign_id: Id, principal: User) -> Response:
    """Have the model fitted anew, now."""
    check_lead(principal)
    service = service_of(request)
    service.database.write(lambda connection: ask_fit(connection, service, principal, campaign_id))
    return go(f"/campaigns/{campaign_id}/settings?said=refit#model")


# ---- parts ----------------------------------------------------------------------------------------------------------
def _form(
    request: Request,
    campaign_id: int,
    principal: Principal,
    *,
    entered: Entered | None = None,
    wrong: Mapping[str, str] | None = None,
    problem: str | None = None,
    rows: Sequence[RowProblem] = (),
    said: tuple[str, int] | None = None,
    status: int = 200,
) -> Response:
    check_lead(principal)
    service = service_of(request)
    with service.database.reading() as connection:
        campaign = campaign_for(connection, principal, campaign_id)
        values = _values(connection, campaign_id)
    people = [each.name for each in values.pop("members") if each.role != "reader"][:MOST_NAMED]
    offer = service.settings.offer
    before = campaign.settings.labeler
    return page(
        "settings.html.jinja",
        principal,
        status,
        campaign=campaign,
        entered=entered or entered_of(campaign, people),
        wrong={name: sentence(text) for name, text in (wrong or {}).items()},
        problem=sentence(problem) if problem else None,
        rows=rows,
        said=said,
        now=service.clock(),
        kinds=KINDS,
        keep=KEEP,
        how_sure=HOW_SURE,
        offered=list(dict.fromkeys([*(offer.models if offer else ()), *(before.models if before else ())])),
        **values,
    )


def _values(connection: Connection, campaign_id: int) -> dict[str, Any]:
    shown = read_campaign_page(connection, campaign_id)
    return {
        "shown": shown,
        "members": list_members(connection, campaign_id),
        "model": read_model(connection, shown.campaign),
        "learning": read_learning(connection, campaign_id),
        "fit": last_fit(connection, campaign_id),
        "scoring": read_scoring(connection, campaign_id, shown.campaign.settings),
    }
