"""The ACT loss as an objective of LightGBM, which forbids negative weights: exact, one row per item.

    ℓ(z) = λ CE(z, ŷ) + w (CE(z, y) - λ CE(z, ŷ)),   p = softmax(z)                             [lin2025act]
    ∂ℓ/∂z_c = (λ + w (1 - λ)) p_c - λ (1 - w) 1[c = ŷ] - w 1[c = y]

The second derivative is (λ + w (1 - λ)) p_c (1 - p_c), which is never negative although the weight of the machine's
label may be; with several classes LightGBM takes K / (K - 1) of it [friedman2001], and so does this objective.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import expit, softmax

from quorate.act.rows import check_codes
from quorate.act.variance import check_lambda
from quorate.errors import SettingError

Array = np.ndarray


@dataclass(frozen=True)
class ACTObjective:
    """`params["objective"]` of `lightgbm.train` on these items, in their order; two classes are one score per item.

    Raises SettingError for codes or a lambda that cannot be.

    >>> found = ACTObjective(np.array([0, 1]), np.array([1, -1]), np.array([2.0, 0.0]), n_classes=2)
    >>> [each.tolist() for each in found(np.zeros(2), None)]
    [[-1.5, -0.5], [0.25, 0.25]]
    """

    machine: Int64[Array, "items"]  # class codes
    human: Int64[Array, "items"]  # class codes; anything where the weight is 0
    weight: Float64[Array, "items"]  # of `quorate.act.budget.correction`
    n_classes: int
    lambda_: float = 1.0

    def __post_init__(self) -> None:
        check_lambda(self.lambda_)
        check_codes(self.machine, self.human, self.weight)
        most = max(int(self.machine.max(initial=0)), int(self.human[self.weight > 0].max(initial=0)))
        if self.n_classes < max(2, most + 1):
            raise SettingError(f"n_classes = {self.n_classes}, but there is a class of code {most}")

    def __call__(self, scores: Float64[Array, "..."], data: Any) -> tuple[Array, Array]:  # noqa: ARG002 - LightGBM's form
        """Gradient and second derivative at raw scores: (items,) for two classes, else (items, classes)."""
        if len(scores) != len(self.machine):
            raise SettingError(f"the objective is of {len(self.machine):,} items, and is asked about {len(scores):,}")
        total = self.lambda_ + self.weight * (1.0 - self.lambda_)
        if self.n_classes == 2:
            p = expit(scores)
            return total * p - self._told[:, 1], total * p * (1.0 - p)
        p = softmax(scores, axis=1)
        factor = self.n_classes / (self.n_classes - 1)
        return total[:, None] * p - self._told, factor * total[:, None] * p * (1.0 - p)

    @property
    def _told(self) -> Float64[Array, "items classes"]:
        """λ (1 - w) on the machine's class and w on people's."""
        told = np.zeros((len(self.machine), self.n_classes))
        told[np.arange(len(told)), self.machine] = self.lambda_ * (1.0 - self.weight)
        seen = np.flatnonzero(self.weight > 0)
        told[seen, self.human[seen]] += self.weight[seen]
        return told
