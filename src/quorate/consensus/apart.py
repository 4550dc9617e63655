"""What estimators share that fit every task apart: their fits as one, their posteriors as one consensus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from quorate.consensus.door import coded_of, positions_by_task
from quorate.consensus.estimator import Fit, HeldOut, Model, Status
from quorate.consensus.posterior import Consensus, IndependentBelief, PeopleRows, Target
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.schema import Schema

Array = np.ndarray
Predicted = tuple[Float64[Array, "asked latent"], Float64[Array, "asked classes"]]


@runtime_checkable
class Ended(Protocol):
    """How the fit of one task ended."""

    @property
    def status(self) -> Status:
        """Converged or not."""
        ...

    @property
    def objective(self) -> tuple[float, ...]:
        """Up is better; one value per iteration."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should be told."""
        ...


@runtime_checkable
class Told(Protocol):
    """How latent classes of one task show."""

    @property
    def population(self) -> Float64[Array, "latent classes"]:
        """In a person's label."""
        ...

    @property
    def gold(self) -> Float64[Array, "latent classes"] | None:
        """In gold; None where the fit saw none."""
        ...


def whole_fit(ends: Sequence[Ended]) -> Fit:
    """All tasks as one fit: the objective is the sum, a finished task keeping its last value."""
    told = [end for end in ends if end.status != "prior only"]
    length = max((len(end.objective) for end in told), default=0)
    padded = [(*end.objective, *[end.objective[-1]] * (length - len(end.objective))) for end in told]
    objective = tuple(float(value) for value in np.sum(padded, axis=0)) if told else ()
    status: Status = "iteration limit" if any(end.status == "iteration limit" for end in told) else "converged"
    return Fit(status if told else "prior only", length, objective, tuple(note for end in ends for note in end.notes))


def strangers(coded: Coded) -> tuple[str, ...]:
    """A note on labels of people whom the fit never met, if there are any."""
    n = int((coded.labels.annotator < 0).sum())
    return (f"{n} labels come from annotators whom the fit never saw; they count as the population's.",) if n else ()


def consensus_of(
    schema: Schema,
    tasks: Sequence[Told],
    targets: tuple[Target, ...],
    items: tuple[str, ...],
    counts: Sequence[Int32[Array, "items _"]],
    latent: Sequence[Float64[Array, "items _"]],
    seen: Bool[Array, "items tasks"],
    notes: tuple[str, ...] = (),
) -> Consensus:
    """The consensus of posteriors that know nothing of one another."""
    people = tuple(
        PeopleRows(np.eye(len(task.classes)), told.population, told.gold)
        for task, told in zip(schema.tasks, tasks, strict=True)
    )
    return Consensus(schema, items, tuple(counts), IndependentBelief(tuple(latent)), people, targets, seen, notes)


def held_out_of(
    model: Model,
    data: Dataset | Coded,
    positions: Int64[Array, "held"],
    of_task: Callable[[Coded, int, Int64[Array, "asked"]], Predicted],
) -> HeldOut:
    """Labels predicted task by task; of_task gets the data in the model's vocabulary, a task, and places in it."""
    coded = coded_of(data)
    aligned = coded.aligned(model.schema, model.annotators, model.models)
    asked = positions_by_task(coded, aligned, positions)
    both = [of_task(aligned, t, place) for t, (_, place) in enumerate(asked)]
    return HeldOut(tuple(a for a, _ in asked), tuple(latent for latent, _ in both), tuple(p for _, p in both))
