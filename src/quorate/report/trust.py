"""Whether confidences mean what they say, and the floor that is proven: on items that the model never saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from quorate.errors import DataError, SettingError
from quorate.measure.calibration import Reliability, expected_calibration_error, reliability
from quorate.policy.certificate import Certificate
from quorate.policy.certify import POINTS, certify, labels_needed
from quorate.policy.steps import Fold, Steps, steps_of
from quorate.report.words import TARGETS, count, percent

Array = np.ndarray
AFTER = (0, 1, 2, 4)  # labels after which confidences are held against what is right
FEWEST = 50  # answers of such a state
SURE = 0.9
FIXED = 1.0 - np.geomspace(0.5, 1e-3, POINTS)  # thresholds where no others are known
MOST_NEEDED = 20_000  # more checked answers than this are no advice
SUREST = 0.3  # share of the answers from which the size of a validation is foretold


class Series(NamedTuple):
    """The answers after so many labels."""

    labels: int
    n: int
    bins: Reliability
    error: float  # expected calibration error, from 0 to 1
    sure: tuple[int, float, float, float] | None  # answers with a confidence of SURE or more; right, low, high


class Trust(NamedTuple):
    """Confidence against the share that is right."""

    series: tuple[Series, ...]
    target: str


class Proof(NamedTuple):
    """The certificate, and what it would take where there is none."""

    certificate: Certificate
    needed: int | None  # validation answers


def trust(steps: Steps) -> Trust:
    """Answers that another label could still change, after 0, 1, 2 and 4 labels.

    With all labels a panel is certain by itself, which would tell nothing. Raises DataError for too few answers.
    """
    found = [_series(steps, j) for j in AFTER if j < len(steps.confidence)]
    known = tuple(series for series in found if series is not None)
    if not known:
        raise DataError(
            f"fewer than {FEWEST} answers have a truth and a label to come", mend="add gold, or labels by more people"
        )
    return Trust(known, _target(steps.kind))


def _series(steps: Steps, labels: int) -> Series | None:
    chosen = steps.counted & (steps.n_labels > labels)
    confidence, right = np.minimum(steps.confidence[labels][chosen], 1.0), steps.credit[labels][chosen]
    if len(right) < FEWEST:
        return None
    bins = reliability(confidence, right)
    surest = confidence >= SURE
    sure = None
    if surest.sum() >= FEWEST:
        of = reliability(confidence[surest], right[surest], n_bins=1).right.at()
        sure = int(surest.sum()), of.estimate, of.low, of.high
    return Series(labels, len(right), bins, expected_calibration_error(confidence, right), sure)


def proof(folds: Sequence[Fold], floor: float, delta: float) -> Proof:
    """The certificate of the model of the first fold, which learned from the second; judged label by label.

    The thresholds under test are taken from the items that taught, so that they know nothing of those they are tested
    on. A saved model may have learned from these very items, which the certificate then says it did not check.
    """
    fold = folds[0]
    states = steps_of(fold.model, fold.judge, fold.truth)
    if not states.counted.any():
        raise DataError("no answer of the validation half has a truth", mend="add gold, or labels by more people")
    sureness = np.where(_missing(states, 1), -np.inf, states.confidence)[:, states.counted].T
    campaign = _seen_in_teaching(folds)
    right = np.floor(states.credit + 1e-9)[:, states.counted].T  # of tied answers none is right: that proves less
    found = certify(
        sureness,
        right,
        floor,
        delta,
        thresholds=FIXED if campaign is None else None,
        target=_target(states.kind),
        items=[states.items[i] for i in np.nonzero(states.counted)[0]],
        fitted_items=folds[1].judge.items if len(folds) > 1 else None,
        campaign=campaign,
    )
    return Proof(found, None if found.threshold is not None else _needed(sureness, right, floor, delta))


def _seen_in_teaching(folds: Sequence[Fold]) -> Float64[Array, "cells steps"] | None:
    """The sureness of the items that taught, of their states before the last label; None without any."""
    if len(folds) < 2:
        return None
    taught = folds[1]
    states = steps_of(folds[0].model, taught.judge, taught.truth)
    seen = np.where(_missing(states, 0), -np.inf, states.confidence).reshape(len(states.confidence), -1).T
    seen = seen[np.isfinite(seen).any(axis=1)]  # the others have no label to save
    return seen if len(seen) else None


def _missing(states: Steps, ahead: int) -> Bool[Array, "steps items tasks"]:
    """Steps that an item-task does not have; with 0 ahead, its last one too, after which nothing can be saved."""
    return np.arange(len(states.confidence))[:, None, None] >= states.n_labels + ahead


def _needed(
    sureness: Float64[Array, "cells steps"], right: Float64[Array, "cells steps"], floor: float, delta: float
) -> int | None:
    """Validation answers that would do if the surest stay as right as they are; None where that is little."""
    at = sureness.argmax(axis=1)
    best = np.take_along_axis(sureness, at[:, None], axis=1)[:, 0]
    surest = best >= np.quantile(best, 1 - SUREST)
    accuracy = float(np.take_along_axis(right, at[:, None], axis=1)[surest, 0].mean())
    try:
        needed = labels_needed(floor, delta / 4, accuracy, SUREST)
    except SettingError:
        return None
    return needed if needed <= MOST_NEEDED else None


def _target(kinds: Sequence[str]) -> str:
    return " or ".join(dict.fromkeys(TARGETS[kind] for kind in kinds))


def verdict(of: Trust) -> str:
    """One sentence: when it says 90 % or more, how often is it right?"""
    parts = [
        f"{_when(series.labels)} {percent(right)} ({percent(low)} to {percent(high)}, {count(n, 'answer')})"
        for series in of.series
        if series.sure is not None
        for n, right, low, high in [series.sure]
    ]
    if not parts:
        return f"Too few answers were {percent(SURE)} sure or more to say how often those are right."
    return f"Answers that were {percent(SURE)} sure or more were right {', '.join(parts)}."


def _when(labels: int) -> str:
    return "before any label in" if labels == 0 else f"after {count(labels, 'label')} in"
