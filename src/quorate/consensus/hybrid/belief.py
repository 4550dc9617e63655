"""The posterior of `hybrid`: latent classes of all tasks, coupled through the factors, on shared quadrature points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int8, Int64

from quorate.consensus.hybrid import kernels
from quorate.consensus.posterior import Belief

Array = np.ndarray


@dataclass(frozen=True)
class FactorBelief(Belief):
    """p(y, f | data) on the points: logits = evidence + log-likelihood of labels; theta = P(latent | point)."""

    theta: Float64[Array, "latent points"]
    off: Int64[Array, "tasks_plus_1"]
    logits: Float64[Array, "items latent"]
    active: Int8[Array, "items tasks"]

    @cached_property
    def _marginals(self) -> Float64[Array, "items latent"]:
        return kernels.marginals(self.theta, self.off, self.logits, self.active)

    def marginal(self, task: int) -> Float64[Array, "items _latent"]:
        """P(latent class of this task | data)."""
        return self._marginals[:, self.off[task] : self.off[task + 1]]

    def expect(self, events: Sequence[Float64[Array, "items _latent"]]) -> Float64[Array, "items"]:
        """E[prod_t events[t][latent_t] | data], over the joint posterior."""
        side_by_side = np.ascontiguousarray(np.concatenate(list(events), axis=1))
        return kernels.expectations(self.theta, self.off, self.logits, self.active, side_by_side)
