"""Whom one may ask: how every annotator answers, as a fitted model knows it, and what a label by them costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from quorate.consensus.dawid_skene import Confusion
from quorate.consensus.door import coded_of
from quorate.consensus.estimator import Model
from quorate.consensus.posterior import Consensus, PeopleRows
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import NotFittedError, SettingError
from quorate.policy.prices import Prices
from quorate.schema import Schema

Array = np.ndarray
FREE = 1e-9  # the price of a label that costs nothing: worth per price stays finite


@runtime_checkable
class KnowsPeople(Protocol):
    """A fitted model that tells annotators apart."""

    def confusion(self, task: str) -> Mapping[str, Float64[Array, "_latent _classes"]] | Confusion:
        """P(label | latent class) of every annotator seen on a task."""
        ...


class Rows(NamedTuple):
    """P(label | latent class) of whoever may be asked, task by task; last, of a typical person."""

    annotators: tuple[str, ...]
    of_task: tuple[Float64[Array, "_annotators_plus_1 _latent _classes"], ...]


def rows_of(
    model: Model,
    consensus: Consensus,
    annotators: Sequence[str] | None = None,
    *,
    taught: Dataset | Coded | None = None,
) -> Rows:
    """The rows of these annotators (default: all whom the model knows) and of a typical person.

    taught: the data that the model was fitted on. Who seems the best of many is in part the luckiest; given the data,
    everybody's rows lean on the typical ones as if they had a label there for each of the K (K - 1) numbers of theirs.
    Who was never seen on a task is taken as typical there; so is everybody where the model does not tell people apart.
    Raises NotFittedError for a model that has no rows for people at all.

    >>> from quorate.consensus.registry import estimator
    >>> from quorate.simulate.world import world
    >>> data = world("paper", 60).coded()
    >>> model = estimator("dawid-skene").fit(data)
    >>> rows_of(model, model.predict(data), taught=data).of_task[0].shape
    (51, 3, 3)
    """
    names = tuple(model.annotators if annotators is None else annotators)
    if len(set(names)) != len(names):
        raise SettingError("an annotator is named twice")
    tasks = zip(consensus.schema.tasks, consensus.people, strict=True)
    rows = Rows(names, tuple(_task_rows(model, task.name, people, names) for task, people in tasks))
    return rows if taught is None else _leaning(rows, coded_of(taught), consensus.schema)


def price_table(prices: Prices, schema: Schema, annotators: Sequence[str]) -> Float64[Array, "tasks annotators_plus_1"]:
    """The price of a label by everyone on every task, last by a typical person; never below FREE.

    Raises SettingError for the price of a task or an annotator that there is not.
    """
    for name in prices.of_task:
        if name not in schema.code_of:
            raise SettingError(f"there is a price for task {name!r}, which the schema does not have")
    for name in prices.of_annotator:
        if name not in annotators:
            raise SettingError(f"there is a price for annotator {name!r}, who cannot be asked")
    of_task = np.array([prices.of_task.get(task.name, prices.label) for task in schema.tasks], float)
    own = np.array([*(prices.of_annotator.get(name, np.nan) for name in annotators), np.nan])
    return np.maximum(np.where(np.isnan(own), of_task[:, None], own), FREE)


def _task_rows(
    model: Model, task: str, people: PeopleRows, names: tuple[str, ...]
) -> Float64[Array, "annotators_plus_1 latent classes"]:
    typical = people.population
    if typical is None:
        raise NotFittedError(
            f"{model.name!r} has no rows for people, so it cannot say what a label is worth; "
            "use dawid-skene, calibrated-dawid-skene, calco or hybrid"
        )
    found = model.confusion(task) if isinstance(model, KnowsPeople) else {}
    if isinstance(found, Confusion):
        found = dict(zip(found.agents, found.rows, strict=True))
    return np.ascontiguousarray(np.stack([*(found.get(name, typical) for name in names), typical]), np.float64)


def _leaning(rows: Rows, coded: Coded, schema: Schema) -> Rows:
    coded = coded.aligned(schema, rows.annotators, coded.models)
    task, known = coded.cell_of_label() % max(len(schema), 1), coded.labels.annotator >= 0
    times = np.zeros((len(schema), len(rows.annotators) + 1))
    np.add.at(times, (task[known], coded.labels.annotator[known]), 1.0)
    return rows._replace(of_task=tuple(_leaned(*each) for each in zip(rows.of_task, times, strict=True)))


def _leaned(
    of_task: Float64[Array, "people latent classes"], times: Float64[Array, "people"]
) -> Float64[Array, "people latent classes"]:
    n_classes = of_task.shape[2]
    own = (times / (times + n_classes * max(n_classes - 1, 1)))[:, None, None]
    return own * of_task + (1.0 - own) * of_task[-1]
