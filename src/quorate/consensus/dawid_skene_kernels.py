"""One pass over item-sorted answers: expectation and maximisation fused, posteriors kept only when asked for.

An *answer* is one number, (agent * classes + label) * classes: where P(label | latent class) of that agent begins in a
flat table. Probabilities are multiplied, not their logs added, so a pass needs no exponential and a zero stays a zero.
`prior` may be a tuple: the compiler then knows the number of classes, which halves the time. Indices are unsigned:
a signed one costs a test for negative values at every access.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int16, Int32, Int64, UInt32, UInt64
from numba import njit

Array = np.ndarray
Prior = tuple[float, ...] | Float64[Array, "classes"]

U = np.uint64
RESCALE = np.uint64(16)  # answers after which a product is scaled back: 16 factors above 1e-18 cannot underflow
SMALL = 1e-150  # normalisers and their running product become logs below it: two of them cannot underflow


@njit(cache=True)
def count_labels(
    start: Int64[Array, "cells_plus_1"], annotator: Int32[Array, "labels"], n_tasks: int, n_annotators: int
) -> Int64[Array, "tasks annotators"]:
    """How many labels every annotator gave to every task."""
    counts = np.zeros((n_tasks, n_annotators), np.int64)
    for cell in range(len(start) - 1):
        for j in range(start[cell], start[cell + 1]):
            counts[cell % n_tasks, annotator[j]] += 1
    return counts


@njit(cache=True)
def gather(
    start: Int64[Array, "cells_plus_1"],
    annotator: Int32[Array, "labels"],
    label: Int16[Array, "labels"],
    answers: Int16[Array, "items models"],
    gold: Int16[Array, "items"],
    place: Int64[Array, "agents_plus_2"],
    task: int,
    n_classes: int,
) -> tuple[UInt64[Array, "items_plus_1"], UInt32[Array, "answers"]]:
    """All answers on one task, item after item: people in order of arrival, then models, then gold.

    place: the row of every annotator, then of every model (-1: none), then of strangers and of gold.
    """
    n_items, n_models = answers.shape
    n_tasks = (len(start) - 1) // max(n_items, 1)
    first_model = len(place) - 2 - n_models
    stranger, gold_place = place[-2], place[-1]
    begin = np.zeros(n_items + 1, np.uint64)
    code = np.empty(_room(start, answers, gold, task, n_tasks), np.uint32)
    n = 0
    for i in range(n_items):
        cell = i * n_tasks + task
        for j in range(start[cell], start[cell + 1]):
            agent = place[annotator[j]] if annotator[j] >= 0 else stranger
            code[n] = ((agent if agent >= 0 else stranger) * n_classes + label[j]) * n_classes
            n += 1
        for m in range(n_models):
            agent = place[first_model + m]
            if agent >= 0 and answers[i, m] >= 0:
                code[n] = (agent * n_classes + answers[i, m]) * n_classes
                n += 1
        if gold[i] >= 0:
            code[n] = (gold_place * n_classes + gold[i]) * n_classes
            n += 1
        begin[i + 1] = n
    return begin, code[:n]


@njit(cache=True)
def _room(
    start: Int64[Array, "cells_plus_1"],
    answers: Int16[Array, "items models"],
    gold: Int16[Array, "items"],
    task: int,
    n_tasks: int,
) -> int:
    room = 0
    for i in range(len(gold)):
        room += start[i * n_tasks + task + 1] - start[i * n_tasks + task]
        room += gold[i] >= 0
        for m in range(answers.shape[1]):
            room += answers[i, m] >= 0
    return room


@njit(cache=True)
def first_pass(
    begin: UInt64[Array, "items_plus_1"],
    code: UInt32[Array, "answers"],
    gold: Int16[Array, "items"],
    counts: Float64[Array, "entries"],
    mass: Float64[Array, "classes"],
) -> None:
    """Adds the expected counts when an item's truth is its gold label, or else its vote shares."""
    n_classes = U(len(mass))
    share = np.empty(len(mass))
    for i in range(len(begin) - 1):
        if begin[i] == begin[i + 1]:
            continue
        share[:] = 0.0
        if gold[i] >= 0:
            share[gold[i]] = 1.0
        else:
            for j in range(begin[i], begin[i + 1]):
                share[U(code[j]) // n_classes % n_classes] += 1.0
            share /= begin[i + 1] - begin[i]
        mass += share
        for j in range(begin[i], begin[i + 1]):
            for k in range(len(mass)):
                counts[U(code[j]) + U(k)] += share[k]


@njit(inline="always")
def _normalise(prior: Prior, q: Float64[Array, "classes"]) -> float:
    """Makes q sum to 1 (the prior where no class is possible); returns its sum before."""
    total = 0.0
    for k in range(len(prior)):
        total += q[k]
    if total > 0.0:
        for k in range(len(prior)):
            q[k] /= total
        return total
    for k in range(len(prior)):
        q[k] = prior[k]
    return 1e-300


@njit(inline="always")
def _multiply(
    code: UInt32[Array, "answers"],
    table: Float64[Array, "entries"],
    prior: Prior,
    first: np.uint64,
    last: np.uint64,
    q: Float64[Array, "classes"],
) -> float:
    """Multiplies q by the likelihood of answers first..last; returns the log of what was divided out."""
    log_scale = 0.0
    while last - first > RESCALE:
        for j in range(first, first + RESCALE):
            for k in range(len(prior)):
                q[k] *= table[U(code[j]) + U(k)]
        first += RESCALE
        log_scale += np.log(_normalise(prior, q))
    for j in range(first, last):
        for k in range(len(prior)):
            q[k] *= table[U(code[j]) + U(k)]
    return log_scale


@njit(cache=True)
def em_pass(
    begin: UInt64[Array, "items_plus_1"],
    code: UInt32[Array, "answers"],
    table: Float64[Array, "entries"],
    prior: Prior,
    counts: Float64[Array, "entries"],
    mass: Float64[Array, "classes"],
) -> float:
    """Adds expected counts of rows (agent, label, latent) and classes; returns the log likelihood, in nats."""
    q = np.empty(len(prior))
    log_likelihood, product = 0.0, 1.0
    for i in range(len(begin) - 1):
        first, last = begin[i], begin[i + 1]
        if first == last:
            continue
        for k in range(len(prior)):
            q[k] = prior[k]
        log_likelihood += _multiply(code, table, prior, first, last, q)
        total = _normalise(prior, q)
        if total < SMALL:
            log_likelihood += np.log(total)
        else:
            product *= total
        if product < SMALL:
            log_likelihood += np.log(product)
            product = 1.0
        for k in range(len(prior)):
            mass[k] += q[k]
        for j in range(first, last):
            for k in range(len(prior)):
                counts[U(code[j]) + U(k)] += q[k]
    return log_likelihood + np.log(product)


@njit(cache=True)
def posteriors(
    begin: UInt64[Array, "items_plus_1"],
    code: UInt32[Array, "answers"],
    table: Float64[Array, "entries"],
    prior: Prior,
) -> Float64[Array, "items classes"]:
    """P(latent class | the item's answers), for every item."""
    probs = np.empty((len(begin) - 1, len(prior)))
    q = np.empty(len(prior))
    for i in range(len(begin) - 1):
        for k in range(len(prior)):
            q[k] = prior[k]
        _multiply(code, table, prior, begin[i], begin[i + 1], q)
        _normalise(prior, q)
        for k in range(len(prior)):
            probs[i, k] = q[k]
    return probs


@njit(cache=True)
def posteriors_without(
    begin: UInt64[Array, "items_plus_1"],
    code: UInt32[Array, "answers"],
    table: Float64[Array, "entries"],
    prior: Float64[Array, "classes"],
    item: Int64[Array, "asked"],
    left_out: UInt64[Array, "asked"],
) -> Float64[Array, "asked classes"]:
    """P(latent class | the item's answers but one), for every asked item; left_out: that answer's place in `code`."""
    probs = np.empty((len(item), len(prior)))
    q = np.empty(len(prior))
    for a in range(len(item)):
        q[:] = prior
        last = begin[item[a] + 1]
        _multiply(code, table, prior, U(begin[item[a]]), U(min(left_out[a], last)), q)
        _multiply(code, table, prior, U(min(left_out[a] + U(1), last)), U(last), q)
        _normalise(prior, q)
        probs[a] = q
    return probs


@njit(cache=True)
def next_label(
    latent: Float64[Array, "asked classes"], table: Float64[Array, "entries"], agent: Int64[Array, "asked"]
) -> Float64[Array, "asked classes"]:
    """P(the label this agent gives), sum_k P(latent = k) P(label | k), for every asked item."""
    n_asked, n_classes = latent.shape
    probs = np.zeros((n_asked, n_classes))
    for a in range(n_asked):
        for label in range(n_classes):
            first = (agent[a] * n_classes + label) * n_classes
            for k in range(n_classes):
                probs[a, label] += latent[a, k] * table[first + k]
    return probs
