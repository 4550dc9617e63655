"""The waist: what a policy, a report or a service may ask of a consensus, and nothing of how it was made.

A `Belief` is the posterior over the latent classes of every task of every item. A `Readout` turns latent classes into
what the consensus predicts (the *target*): the majority of n people, the expert's label, or the latent class itself.
The same belief serves every target:

    P(target_t = k) = sum_c P(latent_t = c | data) * readout_t[c, k]
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int32, Int64

from quorate.consensus.panel import panel_readout
from quorate.errors import NotFittedError, SettingError
from quorate.schema import Schema

Array = np.ndarray
Kind = Literal["panel", "gold", "latent"]
Ties = Literal["split", "exclude"]


class Readout(NamedTuple):
    """For one task: which table an item uses, and P(target class | latent class) of every table."""

    tables: Float64[Array, "tables latent classes"]
    table_of: Int64[Array, "items"]


class Belief(ABC):
    """The posterior over the latent classes of a batch of items, before any target is chosen."""

    @abstractmethod
    def marginal(self, task: int) -> Float64[Array, "items latent"]:
        """P(latent class of this task | data)."""

    @abstractmethod
    def expect(self, events: Sequence[Float64[Array, "items _latent"]]) -> Float64[Array, "items"]:
        """E[prod_t events[t][latent_t] | data]: the joint probability that every task's event happens."""


@dataclass(frozen=True)
class IndependentBelief(Belief):
    """Tasks apart: the joint is the product of the marginals."""

    marginals: tuple[Float64[Array, "items _latent"], ...]

    def marginal(self, task: int) -> Float64[Array, "items latent"]:
        """P(latent class of this task | data)."""
        return self.marginals[task]

    def expect(self, events: Sequence[Float64[Array, "items _latent"]]) -> Float64[Array, "items"]:
        """prod_t sum_c P(c) event_t[c]."""
        parts = [(probs * event).sum(axis=1) for probs, event in zip(self.marginals, events, strict=True)]
        return np.prod(parts, axis=0)


class PeopleRows(NamedTuple):
    """For one task, how latent classes show: by name, in a person's label, in the gold label (None: no gold seen)."""

    named: Float64[Array, "latent classes"]
    population: Float64[Array, "latent classes"] | None
    gold: Float64[Array, "latent classes"] | None


class Target(NamedTuple):
    """What is predicted for one task."""

    kind: Kind
    n: int | Int32[Array, "items"] | None = None  # panel size; never less than the labels an item already has
    ties: Ties = "split"  # a panel without a single winner: shared among its winners, or set aside


