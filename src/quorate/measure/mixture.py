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

PRIOR_ROWS = 0.5  # rows of every true class taken as already seen, in the shares of `centre`
TOLERANCE = 1e-4  # of a share, or of a standard error
MAX_PASSES = 200
MAX_REACH = 20.0  # steps of EM that may be guessed at once


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
    """Shares by EM, pulled toward `centre` (from expected counts to shares) by PRIOR_ROWS rows per true class.

    Every third step goes on in the direction of the last two [varadhan2008].
    """
    shape = (len(rows.start) - 1, rows.truth.shape[1], len(factor))
    shares, counts, active = np.ones(shape), np.zeros(shape), np.ones(shape[0], bool)
    path: list[Float64[Array, "groups classes cells"]] = []
    for _ in range(MAX_PASSES):
        fill_counts(*rows, factor, shares, active, counts)
        moved = (counts + PRIOR_ROWS * centre(counts)) / (counts.sum(axis=2, keepdims=True) + PRIOR_ROWS)
        active = np.abs(moved - shares).max(axis=(1, 2), initial=0.0) > TOLERANCE
        shares = moved
        if not active.any():
            break
        path.append(shares)
        if len(path) == 3:
            shares, path = _ahead(*path), []
    return Mixture(factor, shares, counts)


def _ahead(
    first: Float64[Array, "groups classes cells"],
    second: Float64[Array, "groups classes cells"],
    third: Float64[Array, "groups classes cells"],
) -> Float64[Array, "groups classes cells"]:
    """Where steps that shrink by a constant ratio would end; the third where a share would turn negative."""
    step, turn = second - first, third - 2 * second + first
    long, bent = (np.sqrt((part**2).sum(axis=(1, 2))) for part in (step, turn))
    reach = np.clip(long / np.maximum(bent, 1e-12), 1.0, MAX_REACH)[:, None, None]
    ahead = first + 2 * reach * step + reach**2 * turn
    return np.where((ahead >= 0).all(axis=(1, 2))[:, None, None], ahead, third)


def expected(rows: Rows, of: Mixture, value: Float64[Array, "groups classes cells"]) -> Float64[Array, "rows"]:
    """E[value[true class, cell] | row] for every row."""
    per_row = np.zeros(len(rows.at))
    everyone = np.ones(len(value), bool)
    fill_expected(*rows, of.factor, of.shares, everyone, value, per_row, np.zeros_like(value))
    return per_row


class Influence(NamedTuple):
    """How far every row moves a function of its group's mean cell probabilities, times the group's rows."""

    of_row: Float64[Array, "rows"]
    unknown: Float64[Array, "groups"]  # variance left to the prior where rows tell nothing, times the rows squared


def influence(rows: Rows, of: Mixture, gradient: Float64[Array, "groups classes cells"]) -> Influence:
    """gradient: the derivative of the function in the mean probability of each class and cell.

    With D = counts and A the products of the weights of a row, summed over rows (what an uncertain truth leaves of
    D [louis1982]), a row moves the function by E[g + x | row], where (A + S) x = (D - A) g on changes that keep the
    shares of every true class summing to 1, and S is the prior. Solved by conjugate gradients, all groups at once.
    """
    mean = (of.counts * gradient).sum(axis=(1, 2)) / np.maximum(rows.size, 1)
    aim = gradient - mean[:, None, None]
    system = _System(rows, of)
    change = system.solved(system.tangent(aim - system.seen(aim)))
    per_row = expected(rows, of, aim + change)
    return Influence(per_row, (system.prior * of.counts * change**2).sum(axis=(1, 2)))


class _System:
    """The linear system of `influence`, in units of D."""

    def __init__(self, rows: Rows, of: Mixture) -> None:
        self._rows, self._of = rows, of
        seen = of.counts.sum(axis=2, keepdims=True)
        self._known = of.counts > 1e-9
        self._shares = of.counts / np.maximum(seen, 1e-12)
        self.prior = np.where(self._known, PRIOR_ROWS / np.maximum(seen, 1e-12), 0.0)
        self._sums, self._per_row = np.zeros_like(of.counts), np.zeros(len(rows.at))
        self._active = np.ones(len(of.counts), bool)

    def seen(self, value: Float64[Array, "groups classes cells"]) -> Float64[Array, "groups classes cells"]:
        """A value / D: what is left of a value that is seen through the uncertain truth."""
        fill_expected(*self._rows, self._of.factor, self._of.shares, self._active, value, self._per_row, self._sums)
        return np.where(self._known, self._sums / np.maximum(self._of.counts, 1e-9), 0.0)

    def tangent(self, value: Float64[Array, "groups classes cells"]) -> Float64[Array, "groups classes cells"]:
        """Without what would change the sum of the shares of a true class."""
        return np.where(self._known, value - (self._shares * value).sum(axis=2, keepdims=True), 0.0)

    def solved(self, aim: Float64[Array, "groups classes cells"]) -> Float64[Array, "groups classes cells"]:
        """Conjugate gradients; a group rests when its residual is small."""
        found, residual, direction = np.zeros_like(aim), aim.copy(), aim.copy()
        length = self._dot(residual, residual)
        enough = TOLERANCE**2 * np.maximum(self._of.counts.sum(axis=(1, 2)), 1.0)
        for _ in range(MAX_PASSES):
            self._active = length > enough
            if not self._active.any():
                break
            image = self.tangent(self.seen(direction)) + self.prior * direction
            step = np.where(self._active, length / np.maximum(self._dot(direction, image), 1e-300), 0.0)[:, None, None]
            found += step * direction
            residual -= step * image
            before, length = length, np.where(self._active, self._dot(residual, residual), length)
            direction = residual + (length / np.maximum(before, 1e-300))[:, None, None] * direction
        self._active = np.ones(len(aim), bool)
        return found

    def _dot(
        self, one: Float64[Array, "groups classes cells"], other: Float64[Array, "groups classes cells"]
    ) -> Float64[Array, "groups"]:
        return (self._of.counts * one * other).sum(axis=(1, 2))
