"""How far cells that a judge graded alike differ by nature: empirical Bayes [morris1983], beside a few misjudged cells.

Of yes and no: γ of a cell, the chance of a yes once it is looked at, is Beta(m s, (1 - m) s), and its looks are
independent given γ; without positions its clicks are beta-binomial. Of a real signal: the mean of a cell is normal
around m with variance τ², its looks with σ². A share of cells may have been taken for others: they are as any cell is.
Without that share the misjudged would pass for what cells differ by, and hide behind it; it is given only where the log
likelihood is larger by `WORTH` for it, since a long tail alone is no proof.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import betainc

from quorate.judge.position import Shown

Array = np.ndarray
PRECISIONS = 2.0 ** np.arange(14, -2, -0.5)  # s that are tried, the quietest first
SHARES = np.concatenate([[0.0], 2.0 ** np.arange(-12, 0.5, 0.25)])  # τ² that are tried, in variances of cells' means
TAKEN = (0.01, 0.02, 0.05, 0.1, 0.2)  # of the cells, taken for others, that are tried
WORTH = 3.0  # nats
BINS, GROUPS = 80, 50  # of γ; of m
MOST_CELLS = 20_000  # that are looked at
EDGES = (np.sin(np.linspace(0, np.pi / 2, BINS + 1)) ** 2) ** 1.5  # finer near 0 and 1
FLOOR = 1e-300


def of_clicks(at: Shown, theta: Float64[Array, "places"], mean: Float64[Array, "cells"]) -> float:
    """S of the greatest likelihood. `theta`: the chance to be looked at, place by place."""
    step = max(1, len(mean) // MOST_CELLS)
    fits = _fits(at, theta, len(mean))[::step]
    group, values = _grouped(mean)
    weight = np.bincount(group, minlength=len(values)) / len(group)

    def likelihoods(precision: float) -> tuple[Float64[Array, "cells"], Float64[Array, "cells"]]:
        upto = betainc((values * precision)[:, None], ((1 - values) * precision)[:, None], EDGES)
        mass = np.diff(upto, axis=1)
        return (fits * mass[group[::step]]).sum(axis=1), fits @ (weight @ mass)

    return _best(PRECISIONS.tolist(), likelihoods)


def of_means(off: Float64[Array, "cells"], error: Float64[Array, "cells"], mean: Float64[Array, "cells"]) -> float:
    """τ² of the greatest likelihood, in the signal's unit squared. `off`: of a cell from its `mean`; `error`: σ²/n."""
    apart, others = float(np.mean(off**2)), 2 * float(mean.var())

    def density(variance: Float64[Array, "cells"]) -> Float64[Array, "cells"]:
        return np.exp(-(off**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)

    def likelihoods(spread: float) -> tuple[Float64[Array, "cells"], Float64[Array, "cells"]]:
        return density(error + spread + FLOOR), density(error + spread + others + FLOOR)

    return _best((SHARES * apart).tolist(), likelihoods)


def _best(
    tried: list[float], likelihoods: Callable[[float], tuple[Float64[Array, "cells"], Float64[Array, "cells"]]]
) -> float:
    """The value of the greatest likelihood without a share of cells taken for others, or with one where it is worth
    it.
    """
    alone, mixed = list[float](), list[float]()
    for value in tried:
        right, taken = likelihoods(value)
        alone.append(float(np.log(right + FLOOR).sum()))
        mixed.append(max(float(np.log((1 - share) * right + share * taken + FLOOR).sum()) for share in TAKEN))
    found = mixed if max(mixed) > max(alone) + WORTH else alone
    return tried[int(np.argmax(found))]


def _fits(at: Shown, theta: Float64[Array, "places"], n_cells: int) -> Float64[Array, "cells bins"]:
    """The likelihood of each cell's clicks for γ in every bin, over its largest."""
    good = (EDGES[1:] + EDGES[:-1]) / 2
    logs = np.empty((n_cells, BINS))
    for place, gamma in enumerate(good.tolist()):
        clicked = at.clicks * math.log(gamma) + (at.times - at.clicks) * np.log1p(-np.minimum(gamma * theta, 1 - 1e-12))
        logs[:, place] = np.bincount(at.cell, clicked, n_cells)
    return np.exp(logs - logs.max(axis=1, keepdims=True))


def _grouped(mean: Float64[Array, "cells"]) -> tuple[Int64[Array, "cells"], Float64[Array, "groups"]]:
    """Cells of like m, and their mean m."""
    edges = np.unique(np.quantile(mean, np.arange(1, GROUPS) / GROUPS))
    group = np.searchsorted(edges, mean, side="right").astype(np.int64)
    _, group = np.unique(group, return_inverse=True)
    return group.astype(np.int64), np.bincount(group, mean) / np.bincount(group)
