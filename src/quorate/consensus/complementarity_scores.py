"""What `haic` reads, and what follows from its parameters: scores on their scale, votes, posteriors, people's rows."""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.consensus.complementarity_parameters import Conditioned, Parameters, Patterns, conditioned
from quorate.data.encode import Coded, ModelOutput

Array = np.ndarray
Scale = Literal["centred", "log-odds"]

NODES = 24  # of Gauss-Hermite
LEAST_WEIGHT = 1e-10  # nodes that weigh less are left out: they carry less than the table of Phi errs
HIDDEN = (
    1.0 / 3.0
)  # sd of what a hard answer hides, as a share of the gap between its highest and lowest score: without
# it the density of answers that never err has no bound, and the truth becomes what the model says
SURE = 1.0 - 1e-6  # a score above it is a hard answer


# ---- scores on their scale -----------------------------------------------------------------------------------------
class Evidence(NamedTuple):
    """What the models said on one task, on the score scale."""

    x: Float64[Array, "items classes models"]  # nats; 0 where a model said nothing
    pattern: Int64[Array, "items"]
    patterns: Patterns

    def select(self, index: Int64[Array, "kept"]) -> Evidence:
        """These items only."""
        return self._replace(x=self.x[index], pattern=self.pattern[index])


def evidence_of(output: ModelOutput, scale: Scale, floor: float) -> Evidence:
    """Scores p become p (1 - K floor) + floor, then log p less its mean over classes, or log p / (1 - p).

    Hard answers are scores of one; what such a score hides has an sd of a third of the gap that it makes.
    """
    p = output.scores.astype(float)
    n_classes = p.shape[2]
    present = output.kind > 0
    hard = present & ((output.kind == 2) | (p.max(axis=2, initial=0.0) > SURE))
    total = p.sum(axis=2, keepdims=True)
    x = on_scale(p / np.where(total > 0, total, 1.0), scale, floor)
    x = np.where(present[:, :, None], x, 0.0).transpose(0, 2, 1)
    kinds, pattern = _distinct(present.astype(np.int64) + hard)
    gap = float(np.ptp(on_scale(np.eye(n_classes)[:1], scale, floor))) if n_classes else 0.0
    hidden = np.where(kinds == 2, (HIDDEN * gap) ** 2, 0.0)
    return Evidence(np.ascontiguousarray(x), pattern, Patterns(kinds > 0, hidden))


def silence(n_classes: int, n_models: int) -> Evidence:
    """One item of which no model said anything."""
    nobody = Patterns(np.zeros((1, n_models), bool), np.zeros((1, n_models)))
    return Evidence(np.zeros((1, n_classes, n_models)), np.zeros(1, np.int64), nobody)


def on_scale(p: Float64[Array, "*axes classes"], scale: Scale, floor: float) -> Float64[Array, "*axes classes"]:
    """Probabilities on the score scale, in nats; of one class there is nothing to say.

    >>> on_scale(np.array([0.8, 0.2]), "log-odds", 0.0).round(3).tolist()
    [1.386, -1.386]
    """
    if p.shape[-1] == 1:
        return np.zeros(p.shape)
    smooth = p * (1.0 - p.shape[-1] * floor) + floor
    if scale == "log-odds":
        return np.log(smooth) - np.log1p(-smooth)
    logs = np.log(smooth)
    return logs - logs.mean(axis=-1, keepdims=True)


def _distinct(kinds: Int64[Array, "items models"]) -> tuple[Int64[Array, "patterns models"], Int64[Array, "items"]]:
    n_models = kinds.shape[1]
    if n_models <= 39:  # a number of so many ternary digits has 63 bits
        _, first, inverse = np.unique(kinds @ 3 ** np.arange(n_models), return_index=True, return_inverse=True)
        return kinds[first], inverse.astype(np.int64)
    rows, inverse = np.unique(kinds, axis=0, return_inverse=True)
    return rows, inverse.astype(np.int64).ravel()


