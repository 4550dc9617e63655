"""Bin edges by Optuna: for spaces too large to be searched exactly, or to compare with the source [akiba2019].

An edge is a share of the node's items: one parameter per cut, agent and way that leads to the node, so that the space
is conditional. A trial grows the tree with these edges by Algorithm 1 on four fifths of the items and walks the rest
down it, five times; its value is the mean of right answers less weighed cost there. The first trial is equal shares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int64

from quorate.cascade.answers import Answers
from quorate.cascade.ground import Ground, Read, folds_of
from quorate.cascade.kernels import allowed
from quorate.cascade.tree import Node, Strategies, between, signal, stop, walked
from quorate.errors import MissingExtraError

if TYPE_CHECKING:
    from optuna import Trial

    from quorate.cascade.fit import Options

Array = np.ndarray
SPLITS = 5
ROUNDING = 1e-9  # a third of 9 items is 3
Shares = Callable[[str], tuple[float, ...]]  # of a way (whom it called, through which bins): rising, from 0 to 1


def tuned(known: Answers, of: Read, options: Options, weight: float) -> Node:
    """The tree whose edges did best on splits of the items. Raises MissingExtraError without Optuna."""
    try:
        import optuna
    except ImportError:
        raise MissingExtraError("Optuna", "tune") from None
    from quorate.cascade.fit import ground

    walked = ground(known, of, options)._replace(weight=float(weight))
    n_items, n_cuts = len(known.items), options.most_bins - 1
    everything = np.arange(n_items)
    folds = folds_of(n_items, SPLITS, np.random.default_rng(options.seed))
    splits = [(np.setdiff1d(everything, fold), fold) for fold in folds]

    def value(trial: Trial) -> float:
        shares = _suggested(trial, n_cuts)
        return float(np.mean([_value(induced(rest, walked, of.strategies, shares), fold, walked, of.strategies)
                              for rest, fold in splits]))  # fmt: skip

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=options.seed))
        study.enqueue_trial(_equal(walked, of.strategies, splits, n_cuts))
        study.optimize(value, n_trials=options.trials)
    finally:
        optuna.logging.set_verbosity(verbosity)
    best: dict[str, Any] = study.best_params
    return induced(everything, walked, of.strategies, lambda way: _kept(best, way, n_cuts))


# ---- parameters -----------------------------------------------------------------------------------------------------
def _names(way: str, n_cuts: int) -> list[str]:
    return [f"{way} {cut}" for cut in range(n_cuts)]


def _even(n_cuts: int) -> list[float]:
    return [(cut + 1) / (n_cuts + 1) for cut in range(n_cuts)]


def _suggested(trial: Trial, n_cuts: int) -> Shares:
    return lambda way: tuple(sorted(trial.suggest_float(name, 0.0, 1.0) for name in _names(way, n_cuts)))


def _kept(best: dict[str, Any], way: str, n_cuts: int) -> tuple[float, ...]:
    """The shares of the best trial; equal ones on a way that it never went."""
    even = dict(zip(_names(way, n_cuts), _even(n_cuts), strict=True))
    return tuple(sorted(float(best.get(name, share)) for name, share in even.items()))


def _equal(
    ground: Ground, strategies: Strategies, splits: list[tuple[Int64[Array, "_rest"], Int64[Array, "_fold"]]], n: int
) -> dict[str, float]:
    """Equal shares on every way that growing meets."""
    met: dict[str, float] = {}

    def shares(way: str) -> tuple[float, ...]:
        met.update(zip(_names(way, n), _even(n), strict=True))
        return tuple(_even(n))

    for rest, _ in splits:
        induced(rest, ground, strategies, shares)
    return met


# ---- Algorithm 1 with given edges -----------------------------------------------------------------------------------
def induced(items: Int64[Array, "items"], ground: Ground, strategies: Strategies, shares: Shares) -> Node:
    """The best tree with bins at these shares: backward induction from the last calls."""
    return _induced(items, 0, 0, "", ground, strategies, shares)[1]


def _induced(
    items: Int64[Array, "items"],
    called: int,
    depth: int,
    way: str,
    ground: Ground,
    strategies: Strategies,
    shares: Shares,
) -> tuple[float, Node]:
    """Worth in right answers less weighed cost, and the node."""
    best, node = -np.inf, Node(len(items), None, None)
    if called:
        best, which = stop(items, called, ground)
        node = Node(len(items), float(best / len(items)), strategies[ground.state_of[called]][which])
    if depth >= ground.most_calls or (called and len(items) < 2 * ground.fewest):
        return best, node
    for agent in range(len(ground.prices)):
        price = ground.weight * float(ground.prices[agent]) * len(items)
        if not allowed(called, agent, ground.route) or len(items) - price <= best:
            continue  # the second: even if every answer were right
        after, here = called | 1 << agent, f"{way}>{agent}"
        values = signal(ground, after, agent)[items]
        edges = edges_at(values, shares(here), ground.fewest)
        place = np.searchsorted(edges, values, side="right")
        parts = [
            _induced(items[place == at], after, depth + 1, f"{here}.{at}", ground, strategies, shares)
            for at in range(len(edges) + 1)
        ]
        worth = sum(part for part, _ in parts) - price
        if worth > best + 1e-9:
            best = worth
            node = Node(len(items), node.right, node.answer, agent, edges, tuple(then for _, then in parts))
    return best, node


def edges_at(values: Float64[Array, "items"], shares: tuple[float, ...], fewest: int) -> tuple[float, ...]:
    """Edges at these shares of the values, without thin bins.

    >>> edges_at(np.array([0.1, 0.2, 0.3, 0.4]), (0.5,), fewest=1)
    (0.25,)
    """
    ordered = np.sort(values)
    found, last = list[float](), 0
    for share in shares:
        end = int(np.ceil(share * len(ordered) - ROUNDING))
        while 0 < end < len(ordered) and ordered[end] == ordered[end - 1]:
            end += 1
        if end - last >= fewest and len(ordered) - end >= fewest:
            found.append(between(ordered[end - 1], ordered[end]))
            last = end
    return tuple(found)


def _value(tree: Node, items: Int64[Array, "items"], ground: Ground, strategies: Strategies) -> float:
    """Right answers less weighed cost of these items on their way down the tree, per item."""
    right, cost = walked(tree, items, ground, strategies)
    return float((right - ground.weight * cost).mean())
