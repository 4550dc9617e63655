"""The limit: what nobody can beat, the posterior of the truth under the true parameters of a world.

Given a world's parameters and an item's log-odds q, tasks are independent, so with points q_s of the true normal law

    P(y_t = k | data) = sum_s w_s theta_tks exp(l_tk) / fit_ts
    w_s ~ prod_t fit_ts,   fit_ts = sum_k theta_tks exp(l_tk)

where l_tk is the log-likelihood of the scores (Dirichlet) and of the people's labels (their true rows) given class k.
The points are scrambled Sobol points through the inverse normal [owen1998]; the error is that of the rule alone.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int16, Int32
from scipy.special import gammaln, ndtri
from scipy.stats import qmc

from quorate.errors import SettingError
from quorate.simulate.world import Parameters, World, prevalence

Array = np.ndarray
BLOCK = 16  # items at once: what is weighed point by point stays in the cache; single precision errs by 2e-7


def limit(world: World, *, n_points: int = 8_192, seed: int = 0) -> tuple[Float64[Array, "steps items _classes"], ...]:
    """Posterior of every task after the scores and the first 0, 1, 2, ... seats of each item's panel, per task.

    n_points: a power of two. Raises SettingError when it is not.

    >>> from quorate.simulate.world import world
    >>> [posterior.shape for posterior in limit(world("paper", 3), n_points=64)][0]
    (6, 3, 3)
    """
    points = prevalence_points(world.parameters, world.setting.classes, n_points, seed)
    n_items, n_steps = len(world.truth), world.panel.shape[1] + 1
    posteriors = tuple(np.empty((n_steps, n_items, k)) for k in world.setting.classes)
    for first in range(0, n_items, BLOCK):
        block = np.arange(first, min(first + BLOCK, n_items))
        for step, log_likelihood in enumerate(_by_step(world.select(block))):
            for out, posterior in zip(posteriors, posterior_of(log_likelihood, points), strict=True):
                out[step, block] = posterior
    return posteriors


def prevalence_points(
    parameters: Parameters, classes: tuple[int, ...], n_points: int, seed: int
) -> list[Float32[Array, "_classes points"]]:
    """Prevalences of every task at quasi-random points of the true normal law; equal weights."""
    if n_points < 1 or n_points & (n_points - 1):
        raise SettingError(f"n_points must be a power of two, not {n_points}")
    sobol = qmc.Sobol(len(parameters.mean), rng=np.random.default_rng(seed)).random(n_points)
    values, vectors = np.linalg.eigh(parameters.covariance)
    standard = ndtri(np.clip(sobol, 1e-12, 1 - 1e-12))[:, ::-1]  # first Sobol axes, the most even, to the widest
    log_odds = parameters.mean + standard @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
    ends = np.cumsum([k - 1 for k in classes])[:-1]
    return [np.ascontiguousarray(prevalence(part).T, np.float32) for part in np.split(log_odds, ends, axis=1)]


def posterior_of(
    log_likelihood: list[Float64[Array, "items _classes"]], points: list[Float32[Array, "_classes points"]]
) -> list[Float64[Array, "items _classes"]]:
    """P(class | data) of every task, all tasks jointly."""
    likelihood = [
        np.exp(each - each.max(axis=1, keepdims=True)).astype(theta.dtype)
        for each, theta in zip(log_likelihood, points, strict=True)
    ]
    fits = [each @ theta for each, theta in zip(likelihood, points, strict=True)]
    weight = np.ones_like(fits[0])
    for fit in fits:
        weight *= fit
        weight /= weight.max(axis=1, keepdims=True)  # many tasks would underflow
    parts = [each * ((weight / fit) @ theta.T) for each, fit, theta in zip(likelihood, fits, points, strict=True)]
    return [part.astype(float) / part.sum(axis=1, keepdims=True) for part in parts]


def score_log_likelihood(parameters: Parameters, world: World, t: int) -> Float64[Array, "items classes"]:
    """Log-likelihood of the scores given each class, in nats: Dirichlet densities, summed over the models."""
    weight = parameters.concentration * parameters.models[t]
    log_scores = np.log(world.scores[t].astype(float))
    norm = (gammaln(weight.sum(axis=2)) - gammaln(weight).sum(axis=2)).sum(axis=0)
    return np.einsum("iml,mkl->ik", log_scores, weight - 1.0) + norm


def label_log_likelihood(
    rows: Float64[Array, "annotators classes classes"], annotator: Int32[Array, "items"], label: Int16[Array, "items"]
) -> Float64[Array, "items classes"]:
    """Log-likelihood of a label given each class, in nats; 0 for an empty seat."""
    said = np.log(rows[annotator, :, label])
    return np.where((label >= 0)[:, None], said, 0.0)


def _by_step(world: World) -> list[list[Float64[Array, "items _classes"]]]:
    """Log-likelihoods per class of every task, after 0, 1, 2, ... seats."""
    tasks = range(len(world.scores))
    steps = [[score_log_likelihood(world.parameters, world, t) for t in tasks]]
    for seat in range(world.panel.shape[1]):
        said = [
            label_log_likelihood(world.parameters.people[t], world.panel[:, seat], world.answers[:, t, seat])
            for t in tasks
        ]
        steps.append([before + new for before, new in zip(steps[-1], said, strict=True)])
    return steps
