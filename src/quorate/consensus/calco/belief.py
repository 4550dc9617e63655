"""The posterior of `calco` under its own guide: q_i ~ N(encoder(x_i), Sigma), the truth exact given q_i.

    p(y_it = k | data) = E_q[theta_itk exp(l_itk) / sum_c theta_itc exp(l_itc)],  q on shared quasi-random points

l_itk is the log-likelihood of the task's scores and labels given class k. Labels do not move q.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64

from quorate.consensus.posterior import Belief

Array = np.ndarray
NUMBERS = 2_000_000  # kept at once: bounds memory


@dataclass(frozen=True)
class GuidedBelief(Belief):
    """location: E[q] of every item; spread: deviations of q at the points; first: where a task's log-odds begin."""

    location: Float64[Array, "items components"]
    spread: Float64[Array, "points components"]
    first: Int64[Array, "tasks_plus_1"]
    logits: tuple[Float64[Array, "items _classes"], ...]

    def marginal(self, task: int) -> Float64[Array, "items classes"]:
        """P(class of this task | data)."""
        return self._marginals[task]

    def expect(self, events: Sequence[Float64[Array, "items _classes"]]) -> Float64[Array, "items"]:
        """E_q[prod_t sum_k P(k | q, data) event_t[k]]."""
        out = np.empty(len(self.location))
        for items in self._blocks():
            product = np.ones((len(self.location[items]), len(self.spread)))
            for t, event in enumerate(events):
                product *= np.einsum("isk,ik->is", self._given_q(t, items), event[items])
            out[items] = product.mean(axis=1)
        return out

    @cached_property
    def _marginals(self) -> tuple[Float64[Array, "items _classes"], ...]:
        parts = [[self._given_q(t, items).mean(axis=1) for t in range(len(self.logits))] for items in self._blocks()]
        return tuple(
            np.concatenate([part[t] for part in parts]) if parts else np.zeros_like(logits)
            for t, logits in enumerate(self.logits)
        )

    def _given_q(self, task: int, items: slice) -> Float64[Array, "chunk points classes"]:
        components = slice(int(self.first[task]), int(self.first[task + 1]))
        return posterior_given_q(self.location[items, components], self.spread[:, components], self.logits[task][items])

    def _blocks(self) -> Iterator[slice]:
        widest = max((logits.shape[1] for logits in self.logits), default=1)
        step = max(1, NUMBERS // (len(self.spread) * widest))
        return (slice(lo, min(lo + step, len(self.location))) for lo in range(0, len(self.location), step))


def posterior_given_q(
    location: Float64[Array, "items components"],
    spread: Float64[Array, "points components"],
    logits: Float64[Array, "items classes"],
) -> Float64[Array, "items points classes"]:
    """softmax([location + spread, 0] + logits) of one task."""
    out = np.empty((len(location), len(spread), logits.shape[1]))
    out[:, :, :-1] = location[:, None] + spread
    out[:, :, -1] = 0.0
    out += logits[:, None]
    out -= out.max(axis=2, keepdims=True)
    np.exp(out, out=out)
    out /= out.sum(axis=2, keepdims=True)
    return out
