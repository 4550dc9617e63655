"""One policy on one campaign, as it would go: ask where a label is needed, look again, until none is needed.

Unlike the curves of the protocol, where every state has as many labels of every task, a task that stopped buys nothing,
so that the other tasks do not learn from labels that nobody paid for; and it asks again if they make it doubtful.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.consensus.estimator import Model
from quorate.data.encode import Coded
from quorate.evaluate.protocol import Truth, aimed, judged, n_labels
from quorate.policy.stopping import Policy

Array = np.ndarray


class Asked(NamedTuple):
    """How a policy ended."""

    bought: Int64[Array, "items tasks"]  # labels
    credit: Float64[Array, "items tasks"]
    loss: Float64[Array, "items tasks"]  # nats

    def efficiency(self, n_labels: Int64[Array, "items tasks"]) -> float:
        """Share of labels saved."""
        return 1.0 - float(self.bought.sum()) / max(int(n_labels.sum()), 1)


def asked(model: Model, coded: Coded, truth: Truth, policy: Policy) -> Asked:
    """Replay a policy in the order in which labels came, one more per round wherever the policy needs one."""
    most = n_labels(coded)
    bought = np.zeros_like(most)
    credit, loss = np.zeros(most.shape), np.zeros(most.shape)
    open_items = np.arange(coded.n_items)
    while len(open_items):
        part, true = coded.select(open_items), truth.select(open_items)
        consensus = aimed(model.predict(with_labels(part, bought[open_items])), part, true)
        state = judged([consensus.probs(task.name) for task in consensus.schema.tasks], true)
        credit[open_items], loss[open_items] = state.credit, state.loss
        wanted = policy.needs(consensus) & (bought[open_items] < most[open_items])
        bought[open_items] += wanted
        open_items = open_items[wanted.any(axis=1)]
    return Asked(bought, credit, loss)


def with_labels(coded: Coded, n: Int64[Array, "items tasks"]) -> Coded:
    """The same items with the first n labels of every item and task."""
    cell = coded.cell_of_label()
    rank = np.arange(len(cell)) - coded.labels.start[cell]
    return coded.keep_labels(rank < n.ravel()[cell])