class Readouts:
    """The readouts of single items under one model, remembered by the votes they depend on; forgets all when full."""

    def __init__(self, people: Sequence[PeopleRows], targets: Sequence[Target], most: int = 20_000) -> None:
        self._people, self._targets, self._most = people, targets, most
        self._known: dict[tuple[int, tuple[int, ...]], Readout] = {}

    def of(self, task: int, counts: Int32[Array, "one classes"]) -> Readout:
        """That of one item with these labels; its panel size must be one number."""
        key = task, tuple(counts[0].tolist())
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= self._most:
                self._known.clear()
            found = self._known[key] = readout_of(self._people[task], self._targets[task], counts)
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy remembers nothing."""
        return Readouts, (self._people, self._targets, self._most)


@dataclass(frozen=True)
class Consensus:
    """Probabilities of the true labels of a batch of items, under a stated target; items in the order of `items`."""

    schema: Schema
    items: tuple[str, ...]
    counts: tuple[Int32[Array, "items _classes"], ...]  # people's labels seen, one array per task
    belief: Belief = field(repr=False)
    people: tuple[PeopleRows, ...] = field(repr=False)
    targets: tuple[Target, ...]
    agents_seen: Bool[Array, "items tasks"] | None = None  # whether any person or model spoke
    notes: tuple[str, ...] = ()
    remembered: Readouts | None = field(default=None, repr=False, compare=False)  # of one item among many

    # ---- the target -------------------------------------------------------------------------------------------
    def panel(self, n: int | Int32[Array, "items tasks"], *, ties: Ties = "split") -> Consensus:
        """The same consensus for the majority of n people (research: the target that early stopping asks for).

        n: people per item and task, one number or an array (items, tasks). Raises SettingError when n < 1.
        """
        sizes = np.asarray(n)
        if (sizes < 1).any() and sizes.ndim == 0:
            raise SettingError(f"a panel needs at least one person, not {n}")
        per_task = [sizes if sizes.ndim == 0 else sizes[:, t] for t in range(len(self.schema))]
        return self._with([Target("panel", _size(size), ties) for size in per_task])

    def latent(self) -> Consensus:
        """The same consensus for the latent class itself."""
        return self._with([Target("latent")] * len(self.schema))

    def gold(self) -> Consensus:
        """The same consensus for the expert's label. Raises NotFittedError for a task that never saw gold."""
        return self._with([Target("gold")] * len(self.schema))

    def _with(self, targets: Sequence[Target]) -> Consensus:
        for task, rows, target in zip(self.schema.tasks, self.people, targets, strict=True):
            if target.kind == "gold" and rows.gold is None:
                raise NotFittedError(f"task {task.name!r} had no gold labels when the model was fitted")
            if target.kind == "panel" and rows.population is None:
                raise NotFittedError("this estimator has no rows for people, so it cannot predict a panel")
        return replace(self, targets=tuple(targets), remembered=None)

    # ---- marginals --------------------------------------------------------------------------------------------
    @cached_property
    def _readouts(self) -> tuple[Readout, ...]:
        if self.remembered is not None:
            return tuple(self.remembered.of(t, counts) for t, counts in enumerate(self.counts))
        return tuple(
            readout_of(rows, target, counts)
            for rows, target, counts in zip(self.people, self.targets, self.counts, strict=True)
        )

    @cached_property
    def _probs(self) -> tuple[Float64[Array, "items _classes"], ...]:
        return tuple(read(self.belief.marginal(t), readout) for t, readout in enumerate(self._readouts))

    def probs(self, task: str) -> Float64[Array, "items classes"]:
        """P(target label | data), rows as `items`, columns as the task's classes."""
        return self._probs[self._code(task)]

    def label_codes(self, task: str) -> Int64[Array, "items"]:
        """The most probable class, as its place in the task's classes; the first of ties."""
        return self.probs(task).argmax(axis=1)

    def confidence(self, task: str) -> Float64[Array, "items"]:
        """The largest posterior probability."""
        return self.probs(task).max(axis=1)

    def entropy(self, task: str) -> Float64[Array, "items"]:
        """Entropy of the posterior, in nats."""
        return entropy_nats(self.probs(task))

    def n_labels(self, task: str) -> Int64[Array, "items"]:
        """People's labels that this consensus has seen."""
        return self.counts[self._code(task)].sum(axis=1)

    # ---- joint ------------------------------------------------------------------------------------------------
    def joint_confidence(self) -> Float64[Array, "items"]:
        """P(the labels of all tasks of an item are right), from the joint posterior, not the product."""
        events = []
        for probs, readout in zip(self._probs, self._readouts, strict=True):
            best = probs.argmax(axis=1)
            events.append(readout.tables[readout.table_of, :, best])
        return np.minimum(self.belief.expect(events), 1.0)

    # ---- as a table -------------------------------------------------------------------------------------------
    def table(self) -> pa.Table:
        """One row per item and task: item, task, label, confidence, entropy (nats), n_labels, probs (class order)."""
        return (
            pa.concat_tables([self._task_table(t) for t in range(len(self.schema))])
            if len(self.schema)
            else _COLUMNS.empty_table()
        )

    def _task_table(self, t: int) -> pa.Table:
        task, probs = self.schema.tasks[t], self._probs[t]
        n_items, n_classes = probs.shape
        classes = pa.array(task.classes, pa.string())
        offsets = np.arange(n_items + 1, dtype=np.int64) * n_classes
        return pa.table(
            {
                "item": pa.array(self.items, pa.string()),
                "task": pa.array([task.name], pa.string()).take(pa.array(np.zeros(n_items, np.int64))),
                "label": classes.take(pa.array(probs.argmax(axis=1))),
                "confidence": probs.max(axis=1),
                "entropy": entropy_nats(probs),
                "n_labels": self.counts[t].sum(axis=1),
                "probs": pa.LargeListArray.from_arrays(offsets, probs.ravel()),
            },
            schema=_COLUMNS,
        )

    def _code(self, task: str) -> int:
        return self.schema.code_of[self.schema.task(task).name]


_COLUMNS = pa.schema(  # not an empty table: making one imports pandas where pandas is installed
    {
        "item": pa.string(),
        "task": pa.string(),
        "label": pa.string(),
        "confidence": pa.float64(),
        "entropy": pa.float64(),
        "n_labels": pa.int64(),
        "probs": pa.large_list(pa.float64()),
    }
)


def entropy_nats(probs: Float64[Array, "items classes"]) -> Float64[Array, "items"]:
    """-sum_k p_k log p_k, in nats, with 0 log 0 = 0."""
    return 0.0 - (probs * np.log(np.where(probs > 0, probs, 1.0))).sum(axis=1)  # 0 of a certainty, never -0


def read(latent: Float64[Array, "items latent"], readout: Readout) -> Float64[Array, "items classes"]:
    """P(target class) of every item, summing to 1 (where ties are set aside: given that there is a winner)."""
    if len(readout.tables) == 1:
        probs = latent @ readout.tables[0]
    else:
        probs = np.einsum("ic,ick->ik", latent, readout.tables[readout.table_of])
    return probs / np.maximum(probs.sum(axis=1, keepdims=True), np.finfo(float).tiny)


def readout_of(rows: PeopleRows, target: Target, counts: Int32[Array, "items classes"]) -> Readout:
    """What turns latent classes into the target, given the labels that every item has."""
    if target.kind == "panel":
        assert rows.population is not None and target.n is not None
        return Readout(*panel_readout(rows.population, counts, target.n, exclude_ties=target.ties == "exclude"))
    table = rows.named if target.kind == "latent" else rows.gold
    assert table is not None
    return Readout(table[None], np.zeros(len(counts), np.int64))


def _size(size: Array) -> int | Int32[Array, "items"]:
    return int(size) if size.ndim == 0 else size.astype(np.int32)
