"""How often each kind of answer falls on each true class, when the truth itself is uncertain.

What it assumes: for every row a probability of the true class is known that does not contain the row's own answers
(`Rows.truth`), and given the truth y the row falls into cell c with a probability shares[y, c] of its group.
The naive share, averaging cells with weights `truth`, is biased toward chance: an uncertain truth makes everybody look
wrong, and makes any two agents that agree look wrong together. The maximum of the likelihood

    sum_rows log sum_y truth[y] · factor[cell(y)] · shares[y, cell(y)]

is not biased. It is concave in the shares, so EM [dempster1977] finds its one maximum. Factor is the probability of the
answers given their cell (1 for a single agent; for a pair, how a wrong class spreads over the classes).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.measure.mixture_kernels import fill_counts, fill_expected

Array = np.ndarray

PRIOR_ROWS = 1.0  # rows of every true class taken as already seen, in the shares of `centre`
TOLERANCE = 1e-4  # of a share, or of a standard error
MAX_PASSES = 200


class Rows(NamedTuple):
    """Answers with an uncertain truth, sorted by group (an agent, or a pair of agents)."""

    truth: Float64[Array, "facts classes"]  # P(true class) without the answers of the row
    at: Int64[Array, "rows"]  # place of the row in `truth`
    first: Int64[Array, "rows"]  # class that the agent gave
    second: Int64[Array, "rows"]  # class that the other agent of the pair gave; -1 for a single agent
    start: Int64[Array, "groups_plus_1"]

    @property
    def size(self) -> Int64[Array, "groups"]:
        """Rows of every group."""
        return np.diff(self.start)


class Mixture(NamedTuple):
    """The fitted shares."""

    factor: Float64[Array, "cells"]
    shares: Float64[Array, "groups classes cells"]  # P(cell | true class)
    counts: Float64[Array, "groups classes cells"]  # expected rows


Centre = Callable[[Float64[Array, "groups classes cells"]], Float64[Array, "groups classes cells"]]


def fitted(rows: Rows, factor: Float64[Array, "cells"], centre: Centre) -> Mixture:
    """Shares by EM, pulled toward `centre` (from expected counts to shares) by PRIOR_ROWS rows per true class."""
    shape = (len(rows.start) - 1, rows.truth.shape[1], len(factor))
    shares, counts, active = np.ones(shape), np.zeros(shape), np.ones(shape[0], bool)
    for _ in range(MAX_PASSES):
        fill_counts(*rows, factor, shares, active, counts)
        seen = counts.sum(axis=2, keepdims=True)
        moved = (counts + PRIOR_ROWS * centre(counts)) / (seen + PRIOR_ROWS)
        active = np.abs(moved - shares).max(axis=(1, 2), initial=0.0) > TOLERANCE
        shares = moved
        if not active.any():
            break
    return Mixture(factor, shares, counts)


def expected(rows: Rows, of: Mixture, value: Float64[Array, "groups classes cells"]) -> Float64[Array, "rows"]:
    """E[value[true class, cell] | row] for every row."""
    per_row = np.zeros(len(rows.at))
    everyone = np.ones(len(value), bool)
    fill_expected(*rows, of.factor, of.shares, everyone, value, per_row, np.zeros_like(value))
    return per_row


def influence(rows: Rows, of: Mixture, gradient: Float64[Array, "groups cells"]) -> Float64[Array, "rows"]:
    """How far each row moves a function of its group's mean cell probabilities, times the group's rows.

    gradient: the derivative in the mean probability of each cell. The influence of a row is E[u | row] with u the
    value per class and cell whose expectation, seen through the uncertain truth, is the gradient again: the
    information lost to the uncertain truth [louis1982] is paid for. Found by repeated correction; each pass gains what
    a pass of EM gains.
    """
    size = np.maximum(rows.size, 1)[:, None]
    mean = (of.counts.sum(axis=1) / size * gradient).sum(axis=1)
    aim = np.broadcast_to((gradient - mean[:, None])[:, None, :], of.counts.shape)
    value, sums = aim.copy(), np.zeros(of.counts.shape)
    per_row, active = np.zeros(len(rows.at)), np.ones(len(value), bool)
    for _ in range(MAX_PASSES):
        fill_expected(*rows, of.factor, of.shares, active, value, per_row, sums)
        step = np.where(of.counts > 1e-9, aim - sums / np.maximum(of.counts, 1e-9), 0.0)
        step -= (of.shares * step).sum(axis=2, keepdims=True)  # shares of a true class still sum to 1
        active &= (of.shares * np.abs(step)).max(axis=(1, 2), initial=0.0) > 10 * TOLERANCE
        if not active.any():
            break
        value[active] += step[active]
    return per_row
