"""The panel target: who wins the vote of n people, given the labels seen so far. Exact, not sampled.

Given the latent class c, the remaining m = n - seen votes are multinomial(m, population[c]). With independent Poisson
counts X_j of mean m * population[c, j], the multinomial is their law given sum_j X_j = m (Poissonisation), so that

    P(k wins with v votes) = Pois(a; m p_k) [z^(m-a)] prod_(j != k) sum_r Pois(r; m p_j) z^r / Pois(m; m)

with a = v - seen_k, where r runs over counts with seen_j + r <= v. A tie among t + 1 classes gives 1 / (t + 1) to
each: mark every tied term by u and integrate over u in [0, 1] by Gauss-Legendre, exact since the integrand is a
polynomial of degree < classes in u.
Setting ties aside is u = 0. Source: the law of the multinomial maximum by Poissonisation, [levin1981].
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int32, Int64

Array = np.ndarray


def panel_readout(
    population: Float64[Array, "latent classes"],
    counts: Int32[Array, "items classes"],
    n: int | Int32[Array, "items"],
    *,
    exclude_ties: bool = False,
) -> tuple[Float64[Array, "tables latent classes"], Int64[Array, "items"]]:
    """P(class wins a panel of n people | latent class, labels seen), one table per distinct state of the votes.

    n is raised to the labels already seen. With `exclude_ties` rows sum to P(there is one winner).
    """
    from quorate.consensus.panel_kernels import winner_tables

    seen = counts.sum(axis=1)
    if len(counts) and seen.max(initial=0) == 0 and np.ndim(n) == 0:
        states, table_of = np.append(counts[:1], [[int(n)]], axis=1), np.zeros(len(counts), np.int64)
    else:
        size = np.maximum(np.broadcast_to(np.asarray(n, np.int64), seen.shape), seen)
        states, table_of = _distinct(np.column_stack([counts, size]))
    n_classes = population.shape[1]
    nodes, weights = _tie_rule(n_classes, exclude_ties)
    tables = winner_tables(np.ascontiguousarray(states, np.int64), np.ascontiguousarray(population), nodes, weights)
    return tables, table_of


@lru_cache(maxsize=256)  # the nodes are eigenvalues: found once per number of classes, not once per label
def _tie_rule(n_classes: int, exclude_ties: bool) -> tuple[Float64[Array, "nodes"], Float64[Array, "nodes"]]:
    if exclude_ties:
        return np.zeros(1), np.ones(1)
    nodes, weights = np.polynomial.legendre.leggauss(n_classes // 2 + 1)
    return (nodes + 1.0) / 2.0, weights / 2.0


def _distinct(rows: Int64[Array, "items columns"]) -> tuple[Int64[Array, "states columns"], Int64[Array, "items"]]:
    if len(rows) == 1:
        return rows, np.zeros(1, np.int64)
    radix = rows.max(axis=0, initial=0) + 1
    if float(np.prod(radix.astype(float))) < 2.0**62:
        steps = np.append(np.cumprod(radix[::-1])[::-1][1:], 1)
        _, first, inverse = np.unique(rows @ steps, return_index=True, return_inverse=True)
        return rows[first], inverse.astype(np.int64)
    states, inverse = np.unique(rows, axis=0, return_inverse=True)
    return states, inverse.astype(np.int64)
