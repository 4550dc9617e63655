"""Compiled sums behind `mixture` and `accuracy`: what each row says, given an uncertain truth.

A row is an item answered by one agent (second = -1) or by a pair of agents. For every class y that the truth may have,
the row falls into one *cell*: the class that the agent gave; or, for a pair, 0 both right, 1 only the first, 2 only the
second, 3 both gave the same wrong class, 4 two different wrong ones. The rows of group g are start[g]:start[g + 1].
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numba import njit

Array = np.ndarray


@njit(cache=True)
def cell_of(y: int, first: int, second: int) -> int:
    """The cell of a row if the truth is y."""
    if second < 0:
        return first
    if first == y:
        return 0 if second == y else 1
    if second == y:
        return 2
    return 3 if first == second else 4


@njit(cache=True)
def fill_weights(
    truth: Float64[Array, "classes"],
    first: int,
    second: int,
    factor: Float64[Array, "cells"],
    shares: Float64[Array, "classes cells"],
    out: Float64[Array, "classes"],
) -> None:
    """P(truth = y | row), proportional to truth[y] · factor[cell] · shares[y, cell]; all 0 where nothing fits."""
    total = 0.0
    for y in range(len(truth)):
        cell = cell_of(y, first, second)
        out[y] = truth[y] * factor[cell] * shares[y, cell]
        total += out[y]
    if total > 0.0:
        for y in range(len(truth)):
            out[y] /= total


@njit(cache=True)
def fill_counts(
    truth: Float64[Array, "facts classes"],
    at: Int64[Array, "rows"],
    first: Int64[Array, "rows"],
    second: Int64[Array, "rows"],
    start: Int64[Array, "groups_plus_1"],
    factor: Float64[Array, "cells"],
    shares: Float64[Array, "groups classes cells"],
    active: Bool[Array, "groups"],
    counts: Float64[Array, "groups classes cells"],
) -> None:
    """The expected rows per class and cell, of the active groups."""
    weight = np.empty(truth.shape[1])
    for g in range(len(start) - 1):
        if not active[g]:
            continue
        counts[g] = 0.0
        for r in range(start[g], start[g + 1]):
            fill_weights(truth[at[r]], first[r], second[r], factor, shares[g], weight)
            for y in range(len(weight)):
                counts[g, y, cell_of(y, first[r], second[r])] += weight[y]


@njit(cache=True)
def fill_expected(
    truth: Float64[Array, "facts classes"],
    at: Int64[Array, "rows"],
    first: Int64[Array, "rows"],
    second: Int64[Array, "rows"],
    start: Int64[Array, "groups_plus_1"],
    factor: Float64[Array, "cells"],
    shares: Float64[Array, "groups classes cells"],
    active: Bool[Array, "groups"],
    value: Float64[Array, "groups classes cells"],
    expected: Float64[Array, "rows"],
    sums: Float64[Array, "groups classes cells"],
) -> None:
    """Per row the expectation of `value` over the truth, and its sum per class and cell, of the active groups."""
    weight = np.empty(truth.shape[1])
    for g in range(len(start) - 1):
        if not active[g]:
            continue
        sums[g] = 0.0
        for r in range(start[g], start[g + 1]):
            fill_weights(truth[at[r]], first[r], second[r], factor, shares[g], weight)
            mean = 0.0
            for y in range(len(weight)):
                mean += weight[y] * value[g, y, cell_of(y, first[r], second[r])]
            expected[r] = mean
            for y in range(len(weight)):
                sums[g, y, cell_of(y, first[r], second[r])] += weight[y] * mean


@njit(cache=True)
def add_information(
    truth: Float64[Array, "facts classes"],
    at: Int64[Array, "rows"],
    first: Int64[Array, "rows"],
    start: Int64[Array, "groups_plus_1"],
    shares: Float64[Array, "groups classes classes"],
    out: Float64[Array, "groups answers classes classes"],
) -> None:
    """Add the products of the scores in shares[y, answer] and shares[z, answer]: the curvature, up to its sign."""
    score = np.empty(truth.shape[1])
    for g in range(len(start) - 1):
        for r in range(start[g], start[g + 1]):
            total = 0.0
            for y in range(len(score)):
                total += truth[at[r], y] * shares[g, y, first[r]]
            if total <= 0.0:
                continue
            for y in range(len(score)):
                score[y] = truth[at[r], y] / total
            for y in range(len(score)):
                for z in range(len(score)):
                    out[g, first[r], y, z] += score[y] * score[z]
