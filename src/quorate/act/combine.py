"""Several opinions on a label as one error probability: those of criticizers, and the annotator's own confidence.

    mean        the mean of the errors that are sure; the annotator's doubt, 1 - confidence, is one opinion more
    logistic    P(wrong) = sigmoid(b + sum_c w_c logit(error_c)), w_c >= 0, fitted on labels that people have checked

[lin2025act], appendix G.2, names both extensions and gives no formula. The prior of the logistic form is the mean of
the opinions' log odds, w_c ~ Normal(1/C, 1) and b ~ Normal(0, 2): it decides where the checked labels do not, and a
criticizer that says nothing of use loses its weight. A weight below 0 is not allowed: no doubt speaks for a label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int64
from scipy.optimize import minimize
from scipy.special import expit, logit

from quorate.act.labels import MachineLabel
from quorate.act.verdicts import UNSURE
from quorate.errors import SettingError

Array = np.ndarray
ANNOTATOR = "annotator's confidence"
FLOOR = 1e-3  # of an error: the last of three decimals
WEIGHT_SD, BIAS_SD = 1.0, 2.0
LEAST = 10  # checked labels to fit on
FOLDS = 5


class Opinions(NamedTuple):
    """What everybody says of labels: the probability that each is wrong."""

    keys: tuple[tuple[str, str], ...]  # item and task
    sources: tuple[str, ...]
    errors: Float64[Array, "labels sources"]
    sure: Bool[Array, "labels sources"]  # where a source did speak


class Combination(NamedTuple):
    """How opinions become one, learned from checked labels."""

    sources: tuple[str, ...]
    bias: float
    weights: Float64[Array, "sources"]

    def errors(self, opinions: Opinions) -> Float64[Array, "labels"]:
        """P(wrong) of every label. Raises SettingError for opinions of others."""
        if opinions.sources != self.sources:
            raise SettingError(f"learned from {', '.join(self.sources)}; these opinions are others'")
        return expit(self.bias + _odds(opinions) @ self.weights)


def opinions_of(criticisms: pa.Table, labels: Sequence[MachineLabel], *, with_confidence: bool = False) -> Opinions:
    """The criticisms of these labels, one source per criticizer and strategy; of other labels they are left out.

    Raises SettingError where confidence is wanted and the annotator has given none.
    """
    place = {(each.item, each.task, each.model, each.label): row for row, each in enumerate(labels)}
    names = ("criticizer", "strategy", "item", "task", "model", "label", "error", "flag")
    rows = list(zip(*(criticisms[name].to_pylist() for name in names), strict=True))
    sources = list(dict.fromkeys(f"{row[0]}, {row[1]}" for row in rows))
    if with_confidence:
        if not any(each.confidence is not None for each in labels):
            raise SettingError("the annotator gave no confidence that could be joined")
        sources.append(ANNOTATOR)
    if not sources:
        raise SettingError("there is no criticism: `quorate act criticize` first")
    errors = np.full((len(labels), len(sources)), UNSURE)
    sure = np.zeros(errors.shape, bool)
    for critic, strategy, *of, error, flag in rows:
        at = place.get(tuple(of))
        if at is not None and not flag:
            column = sources.index(f"{critic}, {strategy}")
            errors[at, column], sure[at, column] = error, True
    if with_confidence:
        known = [row for row, each in enumerate(labels) if each.confidence is not None]
        errors[known, -1] = [1.0 - (labels[row].confidence or 0.0) for row in known]
        sure[known, -1] = True
    return Opinions(tuple((each.item, each.task) for each in labels), tuple(sources), errors, sure)


def mean_errors(opinions: Opinions) -> Float64[Array, "labels"]:
    """The mean of what is sure; .5 where nobody is.

    >>> two = Opinions((("a", "t"),), ("x", "y"), np.array([[0.2, 0.5]]), np.array([[True, False]]))
    >>> mean_errors(two)
    array([0.2])
    """
    n = opinions.sure.sum(axis=1)
    total = np.where(opinions.sure, opinions.errors, 0.0).sum(axis=1)
    return np.where(n > 0, total / np.maximum(n, 1), UNSURE)


def learned(
    opinions: Opinions,
    rows: Int64[Array, "checked"],
    wrong: Bool[Array, "checked"],
    stands_for: Float64[Array, "checked"] | None = None,
) -> Combination:
    """Weights at the top of the posterior, from labels that people have checked; each stands for as many as it says.

    Raises SettingError for fewer than 10 of them.
    """
    if len(rows) < LEAST:
        raise SettingError(f"{len(rows)} checked labels: at least {LEAST} are needed to learn from")
    x = np.column_stack([np.ones(len(rows)), _odds(opinions)[rows]])
    n = len(opinions.sources)
    centre = np.array([0.0, *([1.0 / n] * n)])
    precision = np.array([BIAS_SD**-2, *([WEIGHT_SD**-2] * n)])
    sign = np.where(wrong, 1.0, -1.0)
    share = np.ones(len(rows)) if stands_for is None else stands_for * (len(rows) / stands_for.sum())

    def loss(theta: Float64[Array, "parameters"]) -> tuple[float, Float64[Array, "parameters"]]:
        heights = sign * (x @ theta)
        away = theta - centre
        value = share @ np.logaddexp(0.0, -heights) + 0.5 * float(precision @ away**2)
        return float(value), -x.T @ (share * sign * expit(-heights)) + precision * away

    found = minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=[(None, None), *([(0.0, None)] * n)])
    return Combination(opinions.sources, float(found.x[0]), found.x[1:])


class HeldOut(NamedTuple):
    """How well errors are foretold on checked labels that did not teach, in nats a label (lower is better)."""

    learned: float
    mean: float
    constant: float  # the share of wrong labels, for every label


def held_out(
    opinions: Opinions, rows: Int64[Array, "checked"], wrong: Bool[Array, "checked"], *, seed: int = 0
) -> HeldOut:
    """Log loss by five folds, beside the plain mean and a constant."""
    fold = np.random.default_rng(seed).permutation(len(rows)) % FOLDS
    said = np.empty((3, len(rows)))
    for number in range(FOLDS):
        out = fold == number
        if not out.any():
            continue
        said[0, out] = learned(opinions, rows[~out], wrong[~out]).errors(opinions)[rows[out]]
        said[2, out] = (wrong[~out].sum() + 0.5) / ((~out).sum() + 1.0)
    said[1] = mean_errors(opinions)[rows]
    clipped = np.clip(said, FLOOR, 1.0 - FLOOR)
    losses = -np.where(wrong, np.log(clipped), np.log1p(-clipped)).mean(axis=1)
    return HeldOut(*map(float, losses))


def checked_rows(
    labels: Sequence[MachineLabel], truth: Mapping[tuple[str, str], str]
) -> tuple[Int64[Array, "checked"], Bool[Array, "checked"]]:
    """Which labels people have checked, and which of these are wrong."""
    rows = [row for row, each in enumerate(labels) if (each.item, each.task) in truth]
    wrong = [labels[row].label != truth[labels[row].item, labels[row].task] for row in rows]
    return np.array(rows, np.int64), np.array(wrong, bool)


def _odds(opinions: Opinions) -> Float64[Array, "labels sources"]:
    """Log odds of an error; 0 where a source is unsure."""
    return np.where(opinions.sure, logit(np.clip(opinions.errors, FLOOR, 1.0 - FLOOR)), 0.0)
