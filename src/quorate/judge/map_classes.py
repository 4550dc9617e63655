"""Maps of unordered classes: the classes of a random person given what the judge says, by least log loss.

identity      the judge's own probabilities
rows          P(person's class | judge's class): counts and α pseudo-persons who agree with the judge as often as
              people do over all classes, else answer as people answer; α by marginal likelihood [minka2000]
temperature, vector       one slope, or a slope and a bias per class [guo2017], of a judge's own probabilities
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from scipy.special import gammaln

from quorate.calibrate.calibrators import Temperature, Vector
from quorate.calibrate.methods import calibrator
from quorate.judge.graded import Graded
from quorate.judge.map_grades import marginal, shares
from quorate.judge.maps import FLOOR, Rows, ScoreMap, Slopes

Array = np.ndarray
STRENGTHS = 2.0 ** np.arange(-1, 11)  # pseudo-persons per row that are tried
KINDS = ("identity", "temperature", "rows", "vector")  # the simpler first: it wins a tie


def class_map(kind: str, graded: Graded) -> ScoreMap:
    """A map of unordered classes, fitted on the items that people and the judge labeled."""
    n = len(graded.task.classes)
    known = graded.select(graded.known)
    if kind == "identity" or not known.items:
        return ScoreMap(graded.task, "identity", Rows(tuple(map(tuple, np.eye(n).tolist()))))
    if kind == "rows":
        return ScoreMap(graded.task, kind, Rows(tuple(map(tuple, rows_of(known).tolist()))))
    return ScoreMap(graded.task, kind, _slopes(kind, known))


def rows_of(known: Graded) -> Float64[Array, "said classes"]:
    """People's classes by what the judge said: shrunken rows that sum to 1."""
    counts = known.probs.T @ shares(known)
    base = _base(counts, marginal(known))
    fit = [_evidence(counts, base * strength) for strength in STRENGTHS]
    found = counts + base * STRENGTHS[int(np.argmax(fit))]
    return found / found.sum(axis=1, keepdims=True)


def _base(counts: Float64[Array, "said classes"], people: Float64[Array, "classes"]) -> Float64[Array, "said classes"]:
    """Rows of a judge that is as often right in every class, and else as people answer."""
    n = len(people)
    right = (np.trace(counts) + 1) / (counts.sum() + n)
    others = np.where(np.eye(n, dtype=bool), 0.0, people)
    others /= np.maximum(others.sum(axis=1, keepdims=True), FLOOR)
    mixed = right * np.eye(n) + (1 - right) * others
    return np.maximum(mixed, FLOOR)


def _evidence(counts: Float64[Array, "said classes"], prior: Float64[Array, "said classes"]) -> float:
    """Log marginal likelihood of the counts under a Dirichlet prior on every row, nats."""
    total, whole = counts.sum(axis=1), prior.sum(axis=1)
    rows = gammaln(whole) - gammaln(whole + total) + (gammaln(prior + counts) - gammaln(prior)).sum(axis=1)
    return float(rows.sum())


def _slopes(kind: str, known: Graded) -> Slopes:
    """A calibrator of `quorate.calibrate`, fitted on one example per item and class that somebody gave it."""
    part = shares(known)
    item, code = np.nonzero(part)
    logs = np.log(np.maximum(known.probs[item], FLOOR))
    found = calibrator(kind, logs, code.astype(np.int64), weights=part[item, code])
    n = known.probs.shape[1]
    if isinstance(found, Temperature):
        return Slopes((float(found.scale),) * n, (0.0,) * n)
    assert isinstance(found, Vector)
    return Slopes(tuple(found.slopes.tolist()), tuple(found.bias.tolist()))
