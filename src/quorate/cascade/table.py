"""What a cascade is worth beside its agents and their votes, on items it was not fitted on: table 3 of [hovsepian2024].

Accuracy and cost as they are, F1, precision, recall and cost also relative to the cheapest agent alone, each with a
bootstrap interval over items. F1, precision and recall are averaged over the classes that occur, or are those of one
positive class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.sparse import csr_array

from quorate.cascade.answers import Answers
from quorate.cascade.fit import Options, fit
from quorate.cascade.ground import folds_of
from quorate.cascade.policy import Cascade
from quorate.cascade.readings import read
from quorate.cascade.votes import vote
from quorate.errors import NotFittedError
from quorate.measure.intervals import Interval, bootstrap

Array = np.ndarray
Progress = Callable[[float, str], None]
MEASURES = ("accuracy", "f1", "precision", "recall", "cost")
CASCADE, UNCALIBRATED = "cascade", "cascade, uncal."
MAJORITY, WEIGHTED_RAW, WEIGHTED = "majority of all", "weighted maj., uncal.", "weighted majority"
LEARNED = "learned combination"


class Answered(NamedTuple):
    """One policy's answers and what each cost."""

    label: Int64[Array, "items"]
    cost: Float64[Array, "items"]


class Row(NamedTuple):
    """Figures of one policy."""

    name: str
    of: Mapping[str, Interval | None]  # by measure
    relative: Mapping[str, Interval | None]  # the same over those of the cheapest agent alone


class Judged(NamedTuple):
    """The table, and how often each agent was called by the cascade."""

    rows: tuple[Row, ...]
    called: Mapping[str, float]  # share of items, by agent
    n_items: int

    def figures(self) -> dict[str, Any]:
        """As JSON."""
        rows = [{"policy": row.name, **_plain(row.of), "relative": _plain(row.relative)} for row in self.rows]
        return {"items": self.n_items, "called": dict(self.called), "policies": rows}


# ---- judging --------------------------------------------------------------------------------------------------------
def cross_judged(
    answers: Answers,
    options: Options,
    *,
    n_folds: int = 5,
    positive: int | None = None,
    resamples: int = 1000,
    progress: Progress | None = None,
) -> Judged:
    """The table over folds: whatever judges a fold (readings, combinations, tree, cost weight) saw the others only."""
    known = answers.select(np.flatnonzero(answers.complete))
    rng = np.random.default_rng([options.seed, 1])
    parts: list[dict[str, Answered]] = []
    folds = folds_of(len(known.items), n_folds, rng)
    called = np.zeros((len(known.items), len(known.agents)), bool)
    for at, fold in enumerate(folds):
        if progress:
            progress(at / len(folds), f"judging, part {at + 1} of {len(folds)}")
        rest, here = known.select(np.setdiff1d(np.arange(len(known.items)), fold)), known.select(fold)
        cascade = fit(rest, options).cascade
        raw = fit(rest, replace(options, calibration="identity")).cascade
        answered, called[fold] = answered_by(cascade, here)
        parts.append({**answered, UNCALIBRATED: answered_by(raw, here)[0][CASCADE]})
    order = np.concatenate(folds)
    joined = {
        name: Answered(*(np.concatenate([part[name][field] for part in parts]) for field in range(2)))
        for name in (*_before(known), UNCALIBRATED, CASCADE)
    }
    return _judged(known.select(order), joined, called, positive, resamples, options.seed)


def judged(
    cascade: Cascade, answers: Answers, *, positive: int | None = None, resamples: int = 1000, seed: int = 0
) -> Judged:
    """The table of a fitted cascade on other items. Raises NotFittedError where none can judge."""
    known = answers.select(np.flatnonzero(answers.complete))
    if len(known.items) < 2:
        raise NotFittedError(
            f"{len(known.items)} items of task {answers.task.name!r} have a known answer and an output of every agent; "
            "two at least can judge"
        )
    answered, called = answered_by(cascade, known)
    return _judged(known, answered, called, positive, resamples, seed)


