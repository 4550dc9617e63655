"""Theorem 1 and Proposition 1 by simulation: the figures of `theory` from draws, each with its standard error.

Score vectors are drawn for agents that correlate; the true covariance is that of their average, the naive one is put
together from each agent's own covariance, as somebody would who takes agents for independent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy.special import expit

from quorate.errors import SettingError
from quorate.simulate.theory import (
    N_CLASSES,
    TABLE_AGENTS,
    TABLE_CORRELATION,
    VARIANCE,
    check_correlation,
    check_equal,
    checked_weights,
)

Array = np.ndarray
Draw = Callable[[np.random.Generator, int], Float64[Array, "draws agents classes"]]
TINY = 1e-300  # one agent alone has no bias, whose direction is then any
BLOCK = 2**19  # score vectors drawn at once: bounds memory


class Estimate(NamedTuple):
    """What a simulation found, and its standard error."""

    value: float
    se: float


# ---- theorem 1 -----------------------------------------------------------------------------------------------------
class SimulatedSpread(NamedTuple):
    """The figures of a `Spread`, from score vectors that were drawn; each with its standard error."""

    relative_error: Estimate
    bias_trace: Estimate
    naive_trace: Estimate
    true_trace: Estimate


def simulated_spread(
    draw: Draw, agents: int, weights: Float64[Array, "agents"] | None = None, *, n_draws: int = 20_000, seed: int = 0
) -> SimulatedSpread:
    """V_true from the average of the agents in every draw, V_naive from each agent's own covariance.

    The standard errors are those of the delta method; that of the relative error adds the bias that the norm of a
    noisy matrix has, so that it also holds where the true bias is 0. Draws must have mean 0.

    >>> found = simulated_spread(equal_draw(10, 0.5), 10, n_draws=4_000)
    >>> abs(found.relative_error.value - 4.5) < 4 * found.relative_error.se
    True
    """
    if n_draws < 2:
        raise SettingError(f"n_draws must be at least 2, not {n_draws}")
    true, naive = _of_each_draw(draw, checked_weights(agents, weights), n_draws, np.random.default_rng(seed))
    bias = true - naive
    return SimulatedSpread(
        _norm_ratio(bias, naive), *(_mean(np.einsum("dii->d", each)) for each in (bias, naive, true))
    )


def simulated_rows(
    agents: Sequence[int] = TABLE_AGENTS,
    correlation: float = TABLE_CORRELATION,
    *,
    n_draws: int = 20_000,
    seed: int = 0,
) -> dict[int, SimulatedSpread]:
    """Table 2 by simulation, by number of agents."""
    return {m: simulated_spread(equal_draw(m, correlation), m, n_draws=n_draws, seed=seed) for m in agents}


def equal_draw(agents: int, correlation: float, *, variance: float = VARIANCE, n_classes: int = N_CLASSES) -> Draw:
    """Section 6.1: a part that all agents share, of variance rho sigma^2, and a part of each agent's own.

    Raises SettingError for a correlation that no shared part can give.
    """
    check_equal(agents, correlation)
    if correlation < 0:
        raise SettingError(f"agents that share something correlate by 0 to 1, not {correlation}")
    shared, own = np.sqrt(variance * correlation), np.sqrt(variance * (1.0 - correlation))

    def draw(rng: np.random.Generator, n: int) -> Float64[Array, "draws agents classes"]:
        together = rng.standard_normal((n, 1, n_classes))
        return shared * together + own * rng.standard_normal((n, agents, n_classes))

    return draw


def normal_draw(covariance: Float64[Array, "agents agents classes classes"]) -> Draw:
    """Score vectors of any covariance. Raises SettingError where the whole is not positive semidefinite."""
    agents, _, n_classes, _ = covariance.shape
    whole = covariance.transpose(0, 2, 1, 3).reshape(agents * n_classes, -1)
    values, vectors = np.linalg.eigh(whole)
    if not np.allclose(whole, whole.T) or values[0] < -1e-9 * values[-1]:
        raise SettingError("covariance[m, n] must be the transpose of covariance[n, m], and the whole semidefinite")
    root = (vectors * np.sqrt(np.maximum(values, 0.0))).T

    def draw(rng: np.random.Generator, n: int) -> Float64[Array, "draws agents classes"]:
        return (rng.standard_normal((n, len(root))) @ root).reshape(n, agents, n_classes)

    return draw


# ---- proposition 1 --------------------------------------------------------------------------------------------------
class SimulatedReduction(NamedTuple):
    """The same from draws, each with its standard error."""

    before: Estimate
    left: Estimate
    explained: Estimate


def simulated_reduction(
    mean: float, sd: float, correlation: float, *, log_odds: bool = False, n_draws: int = 100_000, seed: int = 0
) -> SimulatedReduction:
    """Either of the two from draws of A with two independent B and B' given it.

    left = E (B - B')^2 / 2, explained = Cov(B, B'): no regression and no binning.
    """
    check_correlation(correlation)
    known, first, second = np.random.default_rng(seed).standard_normal((3, n_draws))
    q = [mean + sd * (correlation * known + np.sqrt(1.0 - correlation**2) * rest) for rest in (first, second)]
    one, other = q if log_odds else [expit(each) for each in q]
    middle = (one.mean() + other.mean()) / 2.0
    before = ((one - middle) ** 2 + (other - middle) ** 2) / 2.0
    return SimulatedReduction(_mean(before), _mean((one - other) ** 2 / 2.0), _mean((one - middle) * (other - middle)))


# ---- inside ---------------------------------------------------------------------------------------------------------
def _of_each_draw(
    draw: Draw, weight: Float64[Array, "agents"], n_draws: int, rng: np.random.Generator
) -> tuple[Float64[Array, "draws classes classes"], Float64[Array, "draws classes classes"]]:
    """What every draw adds to V_true and V_naive; their means are the estimates, with divisor n - 1."""
    averages: list[Array] = []
    squares: list[Array] = []
    total: Array | float = 0.0
    rest = n_draws
    while rest:
        scores = draw(rng, min(rest, max(1, BLOCK // len(weight))))
        averages.append(np.einsum("m,dmi->di", weight, scores))
        squares.append(np.einsum("dmi,dmj->dij", weight[:, None] * scores, weight[:, None] * scores, optimize=True))
        total = total + scores.sum(axis=0)
        rest -= len(scores)
    average, naive = np.concatenate(averages), np.concatenate(squares)
    average -= average.mean(axis=0)
    middle = weight[:, None] * total / n_draws
    naive -= middle.T @ middle  # the agents' own means
    unbiased = n_draws / (n_draws - 1)
    return unbiased * np.einsum("di,dj->dij", average, average), unbiased * naive


def _mean(values: Float64[Array, "draws"]) -> Estimate:
    return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


def _norm_ratio(above: Float64[Array, "draws classes classes"], below: Array) -> Estimate:
    """Norm of one mean over that of another; the norm of noise is not 0, which the standard error pays for."""
    n, top, bottom = len(above), above.mean(axis=0), below.mean(axis=0)
    high, low = max(float(np.linalg.norm(top)), TINY), float(np.linalg.norm(bottom))
    along = np.einsum("ij,dij->d", top / high, above) / low - high / low**2 * np.einsum(
        "ij,dij->d", bottom / low, below
    )
    variance = float(along.var(ddof=1)) / n
    noise = float(above.var(axis=0, ddof=1).sum()) / n / low**2
    shift = max(noise - variance, 0.0) * low / (2.0 * high)
    return Estimate(high / low, float(np.sqrt(variance + min(shift**2, noise))))
