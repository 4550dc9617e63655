"""Multinomial regression on soft labels: which class a random person would give, as a linear function of features.

    Σ_i w_i Σ_k -q_ik ln p_ik / Σ_i w_i + (λ/2) Σ B²,     p_i = softmax(x_i B + b)

q are the taught probabilities, w weights, and the intercepts b are free. With hard labels this is logistic regression
[cox1958] with C = 1 / (λ Σ w). λ has the least cross-validated loss, in folds that keep groups whole; λ = ∞, the
constant, is among them, so that a text that teaches nothing is not listened to. With fewer items than features the same
problem is solved in the space of the items: by the representer theorem [kimeldorf1971] the best B is a sum of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import log_softmax

from quorate.errors import SettingError

Array = np.ndarray
PENALTIES = (np.inf, *np.logspace(-1, -6, 11).tolist())
MOST_DENSE = 1_500  # items up to which the problem is solved in their space: it takes items² numbers
MOST_STEPS = 500
TOLERANCE = 1e-6  # of the largest entry of the gradient, in nats
CURVATURE = 0.2  # p (1 - p) of a class of middling probability
PATIENCE = 2  # penalties in a row that may be worse than the best before the search ends
SMALLEST = 1e-7  # of the largest eigenvalue: what is less is rounding


class Coordinates(NamedTuple):
    """Rows of features in fewer numbers, with the same products between rows; and the way back for coefficients."""

    rows: Float64[Array, "items numbers"] | csr_array
    back: Callable[[Float64[Array, "numbers classes"]], Float64[Array, "features classes"]]


class Linear(NamedTuple):
    """log-odds = rows · slopes + bias."""

    slopes: Float64[Array, "numbers classes"]
    bias: Float64[Array, "classes"]


class Taught(NamedTuple):
    """Soft labels of items, with weights; an item of weight 0 teaches nothing."""

    probs: Float64[Array, "items classes"]
    weight: Float64[Array, "items"]

    def select(self, index: Int64[Array, "kept"]) -> Taught:
        """These items only."""
        return Taught(self.probs[index], self.weight[index])


class Chosen(NamedTuple):
    """The model with the best penalty, fitted on all items, and what each penalty cost on held-out items, in nats."""

    linear: Linear
    penalty: float
    losses: dict[float, float]


def coordinates(x: csr_array) -> Coordinates:
    """The rows as they are, or in the space of the items where that is smaller."""
    n_items, n_features = x.shape or (0, 0)
    if n_items > MOST_DENSE or n_items >= n_features:
        return Coordinates(csr_array(x, dtype=np.float64), lambda slopes: slopes)
    wide = csr_array(x, dtype=np.float64)
    values, vectors = np.linalg.eigh((wide @ wide.T).toarray())
    kept = values > SMALLEST * max(float(values[-1]), 1e-300)
    root = np.sqrt(values[kept])
    return Coordinates(vectors[:, kept] * root, lambda slopes: np.asarray(wide.T @ (vectors[:, kept] / root @ slopes)))


def folds_of(groups: Sequence[str] | None, n_items: int, folds: int, seed: int) -> Int64[Array, "items"]:
    """A fold per item at random, the items of a group in one fold. Raises SettingError for fewer than two groups."""
    code = np.arange(n_items) if groups is None else np.unique(np.array(groups, str), return_inverse=True)[1]
    n_groups = int(code.max()) + 1 if n_items else 0
    if n_groups < 2:
        raise SettingError("cross-validation needs two items, of two groups where there are groups")
    shuffled = np.random.default_rng(seed).permutation(n_groups) % min(folds, n_groups)
    return shuffled[code].astype(np.int64)


def chosen(
    rows: Float64[Array, "items numbers"] | csr_array,
    taught: Taught,
    fold: Int64[Array, "items"],
    penalties: Sequence[float] = PENALTIES,
) -> Chosen:
    """The fit with the penalty of least held-out loss; of ties the largest penalty."""
    losses = dict[float, float]()
    parts = [(np.flatnonzero(fold != each), np.flatnonzero(fold == each)) for each in np.unique(fold)]
    parts = [(teach, held) for teach, held in parts if taught.weight[teach].sum() > 0]
    starts: list[Linear | None] = [None] * len(parts)
    for penalty in sorted(penalties, reverse=True):
        total = 0.0
        for place, (teach, held) in enumerate(parts):
            starts[place] = found = fit(rows[teach], taught.select(teach), penalty, starts[place])
            total += loss_of(rows[held], taught.select(held), found)
        losses[penalty] = total / float(taught.weight.sum())
        best = min(losses, key=losses.__getitem__)
        if list(losses).index(best) < len(losses) - PATIENCE - 1:
            break
    best = min(losses, key=losses.__getitem__)
    start = None
    for penalty in [each for each in losses if each > best]:
        start = fit(rows, taught, penalty, start)
    return Chosen(fit(rows, taught, best, start), best, losses)


def fit(
    rows: Float64[Array, "items numbers"] | csr_array, taught: Taught, penalty: float, start: Linear | None = None
) -> Linear:
    """The minimum, by L-BFGS [liu1989] from `start`; of an infinite penalty the weighted shares of the classes."""
    heard = np.flatnonzero(taught.weight > 0)
    rows, taught = rows[heard], taught.select(heard)
    n_classes, width = taught.probs.shape[1], int(rows.shape[1])
    weight = taught.weight / taught.weight.sum()
    if start is None or not np.isfinite(penalty):
        share = weight @ taught.probs + 1e-9
        start = Linear(np.zeros((width, n_classes)), np.log(share / share.sum()))
    if not np.isfinite(penalty):
        return start
    across = rows.T.tocsr() if isinstance(rows, csr_array) else rows.T
    stretch = 1 / np.sqrt(CURVATURE * ((rows * rows).T @ weight) + penalty)[:, None]  # so that steps fit every slope

    def objective(flat: Float64[Array, "parameters"]) -> tuple[float, Float64[Array, "parameters"]]:
        slopes, bias = stretch * flat[:-n_classes].reshape(width, n_classes), flat[-n_classes:]
        log_probs = log_softmax(rows @ slopes + bias, axis=1)
        residual = weight[:, None] * (np.exp(log_probs) - taught.probs)
        value = -float(weight @ (taught.probs * log_probs).sum(axis=1)) + penalty / 2 * float(np.vdot(slopes, slopes))
        gradient = stretch * (across @ residual + penalty * slopes)
        return value, np.concatenate([gradient.ravel(), residual.sum(axis=0)])

    flat = np.concatenate([(start.slopes / stretch).ravel(), start.bias])
    options = {"maxiter": MOST_STEPS, "gtol": TOLERANCE, "ftol": 1e-12}
    found = minimize(objective, flat, jac=True, method="L-BFGS-B", options=options).x
    return Linear(stretch * found[:-n_classes].reshape(width, n_classes), found[-n_classes:])


def probs_of(rows: Float64[Array, "items numbers"] | csr_array, linear: Linear) -> Float64[Array, "items classes"]:
    """The probabilities of the classes."""
    return np.exp(log_softmax(rows @ linear.slopes + linear.bias, axis=1))


def loss_of(rows: Float64[Array, "items numbers"] | csr_array, taught: Taught, linear: Linear) -> float:
    """The weighted sum of the cross-entropies of items, in nats."""
    log_probs = log_softmax(rows @ linear.slopes + linear.bias, axis=1)
    return -float(taught.weight @ (taught.probs * log_probs).sum(axis=1))
