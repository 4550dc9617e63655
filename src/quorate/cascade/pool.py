"""What a set of agents together says: the learned combination of every set, and a fitted consensus where asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from quorate.cascade.answers import HARD, NOTHING, Answers
from quorate.cascade.combine import Combination, combination
from quorate.cascade.votes import VOTES, Strategy, vote
from quorate.consensus.estimator import Model
from quorate.consensus.registry import estimator
from quorate.data.encode import Coded, Labels, ModelOutput
from quorate.schema import Schema

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Pool:
    """How sets of agents are joined; a set is a number with a bit per agent."""

    combinations: Mapping[int, Combination]
    consensus: Model | None = None

    def learned(self, called: int, probs: Float64[Array, "items agents classes"]) -> Float64[Array, "items classes"]:
        """P(truth | what these agents said), by the learned combination."""
        return self.combinations[called].probs(probs[:, members(called, probs.shape[1])])

    def agreed(
        self, called: int, answers: Answers, probs: Float64[Array, "items agents classes"]
    ) -> Float64[Array, "items classes"]:
        """The same by the fitted consensus."""
        assert self.consensus is not None
        return self.consensus.predict(as_coded(answers, probs, called)).probs(answers.task.name)

    def answered(
        self,
        strategy: Strategy,
        called: int,
        answers: Answers,
        probs: Float64[Array, "items agents classes"],
    ) -> Int64[Array, "items"]:
        """The class that a strategy names for every item; all agents of the set must have spoken."""
        if strategy.agent is not None:
            return probs[:, strategy.agent].argmax(axis=1)
        if strategy.name in VOTES:
            return vote(strategy.name, probs[:, members(called, probs.shape[1])])
        if strategy.name == "learned":
            return self.learned(called, probs).argmax(axis=1)
        return self.agreed(called, answers, probs).argmax(axis=1)


def members(called: int, n_agents: int) -> list[int]:
    """The agents of a set.

    >>> members(0b101, 3)
    [0, 2]
    """
    return [agent for agent in range(n_agents) if called >> agent & 1]


def pooled(
    answers: Answers,
    probs: Float64[Array, "items agents classes"],
    sets: Iterable[int],
    consensus: str | None,
) -> Pool:
    """The pool of these sets, fitted on items about which every agent spoke and whose truth is known."""
    n_agents = len(answers.agents)
    found = {called: combination(probs[:, members(called, n_agents)], answers.truth) for called in sets}
    everyone = (1 << n_agents) - 1
    fitted = None if consensus is None else estimator(consensus).fit(as_coded(answers, probs, everyone, taught=True))
    return Pool(found, fitted)


def as_coded(
    answers: Answers, probs: Float64[Array, "items agents classes"], called: int, *, taught: bool = False
) -> Coded:
    """What these agents said, as estimators read it: calibrated scores, hard answers, and a person's labels."""
    n_items, n_agents, n_classes = probs.shape
    models = [at for at in range(n_agents) if answers.agents[at].kind == "model"]
    on = np.array([called >> at & 1 for at in models], bool)
    kind = np.where(on, answers.kind[:, models], NOTHING).astype(np.int8)
    hard = np.eye(n_classes)[answers.scores[:, models].argmax(axis=2)]
    scores = np.where((kind == HARD)[:, :, None], hard, probs[:, models]) * (kind != NOTHING)[:, :, None]
    answer = np.where(kind == NOTHING, -1, scores.argmax(axis=2)).astype(np.int16)
    people = [at for at in range(n_agents) if answers.agents[at].kind == "person"]
    gold = answers.truth if taught else np.full(n_items, -1)
    return Coded(
        schema=Schema((answers.task,)),
        items=answers.items,
        annotators=tuple(answers.agents[at].name for at in people),
        models=tuple(answers.agents[at].name for at in models),
        labels=_labels(answers, [at for at in people if called >> at & 1]),
        outputs=(ModelOutput(kind, scores.astype(np.float32), answer),),
        gold=gold.astype(np.int16)[:, None],
        features=np.zeros((n_items, 0), np.float32),
        features_known=np.zeros(n_items, bool),
    )


def _labels(answers: Answers, people: Sequence[int]) -> Labels:
    n_items = len(answers.items)
    spoke = (answers.kind[:, people[0]] != NOTHING) if people else np.zeros(n_items, bool)
    code = answers.scores[spoke, people[0]].argmax(axis=1) if people else np.zeros(0)
    start = np.concatenate([[0], np.cumsum(spoke)]).astype(np.int64)
    n_labels = int(spoke.sum())
    return Labels(start, np.zeros(n_labels, np.int32), code.astype(np.int16), np.arange(n_labels))
