"""The compiled passes over items. Latent classes of all tasks lie side by side: task t owns columns off[t]:off[t + 1].

Notation: theta[c, s] = softmax(mu_t + Lambda_t f_s)[c] at quadrature point s; E = evidence of models, L =
log-likelihood of people's labels, both (items, latent); num_ts = sum_c theta exp(E + L), den_ts = sum_c theta exp(E).
"""

# Numba infers every type here from its first call; annotations would be comments that nobody checks.
# pyright: reportMissingParameterType=false, reportUnknownParameterType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import numpy as np
from numba import njit, prange

BLOCKS = 32  # fixed, so that sums are added in the same order on any number of cores
RESCALE_EVERY = 3  # tasks multiplied before the running product is brought back to order one

SMALL = 1_000_000  # items * latent * points below which a second thread costs more than it brings


def score_pass(theta, off, evidence, labeled, active):
    """Per item log p(labels | scores), P(latent | all), P(latent | scores); per point the gain in theta's logits.

    labeled = E + L. active: 0 nothing known, else something known. Axes: items, latent; gain (latent, points).
    The arithmetic is that of theta's type: single precision fits faster, and its error lies below that of the rule.
    """
    log_likelihood = np.zeros(len(evidence))
    after, before = np.zeros(evidence.shape), np.zeros(evidence.shape)
    gain = np.zeros((BLOCKS, *theta.shape), theta.dtype)
    run = _score_alone if _is_small(evidence, theta) else _score_together
    run(theta, off, evidence, labeled, active, log_likelihood, after, before, gain)
    return log_likelihood, after, before, gain.astype(np.float64).sum(axis=0) * theta


def marginals(theta, off, logits, active):
    """P(latent | all) of every item and task, also where nothing is known of the task itself. Axes: items, latent."""
    out = np.zeros(logits.shape)
    (_marginals_alone if _is_small(logits, theta) else _marginals_together)(theta, off, logits, active, out)
    return out


def expectations(theta, off, logits, active, events):
    """E[prod_t event_t(latent_t) | all]; events (items, latent) in [0, 1]. Axis: items."""
    out = np.empty(len(logits))
    run = _expectations_alone if _is_small(logits, theta) else _expectations_together
    run(theta, off, logits, active, events, out)
    return out


def cavities(theta, off, logits, active, item, task, own):
    """P(latent of the label's task | all but that label). own (held, width): the label's own log row. (held, width)."""
    out = np.zeros(own.shape)
    small = len(item) * theta.size < SMALL
    (_cavities_alone if small else _cavities_together)(theta, off, logits, active, item, task, own, out)
    return out


def _is_small(items, theta):
    return len(items) * theta.size < SMALL


@njit(cache=True, fastmath=True)
def _tilt(theta, logits, item, lo, hi, top, weights, total):
    """weights[c] = exp(logit_c - top); total[s] = sum_c theta[c, s] weights[c]."""
    total[:] = 0.0
    for c in range(lo, hi):
        weights[c] = np.exp(logits[item, c] - top)
        row, weight = theta[c], weights[c]
        for s in range(total.shape[0]):
            total[s] += row[s] * weight


@njit(cache=True, fastmath=True)
def _top(logits, item, lo, hi):
    top = logits[item, lo]
    for c in range(lo + 1, hi):
        top = max(top, logits[item, c])
    return top


@njit(cache=True, fastmath=True)
def _multiply(product, factor):
    for s in range(product.shape[0]):
        product[s] *= factor[s]


@njit(cache=True, fastmath=True)
def _rescale(product):
    top = product.max()
    product /= top
    return np.log(top)


@njit(cache=True, fastmath=True)
def _side(theta, off, logits, active, item, total, weights, product):
    """product[s] = prod_t total_t[s] up to the returned log factor."""
    product[:] = 1.0
    log_scale, done = 0.0, 0
    for t in range(off.shape[0] - 1):
        if active[item, t] == 0:
            continue
        top = _top(logits, item, off[t], off[t + 1])
        _tilt(theta, logits, item, off[t], off[t + 1], top, weights, total[t])
        _multiply(product, total[t])
        log_scale += top
        done += 1
        if done % RESCALE_EVERY == 0:
            log_scale += _rescale(product)
    return log_scale


