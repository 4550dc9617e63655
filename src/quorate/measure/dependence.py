"""Who errs together: correlation of errors, families of agents, and how many independent agents a group is worth.

The correlation is phi, the correlation of the two indicators "this agent is wrong" over items that both answered.
Shared items are cut into five kinds: both right, only the first, only the second, both wrong with the same class, both
wrong with two classes. As with accuracies there are two ways to count (see `accuracy`): `expected_dependence` under a
posterior that knows the answers, `dependence` by maximum likelihood against one that does not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.cluster.hierarchy import fcluster, linkage

from quorate.measure.intervals import Interval, Intervals, normal_quantile
from quorate.measure.mixture import Rows, fitted, influence

Array = np.ndarray

KINDS = 5
BOTH, ONLY_FIRST, ONLY_SECOND, SAME_WRONG, OTHER_WRONG = range(KINDS)
SEEN = np.array([0.5, 0.5, 0.5, 0.25, 0.25])  # rows of each kind added before an interval is drawn


class Dependence(NamedTuple):
    """Of every pair; where an agent is never (or always) wrong, `known` is False and the correlation means nothing."""

    n: Int64[Array, "pairs"]  # shared items
    known: Bool[Array, "pairs"]
    correlation: Intervals
    both_wrong: Float64[Array, "pairs"]  # share of the shared items
    same_wrong: Float64[Array, "pairs"]  # share of the shared items on which both gave the same wrong class
    influence: Float64[Array, "rows"]  # how far each row moved its pair's correlation


def dependence(rows: Rows, level: float = 0.95) -> Dependence:
    """Correlation of errors of every pair; rows.truth: of the true class, without the two answers.

    >>> rows = Rows(np.eye(2), np.array([0, 0, 0, 1]), np.array([0, 0, 1, 0]), np.array([0, 0, 1, 1]), np.array([0, 4]))
    >>> dependence(rows).correlation.estimate.round(2).tolist()
    [0.58]
    """
    of = fitted(rows, _spread(rows.truth.shape[1]), _pooled)
    size = np.maximum(rows.size, 1)
    kinds = of.counts.sum(axis=1) / size[:, None]
    phi, gradient, known = _phi(kinds)
    of_row, unknown = influence(rows, of, np.broadcast_to(gradient[:, None, :], of.counts.shape).copy())
    pair = np.repeat(np.arange(len(size)), rows.size)
    se = np.sqrt(np.bincount(pair, of_row**2, minlength=len(size)) + unknown) / size
    return _dependence(rows, kinds, (phi, known, se), of_row / size[pair], level)


def expected_dependence(rows: Rows, level: float = 0.95) -> Dependence:
    """Correlation of errors of every pair; rows.truth: of the true class, given everybody's answers.

    Intervals as if the truth were certain.

    >>> rows = Rows(np.eye(2), np.array([0, 0, 0, 1]), np.array([0, 0, 1, 0]), np.array([0, 0, 1, 1]), np.array([0, 4]))
    >>> expected_dependence(rows).correlation.estimate.round(2).tolist()
    [0.58]
    """
    size = np.maximum(rows.size, 1)
    pair = np.repeat(np.arange(len(size)), rows.size)
    of_row = _kinds_of_rows(rows)
    kinds = np.stack([np.bincount(pair, column, minlength=len(size)) for column in of_row.T], axis=1) / size[:, None]
    phi, gradient, known = _phi(kinds)
    centred = gradient - (kinds * gradient).sum(axis=1, keepdims=True)
    moved = (of_row * centred[pair]).sum(axis=1)
    spread = (kinds * centred**2).sum(axis=1)  # if every row were of one kind
    seen = np.bincount(pair, moved**2, minlength=len(size)) / size
    moved *= np.sqrt(spread / np.maximum(seen, 1e-12))[pair] / size[pair]
    return _dependence(rows, kinds, (phi, known, np.sqrt(spread / size)), moved, level)


def _dependence(
    rows: Rows,
    kinds: Float64[Array, "pairs kinds"],
    found: tuple[Float64[Array, "pairs"], Bool[Array, "pairs"], Float64[Array, "pairs"]],
    moved: Float64[Array, "rows"],
    level: float,
) -> Dependence:
    phi, known, se = found
    wrong = kinds[:, SAME_WRONG] + kinds[:, OTHER_WRONG]
    return Dependence(rows.size, known, _around(phi, se, kinds, rows.size, level), wrong, kinds[:, SAME_WRONG], moved)


def _kinds_of_rows(rows: Rows) -> Float64[Array, "rows kinds"]:
    """P(kind) of every row: one of the two is right only if its class is the true one."""
    first, second = rows.truth[rows.at, rows.first], rows.truth[rows.at, rows.second]
    same, none = rows.first == rows.second, np.zeros(len(rows.at))
    agreed = np.stack([first, none, none, 1 - first, none], axis=1)
    differing = np.stack([none, first, second, none, np.maximum(1 - first - second, 0.0)], axis=1)
    return np.where(same[:, None], agreed, differing)


def _spread(n_classes: int) -> Float64[Array, "kinds"]:
    """P(the two classes | truth, kind), wrong classes being equally likely."""
    wrong = max(n_classes - 1, 1)
    return np.array([1.0, 1 / wrong, 1 / wrong, 1 / wrong, 1 / (wrong * max(n_classes - 2, 1))])


def _pooled(counts: Float64[Array, "pairs classes kinds"]) -> Float64[Array, "pairs classes kinds"]:
    """A true class hardly seen is like all classes together."""
    total = counts.sum(axis=1, keepdims=True)
    return np.broadcast_to(total / np.maximum(total.sum(axis=2, keepdims=True), 1e-12), counts.shape)


def _phi(
    kinds: Float64[Array, "pairs kinds"],
) -> tuple[Float64[Array, "pairs"], Float64[Array, "pairs kinds"], Bool[Array, "pairs"]]:
    """Phi = (w_ab - w_a w_b) / √(w_a (1 - w_a) w_b (1 - w_b)), its derivative in the kinds, and where it is defined."""
    both = kinds[:, SAME_WRONG] + kinds[:, OTHER_WRONG]
    first, second = kinds[:, ONLY_SECOND] + both, kinds[:, ONLY_FIRST] + both
    spread = first * (1 - first), second * (1 - second)
    known = (spread[0] > 1e-9) & (spread[1] > 1e-9)
    var = np.where(known, spread, 1.0)
    scale = np.sqrt(var[0] * var[1])
    phi = np.where(known, np.clip((both - first * second) / scale, -1.0, 1.0), 0.0)
    by_first = -second / scale - phi * (1 - 2 * first) / (2 * var[0])
    by_second = -first / scale - phi * (1 - 2 * second) / (2 * var[1])
    by_both = by_first + by_second + 1 / scale
    gradient = np.stack([np.zeros_like(phi), by_second, by_first, by_both, by_both], axis=1)
    return phi, gradient * known[:, None], known


def _around(
    phi: Float64[Array, "pairs"],
    se: Float64[Array, "pairs"],
    kinds: Float64[Array, "pairs kinds"],
    n: Int64[Array, "pairs"],
    level: float,
) -> Intervals:
    """Fisher's interval, tanh(artanh phi ± z se / (1 - phi²)), of kinds with a trace of everything [fisher1921].

    Without the trace, two agents that never differed on thirty items would be certain never to differ.
    """
    size = np.maximum(n, 1)[:, None]
    traced = (kinds * size + SEEN) / (size + SEEN.sum())
    middle, gradient, _ = _phi(traced)
    mean = (traced * gradient).sum(axis=1, keepdims=True)
    least = np.sqrt((traced * (gradient - mean) ** 2).sum(axis=1) / size[:, 0])
    reach = normal_quantile(level) * np.maximum(se, least) / (1 - middle**2)
    low, high = np.tanh(np.arctanh(middle) - reach), np.tanh(np.arctanh(middle) + reach)
    return Intervals(phi, np.minimum(low, phi), np.maximum(high, phi), np.maximum(se, least))


# ---- groups of agents ---------------------------------------------------------------------------------------------
def effective_number(n_agents: int, mean_correlation: Interval) -> Interval:
    """Independent agents that are worth as much as these: M / (1 + (M - 1) rho), in agents [kish1965].

    The mean of M votes of correlation rho varies like that of so many independent ones: M² / sum_ij rho_ij. A negative
    mean correlation counts as 0, for by chance alone half of all unrelated groups have one; M is the most there is.

    >>> effective_number(6, Interval(0.4, 0.4, 0.4, 0.0)).estimate
    2.0
    """
    rho, low, high, se = mean_correlation
    value, least, most = (n_agents / (1 + (n_agents - 1) * max(r, 0.0)) for r in (rho, high, low))
    return Interval(value, least, most, se * value**2 * (n_agents - 1) / n_agents)


def families(correlation: Float64[Array, "agents agents"], together: float) -> list[list[int]]:
    """Agents that err together: average linkage on 1 - correlation, cut where the mean correlation falls below a value.

    Largest family first; agents alone are left out.

    >>> families(np.array([[1, 0.8, 0], [0.8, 1, 0.1], [0, 0.1, 1]]), together=0.5)
    [[0, 1]]
    """
    n_agents = len(correlation)
    if n_agents < 2:
        return []
    upper = np.triu_indices(n_agents, 1)
    label = fcluster(linkage(1 - correlation[upper], "average"), 1 - together, "distance")
    groups = [np.flatnonzero(label == value).tolist() for value in np.unique(label)]
    return sorted((group for group in groups if len(group) > 1), key=lambda group: (-len(group), group))
