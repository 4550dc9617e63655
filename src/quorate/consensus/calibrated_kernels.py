"""Passes over items: posteriors with people's labels, and the slope of the soft cross-entropy in weights and biases.

An *answer* is one number, (agent * classes + label) * classes: where P(label | latent class) of that agent begins in a
flat table, as `dawid_skene_kernels` has it. Probabilities are multiplied; where their product leaves the range of
floats, an item is done again in logs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int16, Int64, UInt32, UInt64
from numba import njit

Array = np.ndarray
U = np.uint64
Span = tuple[Any, Any, Any]  # first answer, the one after the last, the one left out; all np.uint64
SMALL = 1e-200  # a total below it is done again in logs
IMPOSSIBLE = -690.8  # nats; log likelihood of labels that no class allows


@njit(inline="always")
def _in_logs(
    code: UInt32[Array, "answers"],
    table: Float64[Array, "entries"],
    log_q: Float64[Array, "items classes"],
    i: int,
    span: Span,
    q: Float64[Array, "classes"],
) -> float:
    """The posterior of item i by sums of logs; its prior where no class is possible."""
    first, last, left_out = span
    top = -np.inf
    for k in range(len(q)):
        q[k] = log_q[i, k]
        for j in range(first, last):
            if j != left_out:
                q[k] += np.log(table[U(code[j]) + U(k)])
        top = max(top, q[k])
    if top == -np.inf:
        for k in range(len(q)):
            q[k] = np.exp(log_q[i, k])
        return IMPOSSIBLE
    total = 0.0
    for k in range(len(q)):
        q[k] = np.exp(q[k] - top)
        total += q[k]
    for k in range(len(q)):
        q[k] /= total
    return top + np.log(total)


@njit(inline="always")
def _posterior(
    code: UInt32[Array, "answers"],
    table: Float64[Array, "entries"],
    log_q: Float64[Array, "items classes"],
    i: int,
    span: Span,
    q: Float64[Array, "classes"],
) -> float:
    """Fills q with the posterior of item i given answers first..last but one; returns their log likelihood."""
    first, last, left_out = span
    for k in range(len(q)):
        q[k] = np.exp(log_q[i, k])
    for j in range(first, last):
        if j != left_out:
            for k in range(len(q)):
                q[k] *= table[U(code[j]) + U(k)]
    total = 0.0
    for k in range(len(q)):
        total += q[k]
    if not total >= SMALL:
        return _in_logs(code, table, log_q, i, span, q)
    for k in range(len(q)):
        q[k] /= total
    return np.log(total)


@njit(inline="always")
def _known(
    code: UInt32[Array, "answers"],
    table: Float64[Array, "entries"],
    log_q: Float64[Array, "items classes"],
    i: int,
    span: Span,
    gold: int,
    q: Float64[Array, "classes"],
) -> float:
    """Fills q for an item whose truth is known; returns the log probability of the truth and of its answers."""
    first, last, _ = span
    q[:] = 0.0
    q[gold] = 1.0
    log_likelihood = log_q[i, gold]
    for j in range(first, last):
        log_likelihood += np.log(max(table[U(code[j]) + U(gold)], 1e-300))
    return log_likelihood


@njit(cache=True)
def expect_pass(
    begin: UInt64[Array, "items_plus_1"],
    code: UInt32[Array, "answers"],
    gold: Int16[Array, "items"],
    table: Float64[Array, "entries"],
    log_q: Float64[Array, "items classes"],
    posterior: Float64[Array, "items classes"],
    counts: Float64[Array, "entries"],
) -> float:
    """Fills posteriors and adds expected counts of rows (agent, label, latent); returns the log likelihood, in nats."""
    n_items, n_classes = log_q.shape
    q = np.empty(n_classes)
    log_likelihood = 0.0
    for i in range(n_items):
        span = (begin[i], begin[i + 1], begin[n_items])
        if gold[i] >= 0:
            log_likelihood += _known(code, table, log_q, i, span, gold[i], q)
        else:
            log_likelihood += _posterior(code, table, log_q, i, span, q)
        for k in range(n_classes):
            posterior[i, k] = q[k]
        for j in range(begin[i], begin[i + 1]):
            for k in range(n_classes):
                counts[U(code[j]) + U(k)] += q[k]
    return log_likelihood


@njit(cache=True)
def left_out_pass(
    begin: UInt64[Array, "items_plus_1"],
    code: UInt32[Array, "answers"],
    before: Float64[Array, "entries"],
    gold: Int16[Array, "items"],
    pseudo: Float64[Array, "labels classes"],
    log_q: Float64[Array, "items classes"],
    posterior: Float64[Array, "items classes"],
    counts: Float64[Array, "entries"],
) -> None:
    """As `expect_pass`, every item by rows that `before` counted without it; `posterior` comes in as counted there."""
    n_items, n_classes = log_q.shape
    totals = np.zeros(len(before) // n_classes)  # (agent, latent): sums over labels
    for entry in range(len(before)):
        agent, label, k = entry // n_classes**2, entry // n_classes % n_classes, entry % n_classes
        totals[agent * n_classes + k] += before[entry] + pseudo[label, k]
    most = 0
    for i in range(n_items):
        most = max(most, np.int64(begin[i + 1] - begin[i]))
    own = np.empty(most * n_classes)
    own_code = (np.arange(most) * n_classes).astype(np.uint32)
    q = np.empty(n_classes)
    for i in range(n_items):
        n_answers = begin[i + 1] - begin[i]
        for j in range(n_answers):
            entry = np.int64(code[begin[i] + j])
            agent, label = entry // n_classes**2, entry // n_classes % n_classes
            for k in range(n_classes):
                total = totals[agent * n_classes + k] - posterior[i, k]
                mine = before[entry + k] - posterior[i, k] + pseudo[label, k]
                own[j * U(n_classes) + U(k)] = max(mine, 1e-12) / max(total, 1e-12)  # rounding may pass zero
        if gold[i] >= 0:
            q[:] = 0.0
            q[gold[i]] = 1.0
        else:
            _posterior(own_code, own, log_q, i, (U(0), n_answers, n_answers), q)
        for k in range(n_classes):
            posterior[i, k] = q[k]
        for j in range(begin[i], begin[i + 1]):
            for k in range(n_classes):
                counts[U(code[j]) + U(k)] += q[k]


@njit(cache=True)
def posteriors(
    begin: UInt64[Array, "items_plus_1"],
    code: UInt32[Array, "answers"],
    table: Float64[Array, "entries"],
    log_q: Float64[Array, "items classes"],
    item: Int64[Array, "asked"],
    left_out: UInt64[Array, "asked"],
) -> Float64[Array, "asked classes"]:
    """P(latent class | the item's answers but one); left_out: that answer's place in `code`, or any place outside."""
    probs = np.empty((len(item), log_q.shape[1]))
    for a in range(len(item)):
        i = item[a]
        _posterior(code, table, log_q, i, (begin[i], begin[i + 1], left_out[a]), probs[a])
    return probs


@njit(cache=True)
def slope_pass(
    x: Float32[Array, "items models classes"],
    spoken: Bool[Array, "items"],
    log_q: Float64[Array, "items classes"],
    posterior: Float64[Array, "items classes"],
    gradient: Float64[Array, "entries"],
    curvature: Float64[Array, "entries entries"],
    within: bool,
) -> None:
    """Adds the gradient of sum_i sum_k r_ik log q_ik and its negative Hessian in (weights, biases).

    q: the models' probabilities, exp of `log_q`; r: `posterior`. The products of two biases come as
    -sum_i q_ik q_il (lower triangle) where `within`, else they are left out; the diagonal sum_i q_ik is always added.
    """
    n_items, n_models, n_classes = x.shape
    q, off = np.empty(n_classes), np.empty(n_classes)
    for i in range(n_items):
        if not spoken[i]:
            continue
        for k in range(n_classes):
            q[k] = np.exp(log_q[i, k])
            gradient[n_models + k] += posterior[i, k] - q[k]
            curvature[n_models + k, n_models + k] += q[k]
        if within:
            for k in range(n_classes):
                for j in range(k + 1):
                    curvature[n_models + k, n_models + j] -= q[k] * q[j]
        for m in range(n_models):
            mean = 0.0
            for k in range(n_classes):
                mean += q[k] * x[i, m, k]
            for k in range(n_classes):
                off[k] = q[k] * (x[i, m, k] - mean)
                gradient[m] += (posterior[i, k] - q[k]) * x[i, m, k]
                curvature[n_models + k, m] += off[k]
            for n in range(m + 1):
                for k in range(n_classes):
                    curvature[m, n] += off[k] * x[i, n, k]
