"""The limit: what nobody can beat, the posterior of the truth under the true parameters of a world.

Given a world's parameters and an item's log-odds q, tasks are independent, so with points q_s of the true normal law

    P(y_t = k | data) = sum_s w_s theta_tks exp(l_tk) / fit_ts
    w_s ~ prod_t fit_ts,   fit_ts = sum_k theta_tks exp(l_tk)

where l_tk is the log-likelihood of the scores (Dirichlet) and of the people's labels (their true rows) given class k.
The points are scrambled Sobol points through the inverse normal [owen1998]; the error is that of the rule alone.

It is the limit of every world of `simulate`, named or not, all that hangs together inside an item included:

- models that err together: the readings that they share are summed out, task by task (`errors_together`);
- drift: people's rows at the time of each label, which is known as the tables tell it;
- halo: who was careless about the item is summed out over all 2^j moods of j people, at most MOST_MOODS of them,
  else SettingError; spam, unequal work and tasks left out at random need nothing.

Scores below 1e-30 were cut when drawn and count as they are. In the paper's worlds there are none to speak of;
where models read, so small a score says that its class was not read, cut or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int16, Int32
from scipy.special import gammaln, ndtri
from scipy.stats import qmc

from quorate.errors import SettingError
from quorate.simulate.draw import TINY
from quorate.simulate.errors_together import log_likelihood as log_likelihood_of_readings
from quorate.simulate.people import Habits, adjusted, right_now
from quorate.simulate.world import Parameters, World, model_readings, prevalence

Array = np.ndarray
MOST_MOODS = 8  # people on an item whose halo is summed out: 256 combinations of moods
BLOCK = 16  # items at once: what is weighed point by point stays in the cache; single precision errs by 2e-7


def limit(world: World, *, n_points: int = 8_192, seed: int = 0) -> tuple[Float64[Array, "steps items _classes"], ...]:
    """Posterior of every task after the scores and the first 0, 1, 2, ... seats of each item's panel, per task.

    n_points: a power of two. Raises SettingError when it is not, or where halo cannot be summed out.

    >>> from quorate.simulate.world import world
    >>> [posterior.shape for posterior in limit(world("paper", 3), n_points=64)][0]
    (6, 3, 3)
    """
    points = prevalence_points(world.parameters, world.setting.classes, n_points, seed)
    n_items, n_steps = len(world.truth), world.panel.shape[1] + 1
    if world.setting.halo > 0 and n_steps - 1 > MOST_MOODS:
        raise SettingError(f"the limit sums out the halo of {MOST_MOODS} people on an item at most, not {n_steps - 1}")
    posteriors = tuple(np.empty((n_steps, n_items, k)) for k in world.setting.classes)
    for first in range(0, n_items, BLOCK):
        block = np.arange(first, min(first + BLOCK, n_items))
        for step, states in enumerate(_by_step(world.select(block))):
            for out, posterior in zip(posteriors, _mixed(states, points), strict=True):
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
    return posterior_and_evidence(log_likelihood, points)[0]


def posterior_and_evidence(
    log_likelihood: list[Float64[Array, "items _classes"]], points: list[Float32[Array, "_classes points"]]
) -> tuple[list[Float64[Array, "items _classes"]], Float64[Array, "items"]]:
    """P(class | data) of every task, all tasks jointly, and the log-probability of the data, in nats."""
    highest = [each.max(axis=1, keepdims=True) for each in log_likelihood]
    likelihood = [
        np.exp(each - top).astype(theta.dtype) for each, top, theta in zip(log_likelihood, highest, points, strict=True)
    ]
    fits = [each @ theta for each, theta in zip(likelihood, points, strict=True)]
    evidence = np.sum(highest, axis=0)[:, 0]
    weight = np.ones_like(fits[0])
    for fit in fits:
        weight *= fit
        top = weight.max(axis=1, keepdims=True)  # many tasks would underflow
        weight /= top
        evidence = evidence + np.log(top[:, 0].astype(float))
    parts = [each * ((weight / fit) @ theta.T) for each, fit, theta in zip(likelihood, fits, points, strict=True)]
    evidence = evidence + np.log(weight.mean(axis=1, dtype=float))
    return [part.astype(float) / part.sum(axis=1, keepdims=True) for part in parts], evidence


def score_log_likelihood(parameters: Parameters, world: World, t: int) -> Float64[Array, "items classes"]:
    """Log-likelihood of the scores given each class, in nats: Dirichlet densities, summed over the models.

    Where models read: that of all their scores together, less what is the same for all classes.
    """
    law = model_readings(world.setting, parameters, t)
    if law is not None:
        return log_likelihood_of_readings(law, world.scores[t])
    weight = parameters.concentration * parameters.models[t]
    log_scores = np.log(world.scores[t].astype(float))
    norm = (gammaln(weight.sum(axis=2)) - gammaln(weight).sum(axis=2)).sum(axis=0)
    return np.einsum("iml,mkl->ik", log_scores, weight - 1.0) + norm


def label_log_likelihood(
    rows: Float64[Array, "annotators classes classes"],
    annotator: Int32[Array, "items"],
    label: Int16[Array, "items"],
    habits: Habits | None = None,
    time: Float64[Array, "items"] | None = None,
    *,
    careless: bool = False,
) -> Float64[Array, "items classes"]:
    """Log-likelihood of a label given each class, in nats; 0 for an empty seat.

    With habits: at this time, and as somebody who is careless about the item, or careful.
    """
    probs = rows[annotator, :, label]
    if habits is not None:
        classes = np.arange(rows.shape[1])
        right = rows[annotator][:, classes, classes]
        who, when = np.broadcast_to(annotator[:, None], right.shape), None
        if time is not None:
            when = np.broadcast_to(time[:, None], right.shape)
        now = right_now(right, habits, who, when, careless)
        probs = adjusted(probs, classes == label[:, None], right, now)
    return np.where((label >= 0)[:, None], np.log(np.maximum(probs, TINY)), 0.0)


# ---- label after label ----------------------------------------------------------------------------------------------
class _State(NamedTuple):
    """What may have been the moods of everyone so far, and what the data then say."""

    log_prior: Float64[Array, "items"]
    log_likelihood: list[Float64[Array, "items _classes"]]


def _mixed(states: list[_State], points: list[Float32[Array, "_classes points"]]) -> list[Array]:
    """Posterior of every task over all moods, in proportion to how well each explains the data of all tasks."""
    if len(states) == 1:
        return posterior_of(states[0].log_likelihood, points)
    found = [posterior_and_evidence(state.log_likelihood, points) for state in states]
    log_weight = np.stack([state.log_prior + evidence for state, (_, evidence) in zip(states, found, strict=True)])
    weight = np.exp(log_weight - log_weight.max(axis=0))
    weight /= weight.sum(axis=0)
    return [
        np.einsum("si,sik->ik", weight, np.stack(of_task)) for of_task in zip(*(part for part, _ in found), strict=True)
    ]


def _by_step(world: World) -> Iterator[list[_State]]:
    """The possible states after 0, 1, 2, ... seats: one, or with halo two to the power of the seats."""
    tasks = range(len(world.scores))
    alone = [score_log_likelihood(world.parameters, world, t) for t in tasks]
    states = [_State(np.zeros(len(world.truth)), alone)]
    yield states
    for seat in range(world.panel.shape[1]):
        states = [_joined(before, new) for before in states for new in _moods(world, seat)]
        yield states


def _joined(before: _State, new: _State) -> _State:
    both = zip(before.log_likelihood, new.log_likelihood, strict=True)
    return _State(before.log_prior + new.log_prior, [one + other for one, other in both])


def _moods(world: World, seat: int) -> list[_State]:
    """What one seat's labels say: as they are, or careful and careless."""
    parameters, annotator = world.parameters, world.panel[:, seat]
    habits, time = parameters.habits, None if world.time is None else world.time[:, seat]

    def said(*, careless: bool) -> list[Array]:
        each = zip(parameters.people, world.answers[:, :, seat].T, strict=True)
        return [label_log_likelihood(rows, annotator, label, habits, time, careless=careless) for rows, label in each]

    if habits is None or not habits.halo.any():
        return [_State(np.zeros(len(annotator)), said(careless=False))]
    often = habits.careless[annotator]
    return [_State(np.log1p(-often), said(careless=False)), _State(np.log(often), said(careless=True))]
