"""How far probabilities are from what happens: adaptive, expected, classwise and smooth error, with intervals.

All are distances, so chance alone makes them positive: a calibrated model shows `chance_error`, not 0. Intervals come
from the bootstrap over items with the bins of the data. Each resample adds chance of its own: as much as the square of
the error grows from the data to its resamples, it grew from the truth to the data, and the lower end makes room for it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Shaped
from scipy.fft import dct, idct
from scipy.sparse import csr_array

from quorate.errors import SettingError
from quorate.measure.calibration import brier, equal_mass_edges, log_loss, place_in, top_answers
from quorate.measure.intervals import Interval, bootstrap, mean_interval, normal_quantile

Array = np.ndarray

ACE_BINS, ECE_BINS = 10, 15
CELLS = 512  # of the grid that the smooth error is computed on
HALVINGS = 16  # of the search for the bandwidth: far below the width of a cell


class Miscalibration(NamedTuple):
    """What can be said of probabilities and truths, each with its interval; accuracy for comparison."""

    ace: Interval
    ece: Interval
    classwise_ece: Interval
    smooth_ece: Interval
    brier: Interval
    log_loss: Interval  # nats
    accuracy: Interval
    chance_ace: float  # what a calibrated model would show


# ---- single figures -------------------------------------------------------------------------------------------------
def adaptive_calibration_error(
    confidence: Float64[Array, "answers"], right: Shaped[Array, "answers"], *, n_bins: int = ACE_BINS
) -> float:
    """Mean over bins of |mean confidence - share that is right|, from 0 to 1 [hovsepian2024, nixon2019].

    Bins hold about equal numbers of answers (ties stay together) and count alike, whatever their size.

    >>> round(adaptive_calibration_error(np.array([0.6, 0.6, 0.9, 0.9]), np.array([1, 0, 1, 1]), n_bins=2), 3)
    0.1
    """
    bin_of = _mass_bins(confidence, n_bins)
    n = np.bincount(bin_of)
    gap = np.abs(np.bincount(bin_of, confidence - right)[n > 0]) / n[n > 0]
    return float(gap.mean())


def chance_error(confidence: Float64[Array, "answers"], *, n_bins: int = ACE_BINS) -> float:
    """The adaptive calibration error that a calibrated model shows by chance, on average (normal approximation).

    Mean over bins of sqrt(2/π) · sqrt(Σ c(1 - c)) / n.

    >>> round(chance_error(np.full(1000, 0.8), n_bins=1), 4)
    0.0101
    """
    bin_of = _mass_bins(confidence, n_bins)
    n = np.bincount(bin_of)
    spread = np.bincount(bin_of, confidence * (1 - confidence))[n > 0]
    return float((np.sqrt(2 / np.pi * spread) / n[n > 0]).mean())


def classwise_calibration_error(
    probs: Float64[Array, "items classes"], truth: Shaped[Array, "items"], *, n_bins: int = ECE_BINS
) -> float:
    """Mean over classes of the expected calibration error of that class's probability, from 0 to 1 [kull2019].

    >>> round(classwise_calibration_error(np.array([[0.8, 0.2], [0.8, 0.2]]), np.array([0, 1])), 3)
    0.3
    """
    n_items, n_classes = probs.shape
    gap = probs - np.eye(n_classes)[truth]
    cell = _width_bins(probs, n_bins) + n_bins * np.arange(n_classes)
    return float(np.abs(np.bincount(cell.ravel(), gap.ravel())).sum() / (n_items * n_classes))


def smooth_calibration_error(confidence: Float64[Array, "answers"], right: Shaped[Array, "answers"]) -> float:
    """Calibration error without bins, from 0 to 1 [blasiok2023].

    ∫ |E[(right - confidence) K_s(t, confidence)]| dt, K_s a normal kernel reflected at 0 and 1, whose bandwidth s
    equals the error. The reflected kernel is diagonal in the cosine basis: one transform of the residuals.

    >>> round(smooth_calibration_error(np.full(100, 0.8), np.repeat([1, 0], [60, 40])), 3)
    0.2
    """
    if not len(confidence):
        raise SettingError("a calibration error needs at least one answer")
    left, share = _cells(confidence)
    gap = (right - confidence) / len(confidence)
    grid = np.bincount(left, gap * (1 - share), CELLS) + np.bincount(left + 1, gap * share, CELLS)
    return float(_smoothed(grid[None])[0])


def _smoothed(residuals: Float64[Array, "draws cells"]) -> Float64[Array, "draws"]:
    """The bandwidth that equals its own error: the error falls as the bandwidth grows, so there is one."""
    waves: Float64[Array, "draws waves"] = np.asarray(dct(residuals, axis=1))
    decay = -0.5 * (np.pi * np.arange(CELLS)) ** 2
    low, high = np.zeros(len(residuals)), np.ones(len(residuals))
    error = low
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        smoothed = np.asarray(idct(waves * np.exp(decay * middle[:, None] ** 2), axis=1))
        error = np.abs(smoothed).sum(axis=1)
        low, high = np.where(error >= middle, middle, low), np.where(error >= middle, high, middle)
    return error


# ---- all of them, with intervals ------------------------------------------------------------------------------------
def miscalibration(
    probs: Float64[Array, "items classes"],
    truth: Int64[Array, "items"],
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
) -> Miscalibration:
    """Every figure with its interval; resamples: of the bootstrap over items.

    Errors: from sqrt(estimate² - growth - 2 z·se·estimate) to estimate + z·se, or from 0; growth of the square and se
    by the bootstrap [efron1979]. Raises SettingError for fewer than two items.

    >>> rng = np.random.default_rng(0)
    >>> probs = rng.dirichlet([2.0, 1.0], 500)
    >>> found = miscalibration(probs, (rng.random(500) > probs[:, 0]).astype(int), rng=rng, resamples=200)
    >>> found.ace.low < 0.02, found.ace.high < 0.1
    (True, True)
    """
    if len(truth) < 2:
        raise SettingError("intervals of a calibration error need at least two items")
    confidence, right = top_answers(probs, truth)
    sums, places = _sums(probs, truth, confidence, right)

    def statistic(total: Float64[Array, "draws sums"]) -> Float64[Array, "draws figures"]:
        n, ace_n, ace, ece, classwise, smooth = np.split(total, places, axis=1)
        used = ace_n > 0
        gaps = np.where(used, np.abs(ace) / np.where(used, ace_n, 1.0), 0.0)
        return np.column_stack([
            gaps.sum(axis=1) / used.sum(axis=1),
            np.abs(ece).sum(axis=1) / n[:, 0],
            np.abs(classwise).sum(axis=1) / (n[:, 0] * probs.shape[1]),
            _smoothed(smooth / n),
        ])  # fmt: skip

    drawn = bootstrap(sums, statistic, rng=rng, resamples=resamples, level=level, method="percentile")
    z = normal_quantile(level)
    ace, ece, classwise_ece, smooth_ece = (_moved(each, z) for each in drawn if each is not None)
    return Miscalibration(
        ace=ace,
        ece=ece,
        classwise_ece=classwise_ece,
        smooth_ece=smooth_ece,
        brier=brier(probs, truth, level),
        log_loss=log_loss(probs, truth, level),
        accuracy=mean_interval(right, level),
        chance_ace=chance_error(confidence),
    )


def _moved(drawn: Interval, z: float) -> Interval:
    """The lower end makes room for the growth by chance, which the middle of the resamples shows."""
    growth = max(((drawn.low + drawn.high) / 2) ** 2 - drawn.estimate**2, 0.0)
    reach = z * drawn.se
    low = max(drawn.estimate * (drawn.estimate - 2 * reach) - growth, 0.0) ** 0.5
    return drawn._replace(low=low, high=drawn.estimate + reach)


def _sums(
    probs: Float64[Array, "items classes"],
    truth: Int64[Array, "items"],
    confidence: Float64[Array, "items"],
    right: Float64[Array, "items"],
) -> tuple[csr_array, Int64[Array, "places"]]:
    """What each item adds to the count, to bins and to the grid, in one sparse row; where each part begins."""
    n_items, n_classes = probs.shape
    gap, class_gap = confidence - right, probs - np.eye(n_classes)[truth]
    mass, left = _mass_bins(confidence, ACE_BINS), _cells(confidence)
    n_mass = int(mass.max()) + 1
    places = np.cumsum([1, n_mass, n_mass, ECE_BINS, ECE_BINS * n_classes])
    columns = np.column_stack([
        np.zeros(n_items, np.int64),
        places[0] + mass,
        places[1] + mass,
        places[2] + _width_bins(confidence, ECE_BINS),
        places[3] + _width_bins(probs, ECE_BINS) + ECE_BINS * np.arange(n_classes),
        places[4] + left[0],
        places[4] + left[0] + 1,
    ])  # fmt: skip
    one = np.ones(n_items)
    values = np.column_stack([one, one, gap, gap, class_gap, -gap * (1 - left[1]), -gap * left[1]])
    width = columns.shape[1]
    rows = np.arange(0, n_items * width + 1, width)
    return csr_array((values.ravel(), columns.ravel(), rows), shape=(n_items, int(places[4]) + CELLS)), places


def _mass_bins(confidence: Float64[Array, "answers"], n_bins: int) -> Int64[Array, "answers"]:
    if n_bins < 1 or not len(confidence):
        raise SettingError("a calibration error needs at least one answer and one bin")
    return place_in(confidence, equal_mass_edges(confidence, n_bins))


def _width_bins(probs: Float64[Array, "*shape"], n_bins: int) -> Int64[Array, "*shape"]:
    """Bins of equal width; an edge belongs to the bin below it."""
    return np.clip(np.ceil(probs * n_bins).astype(np.int64) - 1, 0, n_bins - 1)


def _cells(confidence: Float64[Array, "answers"]) -> tuple[Int64[Array, "answers"], Float64[Array, "answers"]]:
    """The cell whose centre lies below each confidence, and the share that goes to the next one."""
    at = np.clip(confidence * CELLS - 0.5, 0.0, CELLS - 1.0)
    left = np.minimum(at.astype(np.int64), CELLS - 2)
    return left, at - left
