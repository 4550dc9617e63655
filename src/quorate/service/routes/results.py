"""What a campaign has come to: consensus, agents, counts, disagreements, and what can be proven of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from quorate.errors import NotFoundError
from quorate.policy.certify import certify
from quorate.service.auth import Reader, campaign_for, service_of
from quorate.service.campaign_shapes import ScoringShown
from quorate.service.wire import After, Id, Limit
from quorate.store.reading import list_items, read_campaign_page
from quorate.store.results import (
    TaskCount,
    read_disputes,
    read_known,
    read_note,
    read_standing,
    read_sureness,
    read_workers,
)
from quorate.store.scoring import read_scoring

router = APIRouter(prefix="/campaigns/{campaign_id}", tags=["results"])
Share = Annotated[float, Query(gt=0, lt=1, allow_inf_nan=False)]


class ConsensusRow(BaseModel):
    """What is thought of one task of one item."""

    item: str
    task: str
    label: str | None
    confidence: float | None
    n_labels: int
    open: bool


class ConsensusPage(BaseModel):
    """The consensus of some items; `next` is the `after` of the next page, null at the end."""

    rows: list[ConsensusRow]
    next: int | None


class PersonShown(BaseModel):
    """What one person did."""

    user_id: int
    name: str
    labels: int
    late: int
    last_at: float


class AgentsShown(BaseModel):
    """The people, and what the fitted model says of everybody; null before one is fitted."""

    people: list[PersonShown]
    model: dict[str, Any] | None


class TaskCountShown(BaseModel):
    """One task over all items; `saved` is the share of labels that its closed items did without."""

    closed: int
    open: int
    labels: int
    expected_accuracy: float | None
    saved: float | None


class Overview(BaseModel):
    """A campaign in figures."""

    items: int
    closed_items: int
    labels: int
    saved: float | None
    expected_accuracy: float | None
    spent: float
    reserved: float
    budget: float | None
    people: int
    model_version: int | None
    tasks: dict[str, TaskCountShown]
    scoring: ScoringShown | None = None


class DisputeShown(BaseModel):
    """A task of an item about which people say different things."""

    item: str
    task: str
    label: str | None
    confidence: float | None
    open: bool
    votes: dict[str, int]


class CertificateShown(BaseModel):
    """What is proven of the answers that a confidence closes, and in words."""

    threshold: float | None
    floor: float
    delta: float
    n: int
    n_items: int
    closed: int
    accuracy: float | None
    lower: float | None
    share_closed: float
    target: str
    fit_checked: bool
    reason: str | None
    sentence: str


@router.get("/consensus", response_model=ConsensusPage)
def consensus(request: Request, campaign_id: Id, principal: Reader, after: After = 0, limit: Limit = 100) -> Any:
    """The consensus, some items at a time."""
    with service_of(request).database.reading() as connection:
        campaign_for(connection, principal, campaign_id)
        found = list_items(connection, campaign_id, after=after, limit=limit)
    rows = [
        {
            "item": item.external_id,
            "task": name,
            "label": task.label,
            "confidence": task.confidence,
            "n_labels": task.given,
            "open": task.open,
        }
        for item in found
        for name, task in item.state.items()
    ]
    return {"rows": rows, "next": found[-1].id if len(found) == limit else None}


@router.get("/agents", response_model=AgentsShown)
def agents(request: Request, campaign_id: Id, principal: Reader) -> Any:
    """Who did how much, and how far everybody is to be relied on."""
    with service_of(request).database.reading() as connection:
        campaign = campaign_for(connection, principal, campaign_id)
        people = [each._asdict() for each in read_workers(connection, campaign_id)]
        try:
            note = read_note(connection, campaign)
        except NotFoundError:
            note = None
    return {"people": people, "model": note}


@router.get("/overview", response_model=Overview)
def overview(request: Request, campaign_id: Id, principal: Reader) -> Any:
    """The campaign in figures."""
    with service_of(request).database.reading() as connection:
        campaign = campaign_for(connection, principal, campaign_id)
        page, standing = read_campaign_page(connection, campaign_id), read_standing(connection, campaign)
        people = len(read_workers(connection, campaign_id))
        scoring = read_scoring(connection, campaign_id, campaign.settings)
    overlap, counts = campaign.settings.overlap, standing.tasks.values()
    return {
        "items": standing.items,
        "closed_items": standing.closed_items,
        "labels": sum(task.labels for task in counts),
        "saved": _saved(sum(t.labels_of_closed for t in counts), sum(t.closed for t in counts), overlap),
        "expected_accuracy": _mean(counts),
        "spent": page.spent,
        "reserved": page.reserved,
        "budget": campaign.budget,
        "people": people,
        "model_version": campaign.model_version,
        "tasks": {
            name: task._asdict() | {"saved": _saved(task.labels_of_closed, task.closed, overlap)}
            for name, task in standing.tasks.items()
        },
        "scoring": scoring._asdict() if scoring else None,
    }


@router.get("/disagreements", response_model=list[DisputeShown])
def disagreements(request: Request, campaign_id: Id, principal: Reader, limit: Limit = 50) -> Any:
    """Where people disagree, the least sure first."""
    with service_of(request).database.reading() as connection:
        campaign_for(connection, principal, campaign_id)
        return [each._asdict() for each in read_disputes(connection, campaign_id, limit=limit)]


@router.get("/certificate", response_model=CertificateShown)
def certificate(request: Request, campaign_id: Id, principal: Reader, floor: Share = 0.95, delta: Share = 0.1) -> Any:
    """What is proven of accuracy, on the anchors whose truth is known; they must not have been used in the fit."""
    service = service_of(request)
    with service.database.reading() as connection:
        campaign = campaign_for(connection, principal, campaign_id)
        known = read_known(connection, service.engine, campaign)
        sureness = np.array(list(read_sureness(connection, campaign)), float)
    if not known:
        nothing = dict.fromkeys(("threshold", "accuracy", "lower"))
        counts = dict.fromkeys(("n", "n_items", "closed", "share_closed"), 0)
        why = "nothing is thought yet of any anchor of known truth; upload some with `anchor`, `gold` and scores"
        settings = {"floor": floor, "delta": delta, "target": "gold", "fit_checked": False}
        return {**nothing, **counts, **settings, "reason": why, "sentence": f"Nothing is proven: {why}."}
    found = certify(
        np.array([each.confidence for each in known]),
        np.array([each.right for each in known], float),
        floor,
        delta,
        items=[each.item for each in known],
        campaign=sureness if len(sureness) else None,
    )
    return asdict(found) | {"sentence": found.sentence()}


def _saved(labels: int, closed: int, overlap: int) -> float | None:
    """The share of labels that closed answers did without, against asking everybody."""
    return 1 - labels / (closed * overlap) if closed else None


def _mean(counts: Any) -> float | None:
    """The mean confidence over all tasks, each as often as it has items."""
    pairs: list[tuple[int, TaskCount]] = [(task.open + task.closed, task) for task in counts]
    known = [(n, task.expected_accuracy) for n, task in pairs if task.expected_accuracy is not None]
    total = sum(n for n, _ in known)
    return sum(n * value for n, value in known) / total if total else None
