"""What the fit of one task of `haic` maximises: the log posterior of its parameters, and the gradient.

All passes take the scores item by item; what hangs on them through their sums alone (the density that all classes
share) is taken from moments, once per pattern of models.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.consensus.complementarity_parameters import (
    Conditioned,
    Layout,
    Moved,
    Parameters,
    Pull,
    Sources,
    conditioned,
    pulled_back,
    to_sources,
)
from quorate.consensus.complementarity_scores import Evidence, Votes, rule

Array = np.ndarray


# ---- the problem ---------------------------------------------------------------------------------------------------
class Moments(NamedTuple):
    """Of every pattern: how many items, and sums over its items and classes of x and x x'."""

    items: Float64[Array, "patterns"]
    sums: Float64[Array, "patterns models"]
    squares: Float64[Array, "patterns models models"]


@dataclass(frozen=True, eq=False)
class Problem:
    """One task to be fitted. joint: the scores' own likelihood counts; centred: they know one dimension less."""

    evidence: Evidence
    votes: Votes
    gold: Int64[Array, "items"]  # -1: unknown
    joint: bool
    centred: bool

    def select(self, index: Int64[Array, "kept"]) -> Problem:
        """These items only."""
        votes = self.votes._replace(begin=self.votes.begin[index], end=self.votes.end[index])
        return replace(self, evidence=self.evidence.select(index), votes=votes, gold=self.gold[index])


def moments_of(evidence: Evidence) -> Moments:
    """The sums that the scores' density needs."""
    n_patterns, n_models = evidence.patterns.present.shape
    order = np.argsort(evidence.pattern, kind="stable")
    count = np.bincount(evidence.pattern, minlength=n_patterns)
    sums, squares = np.zeros((n_patterns, n_models)), np.zeros((n_patterns, n_models, n_models))
    for p, end in enumerate(np.cumsum(count)):
        of_pattern = evidence.x[order[end - count[p] : end]]
        sums[p] = of_pattern.sum(axis=(0, 1))
        squares[p] = np.einsum("ikm,ikn->mn", of_pattern, of_pattern, optimize=True)
    return Moments(count.astype(float), sums, squares)


# ---- the objective -------------------------------------------------------------------------------------------------
class Height(NamedTuple):
    """The log posterior, in nats and up to a constant, its gradient, and what the data know of every skill."""

    value: float
    gradient: Float64[Array, "parameters"]
    information: Float64[Array, "people_plus_1"]  # sum of squared scores


def height(problem: Problem, moments: Moments, layout: Layout, vector: Float64[Array, "parameters"]) -> Height:
    """The log posterior at these parameters."""
    sources = layout.sources(vector)
    parameters = layout.parameters(sources)
    at = conditioned(parameters, problem.evidence.patterns)
    passed = _label_pass(problem, parameters, at)
    nothing = np.zeros_like(at.precision)
    pull = Pull(passed.weight, passed.slope, passed.inv_sd, passed.shift, nothing, nothing)
    value, g_distance, g_wrong = passed.value, np.zeros(layout.n_models), np.zeros(layout.n_models)
    if problem.joint:
        density, pull, g_distance, g_wrong = _density(problem, moments, parameters, at, pull)
        value += density
    through, g_own, g_cross = pulled_back(pull, at, parameters)
    moved = Moved(g_distance + through, g_wrong, g_own, g_cross, passed.skill, passed.log_prevalence)
    gradient = to_sources(layout, sources, parameters, moved)
    prior, g_of_prior = layout.log_prior(sources)
    whole = Sources(*(a + b for a, b in zip(gradient, g_of_prior, strict=True)))
    return Height(value + prior, layout.free(whole).joined(), passed.information)


class _Passed(NamedTuple):
    """What `score_pass` sums up: the log likelihood of labels, and its gradient."""

    value: float
    log_prevalence: Float64[Array, "classes"]
    weight: Float64[Array, "patterns models"]
    slope: Float64[Array, "patterns models"]
    inv_sd: Float64[Array, "patterns"]
    shift: Float64[Array, "patterns"]
    skill: Float64[Array, "people_plus_1"]
    information: Float64[Array, "people_plus_1"]


def _label_pass(problem: Problem, parameters: Parameters, at: Conditioned) -> _Passed:
    from quorate.consensus import complementarity_kernels as kernels

    evidence = problem.evidence
    sums: Any = kernels.score_pass(
        evidence.x,
        evidence.pattern,
        at.weight,
        at.slope,
        at.inv_sd,
        at.shift,
        evidence.patterns.present.any(axis=1),
        np.log(parameters.prevalence),
        *problem.votes,
        parameters.skill,
        problem.gold,
        not problem.joint,
        *rule(),
    )
    return _Passed(*sums)


def _density(
    problem: Problem, moments: Moments, parameters: Parameters, at: Conditioned, pull: Pull
) -> tuple[float, Pull, Float64[Array, "models"], Float64[Array, "models"]]:
    """What the scores' log density adds for all classes alike, in nats, and its part in the gradient.

    sum_j log N(x_j; mu_[j = k], S) = weight . x_k - weight . (muM0 + d / 2) + sum_j log N(x_j; muM0, S)
    """
    n_classes = problem.evidence.x.shape[1]
    n, wrong = moments.items, parameters.wrong
    distance = parameters.right - wrong
    cross = moments.sums[:, :, None] * wrong
    spread = moments.squares - cross - cross.transpose(0, 2, 1)
    spread = spread + n_classes * n[:, None, None] * np.outer(wrong, wrong)
    dimensions = n * (n_classes - problem.centred)
    speakers = problem.evidence.patterns.present.sum(axis=1)
    value = -0.5 * (at.precision * spread).sum() - n @ (at.weight @ (wrong + 0.5 * distance))
    value -= 0.5 * dimensions @ (at.log_det + speakers * np.log(2.0 * np.pi))
    more = pull._replace(
        weight=pull.weight - n[:, None] * (wrong + 0.5 * distance),
        precision=pull.precision - 0.5 * spread,
        covariance=pull.covariance - 0.5 * dimensions[:, None, None] * at.precision,
    )
    lone = n @ at.weight
    off = moments.sums - n_classes * n[:, None] * wrong
    return float(value), more, -0.5 * lone, np.einsum("pij,pj->i", at.precision, off) - lone


def steps(problem: Problem, layout: Layout) -> Float64[Array, "parameters"]:
    """How far every part of the vector moves while the log posterior bends alike: its rough standard errors.

    With these as units L-BFGS needs a third of the passes.
    """
    votes, n_items = problem.votes, max(len(problem.gold), 1)
    _, place = votes.flat()
    n_labels = np.bincount(votes.person[place], minlength=layout.n_people + 1)
    told = 0.3  # information in one label about its person's skill, roughly
    error = 1.0 / np.sqrt(n_items)
    return Sources(
        shares=np.full(layout.n_classes, 2.0 * error),
        contrast=np.full(layout.n_models, error),
        offset=np.full(layout.n_models, error),
        log_sd=np.full(layout.n_models, 0.5 * error),
        partial=np.full(layout.n_models * (layout.n_models + 1) // 2, 0.7 * error),
        usual=1.0 / np.sqrt(1.0 + told * n_labels.sum(keepdims=True)),
        deviation=1.0 / np.sqrt(1.0 + told * layout.spread**2 * n_labels[:-1]),
    ).joined()
