"""What every estimator is: options with `fit(data) -> Model`; what every fitted model answers; the registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64

from quorate.consensus.posterior import Consensus
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.schema import Schema

Array = np.ndarray
Given = Literal["others", "evidence"]  # all other labels and the models, or the models alone
Status = Literal["converged", "iteration limit", "prior only"]


class Fit(NamedTuple):
    """How a fit ended."""

    status: Status
    iterations: int
    objective: tuple[float, ...]  # up is better; nats; one value per iteration kept
    notes: tuple[str, ...] = ()  # what the user should be told, one sentence each


class HeldOut(NamedTuple):
    """Predictions of people's labels, each without itself; one entry per asked position, grouped by task."""

    positions: tuple[Int64[Array, "_held"], ...]  # places in Coded.labels, per task
    latent: tuple[Float64[Array, "_held _latent"], ...]  # posterior of the cell without that label
    label: tuple[Float64[Array, "_held _classes"], ...]  # P(that person's label)


class Session(ABC):
    """One item, online."""

    @abstractmethod
    def update(self, task: str, annotator: str, label: str) -> None:
        """Take in one label. Raises SchemaError for an unknown task or class."""

    @abstractmethod
    def probs(self, task: str) -> Float64[Array, "classes"]:
        """P(target label | all so far)."""

    @abstractmethod
    def consensus(self) -> Consensus:
        """The consensus for this one item, as a batch prediction would give it."""


class Model(ABC):
    """A fitted estimator."""

    name: str
    schema: Schema
    annotators: tuple[str, ...]
    models: tuple[str, ...]
    fit: Fit

    @abstractmethod
    def predict(self, data: Dataset | Coded) -> Consensus:
        """The consensus on these items; new items, new annotators and missing models are fine."""

    @abstractmethod
    def held_out(self, data: Dataset | Coded, positions: Int64[Array, "held"], given: Given) -> HeldOut:
        """Predict labels at `positions` of the data's encoded labels, each from everything but itself."""

    @abstractmethod
    def session(
        self,
        scores: Mapping[str, Mapping[str, Mapping[str, float] | str]] | None = None,
        *,
        features: Float64[Array, "features"] | None = None,
        item: str = "item",
    ) -> Session:
        """One item, online. scores: task -> model -> {class: score}, or the model's hard answer as a text."""

    @abstractmethod
    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and JSON-able settings from which `from_state` of this class rebuilds the model."""


@runtime_checkable
class Archetypal(Protocol):
    """A fitted model that sorts the language models into kinds."""

    def archetypes(self) -> Mapping[str, Float64[Array, "archetypes"]]:
        """P(archetype) of every model."""
        ...


@runtime_checkable
class Estimator(Protocol):
    """Options; `fit` makes the model."""

    def fit(self, data: Dataset | Coded, *, progress: Callable[[float, str], None] | None = None) -> Model:
        """Fit. progress(share done, what is being done) is called now and then."""
        ...
