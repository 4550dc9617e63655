"""Settings chosen from the data by held-out label likelihood, on items never fitted on.

The likelihood is that of every label given the models alone and given all other labels as well, in equal parts: what
is wanted of a consensus before people are asked, and after.

The search starts at the middle of the road and tries one setting at a time, keeping what gains; it works on a sample
of items, since what is learned are priors, not the parameters themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from quorate.consensus.hybrid.fitting import (
    maximise,
    problem_of,
    quadrature_points,
    vocabulary_of,
    with_population,
)
from quorate.consensus.hybrid.habits import habits_of
from quorate.consensus.hybrid.model import HybridModel
from quorate.consensus.hybrid.objective import Objective, tables_of
from quorate.consensus.hybrid.options import FIXED, Settings
from quorate.consensus.hybrid.parameters import Shape, start_vector, views
from quorate.data.encode import Coded

Array = np.ndarray
SAMPLE_ITEMS = 600
FOLDS = 3
ALL_FOLDS_UP_TO = 6_000  # labels of people; above, one fold held out tells settings apart
TRIAL_POINTS = 64
TRIAL_ITERATIONS, TRIAL_GAIN = 150, 3e-6  # much shorter fits favour hard shrinkage, which converges sooner
LADDERS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("subtypes", (1, 2)),
    ("annotator", (0.25, 0.7, 2.0, 5.0, 15.0, 45.0)),
    ("people", (5.0, 15.0, 45.0)),
    ("factors", (0, 1, 2, 4)),
    ("apart", (10.0, 30.0, 100.0, 300.0, 3000.0)),
)


class Choice(NamedTuple):
    """The settings kept, and what every trial reached: held-out nats per label, up is better."""

    settings: Settings
    trials: tuple[tuple[Settings, float], ...]


def choose(
    coded: Coded,
    given: dict[str, Any],
    *,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> Choice:
    """Settings for this data; what is `given` is left alone."""
    sample, folds = _sample(coded, seed)
    best = _possible(coded, Settings()._replace(**given))
    if sample is None:
        return Choice(best, ())
    judge = _Judge(sample, folds, seed)
    ladders = [(name, steps) for name, steps in LADDERS if name not in given]
    for done, (name, steps) in enumerate(ladders):
        if progress is not None:
            progress(done / len(ladders))
        best = _climb(coded, best, name, steps, judge)
    return Choice(best, tuple(judge.scores.items()))


def _climb(coded: Coded, start: Settings, name: str, steps: tuple[Any, ...], judge: _Judge) -> Settings:
    """Up the ladder of one setting while it gains, and down if up did not."""
    best, place = start, steps.index(getattr(start, name))
    for way in (steps[place + 1 :], steps[:place][::-1]):
        for value in way:
            other = _possible(coded, best._replace(**{name: value}))
            if judge.held_out(other) <= judge.held_out(best):
                break
            best = other
        if best != start:
            break
    return best


def _possible(coded: Coded, settings: Settings) -> Settings:
    """Settings that make a difference: one task needs no factors, no model has no weights."""
    spoken = any((output.kind > 0).any() for output in coded.outputs)
    return settings._replace(
        factors=settings.factors if coded.n_tasks > 1 else 0,
        apart=settings.apart if spoken else Settings().apart,
    )


def _sample(coded: Coded, seed: int) -> tuple[Coded | None, Int64[Array, "items"]]:
    """Labeled items in random order, at most SAMPLE_ITEMS, and the fold of each; None when there are too few."""
    rng = np.random.default_rng(seed)
    labeled = np.flatnonzero(np.diff(coded.labels.start).reshape(coded.n_items, -1).sum(axis=1) > 0)
    if len(labeled) < 10:
        return None, np.zeros(0, np.int64)
    kept = np.sort(rng.permutation(labeled)[:SAMPLE_ITEMS])
    return coded.select(kept), rng.permutation(np.arange(len(kept)) % FOLDS)


def _splits(
    folds: Int64[Array, "items"], n_labels: int
) -> Iterator[tuple[Int64[Array, "train"], Int64[Array, "test"]]]:
    for fold in range(FOLDS if n_labels <= ALL_FOLDS_UP_TO else 1):
        yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


class _Judge:
    """Fits on all folds but one and reads the other; a fit starts where the last of its shape ended."""

    def __init__(self, sample: Coded, folds: Int64[Array, "items"], seed: int) -> None:
        self._splits = [
            (sample.select(train), sample.select(test)) for train, test in _splits(folds, len(sample.labels.code))
        ]
        self._seed = seed
        self.scores: dict[Settings, float] = {}
        self._ends: dict[tuple[int, tuple[Shape, ...]], Float64[Array, "parameters"]] = {}

    def held_out(self, settings: Settings) -> float:
        """Mean log-likelihood of held-out labels, nats per label."""
        if settings not in self.scores:
            self.scores[settings] = self._measured(settings)
        return self.scores[settings]

    def _measured(self, settings: Settings) -> float:
        points = quadrature_points(settings.factors, TRIAL_POINTS, self._seed)
        both = [self._fold(fold, settings, points) for fold in range(len(self._splits))]
        return sum(total for total, _ in both) / max(sum(n for _, n in both), 1)

    def _fold(self, fold: int, settings: Settings, points: Float64[Array, "points factors"]) -> tuple[float, int]:
        train, test = self._splits[fold]
        vocabulary, habits = vocabulary_of(train, settings), habits_of(train)
        problem = problem_of(train, vocabulary, habits, points)
        start = self._ends.get((fold, vocabulary.shapes))
        if start is None:
            start = start_vector(vocabulary.shapes, problem.priors, strength=FIXED.strength, seed=self._seed)
        ended = maximise(Objective(problem, settings), start, TRIAL_ITERATIONS, small_gain=TRIAL_GAIN)
        self._ends[fold, vocabulary.shapes] = ended.vector
        tables = with_population(train, vocabulary, tables_of(views(ended.vector, vocabulary.shapes), problem))
        return _label_likelihood(HybridModel.trial(train, settings, vocabulary, tables), test)


def _label_likelihood(model: HybridModel, test: Coded) -> tuple[float, int]:
    """Sum over people's labels of the mean of log P(label | models) and log P(label | all others), and their number."""
    positions = np.arange(len(test.labels.code))
    total = 0.0
    for given in ("evidence", "others"):
        held = model.held_out(test, positions, given)
        for place, probs in zip(held.positions, held.label, strict=True):
            total += 0.5 * float(np.log(probs[np.arange(len(place)), test.labels.code[place]]).sum())
    return total, len(positions)
