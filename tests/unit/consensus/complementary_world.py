"""Worlds drawn from the definition of `haic`, with parameters known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quorate.consensus.complementarity_objective import Problem
from quorate.consensus.complementarity_parameters import Parameters, Patterns, cholesky
from quorate.consensus.complementarity_scores import Evidence, Votes


class World(NamedTuple):
    """Items of one task drawn from known parameters."""

    truth: np.ndarray
    evidence: Evidence
    votes: Votes

    def problem(self, known: np.ndarray | None = None, *, joint: bool = True, centred: bool = False) -> Problem:
        """As the fit takes it. known: where the truth is told."""
        gold = np.full(len(self.truth), -1) if known is None else np.where(known, self.truth, -1)
        return Problem(self.evidence, self.votes, gold, joint, centred)


def parameters(n_models: int, *, n_classes: int = 4, skill: tuple[float, ...] = (1.2,), seed: int = 0) -> Parameters:
    """Parameters of some size; a skill per person, the last the population's."""
    rng = np.random.default_rng(seed)
    factor, _ = cholesky(0.5 * rng.normal(size=n_models * (n_models + 1) // 2), n_models + 1)
    return Parameters(
        rng.dirichlet(5.0 * np.ones(n_classes)),
        rng.normal(2.0, 0.5, n_models),
        rng.normal(-0.5, 0.5, n_models),
        rng.uniform(0.7, 2.0, n_models),
        np.array(skill),
        factor @ factor.T,
    )


PAPER = Parameters(
    prevalence=np.full(4, 0.25),
    right=np.array([2.0]),
    wrong=np.array([-1.0]),
    sd=np.array([1.5]),
    skill=np.array([1.2]),
    correlation=np.array([[1.0, 0.45], [0.45, 1.0]]),
)


def drawn(of: Parameters, n_items: int, seed: int, *, n_labels: int = 1, missing: float = 0.0) -> World:
    """Truth, scores and labels by the definition: agents of one class at a time, from their joint normal."""
    rng = np.random.default_rng(seed)
    n_classes, n_models = len(of.prevalence), len(of.sd)
    truth = rng.choice(n_classes, n_items, p=of.prevalence)
    on = np.eye(n_classes, dtype=bool)[truth]
    z = rng.standard_normal((n_items, n_classes, n_models)) @ np.linalg.cholesky(of.correlation[:-1, :-1]).T
    x = np.where(on[:, :, None], of.right, of.wrong) + of.sd * z
    pull = np.linalg.solve(of.correlation[:-1, :-1], of.correlation[:-1, -1])
    left = np.sqrt(1.0 - pull @ of.correlation[:-1, -1])
    person = np.stack([rng.permutation(max(len(of.skill) - 1, 1))[:n_labels] for _ in range(n_items)])
    own = left * rng.standard_normal((n_items, n_labels, n_classes)) + (z @ pull)[:, None]
    code = (own + on[:, None] * of.skill[person][:, :, None]).argmax(axis=2)
    kinds = rng.random((n_items, n_models)) >= missing
    patterns, pattern = np.unique(kinds, axis=0, return_inverse=True)
    x = np.ascontiguousarray(np.where(kinds[:, None], x, 0.0))
    begin = n_labels * np.arange(n_items)
    evidence = Evidence(x, pattern.ravel(), Patterns(patterns, np.zeros(patterns.shape)))
    return World(truth, evidence, Votes(begin, begin + n_labels, person.ravel(), code.ravel()))


def centred(world: World) -> World:
    """The same world as scores tell it: less the mean over classes."""
    x = world.evidence.x - world.evidence.x.mean(axis=1, keepdims=True)
    return world._replace(evidence=world.evidence._replace(x=x))
