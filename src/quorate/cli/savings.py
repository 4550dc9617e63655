"""What stopping early saves when the truth is known: an estimator replayed on items that it never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float64, Int16

from quorate.consensus.registry import estimator
from quorate.evaluate.protocol import Trial, Truth, n_labels, replay, trial
from quorate.measure.efficiency import Curve, curve

if TYPE_CHECKING:
    from quorate.cli.terminal import Progress
    from quorate.data.encode import Coded

Array = np.ndarray


class Replayed(NamedTuple):
    """One estimator, judged by the truth."""

    accuracy: Float64[Array, "steps"]  # share right after 0, 1, 2, ... labels per item and task
    curve: Curve  # stopping every item and task by itself
    labels: int  # of the items replayed


class Stop(NamedTuple):
    """Where a threshold on the confidence leads."""

    confidence: float
    labels: int
    saved: float  # share of all labels
    accuracy: float


def with_truth(coded: Coded, truth: Int16[Array, "items tasks"]) -> Trial:
    """Made ready as for `quorate compare`, but judged by this truth, which no estimator sees."""
    ready = trial(coded)
    place = {item: row for row, item in enumerate(coded.items)}
    rows = np.array([place[item] for item in ready.coded.items], np.int64)
    return Trial(ready.coded, Truth(truth[rows], ("latent",) * coded.n_tasks), ready.folds)


def replayed(name: str, ready: Trial, step: Progress) -> Replayed:
    """Fit on one half of the items, replay the other label by label."""
    teach, judged, truth = ready.halves()[0]
    model = estimator(name).fit(teach, progress=lambda share, _what: step(share, f"replaying {name}"))
    steps, wanted = replay(model, judged, truth), n_labels(judged)
    return Replayed(steps.credit.mean(axis=(1, 2)), curve(steps.confidence, steps.credit, wanted), int(wanted.sum()))


def as_right_as(accuracy: float, of: Replayed) -> Stop | None:
    """The fewest labels with which an estimator is at least so accurate; None where it never is."""
    good = np.flatnonzero(of.curve.accuracy >= accuracy - 1e-12)
    if not len(good):
        return None
    best = good[np.argmax(of.curve.efficiency[good])]
    saved = float(of.curve.efficiency[best])
    labels = round(of.labels * (1 - saved))
    return Stop(float(of.curve.threshold[best]), labels, saved, float(of.curve.accuracy[best]))