def answered_by(cascade: Cascade, answers: Answers) -> tuple[dict[str, Answered], Bool[Array, "items agents"]]:
    """What every policy answers on complete items, and whom the cascade called."""
    probs, labeled = read(answers, cascade.readings), cascade.label(answers)
    n_items, n_agents = answers.kind.shape
    everyone, all_of = (1 << n_agents) - 1, np.full(n_items, answers.prices.sum())
    found = {
        _alone(agent.name): Answered(answers.scores[:, at].argmax(axis=1), np.full(n_items, agent.price))
        for at, agent in enumerate(answers.agents)
    }
    found[MAJORITY] = Answered(vote("majority", answers.scores), all_of)
    found[WEIGHTED_RAW] = Answered(vote("weighted", answers.scores), all_of)
    found[WEIGHTED] = Answered(vote("weighted", probs), all_of)
    found[LEARNED] = Answered(cascade.pool.learned(everyone, probs).argmax(axis=1), all_of)
    found[CASCADE] = Answered(labeled.label, labeled.cost)
    return found, labeled.called


def _alone(name: str) -> str:
    return f"{name} alone"


def _before(answers: Answers) -> tuple[str, ...]:
    return (*(_alone(agent.name) for agent in answers.agents), MAJORITY, WEIGHTED_RAW, WEIGHTED, LEARNED)


def _judged(
    answers: Answers,
    answered: Mapping[str, Answered],
    called: Bool[Array, "items agents"],
    positive: int | None,
    resamples: int,
    seed: int,
) -> Judged:
    reference = answered[_alone(answers.agents[0].name)]
    n_classes = len(answers.task.classes)
    rows = tuple(
        _row(name, each, reference, answers.truth, n_classes, positive, resamples, seed)
        for name, each in answered.items()
    )
    shares = dict(zip((agent.name for agent in answers.agents), called.mean(axis=0).tolist(), strict=True))
    return Judged(rows, shares, len(answers.items))


# ---- figures --------------------------------------------------------------------------------------------------------
def _row(
    name: str,
    answered: Answered,
    reference: Answered,
    truth: Int64[Array, "items"],
    n_classes: int,
    positive: int | None,
    resamples: int,
    seed: int,
) -> Row:
    sums = csr_array(np.hstack([_sums(each, truth, n_classes) for each in (answered, reference)]))

    def both(total: Float64[Array, "draws sums"]) -> Float64[Array, "draws outputs"]:
        half = total.shape[1] // 2
        own, its = (_measures(part, n_classes, positive) for part in (total[:, :half], total[:, half:]))
        return np.hstack([own, np.where(its > 0, own / np.where(its > 0, its, 1.0), np.nan)])

    found = bootstrap(sums, both, rng=np.random.default_rng(seed), resamples=resamples, method="percentile")
    n = len(MEASURES)
    return Row(name, dict(zip(MEASURES, found[:n], strict=True)), dict(zip(MEASURES, found[n:], strict=True)))


def _sums(answered: Answered, truth: Int64[Array, "items"], n_classes: int) -> Float64[Array, "items sums"]:
    """What an item adds: right by class, named by class, true by class, cost."""
    each = np.eye(n_classes)
    right = each[truth] * (answered.label == truth)[:, None]
    return np.hstack([right, each[answered.label], each[truth], answered.cost[:, None]])


def _measures(
    total: Float64[Array, "draws sums"], n_classes: int, positive: int | None
) -> Float64[Array, "draws measures"]:
    right, named, true = np.split(total[:, :-1], 3, axis=1)
    n = true.sum(axis=1)
    precision, recall = right / np.maximum(named, 1), right / np.maximum(true, 1)
    f1 = 2 * right / np.maximum(named + true, 1)
    used = (true > 0).astype(np.float64)
    if positive is not None:
        used = np.broadcast_to(np.eye(n_classes)[positive], used.shape)
    averages = [(each * used).sum(axis=1) / np.maximum(used.sum(axis=1), 1) for each in (f1, precision, recall)]
    return np.column_stack([right.sum(axis=1) / n, *averages, total[:, -1] / n])


def _plain(of: Mapping[str, Interval | None]) -> dict[str, Any]:
    return {name: None if each is None else each._asdict() for name, each in of.items()}
