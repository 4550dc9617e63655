"""Active learning played through on labels that are known: choose, reveal, teach again, until a target is reached.

A strategy is worth what it saves beside items in random order, and that depends on the data: here it is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from quorate.errors import MissingExtraError, SettingError
from quorate.measure.intervals import Interval
from quorate.select.names import STRATEGIES
from quorate.select.strategies import Pool, select

Array = np.ndarray
MEMBERS = 5  # of a committee: learners taught on resamples of what is labeled [abe1998]
NEEDS_COMMITTEE = frozenset({"vote-entropy", "jensen-shannon"})
UNFIT = frozenset({"worth"})  # has no worth of its own
DRAWS, LEVEL = 2_000, 0.95


@runtime_checkable
class Learner(Protocol):
    """A classifier as scikit-learn has them; once it is fitted, `classes_` has the codes that it saw."""

    def fit(self, x: Any, y: Any, /) -> Any:
        """Learn."""
        ...

    def predict_proba(self, x: Any, /) -> Any:
        """Probabilities in the order of `classes_`."""
        ...


Made = Callable[[int], Learner]  # from a seed
Ask = Callable[[Int64[Array, "batch"]], Int64[Array, "batch"]]  # places -> class codes, whoever gives them


class Task(NamedTuple):
    """A pool to choose from, and items to measure on, which are never chosen."""

    rows: Float[Array, "items dimensions"]  # what the learner reads, and where the items lie
    test_rows: Float[Array, "tested dimensions"]
    test_codes: Int64[Array, "tested"]
    n_classes: int


class Round(NamedTuple):
    """How many labels there were, and the share of the tested items that the learner then had right."""

    labels: int
    accuracy: float


class Loop(NamedTuple):
    """How the loop runs: labels per round and at most, and the accuracy that ends it."""

    batch: int = 10
    first: int = 10  # drawn at random, before anything is learned
    most: int = 200
    target: float | None = None


def logistic(seed: int) -> Learner:
    """Logistic regression (scikit-learn). Raises MissingExtraError without it."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise MissingExtraError("scikit-learn", "student") from None
    return LogisticRegression(C=10.0, max_iter=1_000, random_state=seed)


def run(
    task: Task, ask: Ask, strategy: str, loop: Loop | None = None, *, seed: int = 0, made: Made = logistic
) -> list[Round]:
    """The learning curve of one strategy; the first batch of a seed is the same for all strategies.

    `ask` gives the labels of places: read from a table, or asked of people. Raises SettingError for a strategy that a
    loop cannot run, or sizes that cannot be.
    """
    loop = loop or Loop()
    if strategy not in STRATEGIES or strategy in UNFIT:
        known = ", ".join(name for name in STRATEGIES if name not in UNFIT)
        raise SettingError(f"there is no strategy {strategy!r} for a loop; use one of {known}")
    if min(loop.batch, loop.first) < 1 or not loop.first <= loop.most <= len(task.rows):
        raise SettingError(
            f"first {loop.first}, batch {loop.batch}, most {loop.most}, items {len(task.rows):,}: needs 1 <= first <= "
            "most <= items, and a batch of 1 or more"
        )
    rng = np.random.default_rng(seed)
    codes = np.full(len(task.rows), -1, np.int64)
    batch = rng.permutation(len(task.rows))[: loop.first]
    rounds = list[Round]()
    while True:
        codes[batch] = ask(batch)
        labeled = codes >= 0
        learner = _taught(task, codes, labeled, made, seed)
        rounds.append(Round(int(labeled.sum()), _accuracy(task, learner)))
        n = min(loop.batch, loop.most - rounds[-1].labels)
        if n < 1 or (loop.target is not None and rounds[-1].accuracy >= loop.target):
            return rounds
        pool = _pool(task, codes, labeled, learner, strategy, made, rng)
        batch = select(strategy, pool, n, seed=int(rng.integers(2**31))).places


