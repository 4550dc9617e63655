"""What agents said about the items of one task, from the cheapest to the dearest, and what is true.

A person is an agent like a model, with a price: the first label of an item that people gave. Where people's labels are
the only truth there is, that label is kept out of the majority that judges it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int64

from quorate.data.encode import Coded
from quorate.errors import SettingError
from quorate.evaluate.protocol import strict_majority
from quorate.schema import Task

Array = np.ndarray
AgentKind = Literal["model", "person"]
PERSON = "person"  # the name of the agent that stands for whoever labels first
NOTHING, SCORES, HARD = 0, 1, 2  # kinds of output, as in ModelOutput
MOST_AGENTS = 12


class Agent(NamedTuple):
    """Who can be asked, and the price of one answer in the user's currency."""

    name: str
    kind: AgentKind
    price: float


@dataclass(frozen=True, eq=False)
class Answers:
    """What every agent said about every item of one task."""

    task: Task
    items: tuple[str, ...]
    agents: tuple[Agent, ...]
    scores: Float64[Array, "items agents classes"]  # sums to 1; one-hot for a hard answer; 0 where there is none
    kind: Int8[Array, "items agents"]  # NOTHING, SCORES or HARD
    truth: Int64[Array, "items"]  # place in the classes; -1 where it is unknown

    @property
    def prices(self) -> Float64[Array, "agents"]:
        """The price of one answer of each agent."""
        return np.array([agent.price for agent in self.agents], np.float64)

    @property
    def complete(self) -> Bool[Array, "items"]:
        """Items about which every agent spoke and the truth is known."""
        return (self.truth >= 0) & (self.kind != NOTHING).all(axis=1)

    def select(self, index: Int64[Array, "kept"]) -> Answers:
        """These items, by place."""
        return replace(
            self,
            items=tuple(self.items[place] for place in index.tolist()),
            scores=self.scores[index],
            kind=self.kind[index],
            truth=self.truth[index],
        )


def agents_of(
    coded: Coded,
    task: str,
    prices: Mapping[str, float],
    *,
    models: Sequence[str] | None = None,
    person_price: float | None = None,
) -> tuple[Agent, ...]:
    """Models (all with a price, or those named) and, at a price, a person, from the cheapest to the dearest.

    Raises SettingError for a model without price or output, a price that is none, and fewer than two agents.
    """
    spoke = _spoke(coded, task)
    chosen = list(models) if models is not None else [name for name in coded.models if name in prices]
    for name in chosen:
        if name not in spoke:
            raise SettingError(f"model {name!r} says nothing on task {task!r}; those that do: {_list(spoke)}")
        if name not in prices:
            raise SettingError(f"model {name!r} has no price; give the price of one call, 0 where it is free")
    strange = sorted(set(prices) - set(coded.models))
    if strange:
        raise SettingError(f"there is a price for {strange[0]!r}, which the data does not have; it has {_list(spoke)}")
    found = [Agent(name, "model", float(prices[name])) for name in dict.fromkeys(chosen) if name in spoke]
    if person_price is not None:
        if PERSON in chosen:
            raise SettingError(f"a model called {PERSON!r} stands in the way of a person's price; name it otherwise")
        found.append(Agent(PERSON, "person", float(person_price)))
    for agent in found:
        if not 0 <= agent.price < float("inf"):
            raise SettingError(f"the price of {agent.name!r} is a number of 0 or more, not {agent.price}")
    if not 2 <= len(found) <= MOST_AGENTS:
        raise SettingError(
            f"a cascade of task {task!r} takes 2 to {MOST_AGENTS} agents with prices, not {len(found)}; "
            f"models that speak on it: {_list(spoke)}"
        )
    return tuple(sorted(found, key=lambda agent: agent.price))


def answers_of(coded: Coded, task: str, agents: Sequence[Agent]) -> Answers:
    """What these agents said; one that is absent here said nothing. Truth: gold, else the majority of other people."""
    code = coded.schema.code_of[coded.schema.task(task).name]
    of, output = coded.schema.tasks[code], coded.outputs[code]
    n_classes = len(of.classes)
    scores = np.zeros((coded.n_items, len(agents), n_classes))
    kind = np.zeros((coded.n_items, len(agents)), np.int8)
    place = {name: at for at, name in enumerate(coded.models)}
    first = _first_label(coded, code)
    for at, agent in enumerate(agents):
        if agent.kind == "person":
            kind[:, at] = np.where(first >= 0, HARD, NOTHING)
            scores[:, at] = np.eye(n_classes + 1)[first, :n_classes]
        elif agent.name in place:
            kind[:, at] = output.kind[:, place[agent.name]]
            scores[:, at] = output.scores[:, place[agent.name]]
    person = any(agent.kind == "person" for agent in agents)
    return Answers(of, coded.items, tuple(agents), scores, kind, _truth(coded, code, person=person))


def _truth(coded: Coded, code: int, *, person: bool) -> Int64[Array, "items"]:
    if (coded.gold[:, code] >= 0).any():
        return coded.gold[:, code].astype(np.int64)
    judges = coded.keep_labels(_rank(coded) > 0) if person else coded
    return strict_majority(judges.counts(code)).astype(np.int64)


def _first_label(coded: Coded, code: int) -> Int64[Array, "items"]:
    """The class of the first label of every item, -1 where nobody labeled it."""
    cells = np.arange(coded.n_items) * coded.n_tasks + code
    start, end = coded.labels.start[cells], coded.labels.start[cells + 1]
    known = np.append(coded.labels.code, -1).astype(np.int64)
    return np.where(end > start, known[np.minimum(start, len(known) - 1)], -1)


def _rank(coded: Coded) -> Int64[Array, "labels"]:
    return np.arange(len(coded.labels.code)) - coded.labels.start[coded.cell_of_label()]


def _spoke(coded: Coded, task: str) -> list[str]:
    output = coded.outputs[coded.schema.code_of[coded.schema.task(task).name]]
    return [name for at, name in enumerate(coded.models) if (output.kind[:, at] != NOTHING).any()]


def _list(names: Sequence[str]) -> str:
    return (", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "")) or "none"
