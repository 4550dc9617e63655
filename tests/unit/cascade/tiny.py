"""Tiny grounds of an exact search, and the same search by trying everything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from quorate.cascade.ground import ROUTES, Ground, Route, states_of
from quorate.cascade.votes import Strategy


def tiny(
    n: int,
    n_agents: int,
    *,
    seed: int,
    route: Route = "skip",
    cells: Sequence[int] = (3, 2),
    most_bins: int = 2,
    smoothing: float = 0.0,
    weight: float = 0.0,
    fewest: int = 1,
    fixed: bool = False,
    levels: int = 5,
) -> tuple[Ground, tuple[tuple[Strategy, ...], ...]]:
    """Random answers, chances and scores with ties; two strategies in every state."""
    rng = np.random.default_rng(seed)
    states = states_of(n_agents, route, len(cells))
    state_of = np.full(1 << n_agents, -1)
    state_of[list(states)] = np.arange(len(states))
    shape = (len(states), 2, n)
    ground = Ground(
        hits=rng.integers(0, 2, shape).astype(np.float64),
        expected=rng.random(shape),
        n_strategies=np.full(len(states), 2),
        signal=rng.integers(0, levels, (len(states), n)) / levels,
        state_of=state_of,
        prices=np.sort(rng.random(n_agents)),
        weight=weight,
        smoothing=smoothing,
        cells=np.array(cells, np.int64),
        most_bins=most_bins,
        fewest=fewest,
        most_calls=len(cells),
        route=ROUTES[route],
        pooled=True,
        fixed=fixed,
    )
    return ground, tuple((Strategy("majority"), Strategy("weighted")) for _ in states)


def brute_force(ground: Ground) -> float:
    """The best worth there is: every call, every way to join cells to bins, every answer."""
    return _best(list(range(ground.signal.shape[1])), frozenset(), 0, ground)


def _best(items: list[int], called: frozenset[int], depth: int, ground: Ground) -> float:
    found = [_stopped(items, called, ground)] if called else []
    if depth < ground.most_calls:
        for agent in range(len(ground.prices)):
            if _may(agent, called, ground.route):
                after = called | {agent}
                cells = _cells(items, after, depth, ground)
                price = ground.weight * float(ground.prices[agent]) * len(items)
                found += [
                    sum(_best(part, after, depth + 1, ground) for part in parts) - price
                    for parts in _joined(cells, ground.most_bins)
                ]
    return max(found)


def _may(agent: int, called: frozenset[int], route: int) -> bool:
    if agent in called:
        return False
    if route == ROUTES["any"]:
        return True
    if route == ROUTES["skip"]:
        return all(agent > each for each in called)
    return called == frozenset(range(agent))


def _state(called: frozenset[int], ground: Ground) -> int:
    return int(ground.state_of[sum(1 << agent for agent in called)])


def _stopped(items: list[int], called: frozenset[int], ground: Ground) -> float:
    state, n, smoothing = _state(called, ground), len(items), ground.smoothing
    return max(
        sum((n * ground.hits[state, at, item] + smoothing * ground.expected[state, at, item]) for item in items)
        / (n + smoothing)
        for at in range(2)
    )


def _cells(items: list[int], called: frozenset[int], depth: int, ground: Ground) -> list[list[int]]:
    """Cells of about equal size in the order of the score; ties together, none thin."""
    values = ground.signal[_state(called, ground)]
    order = sorted(items, key=lambda item: values[item])
    n, wanted = len(order), int(ground.cells[depth])
    ends = [0]
    for cell in range(1, wanted):
        end = -(-n * cell // wanted)
        while 0 < end < n and values[order[end]] == values[order[end - 1]]:
            end += 1
        if end - ends[-1] >= ground.fewest and n - end >= ground.fewest:
            ends.append(end)
    return [order[start:end] for start, end in zip(ends, [*ends[1:], n], strict=True)]


def _joined(cells: list[list[int]], most: int) -> Iterator[list[list[int]]]:
    """Every way to join neighbours to at most so many bins."""
    if not cells:
        yield []
        return
    if most == 0:
        return
    for size in range(1, len(cells) + 1):
        first = [item for cell in cells[:size] for item in cell]
        for rest in _joined(cells[size:], most - 1):
            yield [first, *rest]