def _pool(
    task: Task,
    codes: Int64[Array, "items"],
    labeled: Bool[Array, "items"],
    learner: Learner | int,
    strategy: str,
    made: Made,
    rng: np.random.Generator,
) -> Pool:
    probs = _probs(task, learner, task.rows)
    if strategy not in NEEDS_COMMITTEE:
        return Pool(probs=probs, rows=task.rows, labeled=labeled)
    known = np.flatnonzero(labeled)
    members = list[Array]()
    for member in range(MEMBERS):
        drawn = np.zeros(len(codes), np.int64)
        np.add.at(drawn, rng.choice(known, len(known)), 1)
        members.append(_probs(task, _taught(task, codes, drawn > 0, made, member), task.rows))
    return Pool(probs=probs, committee=np.stack(members), labeled=labeled)


def _taught(
    task: Task, codes: Int64[Array, "items"], chosen: Bool[Array, "items"], made: Made, seed: int
) -> Learner | int:
    """A learner; while only one class was seen, that class."""
    seen = np.unique(codes[chosen])
    if len(seen) == 1:
        return int(seen[0])
    learner = made(seed)
    learner.fit(task.rows[chosen], codes[chosen])
    return learner


def _probs(task: Task, learner: Learner | int, rows: Float[Array, "some dimensions"]) -> Float64[Array, "some classes"]:
    found = np.zeros((len(rows), task.n_classes))
    if isinstance(learner, int):
        found[:] = 1.0 / task.n_classes
    else:
        seen: Any = learner
        found[:, np.asarray(seen.classes_, np.int64)] = learner.predict_proba(rows)
    return found


def _accuracy(task: Task, learner: Learner | int) -> float:
    if isinstance(learner, int):
        return float((task.test_codes == learner).mean())
    return float((_probs(task, learner, task.test_rows).argmax(axis=1) == task.test_codes).mean())


# ---- beside each other ----------------------------------------------------------------------------------------------
def labels_to_reach(curve: Sequence[Round], accuracy: float) -> float | None:
    """Labels at which a curve first reaches an accuracy, straight lines between rounds; None where it never does."""
    before: Round | None = None
    for each in curve:
        if each.accuracy >= accuracy:
            if before is None or each.accuracy == before.accuracy:
                return float(each.labels)
            share = (accuracy - before.accuracy) / (each.accuracy - before.accuracy)
            return before.labels + share * (each.labels - before.labels)
        before = each
    return None


def side_by_side(
    curves: Sequence[Sequence[Round]],
) -> tuple[Int64[Array, "rounds"], Float64[Array, "seeds rounds"]]:
    """Labels of every round, and the accuracies; a curve that stopped at its target stays where it was."""
    longest = max(curves, key=len, default=())
    accuracy = [[curve[min(at, len(curve) - 1)].accuracy for at in range(len(longest))] for curve in curves]
    return np.array([each.labels for each in longest], np.int64), np.array(accuracy).reshape(len(curves), len(longest))


def mean_curve(curves: Sequence[Sequence[Round]]) -> list[Round]:
    """The mean over seeds, round by round."""
    labels, accuracy = side_by_side(curves)
    return [Round(*each) for each in zip(labels.tolist(), accuracy.mean(axis=0).tolist(), strict=True)]


def saving(
    own: Sequence[Sequence[Round]],
    random: Sequence[Sequence[Round]],
    *,
    target: float | None = None,
    seed: int = 0,
) -> Interval | None:
    """Labels that a strategy needs over those of random order, for a target or for what random order has at its end.

    Curves of the same seeds are paired, and the interval is over resamples of seeds. For a target, labels at which it
    is reached are compared, all labels where it never is; without one, means over seeds, at most 1. None without seeds.
    """
    if not own or len(own) != len(random):
        return None
    rng = np.random.default_rng(seed)
    everyone = np.arange(len(own))
    drawn = [_ratio(own, random, target, rng.choice(everyone, len(own))) for _ in range(DRAWS)]
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(_ratio(own, random, target, everyone), float(low), float(high), float(np.std(drawn)))


def _ratio(
    own: Sequence[Sequence[Round]],
    random: Sequence[Sequence[Round]],
    target: float | None,
    seeds: Int64[Array, "seeds"],
) -> float:
    drawn = [[curves[at] for at in seeds.tolist()] for curves in (own, random)]
    if target is not None:
        needed = [sum(labels_to_reach(curve, target) or curve[-1].labels for curve in curves) for curves in drawn]
        return needed[0] / needed[1]
    mine, theirs = map(mean_curve, drawn)
    reached = labels_to_reach(mine, theirs[-1].accuracy)
    return 1.0 if reached is None else reached / theirs[-1].labels
