"""What going on is worth, beyond what a tree of answers can reach: a value function learned on simulated campaigns.

A campaign on one task starts at an item's posterior as it stands; a truth is drawn from it, people come in random
order and answer by their fitted rows. With u(p) = max_k p_k, n labels left, and a price of lambda per label,

    V_n(p) = max(u(p), E[V_(n-1)(p')] - lambda),   V_0 = u,

and what is kept is V_n - u, averaged over the visits to a bin of posteriors (first class, how sure it is, the share of
the runner-up): fitted value iteration [bertsekas1996]. The expectation over the answer is exact, over who answers it
is the campaign's draw. Bins seldom visited lean on wider ones. For targets that a label is no vote in: gold, latent.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.consensus.posterior import Consensus, readout_of
from quorate.errors import SettingError
from quorate.policy.acquire_rows import Rows

Array = np.ndarray
GRID = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 33)])  # of prices, in P(right) per label
LEAN = 4.0  # visits that the wider bin counts for


class Value(NamedTuple):
    """For one task: V_n(p) - u(p), in P(right), by labels left, price and bin of the posterior."""

    grid: Float64[Array, "prices"]
    beyond: Float64[Array, "left prices bins"]  # no labels left comes first


class _Visits(NamedTuple):
    """One label of a simulated campaign each."""

    bins: Int64[Array, "visits"]  # where it found the posterior
    then: Int64[Array, "visits classes"]  # where each answer would take it
    chance: Float64[Array, "visits classes"]  # of each answer
    gain: Float64[Array, "visits"]  # E u(p') - u(p)


def learn_value(
    consensus: Consensus, rows: Rows, *, most: int = 5, campaigns: int = 20_000, seed: int = 0
) -> tuple[Value, ...]:
    """The value function of every task, for up to `most` further labels, from so many simulated campaigns on each.

    Raises SettingError for a panel target, where a label is also a vote, or for most < 1.

    >>> from quorate.consensus.registry import estimator
    >>> from quorate.policy.acquire_rows import rows_of
    >>> from quorate.simulate.world import world
    >>> data = world("paper", 60).coded()
    >>> model = estimator("dawid-skene").fit(data)
    >>> consensus = model.predict(data).latent()
    >>> learn_value(consensus, rows_of(model, consensus), most=2, campaigns=50)[0].beyond.shape
    (3, 34, 432)
    """
    if most < 1 or campaigns < 1:
        raise SettingError(f"most and campaigns are whole numbers of 1 or more, not {most} and {campaigns}")
    streams = np.random.default_rng(seed).spawn(len(consensus.schema))
    return tuple(_task_value(consensus, rows, t, most, campaigns, rng) for t, rng in enumerate(streams))


def value_at(value: Value, probs: Float64[Array, "items classes"], left: int, price: float) -> Float64[Array, "items"]:
    """V_n(p), in P(right): of posteriors with so many labels left at this price per label, straight between prices."""
    from quorate.policy.acquire_kernels import bins_of

    beyond = value.beyond[min(left, len(value.beyond) - 1)][:, bins_of(np.ascontiguousarray(probs))]
    j = int(np.clip(np.searchsorted(value.grid, price) - 1, 0, len(value.grid) - 2))
    share = float(np.clip((price - value.grid[j]) / (value.grid[j + 1] - value.grid[j]), 0.0, 1.0))
    return probs.max(axis=1) + (1 - share) * beyond[j] + share * beyond[j + 1]


def _task_value(
    consensus: Consensus, rows: Rows, task: int, most: int, campaigns: int, rng: np.random.Generator
) -> Value:
    target = consensus.targets[task]
    if target.kind == "panel":
        raise SettingError(
            f"task {consensus.schema.tasks[task].name!r} has a panel as its target, where a label is also a vote; "
            "a value function is learned for gold and latent targets"
        )
    table = readout_of(consensus.people[task], target, consensus.counts[task][:0]).tables[0]
    latent = np.asarray(consensus.belief.marginal(task), np.float64)
    if not len(latent):
        raise SettingError("a value function needs items to start simulated campaigns from")
    start = latent[rng.integers(len(latent), size=campaigns)]
    visits = _simulated(start / start.sum(axis=1, keepdims=True), rows.of_task[task], table, most, rng)
    return Value(GRID, _iterated(visits, most, table.shape[1]))


def _simulated(
    latent: Float64[Array, "campaigns latent"],
    rows: Float64[Array, "annotators_plus_1 latent classes"],
    table: Float64[Array, "latent classes"],
    most: int,
    rng: np.random.Generator,
) -> _Visits:
    """Campaigns side by side, label after label; nobody answers twice."""
    people = max(len(rows) - 1, 1)  # where nobody has a name, a typical person
    order = rng.random((len(latent), people)).argsort(axis=1)[:, :most]
    parts: list[_Visits] = []
    for who in order.T:
        both = latent[:, None, :] * rows[who].transpose(0, 2, 1)  # campaigns, answers, latent
        parts.append(_visits(latent, both, table))
        answer = (rng.random(len(latent))[:, None] > parts[-1].chance.cumsum(axis=1)[:, :-1]).sum(axis=1)
        latent = both[np.arange(len(latent)), answer]
        latent = latent / latent.sum(axis=1, keepdims=True)
    return _Visits(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _visits(
    latent: Float64[Array, "campaigns latent"],
    both: Float64[Array, "campaigns answers latent"],
    table: Float64[Array, "latent classes"],
) -> _Visits:
    from quorate.policy.acquire_kernels import bins_of

    now, after = latent @ table, both @ table
    chance = both.sum(axis=2)
    gain = after.max(axis=2).sum(axis=1) - now.max(axis=1)
    then = bins_of(np.ascontiguousarray(np.maximum(after, 1e-300).reshape(-1, table.shape[1]))).reshape(chance.shape)
    return _Visits(bins_of(np.ascontiguousarray(now)), then, chance, np.maximum(gain, 0.0))


def _iterated(visits: _Visits, most: int, n_classes: int) -> Float64[Array, "left prices bins"]:
    """V_n - u for n = 0, 1, ..., most; never falling in n, since one may stop."""
    from quorate.policy.acquire_kernels import RIVAL, SCALE

    n_bins = n_classes * SCALE * RIVAL
    beyond = np.zeros((most + 1, len(GRID), n_bins))
    for n in range(1, most + 1):
        for j, price in enumerate(GRID):
            each = visits.gain + (visits.chance * beyond[n - 1, j][visits.then]).sum(axis=1)
            beyond[n, j] = np.maximum(_binned(visits.bins, each, n_classes) - price, 0.0)
    return beyond


def _binned(bins: Int64[Array, "visits"], each: Float64[Array, "visits"], n_classes: int) -> Float64[Array, "bins"]:
    """The mean in every bin, leaning on that over runners-up, and this on that over first classes."""
    from quorate.policy.acquire_kernels import RIVAL, SCALE

    shape = (n_classes, SCALE, RIVAL)
    total = np.bincount(bins, each, minlength=n_classes * SCALE * RIVAL).reshape(shape)
    times = np.bincount(bins, minlength=n_classes * SCALE * RIVAL).reshape(shape)
    widest = total.sum(axis=(0, 2), keepdims=True) / np.maximum(times.sum(axis=(0, 2), keepdims=True), 1)
    wider = (total.sum(axis=2, keepdims=True) + LEAN * widest) / (times.sum(axis=2, keepdims=True) + LEAN)
    return ((total + LEAN * wider) / (times + LEAN)).ravel()
