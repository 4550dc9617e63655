"""Settings chosen from the data by held-out label likelihood: log p(all labels of an item | scores), items never fitted on.

The search starts at the middle of the road and tries one setting at a time, keeping what gains; it works on a sample of items,
since what is learned are priors, not the parameters themselves. Fits are cut short: a ranking needs no last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.consensus.hybrid.fitting import (
    class_shares,
    maximise,
    problem_of,
    quadrature_points,
    vocabulary_of,
)
from quorate.consensus.hybrid.objective import Objective
from quorate.consensus.hybrid.options import FIXED, Settings
from quorate.consensus.hybrid.parameters import start_vector
from quorate.data.encode import Coded

Array = np.ndarray
SAMPLE_ITEMS = 1_200
FOLDS_UP_TO = ((250, 5), (600, 3))  # items: folds; above, one half against the other
TRIAL_POINTS, TRIAL_ITERATIONS, TRIAL_GAIN = 64, 60, 1e-5
ALTERNATIVES: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("subtypes", (2,)),
    ("annotator", (2.0, 15.0)),
    ("factors", (0, 1, 4)),
    ("apart", (30.0, 3000.0)),
)


class Choice(NamedTuple):
    """The settings kept, and what every trial reached: held-out nats per label, up is better."""

    settings: Settings
    trials: tuple[tuple[Settings, float], ...]


def choose(
    coded: Coded,
    given: dict[str, float],
    *,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> Choice:
    """Settings for this data; what is `given` is left alone."""
    sample, folds = _sample(coded, seed)
    best = _possible(coded, Settings()._replace(**given))
    if sample is None:
        return Choice(best, ())
    todo = [(name, value) for name, values in ALTERNATIVES if name not in given for value in values]
    scores = {best: _held_out(sample, folds, best, seed)}
    for done, (name, value) in enumerate(todo):
        if progress is not None:
            progress((done + 1) / (len(todo) + 1))
        other = _possible(coded, best._replace(**{name: value}))
        if other not in scores:
            scores[other] = _held_out(sample, folds, other, seed)
        best = max(best, other, key=scores.__getitem__)
    return Choice(best, tuple(scores.items()))


def _possible(coded: Coded, settings: Settings) -> Settings:
    """Settings that make a difference: one task needs no factors, one model has no weights apart."""
    several = any((output.kind > 0).any(axis=0).sum() > 1 for output in coded.outputs)
    return settings._replace(
        factors=settings.factors if coded.n_tasks > 1 else 0,
        apart=settings.apart if several else Settings().apart,
    )


def _sample(coded: Coded, seed: int) -> tuple[Coded | None, Int64[Array, "items"]]:
    """Labeled items in random order, at most SAMPLE_ITEMS, and the fold of each; None when there are too few."""
    rng = np.random.default_rng(seed)
    labeled = np.flatnonzero(np.diff(coded.labels.start).reshape(coded.n_items, -1).sum(axis=1) > 0)
    if len(labeled) < 10:  # noqa: PLR2004 - fewer items than any fold could judge
        return None, np.zeros(0, np.int64)
    kept = np.sort(rng.permutation(labeled)[:SAMPLE_ITEMS])
    n_folds = next((folds for items, folds in FOLDS_UP_TO if len(kept) <= items), 2)
    return coded.select(kept), rng.permutation(np.arange(len(kept)) % n_folds)


def _splits(folds: Int64[Array, "items"]) -> Iterator[tuple[Int64[Array, "train"], Int64[Array, "test"]]]:
    last = folds.max() if folds.max() > 1 else 0  # two folds: one way is enough
    for fold in range(last + 1):
        yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


def _held_out(coded: Coded, folds: Int64[Array, "items"], settings: Settings, seed: int) -> float:
    points = quadrature_points(settings.factors, TRIAL_POINTS, seed)
    total, n_votes = 0.0, 0
    for train, test in _splits(folds):
        likelihood, votes = _split_likelihood(coded.select(train), coded.select(test), settings, points, seed)
        total, n_votes = total + float(likelihood.sum()), n_votes + votes
    return total / max(n_votes, 1)


def _split_likelihood(
    train: Coded, test: Coded, settings: Settings, points: Float64[Array, "points factors"], seed: int
) -> tuple[Float64[Array, "items"], int]:
    vocabulary, shares = vocabulary_of(train, settings), class_shares(train)
    problem = problem_of(train, vocabulary, shares, points)
    start = start_vector(vocabulary.shapes, problem.priors, strength=FIXED.strength, seed=seed)
    ended = maximise(Objective(problem, settings), start, TRIAL_ITERATIONS, small_gain=TRIAL_GAIN)
    held = Objective(problem_of(test, vocabulary, shares, points), settings)
    return held.log_likelihood(ended.vector), len(held.problem.votes.item)
