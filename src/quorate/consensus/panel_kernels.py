"""The compiled inner loop of `panel`."""

# Numba infers every type here from its first call; annotations would be comments that nobody checks.
# pyright: reportMissingParameterType=false, reportUnknownParameterType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True)
def winner_tables(states, population, nodes, weights):
    """P(class wins | latent class) per state; a state is the votes seen per class, then the panel size."""
    n_states, n_latent, n_classes = states.shape[0], population.shape[0], population.shape[1]
    out = np.zeros((n_states, n_latent, n_classes))
    for s in range(n_states):
        seen = states[s, :n_classes]
        left = states[s, n_classes] - seen.sum()
        if left == 0:
            _decided(seen, nodes, weights, out[s])
        else:
            for c in range(n_latent):
                _winner(seen, left, population[c], nodes, weights, out[s, c])
    return out


@njit(cache=True)
def _decided(seen, nodes, weights, out):
    best, ties = seen.max(), 0
    for k in range(seen.shape[0]):
        ties += seen[k] == best
    share = 0.0
    for q in range(nodes.shape[0]):
        share += weights[q] * nodes[q] ** (ties - 1) if ties > 1 else weights[q]
    for k in range(seen.shape[0]):
        if seen[k] == best:
            out[:, k] = share


@njit(cache=True)
def _poisson(rate, upto):
    out = np.empty(upto + 1)
    for r in range(upto + 1):
        if rate == 0.0:
            out[r] = 1.0 if r == 0 else 0.0
        else:
            out[r] = math.exp(r * math.log(rate) - rate - math.lgamma(r + 1.0))
    return out


@njit(cache=True)
def _winner(seen, left, row, nodes, weights, out):
    n_classes = seen.shape[0]
    pmf = np.empty((n_classes, left + 1))
    total = row.sum()
    for j in range(n_classes):
        pmf[j] = _poisson(left * row[j] / total, left)
    at_sum = _poisson(float(left), left)[left]
    product, longer = np.empty(left + 1), np.empty(left + 1)
    lead = seen.max()
    for k in range(n_classes):
        for extra in range(max(0, lead - seen[k]), left + 1):
            top = seen[k] + extra
            if pmf[k, extra] == 0.0:
                continue
            rest = left - extra
            for q in range(nodes.shape[0]):
                product[: rest + 1] = 0.0
                product[0] = 1.0
                for j in range(n_classes):
                    if j == k:
                        continue
                    longer[: rest + 1] = 0.0
                    for r in range(min(rest, top - seen[j]) + 1):
                        term = pmf[j, r] * (nodes[q] if seen[j] + r == top else 1.0)
                        if term != 0.0:
                            for d in range(rest - r + 1):
                                longer[d + r] += term * product[d]
                    product[: rest + 1] = longer[: rest + 1]
                out[k] += weights[q] * pmf[k, extra] * product[rest] / at_sum
