"""What other tasks teach a calibrator: all of them, those like it, or a prior [hovsepian2024].

all       one calibrator on the examples of all other tasks (ALL-OOT)
similar   one on the tasks whose examples cluster with those of the target (SIM-OOT)
learned   each other task is fitted by itself; the mean and spread of their parameters are the prior of the target, so
          that its own examples move it as far as tasks were seen to differ (empirical Bayes)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from quorate.calibrate.calibrators import Calibrator
from quorate.calibrate.methods import calibrator
from quorate.calibrate.prior import Gaussian, Prior
from quorate.calibrate.scaling import Family, gaussian, scaled
from quorate.errors import SettingError

Array = np.ndarray
STARTS, MOST_ROUNDS = 8, 100
PRIOR_TASKS = 2.0  # how many tasks the prior before any task weighs


class TaskExamples(NamedTuple):
    """Labeled examples of one other task."""

    log_scores: Float64[Array, "examples classes"]
    truth: Int64[Array, "examples"]


def pooled(method: str, others: Sequence[TaskExamples], *, prior: Prior | None = None) -> Calibrator:
    """One calibrator on the examples of all these tasks, which must have the same number of classes.

    Raises SettingError where there is none, or where the numbers of classes differ.

    >>> other = TaskExamples(np.log([[0.99, 0.01]] * 40), np.repeat([0, 1], [30, 10]))
    >>> pooled("temperature", [other, other]).scale < 0.5
    True
    """
    if not others:
        raise SettingError("there is no other task to learn from")
    widths = sorted({other.log_scores.shape[1] for other in others})
    if len(widths) > 1:
        raise SettingError(f"tasks with {widths[0]} and with {widths[1]} classes cannot share a calibrator")
    log_scores, truth = (np.concatenate(part) for part in zip(*others, strict=True))
    return calibrator(method, log_scores, truth, prior=prior)


def learned(family: Family, others: Sequence[TaskExamples], *, prior: Prior | None = None) -> Gaussian:
    """The prior that other tasks teach: mean and covariance of their parameters.

    The prior given (the default one where none is) counts as `PRIOR_TASKS` tasks at the identity, so that one other
    task teaches little; what a task's own examples leave open is taken off the spread, as far as the spread goes.
    Raises SettingError where there is no other task, or where the numbers of classes differ.
    """
    if not others or len({other.log_scores.shape[1] for other in others}) > 1:
        raise SettingError("a prior is learned from at least one other task, all with the same number of classes")
    before = gaussian(family, others[0].log_scores.shape[1], prior or Prior())
    fits = [scaled(family, *other, prior=before) for other in others]
    found = np.stack([fit.parameters for fit in fits])
    n_tasks = len(found)
    mean = found.sum(axis=0) / (n_tasks + PRIOR_TASKS)
    apart = found - mean
    covariance = (PRIOR_TASKS * np.linalg.inv(before.precision) + apart.T @ apart) / (n_tasks + PRIOR_TASKS)
    return Gaussian(mean, np.linalg.inv(covariance), before.examples)


# ---- which tasks are similar ----------------------------------------------------------------------------------------
def similar(
    embeddings: Sequence[Shaped[Array, "_items features"]], target: int, *, n_clusters: int, rng: np.random.Generator
) -> list[int]:
    """The other tasks that share the target's cluster, by place; all others where none does.

    embeddings: of the examples of every task. A task belongs to the cluster that holds most of its examples.

    >>> rng = np.random.default_rng(0)
    >>> near, far = rng.normal(0, 0.1, (20, 2)), rng.normal(5, 0.1, (20, 2))
    >>> similar([near, far, near], target=0, n_clusters=2, rng=rng)
    [2]
    """
    cluster = clusters(np.concatenate(list(embeddings)).astype(np.float64), n_clusters, rng)
    ends = np.cumsum([len(each) for each in embeddings])
    home = [int(np.bincount(part).argmax()) for part in np.split(cluster, ends[:-1])]
    others = [place for place in range(len(home)) if place != target]
    return [place for place in others if home[place] == home[target]] or others


def clusters(
    points: Float64[Array, "points features"], n_clusters: int, rng: np.random.Generator
) -> Int64[Array, "points"]:
    """k-means from several spread-out starts; the tightest is kept [lloyd1982, arthur2007].

    Raises SettingError for fewer points than clusters.
    """
    if not 1 <= n_clusters <= len(points):
        raise SettingError(f"{len(points)} points make 1 to {len(points)} clusters, not {n_clusters}")
    found = [_settled(points, _spread_out(points, n_clusters, rng)) for _ in range(STARTS)]
    return min(found, key=lambda each: each[1])[0]


def _settled(
    points: Float64[Array, "points features"], centres: Float64[Array, "clusters features"]
) -> tuple[Int64[Array, "points"], float]:
    """Centres and members in turn until no member moves, and the squared distance that is left."""
    home = np.full(len(points), -1)
    for _ in range(MOST_ROUNDS):
        distance = _squared_distances(points, centres)
        nearest = distance.argmin(axis=1)
        if (nearest == home).all():
            break
        home = nearest
        held = np.bincount(home, minlength=len(centres))
        total = np.zeros_like(centres)
        np.add.at(total, home, points)
        centres = np.where(held[:, None] > 0, total / np.maximum(held, 1)[:, None], centres)
    return home.astype(np.int64), float(_squared_distances(points, centres).min(axis=1).sum())


def _spread_out(
    points: Float64[Array, "points features"], n_clusters: int, rng: np.random.Generator
) -> Float64[Array, "clusters features"]:
    """Points as first centres, each drawn with chance in proportion to its squared distance to those before it."""
    chosen = [int(rng.integers(len(points)))]
    for _ in range(n_clusters - 1):
        distance = _squared_distances(points, points[chosen]).min(axis=1)
        total = distance.sum()
        chance = distance / total if total > 0 else np.full(len(points), 1 / len(points))
        chosen.append(int(rng.choice(len(points), p=chance)))
    return points[chosen].copy()


def _squared_distances(
    points: Float64[Array, "points features"], centres: Float64[Array, "clusters features"]
) -> Float64[Array, "points clusters"]:
    cross = points @ centres.T
    return np.maximum((points**2).sum(axis=1)[:, None] - 2 * cross + (centres**2).sum(axis=1), 0.0)
