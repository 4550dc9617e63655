"""Answer strategies: from what the agents called so far said to one answer [hovsepian2024].

single     the answer of one agent
majority   the class that most agents name; of tied ones the better scored
weighted   argmax_c Σ_k s_k 1[a_k = c], s_k the score of agent k's answer
learned    argmax of the learned combination (`combine`)
consensus  argmax of the posterior of a fitted estimator (`quorate.consensus`)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float64, Int64

from quorate.errors import SettingError

Array = np.ndarray
StrategyName = Literal["single", "majority", "weighted", "learned", "consensus"]
STRATEGIES: tuple[StrategyName, ...] = get_args(StrategyName)
DEFAULT: tuple[StrategyName, ...] = ("single", "majority", "weighted", "learned")


class Strategy(NamedTuple):
    """How to answer; agent: the place of the one whose answer is taken, for `single`."""

    name: StrategyName
    agent: int | None = None


def check(names: Sequence[str]) -> None:
    """Raises SettingError for an unknown strategy, and where `single` is missing: the cheapest answer of all."""
    strange = [name for name in names if name not in STRATEGIES]
    if strange:
        raise SettingError(f"there is no strategy {strange[0]!r}; use some of {', '.join(STRATEGIES)}")
    if "single" not in names:
        raise SettingError("the strategies must contain single: after one call there is one answer")


def strategies_of(called: int, n_agents: int, names: Sequence[StrategyName]) -> tuple[Strategy, ...]:
    """What can be done with these agents (a bit each), in the order in which ties are settled.

    >>> [each.name for each in strategies_of(0b11, 2, DEFAULT)]
    ['single', 'single', 'majority', 'weighted', 'learned']
    """
    agents = [agent for agent in range(n_agents) if called >> agent & 1]
    single = [Strategy("single", agent) for agent in agents]
    alone = len(agents) < 2
    return tuple(single + [Strategy(name) for name in names if name != "single" and not (alone and name in VOTES)])


VOTES = ("majority", "weighted")


def vote(name: StrategyName, probs: Float64[Array, "items agents classes"]) -> Int64[Array, "items"]:
    """The answer of a majority or weighted majority of these agents' scores.

    >>> scores = np.array([[[0.9, 0.1], [0.4, 0.6], [0.45, 0.55]]])
    >>> vote("majority", scores).tolist(), vote("weighted", scores).tolist()
    ([1], [1])
    """
    weight = weights_of(probs)
    if name == "weighted":
        return weight.argmax(axis=1)
    said = np.eye(probs.shape[2])[probs.argmax(axis=2)].sum(axis=1)
    return (said * (probs.shape[1] + 1) + weight).argmax(axis=1)  # weights add up to fewer than one more vote


def weights_of(probs: Float64[Array, "items agents classes"]) -> Float64[Array, "items classes"]:
    """Σ_k s_k 1[a_k = c]: formula 1 of [hovsepian2024]."""
    answers = np.eye(probs.shape[2])[probs.argmax(axis=2)]
    return (probs.max(axis=2, keepdims=True) * answers).sum(axis=1)
