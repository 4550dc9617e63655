"""The compiled passes of `haic`: people's answers given the models' scores, with gradients in one pass over items.

Given the scores of an item and its truth k, a person's latent scores are normal with means v_j + delta [j = k] and sd
one, all in units of the conditional sd: v_j = slope . x_j, delta = skill * inv_sd - shift, with slope, inv_sd and shift
of the item's pattern (which models spoke). The label is the largest of them,

    P(h | x, k) = Int phi(t) prod_(l != h) Phi(t + m_h - m_l) dt

by Gauss-Hermite: the sum over `nodes` with `weights`. What does not depend on k is shared by all k, so that a label
costs 3 (classes - 1) values of Phi per node. A pattern without any model has v = 0: only whether the label is the truth
counts, and one value per person, kept in `Silent`, serves all its labels.
"""

# Numba infers every type here from its first call; annotations would be comments that nobody checks.
# pyright: reportMissingParameterType=false, reportUnknownParameterType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import math

import numpy as np
from numba import njit

REACH, STEPS = 8.0, 64  # Phi is read off a table on [-8, 8], 64 places to the unit; between them by Taylor to order 3
PLACES = np.linspace(-REACH, REACH, int(2 * REACH * STEPS) + 1)
DENSITY = np.exp(-0.5 * PLACES**2) / math.sqrt(2.0 * math.pi)
BELOW = np.array([0.5 * math.erfc(-z / math.sqrt(2.0)) for z in PLACES])
LEAST = 1e-12  # added to every P(label): an answer beyond the reach of the table is not impossible


@njit(cache=True, fastmath=True)
def _phi(nodes, shift, below, hazard):
    """Phi(nodes + shift) and the hazard phi / Phi; errors under 1e-9 of one."""
    for q in range(nodes.shape[0]):
        z = min(max(nodes[q] + shift, -REACH), REACH)
        place = int((z + REACH) * STEPS + 0.5)
        at, density = PLACES[place], DENSITY[place]
        d = z - at
        second = (at * at - 1.0) * d * d
        value = BELOW[place] + density * d * (1.0 - 0.5 * at * d + second / 6.0)
        below[q] = value
        hazard[q] = density * (1.0 - at * d + 0.5 * second - at * (at * at - 3.0) * d * d * d / 6.0) / value


@njit(cache=True, fastmath=True)
def _others(v, h, delta, nodes, weights, below, hazard, product):
    """Phi and its hazard for every class but h, and weights times the product of all Phi."""
    product[:] = weights
    for c in range(v.shape[0]):
        if c != h:
            _phi(nodes, v[h] - v[c] + delta, below[c], hazard[c])
            product *= below[c]


@njit(cache=True, fastmath=True)
def _label(v, h, delta, nodes, weights, work, log_p, slopes):
    """Into log_p[k]: log P(h | x, k); into slopes[k, c]: its derivative in m_h - m_c."""
    below, hazard, product, below_k, hazard_k = work[0], work[1], work[2, 0], work[2, 1], work[2, 2]
    n_classes = v.shape[0]
    _others(v, h, delta, nodes, weights, below, hazard, product)
    _sum_up(h, h, product, hazard, log_p, slopes)
    _others(v, h, 0.0, nodes, weights, below, hazard, product)
    term = work[2, 3]
    for k in range(n_classes):
        if k == h:
            continue
        _phi(nodes, v[h] - v[k] - delta, below_k, hazard_k)
        for q in range(nodes.shape[0]):
            term[q] = product[q] / below[k, q] * below_k[q]
        _sum_up(h, k, term, hazard, log_p, slopes)
        own = 0.0
        for q in range(nodes.shape[0]):
            own += term[q] * hazard_k[q]
        slopes[k, k] = own / math.exp(log_p[k])


@njit(cache=True, fastmath=True)
def _sum_up(h, k, term, hazard, log_p, slopes):
    total = LEAST
    for q in range(term.shape[0]):
        total += term[q]
    log_p[k] = math.log(total)
    for c in range(slopes.shape[1]):
        slopes[k, c] = 0.0
        if c != h:
            inner = 0.0
            for q in range(term.shape[0]):
                inner += term[q] * hazard[c, q]
            slopes[k, c] = inner / total


@njit(cache=True)
def _workspace(n_classes, n_nodes):
    return np.empty((3, max(n_classes, 4), n_nodes))


@njit(cache=True)
def silent_people(skill, n_classes, nodes, weights):
    """Per person without any model: log P(right), log P(one wrong label), and both derivatives in the skill."""
    out = np.zeros((skill.shape[0], 4))
    work, v = _workspace(n_classes, nodes.shape[0]), np.zeros(n_classes)
    log_p, slopes = np.zeros(n_classes), np.zeros((n_classes, n_classes))
    for a in range(skill.shape[0]):
        _label(v, 0, skill[a], nodes, weights, work, log_p, slopes)
        out[a, 0], out[a, 2] = log_p[0], slopes[0].sum()
        if n_classes > 1:
            out[a, 1], out[a, 3] = log_p[1], -slopes[1, 1]
    return out


