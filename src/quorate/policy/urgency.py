"""How urgent a visit to one item is: the acquisition index of its open questions, fast enough to run after each label.

Who will come next is not known, so every answer ahead is a typical person's. A visit asks all open tasks of an item, so
its worth per unit of price is the mean of the tasks' indices, weighted by their prices. The index is that of
`acquire`, [gittins1979], with a tree of at most three answers; the tables of the tree depend on the votes alone and are
remembered.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.consensus.posterior import Consensus, PeopleRows, Target
from quorate.policy.acquire import BY_LABEL
from quorate.policy.acquire_doubt import doubt, farthest, tree
from quorate.policy.acquire_rows import price_table
from quorate.policy.prices import Prices
from quorate.policy.stopping import Minimum, PerTaskConfidence, Policy
from quorate.schema import Schema

Array = np.ndarray
AHEAD = 3
REMEMBERED = 20_000  # states of votes


class _Fixed(NamedTuple):
    """What the kernel is told about a task, whatever the item."""

    rows: Float64[Array, "one latent classes"]
    chain: Int64[Array, "one ahead"]
    price: Float64[Array, "one ahead"]
    increment: Int64[Array, "nodes"]
    later: Float64[Array, "one"]


class Urgency:
    """Of items under one model, policy and price list; a model without rows for people is not `usable`."""

    def __init__(self, consensus: Consensus, policy: Policy | None = None, prices: Prices = BY_LABEL) -> None:
        self._people = consensus.people
        self._ahead = [min(AHEAD, farthest(len(task.classes))) for task in consensus.schema.tasks]
        self._price = price_table(Prices(prices.label, prices.of_task), consensus.schema, ())[:, -1]
        self._bars = _bars(consensus.schema, policy)
        self._tables = lru_cache(maxsize=REMEMBERED)(self._tables_of)
        self.usable = all(people.population is not None for people in self._people)
        self._fixed = [self._fixed_of(t) for t in range(len(self._people))] if self.usable else []

    def of(self, consensus: Consensus, open_: Bool[Array, "tasks"]) -> float:
        """The worth of a visit to the one item of this consensus, in P(right) per unit of price (with a bar on the
        confidence of a task: in answers closed); 0 where nothing is open.
        """
        asked = np.flatnonzero(open_)
        if not len(asked):
            return 0.0
        rates = np.array([self._rate(consensus, int(t)) for t in asked])
        weights = self._price[asked]
        return float(rates @ weights / weights.sum())

    def _rate(self, consensus: Consensus, t: int) -> float:
        from quorate.policy.acquire_kernels import best_rates

        counts, fixed = consensus.counts[t][0].tolist(), self._fixed[t]
        tables, table_of, size = self._tables(t, tuple(counts), _frozen(consensus.targets[t]))
        latent = consensus.belief.marginal(t)
        latent = latent / latent.sum()
        ahead = self._ahead[t]
        left = size - sum(counts) if size else 0
        rest = np.array([max(left - ahead, 0) if size and left > 0 else -1])
        increment, bar = fixed.increment, self._bars[t]
        rates = best_rates(
            latent, fixed.rows, fixed.chain, fixed.price, tables, table_of, increment, bar, rest, fixed.later
        )
        return float(rates[0])

    def _fixed_of(self, t: int) -> _Fixed:
        rows, ahead = self._people[t].population, self._ahead[t]
        assert rows is not None
        return _Fixed(
            np.ascontiguousarray(rows[None], np.float64),
            np.zeros((1, ahead), np.int64),
            np.full((1, ahead), self._price[t]),
            tree(rows.shape[1], ahead).increment,
            self._price[t : t + 1],
        )

    def _tables_of(self, t: int, counts: tuple[int, ...], target: Target) -> tuple[Array, Array, int]:
        people: PeopleRows = self._people[t]
        latent = np.full((1, len(people.population if people.population is not None else counts)), 1.0)
        found = doubt(latent, np.array([counts], np.int32), people, target, self._ahead[t])
        return found.tables, found.table_of, int(found.size[0])


def _frozen(target: Target) -> Target:
    """With the one item's panel size as a number, so that it can be remembered by."""
    return target if target.n is None or np.ndim(target.n) == 0 else target._replace(n=int(np.ravel(target.n)[0]))


def _bars(schema: Schema, policy: Policy | None) -> Float64[Array, "tasks"]:
    if isinstance(policy, PerTaskConfidence | Minimum):
        return np.asarray(policy.bar(schema), float)
    return np.zeros(len(schema))
