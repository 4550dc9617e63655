"""What stopping early saves when the truth is known: estimators replayed on items that they never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float64, Int16

from quorate.consensus.registry import estimator
from quorate.evaluate.protocol import Replay, Trial, Truth, n_labels, replay, trial
from quorate.measure.efficiency import Curve, curve

if TYPE_CHECKING:
    from quorate.cli.terminal import Progress
    from quorate.data.encode import Coded

Array = np.ndarray


class Replayed(NamedTuple):
    """One estimator, judged by the truth."""

    accuracy: Float64[Array, "steps"]  # share right after 0, 1, 2, ... labels per item and task
    curve: Curve  # stopping every item and task by itself


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
    """Fit on one half, replay the other label by label, and the reverse; both halves together."""
    steps: list[Replay] = []
    wanted: list[Array] = []
    for half, (teach, judged, truth) in enumerate(ready.halves()):
        model = estimator(name).fit(teach, progress=_half(step, half, name))
        steps.append(replay(model, judged, truth))
        wanted.append(n_labels(judged))
    both = Replay(*(np.concatenate(part, axis=1) for part in zip(*steps, strict=True)))
    return Replayed(both.credit.mean(axis=(1, 2)), curve(both.confidence, both.credit, np.concatenate(wanted)))


def as_right_as(accuracy: float, of: Curve, n_labels: int) -> Stop | None:
    """The fewest labels with which a curve is at least so accurate; None where it never is."""
    good = np.flatnonzero(of.accuracy >= accuracy - 1e-12)
    if not len(good):
        return None
    best = good[np.argmax(of.efficiency[good])]
    saved = float(of.efficiency[best])
    return Stop(float(of.threshold[best]), round(n_labels * (1 - saved)), saved, float(of.accuracy[best]))


def _half(step: Progress, half: int, name: str) -> Progress:
    return lambda share, what: step((half + share) / 2, name if name in what else f"{name}: {what}")
