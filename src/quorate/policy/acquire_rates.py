"""The worth of asking on about one task: how fast money turns into right answers there, looking several labels ahead.

The *rate* of a cell (item and task) is the best gain per unit of price that any rule of asking and stopping reaches,

    rate = max over stopping rules with one label or more of (E P(right) when stopped - P(right) now) / E price paid,

the index of a bandit that may be retired [gittins1979], over all answers of the next few people. One label often
cannot turn a decision where three can; looking one label ahead takes such a cell for hopeless. With a bar the gain is
in the probability that the confidence reaches it. A panel is certain when all its people have spoken: where they can be
asked, the plan may also be to ask all the rest.

People compare by I(target; label) / price: with i_a that of annotator a in nats per unit of price, the worth per price
of a label by a is rate * i_a / max_b i_b. So a guesser is worth nothing, and nobody more than who is always right.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.policy.acquire_doubt import Doubt, tree
from quorate.policy.value import Value

Array = np.ndarray


class Terms(NamedTuple):
    """What bears on the worth of labels on one task, whatever the item; people as in `Rows`."""

    rows: Float64[Array, "annotators_plus_1 latent classes"]
    price: Float64[Array, "annotators_plus_1"]
    ahead: int
    bar: float  # 0: none
    value: Value | None


class Choice(NamedTuple):
    """Who may be asked about one task of every item: anyone allowed, or the next in the queue."""

    allowed: Bool[Array, "items annotators"]
    queue: Int64[Array, "items seats"] | None  # who is still to come, in order; -1 at the end
    left: Int64[Array, "items"]  # labels that may still be bought


def informed(terms: Terms, of: Doubt, who: Choice) -> Float64[Array, "items annotators"]:
    """Nats about the target per unit of price, of every annotator; 0 for who may not be asked."""
    from quorate.policy.acquire_kernels import information

    columns = np.ascontiguousarray(of.table_of[:, : 1 + of.counts.shape[1]])
    return information(of.latent, terms.rows[:-1], who.allowed, of.tables, columns) / terms.price[:-1]


def chains(terms: Terms, who: Choice, nats: Float64[Array, "items annotators"] | None) -> Int64[Array, "items ahead"]:
    """Whom to ask next, one after the other: the queue, or the most informative for the price; -1: nobody is left."""
    if who.queue is not None:
        seats = who.queue[:, : terms.ahead]
        chain = np.full((len(seats), terms.ahead), -1, np.int64)
        chain[:, : seats.shape[1]] = seats
    else:
        assert nats is not None
        chain = np.argsort(-nats, axis=1, kind="stable")[:, : terms.ahead].astype(np.int64)
        chain[np.take_along_axis(nats, chain, axis=1) <= 0.0] = -1
        chain = np.pad(chain, ((0, 0), (0, max(terms.ahead - chain.shape[1], 0))), constant_values=-1)
    chain[np.arange(terms.ahead) >= who.left[:, None]] = -1
    return np.ascontiguousarray(chain)


def rates_of(
    terms: Terms, of: Doubt, who: Choice, nats: Float64[Array, "items annotators"] | None
) -> Float64[Array, "items"]:
    """The rate of every item, in P(right) per unit of price (with a bar: in answers closed)."""
    from quorate.policy.acquire_kernels import best_rates, rates_beyond

    chain = chains(terms, who, nats)
    price = terms.price[chain]
    increment = tree(of.counts.shape[1], terms.ahead).increment
    args = (of.latent, terms.rows, chain, price, of.tables, of.table_of, increment)
    if terms.value is None:
        return best_rates(*args, terms.bar, *_rest(terms, of, who, chain))
    left = who.left if who.queue is None else np.minimum(who.left, (who.queue >= 0).sum(axis=1))
    left = np.maximum(left - (chain >= 0).sum(axis=1), 0)
    return rates_beyond(*args, left, np.where(chain[:, 0] >= 0, price[:, 0], 1.0), terms.value.grid, terms.value.beyond)


def _rest(
    terms: Terms, of: Doubt, who: Choice, chain: Int64[Array, "items ahead"]
) -> tuple[Int64[Array, "items"], Float64[Array, "items"]]:
    """Labels that complete the panel after the chain (-1: never), and the price of each."""
    if who.queue is None:
        still, price = who.allowed, np.broadcast_to(terms.price[:-1], who.allowed.shape)
    else:
        still, price = who.queue >= 0, terms.price[who.queue]
    n_still = still.sum(axis=1)
    open_votes = of.size - of.counts.sum(axis=1)
    complete = (of.size > 0) & (open_votes <= np.minimum(n_still, who.left))
    rest = np.where(complete, np.maximum(open_votes - (chain >= 0).sum(axis=1), 0), -1)
    return rest, (price * still).sum(axis=1) / np.maximum(n_still, 1)
