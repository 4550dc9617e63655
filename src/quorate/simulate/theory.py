"""What ignoring correlation costs, and what using it gains: Theorem 1 and Proposition 1 of [nguyen2026].

Theorem 1. Agents m = 1..M give score vectors s_m with covariances V_m = V_mm and V_mn between them; sum w_m = 1.

    V_true = sum_mn w_m w_n V_mn,   V_naive = sum_m w_m^2 V_m,   bias = V_true - V_naive = sum_{m != n} w_m w_n V_mn
    sym(V_mn) >= tau V_min for all m != n   implies   bias >= tau V_min (1 - sum_m w_m^2)

so that with weights of at most C / M the bias outlives any number of agents and its ratio to V_naive has no bound.
Proposition 1 is the law of total variance, Var(B) = E Var(B | A) + Var(E[B | A]), for the prevalences of two tasks.

Where the paper's text and its own formulas part, the formulas are followed:

- section 6.1 and Table 2 say that tr(V_naive) falls as sigma^2 / M; the trace over K components is K sigma^2 / M, and
  that is what the table and the 0.0006 at 500 agents are (sigma^2 / M would be 0.0002);
- "the true variance remains bounded above rho sigma^2 K" means: stays above it, a lower bound;
- scores that sum to 1 have a singular covariance, so sigma^2 I and a positive definite V_min cannot be covariances on
  the simplex: the theorem then holds on contrasts, across the directions in which scores can vary at all;
- Remark 2 asks that variances are bounded from below; inverse-variance weights are at most C / M only if they are
  bounded from above too, which score vectors are;
- the limit of the bias need not exist without more assumptions; the bound is one on its lower limit;
- Proposition 1 draws a label from Dirichlet(theta), where a categorical draw is meant, and calls the gain explained by
  B, where A is meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy.special import expit

from quorate.errors import SettingError

Array = np.ndarray

VARIANCE = 0.1  # sigma^2 of section 6.1, and its K:
N_CLASSES = 3
TABLE_AGENTS = (2, 5, 10, 50, 100, 500)  # Table 2, for the correlation
TABLE_CORRELATION = 0.5
FIGURE_AGENTS = (2, 3, 5, 10, 20, 50, 100, 200, 500)  # Figure 3, for each of
FIGURE_CORRELATIONS = (0.1, 0.3, 0.5, 0.7, 0.9)


# ---- theorem 1 ------------------------------------------------------------------------------------------------------
class Spread(NamedTuple):
    """Covariance of a weighted average of agents: as it is, and as it seems if agents were independent."""

    true: Float64[Array, "classes classes"]
    naive: Float64[Array, "classes classes"]

    @property
    def bias(self) -> Float64[Array, "classes classes"]:
        """True less naive covariance."""
        return self.true - self.naive

    @property
    def relative_error(self) -> float:
        """Frobenius norm of the bias over that of the naive covariance."""
        return float(np.linalg.norm(self.bias) / np.linalg.norm(self.naive))

    @property
    def bias_trace(self) -> float:
        """Total variance that is overlooked."""
        return float(np.trace(self.bias))

    @property
    def naive_trace(self) -> float:
        """Total variance as it seems."""
        return float(np.trace(self.naive))

    @property
    def true_trace(self) -> float:
        """Total variance as it is."""
        return float(np.trace(self.true))


class Row(NamedTuple):
    """A row of Table 2, a point of Figure 3."""

    agents: int
    relative_error: float
    bias_trace: float
    naive_trace: float

    @property
    def true_trace(self) -> float:
        """Total variance as it is."""
        return self.bias_trace + self.naive_trace


def spread(
    covariance: Float64[Array, "agents agents classes classes"], weights: Float64[Array, "agents"] | None = None
) -> Spread:
    """True and naive covariance of the average; covariance[m, n] is V_mn, weights are equal if not given.

    Raises SettingError for weights that are negative or do not sum to 1.

    >>> together = equal_covariance(10, 0.5)
    >>> round(spread(together).relative_error, 6)  # 0.5 (10 - 1)
    4.5
    """
    weight = checked_weights(len(covariance), weights)
    return Spread(
        np.einsum("m,n,mnij->ij", weight, weight, covariance, optimize=True),
        np.einsum("m,mmij->ij", weight**2, covariance),
    )


def bias_bound(
    least: Float64[Array, "classes classes"], tau: float, weights: Float64[Array, "agents"]
) -> Float64[Array, "classes classes"]:
    """The bound tau V_min (1 - sum w^2): the bias less this has no negative eigenvalue, for every number of agents.

    >>> bias_bound(np.eye(2), 0.5, np.full(4, 0.25)).tolist()
    [[0.375, 0.0], [0.0, 0.375]]
    """
    return tau * least * (1.0 - float((weights**2).sum()))


def inverse_variance(covariance: Float64[Array, "agents agents classes classes"]) -> Float64[Array, "agents"]:
    """Weights in proportion to 1 / tr(V_m), which Remark 2 shows to be no protection.

    >>> inverse_variance(np.array([[1.0, 0.0], [0.0, 3.0]]).reshape(2, 2, 1, 1)).tolist()
    [0.75, 0.25]
    """
    precision = 1.0 / np.einsum("mmii->m", covariance)
    return precision / precision.sum()


def equal_covariance(
    agents: int, correlation: float, *, variance: float = VARIANCE, n_classes: int = N_CLASSES
) -> Float64[Array, "agents agents classes classes"]:
    """Section 6.1: V_m = sigma^2 I, V_mn = rho sigma^2 I."""
    between = correlation + (1.0 - correlation) * np.eye(agents)
    return variance * np.einsum("mn,ij->mnij", between, np.eye(n_classes))


def equal_spread(agents: int, correlation: float, *, variance: float = VARIANCE, n_classes: int = N_CLASSES) -> Spread:
    """Section 6.1 in closed form: V_naive = sigma^2 / M I, bias = rho sigma^2 (1 - 1 / M) I.

    Their ratio is rho (M - 1). Raises SettingError for less than one agent or a correlation that cannot be.

    >>> round(equal_spread(500, 0.5).relative_error, 6)
    249.5
    """
    check_equal(agents, correlation)
    naive = variance / agents * np.eye(n_classes)
    return Spread(naive + correlation * variance * (1.0 - 1.0 / agents) * np.eye(n_classes), naive)


def rows(agents: Sequence[int] = TABLE_AGENTS, correlation: float = TABLE_CORRELATION) -> tuple[Row, ...]:
    """Table 2 in closed form; `_asdict()` of a row is what JSON says of it.

    >>> [printed(value, 2) for value in (rows()[0].relative_error, rows()[-1].relative_error)]
    ['0.50', '249.50']
    """
    found = [(m, equal_spread(m, correlation)) for m in agents]
    return tuple(Row(m, each.relative_error, each.bias_trace, each.naive_trace) for m, each in found)


def sweep(
    agents: Sequence[int] = FIGURE_AGENTS, correlations: Sequence[float] = FIGURE_CORRELATIONS
) -> dict[float, tuple[Row, ...]]:
    """Figure 3 in closed form: rows by correlation.

    >>> len(sweep()), len(sweep()[0.1])
    (5, 9)
    """
    return {correlation: rows(agents, correlation) for correlation in correlations}


def printed(value: float, digits: int) -> str:
    """As a table prints it: halves go up, as in 0.1485 to 0.149, which binary numbers alone would not do.

    >>> printed(0.1485, 3), format(0.1485, ".3f")
    ('0.149', '0.148')
    """
    return str(Decimal(format(value, ".12g")).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


# ---- proposition 1 --------------------------------------------------------------------------------------------------
class Reduction(NamedTuple):
    """Variance of task B before task A is known, and what is left of it on average once A is known."""

    before: float
    left: float

    @property
    def explained(self) -> float:
        """Var(E[B | A]), which is never negative."""
        return self.before - self.left


def log_odds_reduction(sd: float, correlation: float) -> Reduction:
    """Remark 1: Var(q_B | q_A) = sigma_B^2 (1 - rho^2), whatever A turns out to be.

    >>> log_odds_reduction(2.0, 0.5)
    Reduction(before=4.0, left=3.0)
    """
    check_correlation(correlation)
    return Reduction(sd**2, sd**2 * (1.0 - correlation**2))


def prevalence_reduction(mean: float, sd: float, correlation: float, *, reach: float = 10.0) -> Reduction:
    """The same for the probability theta_B = 1 / (1 + exp(-q_B)) of a task of two classes.

    The trapezoid rule over the standard normal, once for A and once for B given A: for a smooth function over the
    whole line its error falls faster than any power of the step [trefethen2014].

    >>> found = prevalence_reduction(0.0, 2.0, 0.6)
    >>> 0 < found.left < found.before < 0.25
    True
    """
    check_correlation(correlation)
    points = np.linspace(-reach, reach, 401)
    weight = np.exp(-(points**2) / 2.0)
    weight /= weight.sum()
    known, open_part = correlation * points[:, None], np.sqrt(1.0 - correlation**2) * points
    probability = expit(mean + sd * (known + open_part))  # A over the rows, the rest of B over the columns
    expected, second = probability @ weight, (probability**2) @ weight
    left = float(weight @ (second - expected**2))
    return Reduction(left + float(weight @ (expected - weight @ expected) ** 2), left)


# ---- what cannot be -------------------------------------------------------------------------------------------------
def checked_weights(agents: int, given: Float64[Array, "agents"] | None) -> Float64[Array, "agents"]:
    """Equal weights where none are given. Raises SettingError for weights that are none."""
    weights = np.full(agents, 1.0 / max(agents, 1)) if given is None else given
    if len(weights) != agents or agents < 1 or weights.min() < 0 or not np.isclose(weights.sum(), 1.0):
        raise SettingError(f"{agents} agents need as many weights, none negative, that sum to 1, not {weights}")
    return weights


def check_equal(agents: int, correlation: float) -> None:
    """Raises SettingError where so many agents cannot all have this correlation."""
    check_correlation(correlation)
    if agents < 1 or correlation * (agents - 1) < -1:
        raise SettingError(f"{agents} agents cannot all correlate by {correlation}")


def check_correlation(correlation: float) -> None:
    """Raises SettingError outside -1 to 1."""
    if not -1 <= correlation <= 1:
        raise SettingError(f"a correlation lies between -1 and 1, not at {correlation}")
