"""Fitting a cascade: readings and combinations cross-fitted, then the tree, at a cost weight or within a budget.

Without cost weight and budget, the cheapest cascade is taken whose accuracy on items that it was not fitted on is
within one standard error of the best [breiman1984].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float64

from quorate.calibrate.methods import METHODS
from quorate.cascade.answers import Answers
from quorate.cascade.budget import Found, within
from quorate.cascade.ground import ROUTES, Ground, Read, Route, Signal, folds_of, ground_of, read_all, states_of
from quorate.cascade.policy import Cascade
from quorate.cascade.tree import MOST_NODES, Node, cells_for, grown, walked, worth
from quorate.cascade.votes import DEFAULT, StrategyName, check
from quorate.errors import NotFittedError, SettingError

Array = np.ndarray
Progress = Callable[[float, str], None]
Edges = Literal["exact", "quantile", "optuna"]
FEWEST_ITEMS = 40  # to fit anything on
MOST_TRIES, RAISED, LEAST_WEIGHT = 6, 1.3, 0.01
WEIGHTS = (0.0, 0.003, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2)  # tried; times one over the price of all agents


@dataclass(frozen=True)
class Options:
    """How a cascade is fitted. Raises SettingError for what does not exist.

    cost_weight: λ, what one unit of currency is worth in right answers; budget: most that an item may cost on average;
    without either, see the module. edges: of the bins, by exact search over cells, quantiles, or Optuna; most_bins: of
    one call's score; most_nodes: that the exact search may look at, more make finer cells; fewest: items of a cell;
    smoothing: items that the expected share of right answers counts for.
    """

    cost_weight: float | None = None
    budget: float | None = None
    strategies: tuple[StrategyName, ...] = DEFAULT
    calibration: str = "temperature"
    signal: Signal = "pooled"
    route: Route = "skip"
    edges: Edges = "exact"
    most_bins: int = 4
    most_calls: int | None = None
    most_nodes: int = MOST_NODES
    fewest: int = 15
    smoothing: float = 100.0
    estimator: str = "hybrid"  # of the strategy consensus
    folds: int = 5
    trials: int = 200  # of Optuna
    seed: int = 0

    def __post_init__(self) -> None:
        check(self.strategies)
        if self.calibration not in METHODS:
            raise SettingError(f"there is no calibration {self.calibration!r}; use one of {', '.join(METHODS)}")
        for name, value, known in (
            ("signal", self.signal, get_args(Signal)),
            ("route", self.route, tuple(ROUTES)),
            ("edges", self.edges, get_args(Edges)),
        ):
            if value not in known:
                raise SettingError(f"there is no {name} {value!r}; use one of {', '.join(known)}")
        if self.cost_weight is not None and self.budget is not None:
            raise SettingError("give a cost weight or a budget, not both: a budget finds its cost weight")
        at_least = {
            "cost_weight": (self.cost_weight, 0.0),
            "budget": (self.budget, 0.0),
            "most_bins": (self.most_bins, 1),
            "most_calls": (self.most_calls, 1),
            "most_nodes": (self.most_nodes, 1),
            "fewest": (self.fewest, 1),
            "smoothing": (self.smoothing, 0.0),
            "folds": (self.folds, 2),
            "trials": (self.trials, 1),
        }
        for name, (value, least) in at_least.items():
            if value is not None and not least <= value < float("inf"):
                raise SettingError(f"{name} must be at least {least:g}, not {value:g}")


class Fitted(NamedTuple):
    """A cascade, and what it promises on the items that it was grown on."""

    cascade: Cascade
    found: Found
    n_items: int


def fit(answers: Answers, options: Options | None = None, *, progress: Progress | None = None) -> Fitted:
    """The cascade of these agents, from the items about which all of them spoke and whose truth is known.

    Raises NotFittedError for fewer than FEWEST_ITEMS such items.

    >>> from quorate.cascade.answers import Agent
    >>> from quorate.schema import Task
    >>> truth = np.arange(60) % 2
    >>> scores = np.where(truth[:, None, None] == np.arange(2), 0.9, 0.1).repeat(2, axis=1)  # two models, both right
    >>> agents = (Agent("small", "model", 1.0), Agent("large", "model", 9.0))
    >>> items, kind = tuple(map(str, range(60))), np.ones((60, 2), np.int8)
    >>> answers = Answers(Task("ok", ("no", "yes")), items, agents, scores, kind, truth)
    >>> fit(answers, Options(cost_weight=0.01)).found.worth.cost  # the small one is enough
    1.0
    """
    options = options or Options()
    known = answers.select(np.flatnonzero(answers.complete))
    if len(known.items) < FEWEST_ITEMS:
        raise NotFittedError(
            f"{len(known.items)} items of task {answers.task.name!r} have a known answer and an output of every agent; "
            f"{FEWEST_ITEMS} are needed: add gold, or leave out the agent that speaks least"
        )
    tell = progress or (lambda _share, _what: None)
    tell(0.0, "reading scores")
    rng = np.random.default_rng(options.seed)
    of = prepared(known, options, rng)
    tell(0.5, "growing the tree")
    found = _found(known, of, options, rng)
    cascade = Cascade(
        known.task, known.agents, of.readings, of.pool, options.signal, found.tree, cost_weight=found.weight
    )
    return Fitted(cascade, found, len(known.items))


def prepared(known: Answers, options: Options, rng: np.random.Generator) -> Read:
    """Cross-fitted scores and combinations of complete items."""
    return read_all(
        known,
        method=options.calibration,
        names=options.strategies,
        states=states_of(len(known.agents), options.route, depth(known, options)),
        estimator=options.estimator,
        n_folds=options.folds,
        rng=rng,
    )


def depth(answers: Answers, options: Options) -> int:
    """The most calls about one item."""
    return min(options.most_calls or len(answers.agents), len(answers.agents))


def ground(known: Answers, of: Read, options: Options) -> Ground:
    """What the search walks on."""
    calls, fixed = depth(known, options), options.edges == "quantile"
    cells = cells_for(len(known.agents), calls, ROUTES[options.route], options.most_nodes)
    return ground_of(
        of,
        known.truth,
        known.prices,
        signal=options.signal,
        route=options.route,
        smoothing=options.smoothing,
        cells=np.full(calls, options.most_bins) if fixed else cells,
        most_bins=options.most_bins,
        fewest=options.fewest,
        fixed=fixed,
    )


def _found(known: Answers, of: Read, options: Options, rng: np.random.Generator) -> Found:
    if options.budget is not None:
        found = within(grower(known, of, _searched(options)), known.prices, options.budget)
        return _tuned_within(known, of, options, found) if options.edges == "optuna" else found
    weight = options.cost_weight
    if weight is None:
        weight = _cheapest_as_good(known, of, options, rng)
    tree = grower(known, of, options)(weight)
    return Found(tree, weight, worth(tree, known.prices))


def _searched(options: Options) -> Options:
    """The same with edges that a search finds in one step: each of Optuna's trees takes hundreds."""
    return replace(options, edges="exact") if options.edges == "optuna" else options


