"""Where a judge and what people do disagree most, beyond chance: items that people should look at.

A cell is an item as the answer to a query. What is expected of it is a curve over the judge's grade, the best rising
one (or falling, of skips) through all cells, fitted without the cell's own fold of items [barlow1972]. Cells of a grade
differ by nature, with variance τ², and their logs by chance. With n looks (times shown, times the chance to be looked
at, see `position`) and m expected, a yes-or-no signal has over a cell

    E c = m n,   V = m n - (m² + τ²) n₂ + τ² n²,   τ² = m (1 - m) / (s + 1),

n₂ the sum of squared chances; without positions this is the beta-binomial distribution. A mean of a real signal varies
by σ²/n + τ², and what a position adds to it is taken off first (cells and positions fitted in turn). s and τ² are told
from the cells (see `nature`). From there
- the residual (c - m n) / √V, in units of its own error, above 0 where people like what the judge does not;
- the shrunken signal m + B (c - m n), B = τ² n / V, the best linear guess [buhlmann1967], for yes and no without
  positions the posterior mean, with error √(τ² (1 - B n));
- p: the share of residuals at least as far out, on the same side, in logs drawn anew from this very model; q: the false
  discovery rate that comes with taking all cells up to this one [benjamini1995].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from scipy.optimize import isotonic_regression

from quorate.errors import DataError, SettingError
from quorate.judge.behavior import Log
from quorate.judge.nature import of_clicks, of_means
from quorate.judge.position import Shown, looked_at, shown

Array = np.ndarray
FOLDS = 5
MOST_DRAWN, MOST_REPEATS = 4_000_000, 100  # cells of logs drawn anew, and such logs
FEWEST = 20  # cells; with fewer there is no curve to speak of
TINY = 1e-12


class Cells(NamedTuple):
    """What was logged of every cell."""

    total: Float64[Array, "cells"]  # of the signal, over looks
    looks: Float64[Array, "cells"]
    squares: Float64[Array, "cells"]  # of the chances to be looked at
    noise: float | None  # σ² of one look of a real signal; None: the signal is yes or no
    at: Shown  # position by position
    theta: Float64[Array, "places"]  # the chance to be looked at there


class Model(NamedTuple):
    """What is expected of cells, and how far they differ by nature."""

    mean: Float64[Array, "cells"]
    spread: Float64[Array, "cells"]  # τ²


class Residuals(NamedTuple):
    """Every cell beside what is expected of it."""

    expected: Float64[Array, "cells"]  # the signal per look
    found: Float64[Array, "cells"]
    shrunken: Float64[Array, "cells"]
    error: Float64[Array, "cells"]  # of the shrunken signal
    residual: Float64[Array, "cells"]
    p: Float64[Array, "cells"]
    q: Float64[Array, "cells"]
    looks: Float64[Array, "cells"]
    positions: Float64[Array, "positions"] | None  # how often looked at; of a real signal what a position adds


def residuals(log: Log, grade: Float64[Array, "items"], *, falling: bool = False, seed: int = 0) -> Residuals:
    """Cells in the order of `log.pairs`; `grade` is the judge's, by the items of the log, in its own unit.

    Raises DataError for fewer than twenty cells, or a signal that is the same in all rows; SettingError for grades that
    are not finite.
    """
    item, _, cell = log.pairs
    if not np.isfinite(grade[item]).all():
        raise SettingError("every item of the log needs a finite grade of the judge")
    if len(item) < FEWEST or np.ptp(log.signal) == 0:
        problem = f"{len(item)} pairs of item and query" if len(item) < FEWEST else "the signal never changes"
        raise DataError(problem, mend=f"log {FEWEST} pairs or more, in which the signal differs", source="the log")
    rng = np.random.default_rng(seed)
    positions = _positions(log, cell, grade[item])
    if not log.binary and positions is not None and log.position is not None:
        log = Log(*log[:4], log.signal - positions[log.position], *log[5:])
    chance = positions if log.binary else None
    cells = _cells(log, cell, chance)
    fold = rng.permutation(len(log.items))[item] % FOLDS
    model = _model(cells, -grade[item] if falling else grade[item], fold)
    variance, off = _variance(cells, model), cells.total - model.mean * cells.looks
    back = model.spread * cells.looks / variance
    error = np.sqrt(np.maximum(model.spread * (1 - back * cells.looks), 0.0))
    residual = off / np.sqrt(variance)
    p = _tail(residual, _drawn(log, cell, cells, model, variance, rng))
    found, shrunken, q = cells.total / cells.looks, model.mean + back * off, false_discovery(p)
    return Residuals(model.mean, found, shrunken, error, residual, p, q, cells.looks, positions)


def false_discovery(p: Float64[Array, "cells"]) -> Float64[Array, "cells"]:
    """Q of every cell: the least false discovery rate at which it is found [benjamini1995].

    >>> false_discovery(np.array([0.01, 0.5, 0.02])).tolist()
    [0.03, 0.5, 0.03]
    """
    order = np.argsort(p, kind="stable")
    rising = p[order] * len(p) / np.arange(1, len(p) + 1)
    found = np.empty_like(p)
    found[order] = np.minimum(np.minimum.accumulate(rising[::-1])[::-1], 1.0)
    return found


# ---- what was logged ------------------------------------------------------------------------------------------------
def _positions(
    log: Log, cell: Int64[Array, "rows"], grade: Float64[Array, "cells"]
) -> Float64[Array, "positions"] | None:
    if log.position is None:
        return None
    if log.binary:
        return looked_at(shown(cell, log.position, log.weight, log.signal), grade)
    added = np.zeros(int(log.position.max()) + 1)
    for _ in range(FOLDS * FOLDS):
        of_cell = _means(cell, log.signal - added[log.position], log.weight, len(grade))
        added = _means(log.position, log.signal - of_cell[cell], log.weight, len(added))
        added -= added[log.position.min()]
    return added


def _means(
    at: Int64[Array, "rows"], values: Float64[Array, "rows"], weight: Float64[Array, "rows"], n: int
) -> Float64[Array, "groups"]:
    return np.bincount(at, weight * values, n) / np.maximum(np.bincount(at, weight, n), TINY)


def _cells(log: Log, cell: Int64[Array, "rows"], chance: Float64[Array, "positions"] | None) -> Cells:
    position = np.zeros(len(cell), np.int64) if log.position is None else log.position
    at = shown(cell, position, log.weight, log.signal)
    theta = np.ones(len(at.cell)) if chance is None else chance[at.position]
    total, looks = np.bincount(at.cell, at.clicks), np.bincount(at.cell, at.times * theta)
    noise = None
    if not log.binary:
        within = float(log.weight @ (log.signal - (total / looks)[cell]) ** 2)
        noise = within / max(float(looks.sum()) - len(looks), 1.0)
    return Cells(total, looks, np.bincount(at.cell, at.times * theta**2), noise, at, theta)


# ---- what is expected -----------------------------------------------------------------------------------------------
def _model(cells: Cells, grade: Float64[Array, "cells"], fold: Int64[Array, "cells"]) -> Model:
    """The curve and the spread, in turn: how much a cell counts for the curve hangs on the spread."""
    mean = _curve(cells, grade, cells.looks, fold)
    model = Model(mean, _spread(cells, mean))
    for _ in range(2):
        mean = _curve(cells, grade, cells.looks**2 / _variance(cells, model), fold)
        model = Model(mean, _spread(cells, mean))
    return model


def _curve(
    cells: Cells, grade: Float64[Array, "cells"], weight: Float64[Array, "cells"], fold: Int64[Array, "cells"]
) -> Float64[Array, "cells"]:
    """The best rising curve of the signal per look, for each fold from the others; a step counts one look more of the
    mean of all, so that none is impossible.
    """
    rate, found = cells.total / cells.looks, np.empty(len(grade))
    overall = float(cells.total.sum() / cells.looks.sum())
    for number in range(FOLDS):
        kept, wanted = fold != number, fold == number
        x, at = np.unique(grade[kept], return_inverse=True)
        mass = np.bincount(at, weight[kept])
        mean = np.bincount(at, weight[kept] * rate[kept]) / mass
        steps, step = np.unique(isotonic_regression(mean, weights=mass).x, return_inverse=True)
        looks = np.bincount(step, np.bincount(at, cells.looks[kept]))
        smooth = (steps * looks + overall) / (looks + 1)
        found[wanted] = np.interp(grade[wanted], x, smooth[step])
    return found


def _spread(cells: Cells, mean: Float64[Array, "cells"]) -> Float64[Array, "cells"]:
    """τ² of every cell."""
    if cells.noise is None:
        precision = of_clicks(cells.at, cells.theta, mean)
        return mean * (1 - mean) / (precision + 1)
    off = cells.total / cells.looks - mean
    return np.full(len(mean), of_means(off, cells.noise / cells.looks, mean))


def _variance(cells: Cells, model: Model) -> Float64[Array, "cells"]:
    """V: of the signal summed over the looks of a cell."""
    by_nature = model.spread * cells.looks**2
    if cells.noise is not None:
        return np.maximum(cells.noise * cells.looks + by_nature, TINY)
    by_chance = model.mean * cells.looks - (model.mean**2 + model.spread) * cells.squares
    return np.maximum(by_chance + by_nature, TINY)


# ---- logs drawn anew ------------------------------------------------------------------------------------------------
def _drawn(
    log: Log, cell: Int64[Array, "rows"], cells: Cells, model: Model, variance: Float64[Array, "cells"],
    rng: np.random.Generator,
) -> Float64[Array, "draws"]:  # fmt: skip
    """Residuals of logs in which the judge is right about every cell, up to how cells differ by nature; sorted."""
    own = (log.signal - (cells.total / cells.looks)[cell]) * np.sqrt(_freed(cells))
    totals = list[Float64[Array, "cells"]]()
    for _ in range(max(1, min(MOST_REPEATS, MOST_DRAWN // len(variance)))):
        if cells.noise is None:
            totals.append(_clicks(cells, model, rng))
        else:
            nature = model.mean + np.sqrt(model.spread) * rng.standard_normal(len(variance))
            noise = np.sqrt(log.weight) * own[rng.integers(len(own), size=len(own))]
            totals.append(nature * cells.looks + np.bincount(cell, noise))
    return np.sort(((np.stack(totals) - model.mean * cells.looks) / np.sqrt(variance)).ravel())


def _clicks(cells: Cells, model: Model, rng: np.random.Generator) -> Float64[Array, "cells"]:
    precision = model.mean * (1 - model.mean) / model.spread - 1
    good = rng.beta(model.mean * precision, (1 - model.mean) * precision)
    times = np.ceil(cells.at.times - TINY).astype(np.int64)
    clicks = rng.binomial(times, np.minimum(good[cells.at.cell] * cells.theta, 1.0))
    return np.bincount(cells.at.cell, clicks.astype(np.float64), len(good))


def _freed(cells: Cells) -> float:
    """What a residual around its own cell's mean is too small by, as a ratio of variances."""
    rows = float(cells.looks.sum())
    return rows / max(rows - len(cells.looks), 1.0)


def _tail(residual: Float64[Array, "cells"], drawn: Float64[Array, "draws"]) -> Float64[Array, "cells"]:
    """The share of drawn residuals at least as far out, on the same side, for both sides."""
    above = len(drawn) - np.searchsorted(drawn, residual, side="left")
    below = np.searchsorted(drawn, residual, side="right")
    return np.minimum(2 * (1 + np.minimum(above, below)) / (1 + len(drawn)), 1.0)