@njit(cache=True)
def _means(x, slope, v):
    for c in range(v.shape[0]):
        total = 0.0
        for m in range(slope.shape[0]):
            total += slope[m] * x[c, m]
        v[c] = total


@njit(cache=True)
def _normalised(logits, out):
    """The softmax of the logits into `out`; the log of the sum is returned."""
    top = logits.max()
    total = 0.0
    for k in range(logits.shape[0]):
        out[k] = math.exp(logits[k] - top)
        total += out[k]
    out /= total
    return top + math.log(total)


@njit(cache=True)
def score_pass(
    x, pattern, weight, slope, inv_sd, shift, speaks, log_prior, begin, end, person, code, skill, gold, given_scores,
    nodes, weights,
):  # fmt: skip
    """Sum over items of log sum_k prior_k exp(weight . x_k) prod P(label | x, k), and its gradient.

    With `given_scores` the same without labels and gold is taken off: the likelihood of these given the scores.
    The gradient is in log_prior, weight, slope, inv_sd, shift and skill; last come squared scores of skill, per person.
    """
    n_items, n_classes = x.shape[0], x.shape[1]
    g_prior, g_weight, g_slope = np.zeros(n_classes), np.zeros(weight.shape), np.zeros(slope.shape)
    g_inv_sd, g_shift = np.zeros(inv_sd.shape), np.zeros(shift.shape)
    g_skill, information = np.zeros(skill.shape), np.zeros(skill.shape)
    most = max((end - begin).max(), 1) if n_items else 1
    work, silent = _workspace(n_classes, nodes.shape[0]), silent_people(skill, n_classes, nodes, weights)
    log_p, slopes = np.zeros((most, n_classes)), np.zeros((most, n_classes, n_classes))
    v, g_v, evidence, logits = np.empty(n_classes), np.empty(n_classes), np.empty(n_classes), np.empty(n_classes)
    after, before = np.empty(n_classes), np.zeros(n_classes)
    total = 0.0
    for i in range(n_items):
        p = pattern[i]
        _means(x[i], weight[p], evidence)
        evidence += log_prior
        logits[:] = evidence
        if speaks[p]:
            _means(x[i], slope[p], v)
        for n in range(begin[i], end[i]):
            a, h, j = person[n], code[n], n - begin[i]
            if speaks[p]:
                _label(v, h, skill[a] * inv_sd[p] - shift[p], nodes, weights, work, log_p[j], slopes[j])
                logits += log_p[j]
            else:
                logits += silent[a, 1]
                logits[h] += silent[a, 0] - silent[a, 1]
        if gold[i] >= 0:
            after[:] = 0.0
            after[gold[i]] = 1.0
            total += logits[gold[i]]
        else:
            total += _normalised(logits, after)
        if given_scores:
            total -= _normalised(evidence, before)
        g_prior += after - before
        for c in range(n_classes):
            for m in range(x.shape[2]):
                g_weight[p, m] += (after[c] - before[c]) * x[i, c, m]
        g_v[:] = 0.0
        for n in range(begin[i], end[i]):
            a, h, j = person[n], code[n], n - begin[i]
            if not speaks[p]:
                score = after[h] * silent[a, 2] + (1.0 - after[h]) * silent[a, 3]
                g_skill[a] += score
                information[a] += score * score
                continue
            g_delta = 0.0
            for k in range(n_classes):
                for c in range(n_classes):
                    part = after[k] * slopes[j, k, c]
                    g_v[h] += part
                    g_v[c] -= part
                    if k == h:
                        g_delta += part
                    elif k == c:
                        g_delta -= part
            g_skill[a] += g_delta * inv_sd[p]
            information[a] += (g_delta * inv_sd[p]) ** 2
            g_inv_sd[p] += g_delta * skill[a]
            g_shift[p] -= g_delta
        if speaks[p]:
            for c in range(n_classes):
                for m in range(x.shape[2]):
                    g_slope[p, m] += g_v[c] * x[i, c, m]
    return total, g_prior, g_weight, g_slope, g_inv_sd, g_shift, g_skill, information


@njit(cache=True)
def label_logits(x, pattern, slope, inv_sd, shift, item, person, code, skill, nodes, weights):
    """Log P(label | x, k) of every asked label. Axes: asked, latent."""
    n_classes = x.shape[1]
    out = np.empty((item.shape[0], n_classes))
    work, v, slopes = _workspace(n_classes, nodes.shape[0]), np.empty(n_classes), np.empty((n_classes, n_classes))
    for n in range(item.shape[0]):
        p = pattern[item[n]]
        _means(x[item[n]], slope[p], v)
        _label(v, code[n], skill[person[n]] * inv_sd[p] - shift[p], nodes, weights, work, out[n], slopes)
    return out