def _tuned_within(known: Answers, of: Read, options: Options, found: Found) -> Found:
    """Edges by Optuna at the cost weight that the exact search found, or a larger one until the budget is kept."""
    grow, weight = grower(known, of, options), found.weight
    for _ in range(MOST_TRIES):
        tree = grow(weight)
        reached = worth(tree, known.prices)
        if reached.cost <= (options.budget or 0.0) * (1 + 1e-9):
            return Found(tree, weight, reached)
        weight = RAISED * max(weight, LEAST_WEIGHT / max(float(known.prices.sum()), 1e-9))
    return found


def grower(known: Answers, of: Read, options: Options) -> Callable[[float], Node]:
    """The tree at each cost weight."""
    if options.edges == "optuna":
        from quorate.cascade.tuned import tuned

        return lambda weight: tuned(known, of, options, weight)
    walk = ground(known, of, options)
    return lambda weight: grown(walk, of.strategies, weight)


def _cheapest_as_good(known: Answers, of: Read, options: Options, rng: np.random.Generator) -> float:
    """The largest cost weight whose tree is, on folds it was not grown on, within one error of the best.

    The cross-fitted scores are those of all folds; whoever judges the whole procedure repeats it on other items.
    """
    scale = 1.0 / max(float(known.prices.sum()), np.finfo(float).tiny)
    walk, n_items = ground(known, of, _searched(options)), len(known.items)
    right = np.zeros((len(WEIGHTS), n_items))
    for fold in folds_of(n_items, options.folds, rng):
        rest = np.setdiff1d(np.arange(n_items), fold)
        for at, weight in enumerate(WEIGHTS):
            tree = grown(walk, of.strategies, weight * scale, rest)
            right[at, fold] = walked(tree, fold, walk, of.strategies)[0]
    return WEIGHTS[_last_as_good(right, int(right.mean(axis=1).argmax()))] * scale


def _last_as_good(right: Float64[Array, "weights items"], best: int) -> int:
    apart = right[best] - right
    error = apart.std(axis=1, ddof=1) / right.shape[1] ** 0.5
    return int(np.flatnonzero(apart.mean(axis=1) <= error + 1e-12)[-1])
