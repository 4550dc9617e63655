"""The models of a campaign: which there were, how the next is fitted, and a fit on demand."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from quorate.service.auth import Lead, Reader, campaign_for, service_of
from quorate.service.changing import ask_fit
from quorate.service.wire import Id, Wire
from quorate.store import fitting
from quorate.store.fitting import Learning
from quorate.store.log import note_audit

router = APIRouter(prefix="/campaigns/{campaign_id}", tags=["models"])


class ModelShown(BaseModel):
    """A fitted model; the note says on how many labels it rests, how the fit ended and how the agents stand."""

    version: int
    estimator: str
    made_at: float
    through_event: int
    note: dict[str, Any]


class LearningShown(Wire):
    """How the model is fitted anew; `every_s` of null is only on demand."""

    estimator: Annotated[str, Field(max_length=100)] = "hybrid"
    least_labels: Annotated[int, Field(ge=1, le=10**9)] = 200
    growth: Annotated[float, Field(ge=0, le=100)] = 0.2
    every_s: Annotated[float, Field(ge=1, le=366 * 86_400)] | None = 600.0


class RefitAsked(BaseModel):
    """What is known of a fit at its asking; its end is an event."""

    model_version: int | None


@router.get("/models", response_model=list[ModelShown])
def models(request: Request, campaign_id: Id, principal: Reader) -> list[dict[str, Any]]:
    """The models so far, the last first."""
    with service_of(request).database.reading() as connection:
        campaign_for(connection, principal, campaign_id)
        return [each._asdict() | {"note": dict(each.note)} for each in fitting.read_models(connection, campaign_id)]


@router.post("/refit", response_model=RefitAsked, status_code=202)
def refit(request: Request, campaign_id: Id, principal: Lead) -> dict[str, Any]:
    """Have the model fitted anew, in the background; an event tells how it ended."""
    service = service_of(request)
    campaign = service.database.write(lambda connection: ask_fit(connection, service, principal, campaign_id))
    return {"model_version": campaign.model_version}


@router.get("/learning", response_model=LearningShown)
def learning(request: Request, campaign_id: Id, principal: Reader) -> dict[str, Any]:
    """How the model is fitted anew."""
    with service_of(request).database.reading() as connection:
        campaign_for(connection, principal, campaign_id)
        return asdict(fitting.read_learning(connection, campaign_id))


@router.put("/learning", response_model=LearningShown)
def change_learning(request: Request, campaign_id: Id, given: LearningShown, principal: Lead) -> dict[str, Any]:
    """Have the model fitted in another way from now on."""
    service = service_of(request)
    now = service.clock()

    def work(connection: Connection) -> dict[str, Any]:
        campaign_for(connection, principal, campaign_id)
        chosen = Learning(**given.model_dump())
        fitting.change_learning(connection, campaign_id, chosen, now=now, user_id=principal.id)
        note_audit(connection, principal.id, "learning changed", f"campaign {campaign_id}", {}, now=now)
        return asdict(chosen)

    return service.database.write(work)
