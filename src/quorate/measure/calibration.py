"""Whether probabilities can be trusted: reliability by bins, expected calibration error, Brier score, log loss.

Truth is a class code per item. A perfectly calibrated set still has a positive calibration error in a finite sample:
read it beside the intervals of the bins.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from quorate.errors import SettingError
from quorate.measure.intervals import Interval, Intervals, jeffreys, mean_interval

Array = np.ndarray
Binning = Literal["width", "mass"]

FLOOR = 1e-12  # a class that was given no chance costs -log of this, about 27.6 nats


class Reliability(NamedTuple):
    """Bins of confidence that hold at least one answer, from low to high."""

    low: Float64[Array, "bins"]  # edges of the bin
    high: Float64[Array, "bins"]
    n: Int64[Array, "bins"]
    confidence: Float64[Array, "bins"]  # mean of the answers in the bin
    right: Intervals  # share of them that is right


def reliability(
    confidence: Float64[Array, "answers"],
    right: Shaped[Array, "answers"],
    *,
    n_bins: int = 10,
    binning: Binning = "width",
    level: float = 0.95,
) -> Reliability:
    """Confidence against the share that is right, bin by bin; right may be a probability.

    binning: bins of equal width from 0 to 1, or of about equal numbers of answers ("mass"; ties stay together).
    Raises SettingError without answers or bins.

    >>> found = reliability(np.array([0.55, 0.65, 0.95, 0.95]), np.array([1, 1, 1, 0]), n_bins=2, binning="mass")
    >>> found.n.tolist(), found.right.estimate.tolist()
    ([2, 2], [1.0, 0.5])
    """
    if n_bins < 1 or not len(confidence):
        raise SettingError("reliability needs at least one answer and one bin")
    edges = np.linspace(0.0, 1.0, n_bins + 1) if binning == "width" else equal_mass_edges(confidence, n_bins)
    bin_of = place_in(confidence, edges)
    n = np.bincount(bin_of, minlength=len(edges) - 1)
    used = n > 0
    total = np.bincount(bin_of, confidence, minlength=len(n))[used]
    hits = np.bincount(bin_of, right.astype(np.float64), minlength=len(n))[used]
    share = jeffreys(hits, n[used], level)
    return Reliability(edges[:-1][used], edges[1:][used], n[used].astype(np.int64), total / n[used], share)


def expected_calibration_error(
    confidence: Float64[Array, "answers"],
    right: Shaped[Array, "answers"],
    *,
    n_bins: int = 15,
    binning: Binning = "width",
) -> float:
    """Mean distance between confidence and the share that is right, over bins weighted by size, from 0 to 1 [guo2017].

    >>> round(expected_calibration_error(np.array([0.9, 0.9, 0.6, 0.6]), np.array([1, 0, 1, 0])), 2)
    0.25
    """
    bins = reliability(confidence, right, n_bins=n_bins, binning=binning)
    return float((bins.n * np.abs(bins.confidence - bins.right.estimate)).sum() / bins.n.sum())


def brier(probs: Float64[Array, "items classes"], truth: Shaped[Array, "items"], level: float = 0.95) -> Interval:
    """Mean squared distance between the probabilities and the truth, summed over classes, from 0 to 2 [brier1950].

    >>> round(brier(np.array([[0.8, 0.2], [0.6, 0.4]]), np.array([0, 1])).estimate, 3)
    0.4
    """
    distance = probs - np.eye(probs.shape[1])[truth]
    return mean_interval((distance**2).sum(axis=1), level)


def log_loss(probs: Float64[Array, "items classes"], truth: Shaped[Array, "items"], level: float = 0.95) -> Interval:
    """Mean of -log P(truth), in nats, with its standard error.

    >>> round(log_loss(np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([0, 1])).estimate, 3)
    0.693
    """
    given = probs[np.arange(len(truth)), truth]
    return mean_interval(-np.log(np.maximum(given, FLOOR)), level)


def top_answers(
    probs: Float64[Array, "items classes"], truth: Shaped[Array, "items"]
) -> tuple[Float64[Array, "items"], Float64[Array, "items"]]:
    """Confidence of the most probable class, and whether it is right; the classes of a tie share the credit.

    >>> [part.tolist() for part in top_answers(np.array([[0.7, 0.3], [0.5, 0.5]]), np.array([0, 1]))]
    [[0.7, 0.5], [1.0, 0.5]]
    """
    confidence = probs.max(axis=1)
    winners = probs == confidence[:, None]
    return confidence, winners[np.arange(len(truth)), truth] / winners.sum(axis=1)


def equal_mass_edges(confidence: Float64[Array, "answers"], n_bins: int) -> Float64[Array, "edges"]:
    """Edges from 0 to 1 of bins with about equal numbers of answers; ties stay together, so there may be fewer bins."""
    last = -(-len(confidence) * np.arange(1, n_bins) // n_bins) - 1  # in whole numbers: .3 · 2,000 may round above 600
    return np.unique(np.concatenate([[0.0], np.sort(confidence)[last], [1.0]]))


def place_in(confidence: Float64[Array, "answers"], edges: Float64[Array, "edges"]) -> Int64[Array, "answers"]:
    """The bin of each answer; an edge belongs to the bin below it."""
    return np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, len(edges) - 2)
