"""What review at random adds to the variance of a loss, and the share of the machine's loss that keeps it small.

The ACT loss of items with human loss ℓ, machine loss ℓ^m and human weight w = δ/π, with E[w] = 1, is

    L = (1/N) Σ λ ℓ^m_i + w_i (ℓ_i - λ ℓ^m_i)                                  [lin2025act], equations 8, 21 and 22
    E[L] = E[ℓ],  Var(L) = (Var(ℓ) + E[(ℓ - λ ℓ^m)² (1/π - 1)]) / N             Proposition 5.1, equations 9 and 16

for independent draws; a fixed number of reviews takes from the second term. Unbiased whatever λ, as long as every item
has a chance. λ only moves the second term, a parabola: its lowest point is the power tuning of [angelopoulos2023ppi].
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64

from quorate.errors import SettingError

Array = np.ndarray


def act_loss(
    machine: Float64[Array, "items"],
    human: Float64[Array, "items"],
    weight: Float64[Array, "items"],
    lambda_: float = 1.0,
) -> Float64[Array, "items"]:
    """The ACT loss of every item, in the unit of the losses; where the weight is 0, `human` is not looked at.

    >>> act_loss(np.array([1.0, 1.0]), np.array([3.0, np.nan]), np.array([2.0, 0.0])).tolist()
    [5.0, 1.0]
    """
    check_lambda(lambda_)
    return lambda_ * machine + np.where(weight > 0, weight * (human - lambda_ * machine), 0.0)


def added_variance(
    machine: Float64[Array, "items"],
    human: Float64[Array, "items"],
    inclusion: Float64[Array, "items"],
    lambda_: float = 1.0,
) -> float:
    """The second term of equation 16, (1/N) mean((ℓ - λ ℓ^m)² (1/π - 1)); endless where a wrong label has no chance.

    >>> added_variance(np.array([1.0, 1.0]), np.array([3.0, 1.0]), np.array([0.5, 0.5]))
    1.0
    """
    gap = (human - lambda_ * machine) ** 2
    odds = np.divide(1.0, inclusion, out=np.full_like(inclusion, np.inf), where=inclusion > 0) - 1.0
    return float(np.where(gap > 0, gap * np.where(gap > 0, odds, 0.0), 0.0).mean()) / len(gap)


def loss_variance(
    machine: Float64[Array, "items"],
    human: Float64[Array, "items"],
    inclusion: Float64[Array, "items"],
    lambda_: float = 1.0,
) -> float:
    """Equation 16 as a whole, of items drawn from endlessly many like these."""
    return float(human.var()) / len(human) + added_variance(machine, human, inclusion, lambda_)


def tuned_lambda(
    machine: Float64[Array, "items"],
    human: Float64[Array, "items"],
    reviewed: Bool[Array, "items"],
    inclusion: Float64[Array, "items"],
) -> float:
    """The λ in [0, 1] of least added variance, estimated from the reviewed items alone [horvitz1952].

    λ = Σ a ℓ ℓ^m / Σ a ℓ^m², a = δ (1 - π) / π². The losses must be of a model that did not learn from these items.
    Where every review was certain (thresholding) the variance does not depend on λ, and it is 1: machine labels count
    in full.

    >>> one = np.ones(2)
    >>> tuned_lambda(one, 0.3 * one, np.array([True, True]), 0.5 * one)
    0.3
    """
    chance = np.where(reviewed, inclusion, 1.0)
    a = np.where(reviewed, (1.0 - chance) / chance**2, 0.0)
    told, truth = np.where(a > 0, machine, 0.0), np.where(a > 0, human, 0.0)
    below = float((a * told**2).sum())
    return float(np.clip((a * told * truth).sum() / below, 0.0, 1.0)) if below > 0 else 1.0


def check_lambda(lambda_: float) -> None:
    """Raises SettingError outside [0, 1]."""
    if not 0 <= lambda_ <= 1:
        raise SettingError(
            f"lambda must lie in [0, 1], not {lambda_}: 0 leaves machine labels out, 1 takes them in full"
        )
