"""The compiled parts of `acquire`: the information in a label, and the best rate of gain over trees of answers.

A tree has one node per sequence of answers of the people in a cell's chain; node v's children are v * classes + 1 + k.
Every node carries W[v, c] = P(latent class c and these answers) and P[v, k] = P(target k and these answers).
"""

# Numba infers every type here from its first call; annotations would be comments that nobody checks.
# pyright: reportMissingParameterType=false, reportUnknownParameterType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import numpy as np
from numba import njit

ROUNDS = 40  # of Dinkelbach's iteration, which needs three to six
SLACK = 1e-13  # a gain below it is rounding
SCALE = 24  # steps on which confidence is told apart by a learned value
RIVAL = 6  # steps on which the runner-up's share of the rest is


@njit(cache=True)
def information(latent, rows, allowed, tables, table_of):
    """I(target; label) of every cell and annotator, in nats; 0 for who may not be asked.

    latent (cells, latent), rows (annotators, latent, classes), tables (tables, latent, classes): P(target | latent),
    table_of (cells, 1 + classes): the table after no label, and after each answer.
    """
    n_cells, n_latent = latent.shape
    n_agents, n_classes = rows.shape[0], rows.shape[2]
    out = np.zeros((n_cells, n_agents))
    joint, both = np.empty((n_classes, n_classes)), np.empty((n_latent, n_classes))
    share = np.empty(n_classes)
    for i in range(n_cells):
        for a in range(n_agents):
            if not allowed[i, a]:
                continue
            for c in range(n_latent):
                for r in range(n_classes):
                    both[c, r] = latent[i, c] * rows[a, c, r]
            out[i, a] = _mutual(both, tables, table_of[i], joint, share)
    return out


@njit(cache=True)
def _mutual(both, tables, table_of, joint, share):
    """sum_kr P(k, r) log P(k, r) / (P(k) P(r)); no less than 0."""
    n_latent, n_classes = both.shape
    joint[:] = 0.0
    for r in range(n_classes):
        table = tables[table_of[1 + r]]
        for c in range(n_latent):
            for k in range(n_classes):
                joint[k, r] += both[c, r] * table[c, k]
    total, found = joint.sum(), 0.0
    if total <= 0.0:
        return 0.0
    joint /= total
    share[:] = 0.0
    for k in range(n_classes):
        for r in range(n_classes):
            share[r] += joint[k, r]
    for k in range(n_classes):
        of_target = joint[k].sum()
        for r in range(n_classes):
            if joint[k, r] > 0.0:
                found += joint[k, r] * np.log(joint[k, r] / (of_target * share[r]))
    return found if found > SLACK else 0.0


@njit(cache=True)
def best_rates(latent, rows, chain, price, tables, table_of, increment, bar, rest, later):
    """The most, over rules when to stop, with one label or more, of gain / cost; per cell.

    chain (cells, ahead): whom to ask, one after the other; -1: nobody is left. price as chain. increment: for every
    node the column of table_of. bar 0: the gain is in P(right); else in P(confidence reaches the bar). rest (cells):
    labels from the last node until a panel is complete, and so certain; -1: it is never. later (cells): their price.
    """
    n_nodes, n_latent, n_classes = len(increment), rows.shape[1], rows.shape[2]
    weight, target = np.empty((n_nodes, n_latent)), np.empty((n_nodes, n_classes))
    mass, stop, gain, cost = np.empty(n_nodes), np.empty(n_nodes), np.empty(n_nodes), np.empty(n_nodes)
    out = np.zeros(len(latent))
    for i in range(len(latent)):
        ahead = _length(chain[i])
        if ahead == 0 or latent[i].max() >= 1.0:
            continue
        _grow(latent[i], rows, chain[i], ahead, tables, table_of[i], increment, weight, target)
        _look(weight, target, ahead, n_classes, bar, mass, stop)
        if bar > 0.0 and stop[0] > 0.0:
            continue  # closed
        whole = rest[i] * later[i] if rest[i] > 0 else 0.0
        out[i] = _dinkelbach(stop, mass, target, price[i], ahead, whole, bar, gain, cost)
    return out


@njit(cache=True)
def rates_beyond(latent, rows, chain, price, tables, table_of, increment, left, later, grid, beyond):
    """As best_rates without a bar; behind the last node of the tree a learned value goes on.

    left (cells): labels that may follow the chain; later (cells): the price of each; beyond (left, prices, bins): what
    going on is worth, in P(right), at grid[j] of P(right) per label.
    """
    n_nodes, n_latent, n_classes = len(increment), rows.shape[1], rows.shape[2]
    weight, target = np.empty((n_nodes, n_latent)), np.empty((n_nodes, n_classes))
    mass, stop, net = np.empty(n_nodes), np.empty(n_nodes), np.empty(n_nodes)
    out = np.zeros(len(latent))
    for i in range(len(latent)):
        ahead = _length(chain[i])
        if ahead == 0 or latent[i].max() >= 1.0:
            continue
        _grow(latent[i], rows, chain[i], ahead, tables, table_of[i], increment, weight, target)
        _look(weight, target, ahead, n_classes, 0.0, mass, stop)
        scaled, after = price[i] / later[i], beyond[min(left[i], len(beyond) - 1)]
        below, above = 0, len(grid) - 1
        low = _surplus(0, grid, after, stop, mass, target, scaled, ahead, n_classes, net)
        if low <= SLACK:
            continue
        high = _surplus(above, grid, after, stop, mass, target, scaled, ahead, n_classes, net)
        while high <= 0.0 and above - below > 1:
            middle = (below + above) // 2
            found = _surplus(middle, grid, after, stop, mass, target, scaled, ahead, n_classes, net)
            if found > 0.0:
                below, low = middle, found
            else:
                above, high = middle, found
        between = 1.0 if high > 0.0 else low / (low - high)
        out[i] = (grid[below] + (grid[above] - grid[below]) * between) / later[i]
    return out


