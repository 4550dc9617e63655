"""The parameters of `hybrid`, their place in one flat vector, and what they are before any label is seen.

Per task t with C latent classes (classes * subtypes), K classes, F evidence columns, A annotators seen on it:

    strength   common weight of the pooled log scores: strength_all + strength[t]
    weights    (C, F) deviations from it             e = X (weights + strength * match)'
    prevalence (C) mu,  loading (C, R) Lambda        theta_s = softmax(mu + Lambda f_s)
    people     (C, K) logits of the population row
    leniency   (A, K), rows (A, C, K): an annotator's logits are people + leniency + rows
    gold       (C, K) logits of the expert's row

Ordered tasks: deviations of neighbouring classes are correlated, ORDER_CORRELATION ** |k - l| (the deviation is B u
with B B' that matrix and u independent). Population rows start at and shrink to the row of `habits.py`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.consensus.hybrid.habits import Habits, people_row
from quorate.schema import Task

Array = np.ndarray
ORDER_CORRELATION = 0.5
SUBTYPE_CLARITY = (0.9, 0.5)  # share of people who see the class at once, in the first and the second subtype
GOLD_MISS = 0.1


class Shape(NamedTuple):
    """Sizes of one task."""

    classes: int
    subtypes: int
    features: int
    speakers: int
    annotators: int
    factors: int
    ordered: bool

    @property
    def latent(self) -> int:
        """Latent classes: subtypes of the classes, those of one class side by side."""
        return self.classes * self.subtypes

    @property
    def columns(self) -> int:
        """Evidence columns."""
        return self.blocks * self.classes + self.features

    @property
    def blocks(self) -> int:
        """Column blocks as wide as the classes: the pooled block and one per speaker."""
        return self.speakers + 1 if self.speakers > 1 else self.speakers


class TaskParameters(NamedTuple):
    """Views of the flat vector for one task."""

    strength: Float64[Array, "one"]
    prevalence: Float64[Array, "latent"]
    loading: Float64[Array, "latent factors"]
    weights: Float64[Array, "latent columns"]
    people: Float64[Array, "latent classes"]
    leniency: Float64[Array, "annotators classes"]
    rows: Float64[Array, "annotators latent classes"]
    gold: Float64[Array, "latent classes"]


class Parameters(NamedTuple):
    """Views of the flat vector."""

    strength_all: Float64[Array, "one"]
    tasks: tuple[TaskParameters, ...]


class Prior(NamedTuple):
    """What one task is before any label, and the structure of its deviations."""

    match: Float64[Array, "latent columns"]  # 1 where a pooled column names the latent class
    people: Float64[Array, "latent classes"]
    gold: Float64[Array, "latent classes"]
    prevalence: Float64[Array, "latent"]
    over_latent: Float64[Array, "latent latent"]  # B for latent classes
    over_classes: Float64[Array, "classes classes"]  # B for classes
    structured: bool  # whether B is more than the identity


def views(vector: Float64[Array, "parameters"], shapes: tuple[Shape, ...]) -> Parameters:
    """The vector as named arrays that share its memory."""
    tasks = tuple(
        TaskParameters(*[vector[start:stop].reshape(size) for start, stop, size in places])
        for places in _layout(shapes)
    )
    return Parameters(vector[:1], tasks)


def n_parameters(shapes: tuple[Shape, ...]) -> int:
    """Length of the flat vector."""
    return _layout(shapes)[-1][-1].stop if shapes else 1


class _Place(NamedTuple):
    start: int
    stop: int
    size: tuple[int, ...]


@lru_cache(maxsize=64)
def _layout(shapes: tuple[Shape, ...]) -> tuple[tuple[_Place, ...], ...]:
    """Where every array of every task lies; the first entry of the vector is `strength_all`."""
    start, tasks = 1, []
    for shape in shapes:
        places = []
        for size in _sizes(shape):
            places.append(_Place(start, start + math.prod(size), size))
            start = places[-1].stop
        tasks.append(tuple(places))
    return tuple(tasks)


def _sizes(shape: Shape) -> tuple[tuple[int, ...], ...]:
    c, k, a = shape.latent, shape.classes, shape.annotators
    return ((1,), (c,), (c, shape.factors), (c, shape.columns), (c, k), (a, k), (a, c, k), (c, k))


def prior_of(task: Task, shape: Shape, habits: Habits) -> Prior:
    """Before any label but the habits of the task's people."""
    match = np.zeros((shape.latent, shape.columns))
    if shape.speakers:
        match[:, : shape.classes] = named_rows(shape)
    scale = task.ordered and shape.classes > 2
    order = _order_factor(shape.classes) if scale else np.eye(shape.classes)
    return Prior(
        match,
        _people_rows(task, shape, habits),
        _gold_rows(shape),
        np.repeat(np.log(habits.share), shape.subtypes),
        np.kron(order, np.eye(shape.subtypes)),
        order,
        scale,
    )


def named_rows(shape: Shape) -> Float64[Array, "latent classes"]:
    """1 where a latent class is a subtype of the class."""
    return np.repeat(np.eye(shape.classes), shape.subtypes, axis=0)


def start_vector(
    shapes: tuple[Shape, ...], priors: tuple[Prior, ...], *, strength: float, seed: int
) -> Float64[Array, "parameters"]:
    """Where the fit starts: the prior, with small random loadings, since equal ones are a saddle."""
    rng = np.random.default_rng(seed)
    vector = np.zeros(n_parameters(shapes))
    parameters = views(vector, shapes)
    parameters.strength_all[:] = strength
    for part, prior in zip(parameters.tasks, priors, strict=True):
        part.prevalence[:] = prior.prevalence
        part.loading[:] = 0.3 * rng.normal(size=part.loading.shape)
        part.people[:] = np.log(prior.people)
        part.gold[:] = np.log(prior.gold)
    return vector


def _people_rows(task: Task, shape: Shape, habits: Habits) -> Float64[Array, "latent classes"]:
    rows, n = people_row(habits, ordered=task.ordered), shape.classes
    if shape.subtypes == 1:
        return rows
    clarity = np.array(SUBTYPE_CLARITY[: shape.subtypes])[None, :, None]
    vague = (rows + habits.share) / 2.0
    return (clarity * np.eye(n)[:, None] + (1 - clarity) * vague[:, None]).reshape(shape.latent, n)


def _gold_rows(shape: Shape) -> Float64[Array, "latent classes"]:
    n = shape.classes
    row = np.full((n, n), GOLD_MISS / max(n - 1, 1))
    np.fill_diagonal(row, 1.0 if n == 1 else 1.0 - GOLD_MISS)
    return np.repeat(row, shape.subtypes, axis=0)


def _order_factor(n: int) -> Float64[Array, "classes classes"]:
    steps = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return np.linalg.cholesky(ORDER_CORRELATION ** steps.astype(float))
