"""What every fitted model keeps of itself beside its arrays, as JSON holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from quorate.consensus.estimator import Fit, Model
from quorate.consensus.posterior import Target
from quorate.schema import Schema


class Kept(NamedTuple):
    """The first fields of a fitted model."""

    schema: Schema
    annotators: tuple[str, ...]
    models: tuple[str, ...]
    fit: Fit


def kept(model: Model) -> dict[str, Any]:
    """Schema, vocabularies and fit."""
    return {
        "schema": model.schema.to_json(),
        "annotators": list(model.annotators),
        "models": list(model.models),
        "fit": model.fit._asdict(),
    }


def restored(settings: Mapping[str, Any]) -> Kept:
    """What `kept` wrote."""
    fit = settings["fit"]
    return Kept(
        Schema.from_json(settings["schema"]),
        tuple(settings["annotators"]),
        tuple(settings["models"]),
        Fit(fit["status"], fit["iterations"], tuple(fit["objective"]), tuple(fit["notes"])),
    )


def kept_targets(targets: tuple[Target, ...]) -> list[dict[str, Any]]:
    """Targets, task by task."""
    return [target._asdict() for target in targets]


def restored_targets(settings: Mapping[str, Any]) -> tuple[Target, ...]:
    """What `kept_targets` wrote under "targets"."""
    return tuple(Target(**target) for target in settings["targets"])