# ---- votes ---------------------------------------------------------------------------------------------------------
class Votes(NamedTuple):
    """People's labels of one task: every item's begin and end in them."""

    begin: Int64[Array, "items"]
    end: Int64[Array, "items"]
    person: Int64[Array, "labels"]  # place in Parameters.skill
    code: Int64[Array, "labels"]

    def flat(self) -> tuple[Int64[Array, "labels_here"], Int64[Array, "labels_here"]]:
        """The item, and the place in `person` and `code`, of every label of these items."""
        length = self.end - self.begin
        skipped = self.begin - np.cumsum(length) + length
        total = int(length.sum())
        return np.repeat(np.arange(len(length)), length), np.arange(total) + np.repeat(skipped, length)


def votes_of(coded: Coded, task: int, place: Int64[Array, "annotators_plus_1"]) -> Votes:
    """The labels of one task. place: the place of every annotator's skill, strangers' last."""
    start, step = coded.labels.start, max(coded.n_tasks, 1)
    begin, end = start[:-1][task::step], start[1:][task::step]
    bounds = np.concatenate([[0], np.cumsum(end - begin)]).astype(np.int64)
    here = np.arange(bounds[-1]) + np.repeat(begin - bounds[:-1], end - begin)
    person = place[coded.labels.annotator[here]]
    return Votes(bounds[:-1], bounds[1:], person, coded.labels.code[here].astype(np.int64))


# ---- given the parameters ------------------------------------------------------------------------------------------
def latent_posteriors(evidence: Evidence, votes: Votes, parameters: Parameters) -> Float64[Array, "items latent"]:
    """P(truth | scores, labels) of every item."""
    return normalised(item_logits(evidence, votes, parameters))


def item_logits(evidence: Evidence, votes: Votes, parameters: Parameters) -> Float64[Array, "items latent"]:
    """Log P(truth, labels | scores) up to a constant of the item."""
    at = conditioned(parameters, evidence.patterns)
    logits = np.log(parameters.prevalence) + np.einsum("ikm,im->ik", evidence.x, at.weight[evidence.pattern])
    item, place = votes.flat()
    np.add.at(logits, item, label_logits(evidence, at, parameters, item, votes.person[place], votes.code[place]))
    return logits


def label_logits(
    evidence: Evidence,
    at: Conditioned,
    parameters: Parameters,
    item: Int64[Array, "asked"],
    person: Int64[Array, "asked"],
    code: Int64[Array, "asked"],
) -> Float64[Array, "asked latent"]:
    """Log P(label | scores of its item, truth) of every asked label."""
    from quorate.consensus import complementarity_kernels as kernels

    of = (evidence.x, evidence.pattern, at.slope, at.inv_sd, at.shift)
    return kernels.label_logits(*of, item, person, code, parameters.skill, *rule())


def person_rows(
    evidence: Evidence, parameters: Parameters, item: Int64[Array, "asked"], person: Int64[Array, "asked"]
) -> Float64[Array, "asked latent classes"]:
    """P(any label | scores of the item, truth) of these people."""
    at, n_classes = conditioned(parameters, evidence.patterns), evidence.x.shape[1]
    columns = [
        label_logits(evidence, at, parameters, item, person, np.full(len(item), h, np.int64)) for h in range(n_classes)
    ]
    rows = np.exp(np.stack(columns, axis=2))
    return rows / rows.sum(axis=2, keepdims=True)


def normalised(logits: Float64[Array, "items latent"]) -> Float64[Array, "items latent"]:
    """Softmax of every row."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


@cache
def rule() -> tuple[Float64[Array, "nodes"], Float64[Array, "nodes"]]:
    """Gauss-Hermite for a standard normal variable: sum weights f(nodes) = E f."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    kept = weights > LEAST_WEIGHT
    return nodes[kept], weights[kept] / weights[kept].sum()
