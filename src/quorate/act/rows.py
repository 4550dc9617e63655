"""The ACT loss as weighted rows, for every estimator that takes sample weights.

The loss of an item, λ ℓ(x, ŷ^m) + w (ℓ(x, y) - λ ℓ(x, ŷ^m)) [lin2025act], is a row with the machine's label and weight
λ (1 - w) and a row with the human label and weight w; where both labels agree they are one row. Where a review was not
certain, w > 1, and the machine's label of a mended item has a *negative* weight: it takes back what the same mistake
adds on items that nobody saw. What an estimator makes of that differs:

- linear models with a penalty (LogisticRegression): exact. The weights of an item add up to λ + w (1 - λ) >= 0, so the
  cross-entropy stays convex in the logits, but without the penalty it may have no lowest point.
- trees, boosting and support vectors take such rows without a word, but split or bound by sums of weights: not exact.
- AdaBoost, bagging and random forests of scikit-learn, and LightGBM, refuse them or forbid them; LightGBM trains on the
  exact loss by `quorate.act.boosting.ACTObjective`.

For the others there is `negative="clip"`, which sets them to 0 and says how much weight that was (`clipped`; the loss
is then biased toward the machine's mistakes), thresholding (w is 0 or 1), and λ = 0 (unbiased, machine labels left
out).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from quorate.act.variance import check_lambda
from quorate.errors import SettingError

Array = np.ndarray
Negative = Literal["keep", "clip", "refuse"]


class Rows(NamedTuple):
    """What `fit(x[item], label, sample_weight=weight)` takes; rows of weight 0 are left out."""

    item: Int64[Array, "rows"]  # place of the row's item
    label: Int64[Array, "rows"]  # class code
    weight: Float64[Array, "rows"]
    clipped: float  # negative weight that was set to 0, as a share of all weight

    def fit(self, estimator: Any, x: Any) -> Any:
        """The estimator, fitted to these rows of x (items by features, dense or sparse)."""
        return estimator.fit(x[self.item], self.label, sample_weight=self.weight)


def rows(
    machine: Shaped[Array, "items"],
    human: Shaped[Array, "items"],
    weight: Float64[Array, "items"],
    lambda_: float = 1.0,
    *,
    negative: Negative = "keep",
) -> Rows:
    """The ACT loss as rows: class codes by machine and human (of weight 0: not looked at), weights from `correction`.

    Raises SettingError for a human label without a code, or, where they are refused, for negative weights.

    >>> found = rows(np.array([0, 0]), np.array([1, -1]), np.array([2.0, 0.0]))
    >>> list(zip(found.item.tolist(), found.label.tolist(), found.weight.tolist()))
    [(0, 0, -1.0), (1, 0, 1.0), (0, 1, 2.0)]
    """
    check_lambda(lambda_)
    check_codes(machine, human, weight)
    reviewed, n = weight > 0, len(machine)
    agree = reviewed & (machine == human)
    own = lambda_ * (1.0 - weight) + np.where(agree, weight, 0.0)
    apart = np.flatnonzero(reviewed & ~agree)
    item = np.concatenate([np.arange(n), apart])
    label = np.concatenate([machine, human[apart]]).astype(np.int64)
    amount = np.concatenate([own, weight[apart]])
    below = amount < 0
    if negative == "refuse" and below.any():
        raise SettingError(
            f"{below.sum():,} rows have a negative weight: take negative='clip', thresholding or lambda 0"
        )
    clipped = float(-amount[below].sum() / np.abs(amount).sum()) if negative == "clip" and below.any() else 0.0
    amount = np.maximum(amount, 0.0) if negative == "clip" else amount
    kept = amount != 0
    return Rows(item[kept], label[kept], amount[kept], clipped)


def check_codes(
    machine: Shaped[Array, "items"], human: Shaped[Array, "items"], weight: Float64[Array, "items"]
) -> None:
    """Raises SettingError without a code by the machine, or by people where the weight is above 0."""
    if not (machine.shape == human.shape == weight.shape) or (human[weight > 0] < 0).any() or (machine < 0).any():
        raise SettingError("give one class code by the machine per item, and one by people where the weight is above 0")
