"""The tree of a cascade, grown with its bin edges by exact backward induction: Algorithm 1 of [hovsepian2024].

A node is a set of items that took the same way: the same calls, the same nested bins. Its worth is the larger of

    stop   max over strategies h of Σ_i (n_h + κ p_h) / (n + κ),  n_h the right answers, p_h their expected share
    call   max over agents m and bins of Σ over bins worth(bin) - λ price_m n

κ smooths thin bins: the share of right answers is pulled to the mean probability that the learned combination gives to
those answers. Bins are contiguous cells of the items' scores *in this node*, so the bins of a stage depend on those
before it; which cells are joined is searched exactly, by dynamic programming over intervals, each with its best worth.
With κ = 0, λ = 0, given edges and one order of agents it is the source's algorithm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.cascade.ground import Ground
from quorate.cascade.kernels import cells_of, explore, stopped
from quorate.cascade.votes import Strategy

Array = np.ndarray
Strategies = tuple[tuple[Strategy, ...], ...]  # of every state of the ground
MOST_NODES = 2_000  # that the exact search may look at, one by one
FINEST = 24  # cells at the root


@dataclass(frozen=True)
class Node:
    """What to do with items that came here. Without `call`: answer by `answer`."""

    n: int  # items of the fit that came here
    right: float | None  # smoothed share of right answers if it stops here; None before any call
    answer: Strategy | None
    call: int | None = None  # the agent to ask
    edges: tuple[float, ...] = ()  # of the bins of the score after the call, rising; an edge belongs to the bin above
    then: tuple[Node, ...] = ()  # one per bin

    def to_json(self) -> dict[str, Any]:
        """Everything, for `from_json`."""
        value: dict[str, Any] = {"n": self.n, "right": self.right}
        if self.answer is not None:
            value["answer"] = self.answer.name
            if self.answer.agent is not None:
                value["agent"] = self.answer.agent
        if self.call is not None:
            then = [node.to_json() for node in self.then]
            value |= {"call": self.call, "edges": list(self.edges), "then": then}
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Node:
        """The node that was kept."""
        right, name, agent = value["right"], value.get("answer"), value.get("agent")
        answer = None if name is None else Strategy(name, None if agent is None else int(agent))
        then = tuple(cls.from_json(each) for each in value.get("then", ()))
        edges = tuple(float(each) for each in value.get("edges", ()))
        if len(then) != (len(edges) + 1 if "call" in value else 0) or list(edges) != sorted(edges):
            raise ValueError("bins and edges do not fit")
        call = int(value["call"]) if "call" in value else None
        return cls(int(value["n"]), None if right is None else float(right), answer, call, edges, then)


class Worth(NamedTuple):
    """What a tree promises on the items it was grown on, per item."""

    right: float  # smoothed share of right answers
    cost: float  # in the currency of the prices


# ---- growing --------------------------------------------------------------------------------------------------------
def grown(ground: Ground, strategies: Strategies, weight: float, items: Int64[Array, "items"] | None = None) -> Node:
    """The tree of greatest worth for these items (all) at this cost weight: right answers per unit of currency."""
    places = np.arange(ground.signal.shape[1]) if items is None else items
    return _grown(places, 0, 0, ground._replace(weight=float(weight)), strategies)


def _grown(
    items: Int64[Array, "items"],
    called: int,
    depth: int,
    ground: Ground,
    strategies: Strategies,
) -> Node:
    n, right, answer = len(items), -np.inf, None
    if called:
        right, which = stop(items, called, ground)
        answer = strategies[ground.state_of[called]][which]
    found = np.zeros(ground.most_bins + 2, np.int64)
    explore(items, called, depth, right, found, ground)
    share = None if answer is None else float(right / n)
    if found[0] < 0:
        return Node(n, share, answer)
    agent = int(found[0])
    after = called | 1 << agent
    values = signal(ground, after, agent)[items]
    order, ends = cells_of(values, ground.cells[depth], ground.fewest)
    last = ends[found[2 : 2 + found[1]]]
    parts = np.split(order, last[:-1])
    edges = tuple(between(float(values[order[end - 1]]), float(values[order[end]])) for end in last[:-1])
    then = tuple(_grown(items[part], after, depth + 1, ground, strategies) for part in parts)
    return Node(n, share, answer, agent, edges, then)


def stop(items: Int64[Array, "items"], called: int, ground: Ground) -> tuple[float, int]:
    """Right answers of the best strategy for these items, smoothed, and which it is."""
    state = ground.state_of[called]
    used = slice(0, ground.n_strategies[state])
    hits, expected = (table[state, used][:, items].sum(axis=1) for table in (ground.hits, ground.expected))
    return stopped(hits, expected, len(items), ground.smoothing)


def signal(ground: Ground, called: int, agent: int) -> Float64[Array, "items"]:
    """The score that is binned after this call."""
    return ground.signal[ground.state_of[called] if ground.pooled else agent]


def between(low: float, high: float) -> float:
    """An edge above `low` that is not above `high`."""
    middle = low + (high - low) / 2
    return float(middle if middle > low else high)


# ---- walking --------------------------------------------------------------------------------------------------------
def walked(
    tree: Node, items: Int64[Array, "items"], ground: Ground, strategies: Strategies
) -> tuple[Float64[Array, "items"], Float64[Array, "items"]]:
    """Whether each of these items of the ground ends in a right answer, and what it cost on the way."""
    right, cost = np.zeros(len(items)), np.zeros(len(items))

    def down(here: Int64[Array, "here"], called: int, node: Node) -> None:
        if node.call is None:
            state = ground.state_of[called]
            answer = strategies[state].index(node.answer or Strategy("single"))
            right[here] = ground.hits[state, answer, items[here]]
            return
        cost[here] += ground.prices[node.call]
        after = called | 1 << node.call
        place = np.searchsorted(node.edges, signal(ground, after, node.call)[items[here]], side="right")
        for at, then in enumerate(node.then):
            down(here[place == at], after, then)

    down(np.arange(len(items)), 0, tree)
    return right, cost


def worth(node: Node, prices: Float64[Array, "agents"]) -> Worth:
    """Smoothed share of right answers and cost per item."""
    right, cost = _totals(node, prices)
    return Worth(right / node.n, cost / node.n)


def _totals(node: Node, prices: Float64[Array, "agents"]) -> tuple[float, float]:
    if node.call is None:
        return (node.right or 0.0) * node.n, 0.0
    parts = [_totals(each, prices) for each in node.then]
    return sum(right for right, _ in parts), sum(cost for _, cost in parts) + float(prices[node.call]) * node.n


# ---- how fine -------------------------------------------------------------------------------------------------------
def cells_for(n_agents: int, most_calls: int, route: int, most_nodes: int = MOST_NODES) -> Int64[Array, "calls"]:
    """Cells at each depth, halved from depth to depth, as fine as the number of nodes to look at allows.

    >>> cells_for(2, 2, 0).tolist()
    [24, 12]
    """
    finest = FINEST
    while finest > 2 and nodes_of(_halved(finest, most_calls), n_agents, route) > most_nodes:
        finest -= 1
    return _halved(finest, most_calls)


def nodes_of(cells: Int64[Array, "calls"], n_agents: int, route: int) -> int:
    """Nodes that the exact search looks at, at most."""
    total, ways = 0, 1.0
    for depth, n_cells in enumerate(cells[:-1].tolist()):
        left = 1.0 if route == 0 else (n_agents - depth) / (2.0 if route == 1 and depth else 1.0)
        ways *= max(left, 0.0) * n_cells * (n_cells + 1) / 2
        total += int(ways)
    return total


def _halved(finest: int, most_calls: int) -> Int64[Array, "calls"]:
    return np.array([max(2, finest >> depth) for depth in range(most_calls)], np.int64)
