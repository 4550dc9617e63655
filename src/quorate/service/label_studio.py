"""quorate as Label Studio's machine learning backend: teams keep their tool, and are asked only what is still open.

Label Studio asks here for predictions and sends what people answered. A control of its labeling configuration asks the
task of its name. It signs in with a token of a lead: as the password of its basic authentication (the name is not
looked at), as a header of its webhooks, or, where it can do neither, as `?token=`.

In a blind campaign a prediction holds only its score, by which Label Studio can sort: whoever sees an answer first no
longer gives their own. Answers that were given upon a prediction are marked as assisted.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from quorate.data.formats.json_tree import Node
from quorate.data.formats.label_config import Control, read_config
from quorate.data.formats.label_studio_read import Asked, is_assisted, item_of, person_of, read_result
from quorate.data.formats.label_studio_write import prediction
from quorate.data.formats.our_own import ITEM_KEY, OURS, Guess, restriction
from quorate.errors import ForbiddenError, SchemaError, SignInError
from quorate.schema import Schema
from quorate.service.auth import campaign_for, door_of, service_of
from quorate.service.door import Credential, Principal
from quorate.service.limits import address_of
from quorate.store.fitting import ask_refit
from quorate.store.items import NewItem, add_items
from quorate.store.labels import Said, Taken, delete_imported, import_labels
from quorate.store.opinions import Opinion, known_items, last_change, read_opinions
from quorate.store.people import PREFIX
from quorate.store.records import Campaign
from quorate.store.submit import rejudge

router = APIRouter(prefix="/label-studio/{campaign_id}", include_in_schema=False)  # the protocol is not ours
MOST_CREDENTIAL = 400
Sent = Annotated[dict[str, Any], Body()]


# ---- who asks -------------------------------------------------------------------------------------------------------
async def lead_of_tool(request: Request) -> Principal:
    """The lead or owner whose token the tool was given. Raises SignInError, ForbiddenError."""
    text, door = _token(request), door_of(request)
    if text is None:
        raise SignInError
    credential = Credential("token", text)
    principal = door.remembered.get(credential)
    if principal is None:
        principal = await run_in_threadpool(door.who, credential, address_of(request.scope))
    request.scope.setdefault("state", {})["principal"] = principal
    door.rates.take(principal.id)
    if principal.role not in {"owner", "lead"}:
        raise ForbiddenError(f"a labeling tool needs a token of a lead; this is one of a {principal.role}")
    return principal


def _token(request: Request) -> str | None:
    header = request.headers.get("authorization")
    text = request.query_params.get("token", "") if header is None else _from_header(header)
    return text if text.startswith(PREFIX) and len(text) <= MOST_CREDENTIAL else None


def _from_header(header: str) -> str:
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return text.strip() if scheme.lower() in {"bearer", "token"} else ""
    try:
        return base64.b64decode(text, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


Lead = Annotated[Principal, Depends(lead_of_tool)]


# ---- the protocol ---------------------------------------------------------------------------------------------------
@router.get("")
@router.get("/")
@router.get("/health")
def health(request: Request, campaign_id: int, lead: Lead) -> dict[str, str]:
    """That we are here, and that the tool may ask."""
    with service_of(request).database.reading() as connection:
        campaign_for(connection, lead, campaign_id)
    return {"status": "UP", "model_class": OURS}


@router.post("/setup")
def setup(request: Request, campaign_id: int, lead: Lead, sent: Sent) -> dict[str, str]:
    """Which predictions there are now; refused where the project does not ask what the campaign asks.

    The access token that Label Studio sends along is not looked at, and kept nowhere.
    """
    schema = sent.get("schema")
    with service_of(request).database.reading() as connection:
        campaign = campaign_for(connection, lead, campaign_id)
        if isinstance(schema, str):
            _check(_controls(schema, campaign.schema), campaign.schema)
        return {"model_version": _version(connection, campaign)}


@router.post("/predict")
def predict(request: Request, campaign_id: int, lead: Lead, sent: Sent) -> dict[str, Any]:
    """One prediction for each of the tasks, of what is still open about its item; none for an unknown item."""
    service = service_of(request)
    body = Node(sent, "body")
    tasks = list(body.need("tasks").each())
    names = [item_of(task) for task in tasks]
    with service.database.reading() as connection:
        campaign = campaign_for(connection, lead, campaign_id)
        controls = _controls(body.need("label_config").name(), campaign.schema)
        known = read_opinions(connection, service.engine, campaign, names)
        version = _version(connection, campaign)
    new = {name: task for name, task in zip(names, tasks, strict=True) if name not in known}
    if new and campaign.settings.adopt:
        service.database.write(lambda connection: _adopt(connection, campaign, new, service.clock()))
        if campaign.model_version is not None:  # nobody is asked about an item before the model has spoken
            rejudge(service.database, service.engine, campaign_id, now=service.clock(), only_new=True)
        with service.database.reading() as connection:
            known |= read_opinions(connection, service.engine, campaign, list(new))
    return {"results": [_prediction(campaign, version, controls, name, known.get(name)) for name in names]}


@router.post("/train")  # what older servers send in place of START_TRAINING
def train(request: Request, campaign_id: int, lead: Lead) -> dict[str, Any]:
    """A model is wanted anew."""
    service = service_of(request)
    with service.database.reading() as connection:
        campaign = campaign_for(connection, lead, campaign_id)
    now = service.clock()
    service.database.write(lambda connection: ask_refit(connection, campaign.id, now=now, user_id=lead.id))
    return {"result": {}, "status": "ok"}


@router.post("/webhook")
def webhook(request: Request, campaign_id: int, lead: Lead, sent: Sent) -> dict[str, Any]:
    """What people did in the tool: answered, changed or deleted an answer; or that it wants a model fitted anew."""
    service, body = service_of(request), Node(sent, "body")
    action = body.need("action").name()
    with service.database.reading() as connection:
        campaign = campaign_for(connection, lead, campaign_id)
    now = service.clock()
    if action in {"ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED"}:
        rows = _said(campaign, body)

        def take(connection: Connection) -> Taken:
            if campaign.settings.adopt and (task := body.get("task")):
                _adopt(connection, campaign, {item_of(task): task}, now)
            return import_labels(connection, service.engine, campaign, rows, now)

        return _done(service.database.write(take))
    if action in {"ANNOTATIONS_DELETED", "ANNOTATION_DELETED"}:
        gone = [_source(each) for each in _annotations(body)]
        delete = lambda connection: delete_imported(connection, service.engine, campaign, gone, now)  # noqa: E731
        return _done(service.database.write(delete))
    if action == "START_TRAINING":
        return train(request, campaign_id, lead)
    return {"result": {}, "status": "Unknown event"}


@router.get("/versions")
def versions(request: Request, campaign_id: int, lead: Lead) -> dict[str, list[str]]:
    """The version of the predictions: there is only what is thought now."""
    with service_of(request).database.reading() as connection:
        return {"versions": [_version(connection, campaign_for(connection, lead, campaign_id))]}


@router.get("/metrics")
def metrics(lead: Lead) -> dict[str, Any]:  # noqa: ARG001 # it may ask, and is told nothing
    """Label Studio asks for figures of a training; there are none."""
    return {}


# ---- what is asked --------------------------------------------------------------------------------------------------
def _controls(config: str, schema: Schema) -> tuple[Control, ...]:
    """The controls that ask tasks of the campaign. Raises FormatError for what is no labeling configuration."""
    asked = Asked.of(schema)
    return tuple(each for each in read_config(config) if each.name in asked.single or each.name in asked.options)


def _check(controls: Sequence[Control], schema: Schema) -> None:
    """Raises SchemaError where no control asks a task, or one offers what the task does not."""
    asked = Asked.of(schema)
    if not controls:
        names = ", ".join(map(repr, [*asked.single, *asked.options][:20]))
        raise SchemaError("the project asks nothing of the campaign", mend=f"name its controls as the tasks: {names}")
    for control in controls:
        options = asked.options.get(control.name)
        if control.multiple != (options is not None):
            mend = 'set choice="multiple" for choose-all-that-apply questions, and for no other'
            raise SchemaError(f"the control {control.name!r} is not of the campaign's kind", mend=mend)
        ours = [t.option_of.label for t in options if t.option_of] if options else asked.single[control.name].classes
        strange = [label for label in control.classes if label not in ours]
        if strange:
            mend = f"offer only {', '.join(map(repr, list(ours)[:20]))}"
            raise SchemaError(f"the control {control.name!r} offers {strange[0]!r}, which is no class", mend=mend)


def _version(connection: Connection, campaign: Campaign) -> str:
    """Another one whenever what is thought may have changed, since Label Studio asks only once about each version."""
    return f"{OURS}-{campaign.model_version or 0}.{last_change(connection, campaign.id)}"


def _prediction(
    campaign: Campaign, version: str, controls: Sequence[Control], name: str, opinion: Opinion | None
) -> list[dict[str, Any]]:
    if opinion is None:
        return []
    open_ = {
        task: Guess(state.label, state.confidence)
        for task, state in opinion.state.items()
        if state.open and state.label is not None
    }
    made = prediction(version, controls, campaign.schema, open_, f"{OURS}-{name}"[:40])
    made["result"] = [region for region in made["result"] if _offered(region, controls)]
    if campaign.settings.blind:
        made["result"] = []
    closed = all(not state.open for state in opinion.state.values())
    return [{"score": 1.0 if closed else 0.0, **made}]


def _offered(region: Mapping[str, Any], controls: Sequence[Control]) -> bool:
    control = next(each for each in controls if each.name == region["from_name"])
    chosen = region["value"].get("choices", [])
    return not control.classes or all(label in control.classes for label in chosen)


def _adopt(connection: Connection, campaign: Campaign, tasks: Mapping[str, Node], now: float) -> None:
    """Take items in that only the tool knew."""
    known = known_items(connection, campaign.id, list(tasks))
    new = [NewItem(name, _content(task)) for name, task in tasks.items() if name not in known]
    for item in new:
        _check_shown(tasks[item.external_id])
    if new:
        add_items(connection, campaign, new, now=now)


def _check_shown(task: Node) -> None:
    """Raises FormatError for a task that says, in its data or beside it, that people may not be shown it."""
    if restriction(task, "data", "meta"):
        raise task.error(
            "the task is restricted, or not clearly open, and a campaign shows its items to people",
            "leave restricted tasks out of the project; models inside a declared boundary may label them",
        )


def _content(task: Node) -> dict[str, Any]:
    data = task.get("data")
    return {key: value for key, value in (data.object() if data else {}).items() if key != ITEM_KEY}


# ---- what was answered ----------------------------------------------------------------------------------------------
def _annotations(body: Node) -> list[Node]:
    """One annotation or a list of them, under either key: both spellings are sent."""
    found = body.get("annotation") or body.need("annotations")
    return list(found.each()) if isinstance(found.value, list) else [found]


def _source(annotation: Node) -> str:
    return f"label-studio:{annotation.need('id').name()}"


def _said(campaign: Campaign, body: Node) -> list[Said]:
    asked, task = Asked.of(campaign.schema), body.get("task")
    return [_one(asked, annotation, task) for annotation in _annotations(body)]


def _one(asked: Asked, annotation: Node, task: Node | None) -> Said:
    """An annotation in our words; one that was skipped says nothing."""
    skipped = annotation.get("was_cancelled")
    nothing = skipped is not None and skipped.truth()
    answers = {} if nothing else asked.labels(read_result(annotation.get("result"), Counter()))
    seconds, changed = annotation.get("lead_time"), annotation.get("updated_at") or annotation.get("created_at")
    return Said(
        item_of(task) if task else annotation.need("task").name(),
        person_of(annotation.get("completed_by")),
        answers,
        at=_time(annotation.get("created_at")),
        seconds=max(0.0, seconds.number()) if seconds else None,
        assisted=is_assisted(annotation),
        source=_source(annotation),
        version=changed.name()[:100] if changed else "",
    )


def _time(at: Node | None) -> float | None:
    if at is None:
        return None
    try:
        moment = datetime.fromisoformat(at.name())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise at.error(f"{at.name()[:40]!r} is no time", "send times as ISO 8601 has them") from None


def _done(taken: Taken) -> dict[str, Any]:
    return {"result": taken._asdict(), "status": "ok"}
