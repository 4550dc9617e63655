"""What the search walks on: which strategy is right on which item after which calls, and the scores that are binned.

Everything is cross-fitted: the reading of an agent, the learned combination and the consensus that speak about an item
were fitted on other items, so that the tree is grown on scores like those it will meet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.cascade.answers import Answers
from quorate.cascade.kernels import ANY, LADDER, SKIP, allowed
from quorate.cascade.pool import Pool, pooled
from quorate.cascade.readings import Reading, read, readings
from quorate.cascade.votes import Strategy, StrategyName, strategies_of
from quorate.errors import SettingError

Array = np.ndarray
Route = Literal["ladder", "skip", "any"]  # the next dearer agent; any dearer one; any one not yet called
Signal = Literal["own", "pooled"]  # what is binned: the called agent's own score, or that of all called so far
ROUTES: dict[str, int] = {"ladder": LADDER, "skip": SKIP, "any": ANY}
MOST_NUMBERS = 2**27  # of a table: 1 GiB


class Ground(NamedTuple):
    """The kernel's input; a state is a set of agents that can have been called."""

    hits: Float64[Array, "states strategies items"]  # 1 where the strategy's answer is right
    expected: Float64[Array, "states strategies items"]  # its probability of being right, by the learned combination
    n_strategies: Int64[Array, "states"]
    signal: Float64[Array, "rows items"]  # rows: agents (own), or states (pooled)
    state_of: Int64[Array, "sets"]  # -1: cannot happen
    prices: Float64[Array, "agents"]
    weight: float  # λ: right answers that one unit of currency is worth
    smoothing: float  # items that the expected share of right answers counts for
    cells: Int64[Array, "calls"]  # of the scores at each depth
    most_bins: int
    fewest: int  # items of a cell
    most_calls: int
    route: int
    pooled: bool
    fixed: bool  # every cell is a bin


class Read(NamedTuple):
    """Cross-fitted scores, the readings and the pool fitted on all items, and the strategies of every state."""

    probs: Float64[Array, "items agents classes"]
    answers_of: Int64[Array, "states strategies items"]  # -1 beyond a state's own strategies
    posterior: Float64[Array, "states items classes"]
    states: tuple[int, ...]
    strategies: tuple[tuple[Strategy, ...], ...]
    readings: tuple[Reading, ...]
    pool: Pool


def states_of(n_agents: int, route: Route, most_calls: int) -> tuple[int, ...]:
    """Every set of agents that can have been called.

    >>> states_of(3, "ladder", 3), states_of(3, "any", 1)
    ((1, 3, 7), (1, 2, 4))
    """
    found, newest = set[int](), {0}
    for _ in range(most_calls):
        newest = {
            called | 1 << agent
            for called in newest
            for agent in range(n_agents)
            if allowed(called, agent, ROUTES[route])
        }
        found |= newest
    return tuple(sorted(found))


def folds_of(n_items: int, n_folds: int, rng: np.random.Generator) -> list[Int64[Array, "_fold"]]:
    """Places of the items of each fold."""
    return [np.sort(fold) for fold in np.array_split(rng.permutation(n_items), min(n_folds, n_items))]


def read_all(
    answers: Answers,
    *,
    method: str,
    names: Sequence[StrategyName],
    states: tuple[int, ...],
    estimator: str,
    n_folds: int,
    rng: np.random.Generator,
) -> Read:
    """Everything that a tree is grown on, from items about which all agents spoke and whose truth is known."""
    n_items, n_agents, n_classes = answers.scores.shape
    strategies = tuple(strategies_of(called, n_agents, names) for called in states)
    most = max(map(len, strategies))
    if len(states) * most * n_items > MOST_NUMBERS:
        raise SettingError(
            f"{len(states)} sets of agents on {n_items} items are too many; take fewer agents or most_calls, or the "
            "route ladder"
        )
    consensus = estimator if "consensus" in names else None
    probs = np.zeros((n_items, n_agents, n_classes))
    answers_of = np.full((len(states), most, n_items), -1)
    posterior = np.zeros((len(states), n_items, n_classes))
    for fold, by, pool in _fitted(answers, method, states, consensus, n_folds, rng):
        here = answers.select(fold)
        probs[fold] = read(here, by)
        for state, called in enumerate(states):
            posterior[state, fold] = pool.learned(called, probs[fold])
            for at, strategy in enumerate(strategies[state]):
                answers_of[state, at, fold] = pool.answered(strategy, called, here, probs[fold])
    by = readings(answers, method)
    everyone = (1 << n_agents) - 1
    pool = pooled(answers, read(answers, by), {*states, everyone}, consensus)
    return Read(probs, answers_of, posterior, states, strategies, by, pool)


def _fitted(
    answers: Answers,
    method: str,
    states: Sequence[int],
    consensus: str | None,
    n_folds: int,
    rng: np.random.Generator,
) -> Iterator[tuple[Int64[Array, "fold"], tuple[Reading, ...], Pool]]:
    """Fold after fold: its items, and what was fitted on all the others."""
    everything = np.arange(len(answers.items))
    for fold in folds_of(len(answers.items), n_folds, rng):
        rest = answers.select(np.setdiff1d(everything, fold))
        by = readings(rest, method)
        yield fold, by, pooled(rest, read(rest, by), states, consensus)


def ground_of(
    of: Read,
    truth: Int64[Array, "items"],
    prices: Float64[Array, "agents"],
    *,
    signal: Signal,
    route: Route,
    smoothing: float,
    cells: Int64[Array, "calls"],
    most_bins: int,
    fewest: int,
    fixed: bool,
) -> Ground:
    """The same as the kernel reads it, with a cost weight of 0."""
    items = np.arange(len(truth))
    said = np.maximum(of.answers_of, 0)
    known = of.answers_of >= 0
    expected = of.posterior[np.arange(len(of.states))[:, None, None], items, said] * known
    state_of = np.full(1 << len(prices), -1)
    state_of[list(of.states)] = np.arange(len(of.states))
    return Ground(
        hits=((of.answers_of == truth) & known).astype(np.float64),
        expected=expected,
        n_strategies=np.array([len(each) for each in of.strategies]),
        signal=of.posterior.max(axis=2) if signal == "pooled" else np.ascontiguousarray(of.probs.max(axis=2).T),
        state_of=state_of,
        prices=prices,
        weight=0.0,
        smoothing=smoothing,
        cells=cells,
        most_bins=most_bins,
        fewest=fewest,
        most_calls=len(cells),
        route=ROUTES[route],
        pooled=signal == "pooled",
        fixed=fixed,
    )