@njit(cache=True, fastmath=True)
def _shares(theta, lo, hi, cn, cd, num, den, w, v, after, before, gain):
    """after, before: P(latent c) with and without labels; gain[c, s] += their joint with the point, over theta."""
    for s in range(w.shape[0]):
        num[s] = w[s] / num[s]
        den[s] = v[s] / den[s]
    for c in range(lo, hi):
        row, gained, labeled, alone = theta[c], gain[c], cn[c], cd[c]
        with_labels = without = labeled - labeled  # zero of the same type: a literal would widen the loop
        for s in range(w.shape[0]):  # one loop: each number is read once
            with_labels += row[s] * num[s]
            without += row[s] * den[s]
            gained[s] += labeled * num[s] - alone * den[s]
        after[c], before[c] = with_labels * labeled, without * alone


@njit(cache=True, fastmath=True)
def _score_block(block, theta, off, evidence, labeled, active, log_likelihood, after, before, gain):
    n_items, n_latent, n_points = evidence.shape[0], evidence.shape[1], theta.shape[1]
    n_tasks, kind = off.shape[0] - 1, theta.dtype
    num, den = np.empty((n_tasks, n_points), kind), np.empty((n_tasks, n_points), kind)
    cn, cd = np.empty(n_latent, kind), np.empty(n_latent, kind)
    w, v = np.empty(n_points, kind), np.empty(n_points, kind)
    for i in range(block * n_items // BLOCKS, (block + 1) * n_items // BLOCKS):
        scale = _side(theta, off, labeled, active, i, num, cn, w)
        scale -= _side(theta, off, evidence, active, i, den, cd, v)
        total_w, total_v = w.sum(), v.sum()
        log_likelihood[i] = scale + np.log(total_w) - np.log(total_v)
        w /= total_w
        v /= total_v
        for t in range(n_tasks):
            if active[i, t] != 0:
                _shares(theta, off[t], off[t + 1], cn, cd, num[t], den[t], w, v, after[i], before[i], gain[block])


@njit(cache=True)
def _score_alone(theta, off, evidence, labeled, active, log_likelihood, after, before, gain):
    for block in range(BLOCKS):
        _score_block(block, theta, off, evidence, labeled, active, log_likelihood, after, before, gain)


@njit(cache=True, parallel=True)
def _score_together(theta, off, evidence, labeled, active, log_likelihood, after, before, gain):
    for block in prange(BLOCKS):
        _score_block(block, theta, off, evidence, labeled, active, log_likelihood, after, before, gain)


@njit(cache=True, fastmath=True)
def _marginals_block(block, theta, off, logits, active, out):
    n_items, n_latent, n_points = logits.shape[0], logits.shape[1], theta.shape[1]
    n_tasks = off.shape[0] - 1
    total, weights, product = np.empty((n_tasks, n_points)), np.empty(n_latent), np.empty(n_points)
    for i in range(block * n_items // BLOCKS, (block + 1) * n_items // BLOCKS):
        _side(theta, off, logits, active, i, total, weights, product)
        product /= product.sum()
        for t in range(n_tasks):
            _spread(theta, off[t], off[t + 1], active[i, t] != 0, weights, total[t], product, out[i])


@njit(cache=True)
def _marginals_alone(theta, off, logits, active, out):
    for block in range(BLOCKS):
        _marginals_block(block, theta, off, logits, active, out)


@njit(cache=True, parallel=True)
def _marginals_together(theta, off, logits, active, out):
    for block in prange(BLOCKS):
        _marginals_block(block, theta, off, logits, active, out)


@njit(cache=True, fastmath=True)
def _spread(theta, lo, hi, known, weights, total, product, out):
    for c in range(lo, hi):
        share = 0.0
        if known:
            for s in range(product.shape[0]):
                share += theta[c, s] * weights[c] * product[s] / total[s]
        else:
            for s in range(product.shape[0]):
                share += theta[c, s] * product[s]
        out[c] = share


@njit(cache=True, fastmath=True)
def _expectations_block(block, theta, off, logits, active, events, out):
    n_items, n_latent, n_points = logits.shape[0], logits.shape[1], theta.shape[1]
    n_tasks = off.shape[0] - 1
    total, weights, product = np.empty((n_tasks, n_points)), np.empty(n_latent), np.empty(n_points)
    for i in range(block * n_items // BLOCKS, (block + 1) * n_items // BLOCKS):
        _side(theta, off, logits, active, i, total, weights, product)
        product /= product.sum()
        for t in range(n_tasks):
            if active[i, t] == 0:
                weights[off[t] : off[t + 1]] = 1.0
                total[t] = 1.0
            for s in range(n_points):
                happens = 0.0
                for c in range(off[t], off[t + 1]):
                    happens += theta[c, s] * weights[c] * events[i, c]
                product[s] *= happens / total[t, s]
        out[i] = product.sum()


@njit(cache=True)
def _expectations_alone(theta, off, logits, active, events, out):
    for block in range(BLOCKS):
        _expectations_block(block, theta, off, logits, active, events, out)


@njit(cache=True, parallel=True)
def _expectations_together(theta, off, logits, active, events, out):
    for block in prange(BLOCKS):
        _expectations_block(block, theta, off, logits, active, events, out)


@njit(cache=True, fastmath=True)
def _cavities_block(block, theta, off, logits, active, item, task, own, out):
    n_held, n_points = item.shape[0], theta.shape[1]
    total, weights, product = np.empty(n_points), np.empty(theta.shape[0]), np.empty(n_points)
    first = block * n_held // BLOCKS
    for h in range(first, (block + 1) * n_held // BLOCKS):
        if h == first or item[h] != item[h - 1] or task[h] != task[h - 1]:  # labels of one item-task share it
            _others(theta, off, logits, active, item[h], task[h], total, weights, product)
        _without(theta, off[task[h]], off[task[h] + 1], logits[item[h]], own[h], product, out[h])


@njit(cache=True, fastmath=True)
def _others(theta, off, logits, active, item, task, total, weights, product):
    """product[s] = P(point s | all but this task), up to a factor; sums to 1."""
    product[:] = 1.0
    done = 0
    for t in range(off.shape[0] - 1):
        if active[item, t] != 0 and t != task:
            _tilt(theta, logits, item, off[t], off[t + 1], _top(logits, item, off[t], off[t + 1]), weights, total)
            _multiply(product, total)
            done += 1
            if done % RESCALE_EVERY == 0:
                _rescale(product)
    product /= product.sum()


@njit(cache=True, fastmath=True)
def _without(theta, lo, hi, logits, own, product, out):
    """P(latent) of one task, its own label's log row taken off."""
    top, norm = -np.inf, 0.0
    for c in range(lo, hi):
        top = max(top, logits[c] - own[c - lo])
    for c in range(lo, hi):
        prior = 0.0
        for s in range(product.shape[0]):
            prior += theta[c, s] * product[s]
        out[c - lo] = prior * np.exp(logits[c] - own[c - lo] - top)
        norm += out[c - lo]
    for c in range(hi - lo):
        out[c] /= norm


@njit(cache=True)
def _cavities_alone(theta, off, logits, active, item, task, own, out):
    for block in range(BLOCKS):
        _cavities_block(block, theta, off, logits, active, item, task, own, out)


@njit(cache=True, parallel=True)
def _cavities_together(theta, off, logits, active, item, task, own, out):
    for block in prange(BLOCKS):
        _cavities_block(block, theta, off, logits, active, item, task, own, out)


@njit(cache=True)
def add_labels(logits, item, column, width, place, log_rows):
    """logits[item, column + c] += log_rows[place + c] for every label."""
    for n in range(item.shape[0]):
        for c in range(width[n]):
            logits[item[n], column[n] + c] += log_rows[place[n] + c]


@njit(cache=True)
def count_labels(posterior, item, column, width, place, counts):
    """counts[place + c] += posterior[item, column + c] for every label: expected confusions."""
    for n in range(item.shape[0]):
        for c in range(width[n]):
            counts[place[n] + c] += posterior[item[n], column[n] + c]
