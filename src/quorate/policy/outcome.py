"""How replayed policies ended: labels, cost and quality of every item-task, and their figures side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int16, Int64

from quorate.evaluate.protocol import clustered_mean
from quorate.measure.efficiency import Estimate
from quorate.policy.stopping import Policy
from quorate.schema import Schema

Array = np.ndarray


class States(NamedTuple):
    """What is known in some states of items; credit and loss are 0 where there is no truth."""

    bought: Int16[Array, "states tasks"]  # labels
    cost: Float64[Array, "states tasks"]  # of these labels
    confidence: Float64[Array, "states tasks"]
    credit: Float64[Array, "states tasks"]
    loss: Float64[Array, "states tasks"]  # nats


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a policy ended, item-task by item-task. Policies share the states in which they end."""

    policy: Policy
    states: States = field(repr=False)
    end: Int64[Array, "items tasks"] = field(repr=False)  # the state in which each ended

    @property
    def bought(self) -> Int64[Array, "items tasks"]:
        """Labels."""
        return self._of(self.states.bought).astype(np.int64)

    @property
    def cost(self) -> Float64[Array, "items tasks"]:
        """Of the labels bought, in the currency of the prices."""
        return self._of(self.states.cost)

    @property
    def confidence(self) -> Float64[Array, "items tasks"]:
        """In the end."""
        return self._of(self.states.confidence)

    @property
    def credit(self) -> Float64[Array, "items tasks"]:
        """1 where right, shared among ties; 0 where there is no truth."""
        return self._of(self.states.credit)

    @property
    def loss(self) -> Float64[Array, "items tasks"]:
        """Log loss, in nats; 0 where there is no truth."""
        return self._of(self.states.loss)

    def _of(self, table: Array) -> Array:
        return np.take_along_axis(table, self.end, axis=0)


class Figures(NamedTuple):
    """A policy in one line; None where the data cannot tell."""

    labels: int  # bought
    efficiency: float | None  # share of labels saved
    cost: float  # currency
    saved: float  # currency
    accuracy: Estimate | None  # of the item-tasks that have a truth; errors clustered by item
    log_loss: Estimate | None  # nats


@dataclass(frozen=True, eq=False)
class Replayed:
    """Policies side by side on the same labels."""

    outcomes: tuple[Outcome, ...]
    n_labels: Int64[Array, "items tasks"]  # that there are
    full_cost: Float64[Array, "items tasks"]  # of all of them
    counted: Bool[Array, "items tasks"]  # has a truth
    schema: Schema
    items: tuple[str, ...]

    def figures(self, place: int) -> dict[str, Figures]:
        """The figures of the policy at this place: of all tasks under "", then of every task under its name."""
        outcome = self.outcomes[place]
        each = (outcome.bought, outcome.cost, outcome.credit, outcome.loss)
        parts = {"": slice(None), **{task.name: slice(t, t + 1) for t, task in enumerate(self.schema.tasks)}}
        return {name: self._figures(part, *(of[:, part] for of in each)) for name, part in parts.items()}

    def table(self) -> pa.Table:
        """One row per policy and task, and one with task "" for all tasks; null where the data cannot tell.

        policy (JSON), task, labels (bought), efficiency (share of labels saved), cost and saved (currency), accuracy
        and log_loss (nats) of the item-tasks that have a truth, with standard errors clustered by item.
        """
        rows = [
            {"policy": outcome.policy.to_json(), "task": name, **_row(figures)}
            for place, outcome in enumerate(self.outcomes)
            for name, figures in self.figures(place).items()
        ]
        return pa.Table.from_pylist(rows, schema=_COLUMNS)

    def _figures(self, part: slice, bought: Array, cost: Array, credit: Array, loss: Array) -> Figures:
        counted, available = self.counted[:, part], int(self.n_labels[:, part].sum())
        labels, spent, item = int(bought.sum()), float(cost.sum()), counted.nonzero()[0]
        return Figures(
            labels,
            1.0 - labels / available if available else None,
            spent,
            float(self.full_cost[:, part].sum()) - spent,
            clustered_mean(credit[counted], item) if len(item) else None,
            clustered_mean(loss[counted], item) if len(item) else None,
        )


def pooled(parts: Sequence[Replayed], order: Int64[Array, "items"]) -> Replayed:
    """The same policies on the items of all parts; `order` sorts the items of one part after the other."""
    tables: dict[tuple[int, ...], States] = {}  # policies that shared states still do: else each would hold them all
    outcomes: list[Outcome] = []
    for same in zip(*(part.outcomes for part in parts), strict=True):
        key = tuple(id(outcome.states) for outcome in same)
        if key not in tables:
            tables[key] = States(*map(np.concatenate, zip(*(outcome.states for outcome in same), strict=True)))
        before = np.cumsum([0, *(len(outcome.states.bought) for outcome in same)])
        end = [outcome.end + start for outcome, start in zip(same, before, strict=False)]
        outcomes.append(Outcome(same[0].policy, tables[key], np.concatenate(end)[order]))
    items = [item for part in parts for item in part.items]
    return Replayed(
        tuple(outcomes),
        np.concatenate([part.n_labels for part in parts])[order],
        np.concatenate([part.full_cost for part in parts])[order],
        np.concatenate([part.counted for part in parts])[order],
        parts[0].schema,
        tuple(items[i] for i in order),
    )


_NUMBERS = ("efficiency", "cost", "saved", "accuracy", "accuracy_se", "log_loss", "log_loss_se")
_COLUMNS = pa.schema(
    [
        ("policy", pa.string()),
        ("task", pa.string()),
        ("labels", pa.int64()),
        *((name, pa.float64()) for name in _NUMBERS),
    ]
)


def _row(figures: Figures) -> dict[str, float | int | None]:
    names = ("labels", "efficiency", "cost", "saved")
    row: dict[str, float | int | None] = {name: getattr(figures, name) for name in names}
    for name, estimate in (("accuracy", figures.accuracy), ("log_loss", figures.log_loss)):
        row |= {name: estimate and estimate.value, f"{name}_se": estimate and estimate.se}
    return row
