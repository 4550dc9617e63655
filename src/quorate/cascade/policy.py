"""A fitted cascade: whom to call, when to stop and how to answer, for one task; Algorithm 2 of [hovsepian2024]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int64

from quorate.cascade.answers import NOTHING, Agent, Answers, answers_of
from quorate.cascade.ground import Signal
from quorate.cascade.pool import Pool
from quorate.cascade.readings import Reading, read
from quorate.cascade.tree import Node
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import SchemaError
from quorate.schema import Task

Array = np.ndarray
NONE = -1


class Labeled(NamedTuple):
    """What a cascade makes of items."""

    label: Int64[Array, "items"]  # place in the classes; -1 where nobody who was to be called has spoken
    confidence: Float64[Array, "items"]  # P(the label is right) by the learned combination of those called
    called: Bool[Array, "items agents"]
    cost: Float64[Array, "items"]  # of the calls made, in the currency of the prices
    waits_for: Int64[Array, "items"]  # the agent who is to be called next and has said nothing here; -1: done


@dataclass(frozen=True, eq=False)
class Cascade:
    """The policy of one task. Agents stand from the cheapest to the dearest."""

    task: Task
    agents: tuple[Agent, ...]
    readings: tuple[Reading, ...]
    pool: Pool
    signal: Signal
    tree: Node
    cost_weight: float  # λ, right answers per unit of currency

    def label(self, data: Dataset | Coded | Answers) -> Labeled:
        """Walk every item down the tree, paying for each call; an item stops early where an agent has said nothing.

        Raises SchemaError where the task has other classes than the cascade was fitted for.
        """
        answers = data if isinstance(data, Answers) else self.answers(data)
        walk = _Walk(self, answers, read(answers, self.readings))
        walk.down(np.arange(len(answers.items)), 0, self.tree)
        return walk.found

    def answers(self, data: Dataset | Coded) -> Answers:
        """What this cascade's agents said about the data. Raises SchemaError for other classes than it knows."""
        coded = data if isinstance(data, Coded) else data.encode()
        found = coded.schema.task(self.task.name)
        if set(found.classes) - set(self.task.classes):
            strange = min(set(found.classes) - set(self.task.classes))
            raise SchemaError(
                f"class {strange!r} of task {found.name!r} is unknown to the cascade",
                mend="fit it on data with this class",
                column="label",
            )
        if found.classes != self.task.classes:  # fewer of them, or in another order
            from quorate.schema import Schema

            others = tuple(self.task if task.name == found.name else task for task in coded.schema.tasks)
            coded = coded.aligned(Schema(others), coded.annotators, coded.models)
        return answers_of(coded, self.task.name, self.agents)

    def table(self, items: tuple[str, ...], labeled: Labeled) -> pa.Table:
        """One row per item: item, task, label, confidence, cost, called (names in the order of price), waits_for."""
        names = [agent.name for agent in self.agents]
        known = labeled.label >= 0
        called = [[names[at] for at in np.flatnonzero(row)] for row in labeled.called]
        return pa.table({
            "item": pa.array(items, pa.string()),
            "task": pa.array([self.task.name] * len(items), pa.string()),
            "label": pa.array([self.task.classes[code] if code >= 0 else None for code in labeled.label], pa.string()),
            "confidence": pa.array(labeled.confidence, mask=~known),
            "cost": pa.array(labeled.cost),
            "called": pa.array(called, pa.list_(pa.string())),
            "waits_for": pa.array([names[at] if at >= 0 else None for at in labeled.waits_for], pa.string()),
        })  # fmt: skip


class _Walk:
    """Items on their way down; they move in groups that share node and calls."""

    def __init__(self, cascade: Cascade, answers: Answers, probs: Float64[Array, "items agents classes"]) -> None:
        n_items = len(answers.items)
        self.cascade, self.answers, self.probs, self.prices = cascade, answers, probs, answers.prices
        self.found = Labeled(
            np.full(n_items, NONE),
            np.zeros(n_items),
            np.zeros((n_items, len(answers.agents)), bool),
            np.zeros(n_items),
            np.full(n_items, NONE),
        )

    def down(self, items: Int64[Array, "items"], called: int, node: Node) -> None:
        """Answer these items here, or call on and send each to its bin."""
        if node.call is None:
            self._answer(items, called, node)
            return
        spoke = self.answers.kind[items, node.call] != NOTHING
        self.found.waits_for[items[~spoke]] = node.call
        self._answer(items[~spoke], called, node)
        here = items[spoke]
        self.found.called[here, node.call] = True
        self.found.cost[here] += self.prices[node.call]
        after = called | 1 << node.call
        place = np.searchsorted(node.edges, self._signal(here, after, node.call), side="right")
        for at, then in enumerate(node.then):
            self.down(here[place == at], after, then)

    def _signal(self, items: Int64[Array, "items"], called: int, agent: int) -> Float64[Array, "items"]:
        if self.cascade.signal == "own":
            return self.probs[items, agent].max(axis=1)
        return self.cascade.pool.learned(called, self.probs[items]).max(axis=1)

    def _answer(self, items: Int64[Array, "items"], called: int, node: Node) -> None:
        if not len(items) or node.answer is None:
            return
        pool, probs = self.cascade.pool, self.probs[items]
        label = pool.answered(node.answer, called, self.answers.select(items), probs)
        self.found.label[items] = label
        self.found.confidence[items] = pool.learned(called, probs)[np.arange(len(items)), label]