@njit(cache=True)
def bin_of(target, total):
    """The bin of a posterior: its first class, how sure it is, and the runner-up's share of the rest."""
    n_classes, first = len(target), 0
    for k in range(1, n_classes):
        if target[k] > target[first]:
            first = k
    second = 0.0
    for k in range(n_classes):
        if k != first and target[k] > second:
            second = target[k]
    sure = (target[first] / total - 1.0 / n_classes) / (1.0 - 1.0 / n_classes)
    rest = total - target[first]
    fair = 1.0 / max(n_classes - 1, 1)
    rival = (second / rest - fair) / (1.0 - fair) if rest > 0.0 and n_classes > 2 else 0.0
    step = min(int(max(sure, 0.0) * SCALE), SCALE - 1)
    return (first * SCALE + step) * RIVAL + min(int(max(rival, 0.0) * RIVAL), RIVAL - 1)


@njit(cache=True)
def bins_of(target):
    """bin_of every row."""
    out = np.empty(len(target), np.int64)
    for i in range(len(target)):
        out[i] = bin_of(target[i], target[i].sum())
    return out


@njit(cache=True)
def _length(chain):
    n = 0
    while n < len(chain) and chain[n] >= 0:
        n += 1
    return n


@njit(cache=True)
def _grow(latent, rows, chain, ahead, tables, table_of, increment, weight, target):
    """W of every node; P of the last ones from their table, of the others as the sum of their children's."""
    n_latent, n_classes = rows.shape[1], rows.shape[2]
    weight[0] = latent
    first, width = 0, 1
    for d in range(ahead):
        row = rows[chain[d]]
        for v in range(first, first + width):
            for k in range(n_classes):
                for c in range(n_latent):
                    weight[v * n_classes + 1 + k, c] = weight[v, c] * row[c, k]
        first, width = first * n_classes + 1, width * n_classes
    for v in range(first, first + width):
        table = tables[table_of[increment[v]]]
        for k in range(n_classes):
            share = 0.0
            for c in range(n_latent):
                share += weight[v, c] * table[c, k]
            target[v, k] = share
    for v in range(first - 1, -1, -1):
        for k in range(n_classes):
            share = 0.0
            for r in range(n_classes):
                share += target[v * n_classes + 1 + r, k]
            target[v, k] = share


@njit(cache=True)
def _look(weight, target, ahead, n_classes, bar, mass, stop):
    """P of the answers, and what stopping there yields."""
    last, width = 0, 1
    for _ in range(ahead):
        width *= n_classes
        last += width
    for v in range(last + 1):
        mass[v] = weight[v].sum()
        best = target[v].max()
        stop[v] = best
        if bar > 0.0:
            stop[v] = mass[v] if best >= bar * target[v].sum() - SLACK else 0.0


@njit(cache=True)
def _dinkelbach(stop, mass, target, price, ahead, whole, bar, gain, cost):
    """Ask on where that gains more than the going rate costs; the rate that this reaches is the next going rate.

    whole: the price of all labels after the last node that make a panel complete; 0: there are none.
    """
    n_classes, n_inner = target.shape[1], 0
    for _ in range(ahead):
        n_inner = n_inner * n_classes + 1
    rate = 0.0
    for _ in range(ROUNDS):
        for v in range(n_inner, n_inner * n_classes + 1):
            gain[v], cost[v] = stop[v], 0.0
            if whole > 0.0:
                certain = mass[v] if bar > 0.0 else target[v].sum()
                if certain - rate * whole * mass[v] > stop[v] + SLACK:
                    gain[v], cost[v] = certain, whole * mass[v]
        first, d = n_inner, ahead
        while d > 0:
            d -= 1
            last, first = first, (first - 1) // n_classes
            for v in range(first, last):
                gained, paid = 0.0, price[d] * mass[v]
                for k in range(n_classes):
                    gained += gain[v * n_classes + 1 + k]
                    paid += cost[v * n_classes + 1 + k]
                if d > 0 and gained - rate * paid <= stop[v] + SLACK:
                    gained, paid = stop[v], 0.0
                gain[v], cost[v] = gained, paid
        gained = gain[0] - stop[0]
        found = gained / cost[0] if gained > SLACK else 0.0
        if found <= rate * (1.0 + 1e-9):
            return max(found, rate)
        rate = found
    return rate


@njit(cache=True)
def _surplus(j, grid, after, stop, mass, target, price, ahead, n_classes, net):
    """What asking once or more brings beyond stopping, at grid[j] per label; price in labels."""
    n_inner = 0
    for _ in range(ahead):
        n_inner = n_inner * n_classes + 1
    for v in range(n_inner, n_inner * n_classes + 1):
        net[v] = stop[v]
        if mass[v] > 0.0:
            net[v] += mass[v] * after[j, bin_of(target[v], mass[v])]
    first, d = n_inner, ahead
    while d > 0:
        d -= 1
        last, first = first, (first - 1) // n_classes
        for v in range(first, last):
            net[v] = -grid[j] * price[d] * mass[v]
            for k in range(n_classes):
                net[v] += net[v * n_classes + 1 + k]
            if d > 0:
                net[v] = max(net[v], stop[v])
    return net[0] - stop[0]
