"""What stopping early would have saved: families of policies replayed on items whose models never saw them.

Every policy goes as a campaign would (`policy.replay`): a task that stopped buys nothing more. Chosen is the cheapest
threshold of per-task confidence at which both halves of the items, each under its own model, reach the floor. Its share
of labels has the interval of choosing anew on items drawn anew. How far a choice can be trusted at all is told by the
accuracy of each half at the threshold that the other half would have chosen alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.consensus.registry import estimator
from quorate.data.encode import Coded
from quorate.evaluate.protocol import MOST_LABELS, n_labels, truth_of
from quorate.measure.efficiency import Estimate
from quorate.measure.intervals import Interval
from quorate.policy.outcome import Replayed
from quorate.policy.prices import Prices
from quorate.policy.replay import replay_folds
from quorate.policy.steps import Fold
from quorate.policy.stopping import (
    FixedOverlap,
    Joint,
    MajorityAgreement,
    Maximum,
    Mean,
    Minimum,
    PerTaskConfidence,
    PerTaskEntropy,
    Policy,
    Product,
)
from quorate.report import ladder
from quorate.report.ladder import Ladder
from quorate.report.words import TARGETS

Array = np.ndarray
Progress = Callable[[float, str], None]
CHOSEN = "per-task-confidence"
OVERLAP = "fixed-overlap"
TODAY = "votes-alone"
TITLES = {
    CHOSEN: "each question by itself",
    "minimum": "all questions of an item at once",
    OVERLAP: "as many labels for all",
    "majority-agreement": "until people agree",
    TODAY: "as many labels for all, votes alone",
    "per-task-entropy": "each question by itself, by entropy",
    "mean": "by the mean confidence",
    "maximum": "by the largest confidence",
    "joint": "by the joint confidence",
    "product": "by the product of confidences",
}
SHARES = np.unique(np.concatenate([[0.0], 1.0 - np.geomspace(0.8, 1e-4, 46), [1.0]]))
NATS = np.concatenate([[np.inf], np.geomspace(2.5, 1e-3, 30), [0.0]])  # entropies, falling
BELOW_ALL = 0.01  # accuracy given up against all labels, where no policy reaches the floor
WHOLE_ITEM: tuple[Callable[[float], Policy], ...] = (Minimum, Mean, Maximum, Joint, Product)


class Family(NamedTuple):
    """One kind of policy at all its thresholds."""

    name: str
    title: str
    threshold: tuple[float, ...]
    share: tuple[float, ...]  # of the cost of all labels
    accuracy: tuple[float, ...]
    accuracy_se: tuple[float | None, ...]


class Stop(NamedTuple):
    """Where one threshold leads."""

    rung: int  # its place among the thresholds
    threshold: float
    share: Interval  # of the labels
    accuracy: Estimate
    checked: Estimate | None  # where each half is judged at the threshold that the other chose alone


class TaskRow(NamedTuple):
    """One task; None where the data cannot tell."""

    task: str
    target: str
    labels: int
    judged: int  # answers with a truth
    agreement: float | None  # share of the pairs of people who gave one answer
    none: Estimate | None  # accuracy without any label
    stopped: Estimate | None  # at the chosen threshold
    all: Estimate | None  # with all labels
    share: float  # of its labels bought at the chosen threshold
    alone: float | None  # share of its labels that brings this task to the floor


class Savings(NamedTuple):
    """What was saved."""

    floor: float
    goal: float  # the accuracy asked for: the floor, or where nothing reaches it, a little below all labels
    target: str
    stop: Stop
    all: Estimate  # accuracy with all labels
    none: Estimate
    votes: Estimate | None  # accuracy of votes alone with all labels
    labels: int  # of the whole data set, as far as they count
    cost: float  # of them, in the currency of the price
    items: int  # replayed
    families: tuple[Family, ...]
    tasks: tuple[TaskRow, ...]

    @property
    def reached(self) -> bool:
        """Whether the goal is the floor."""
        return self.goal == self.floor


def savings(
    folds: Sequence[Fold],
    votes: Sequence[Fold],
    coded: Coded,
    floor: float,
    price: float,
    progress: Progress | None = None,
) -> Savings:
    """All families replayed on these folds; `votes`: the same folds under people's majority."""
    kinds = swept(folds)
    found = replay_folds(folds, [policy for of in kinds.values() for policy in of], Prices(price), progress)
    parts = _apart(found, kinds)
    by_votes = replay_folds(votes, kinds[OVERLAP], Prices(price))
    chosen = ladder.of_replayed(parts[CHOSEN], SHARES)
    bought = ladder.of_replayed(by_votes, _numbers(kinds[OVERLAP]))
    goal = _goal(chosen, floor)
    stop = _stop(chosen, goal, found, folds)
    labels = int(np.minimum(n_labels(coded), MOST_LABELS).sum())
    ladders = {name: ladder.of_replayed(part, _numbers(kinds[name])) for name, part in parts.items()} | {TODAY: bought}
    return Savings(
        floor=floor,
        goal=goal,
        target=" or ".join(dict.fromkeys(TARGETS[kind] for kind in folds[0].truth.kind)),
        stop=stop,
        all=_accuracy(chosen, -1),
        none=_accuracy(chosen, 0),
        votes=_accuracy(bought, -1),
        labels=labels,
        cost=labels * price,
        items=len(found.items),
        families=tuple(_family(name, ladders[name]) for name in TITLES if name in ladders),
        tasks=tuple(_task_row(coded, t, parts[CHOSEN], stop.rung, floor, folds) for t in range(coded.n_tasks)),
    )


def vote_folds(folds: Sequence[Fold]) -> tuple[Fold, ...]:
    """The same items under people's majority, which learns nothing from the other half."""
    return tuple(fold._replace(model=estimator("majority").fit(fold.judge)) for fold in folds)


def swept(folds: Sequence[Fold]) -> dict[str, list[Policy]]:
    """The policies of every family, from the least bought to the most; without twins where there is one task."""
    most = max(int(n_labels(fold.judge).max(initial=0)) for fold in folds)
    several = len(folds[0].judge.schema) > 1
    kinds: dict[str, list[Policy]] = {
        CHOSEN: [PerTaskConfidence(float(each)) for each in SHARES],
        "per-task-entropy": [PerTaskEntropy(float(each)) for each in NATS],
        OVERLAP: [FixedOverlap(n) for n in range(most + 1)],
    }
    if most > 2:
        kinds["majority-agreement"] = [MajorityAgreement(float(x), 2, most) for x in np.linspace(0.5, 1.0, 11)]
    if several:
        kinds |= {kind(1.0).name: [kind(float(each)) for each in SHARES] for kind in WHOLE_ITEM}
    return kinds


def _apart(found: Replayed, kinds: dict[str, list[Policy]]) -> dict[str, Replayed]:
    parts: dict[str, Replayed] = {}
    at = 0
    for name, of in kinds.items():
        rest = (found.n_labels, found.full_cost, found.counted, found.schema, found.items)
        parts[name] = Replayed(found.outcomes[at : at + len(of)], *rest)
        at += len(of)
    return parts


def _numbers(policies: Sequence[Policy]) -> Float64[Array, "rungs"]:
    settings = ("threshold", "labels", "share")
    return np.array([next(getattr(each, name) for name in settings if hasattr(each, name)) for each in policies], float)


# ---- the choice -----------------------------------------------------------------------------------------------------
def _goal(of: Ladder, floor: float) -> float:
    best = float(of.accuracy().max())
    return floor if best >= floor - ladder.SLACK else max(float(of.accuracy()[-1]) - BELOW_ALL, 0.0)


def _stop(of: Ladder, goal: float, found: Replayed, folds: Sequence[Fold]) -> Stop:
    """The cheapest threshold at which both halves, each under its own model, reach the goal."""
    halves = _halves(found, folds)

    def choice(weight: Float64[Array, "items"]) -> int | None:
        return ladder.cheapest(of, goal, [half * weight for half in halves])

    def drawn_anew(weight: Float64[Array, "items"]) -> float:
        place = choice(weight)
        return 1.0 if place is None else float(weight @ of.cost[:, place] / (weight @ of.full))

    at = choice(np.ones(len(of.cells)))
    at = len(of.threshold) - 1 if at is None else at
    share = float(of.share()[at])
    spread = ladder.interval_of(share, ladder.drawn(len(of.cells), drawn_anew))
    assert spread is not None  # every draw has a share
    return Stop(at, float(of.threshold[at]), spread, _accuracy(of, at), _checked(of, goal, halves))


def _checked(of: Ladder, goal: float, halves: Sequence[Float64[Array, "items"]]) -> Estimate | None:
    """Accuracy where each half is judged at the threshold that the other half chose alone."""
    places = [ladder.cheapest(of, goal, [other]) for other in halves[::-1]]
    if any(place is None for place in places) or not all((of.cells * half).any() for half in halves):
        return None
    credit = sum(of.credit[:, place] * half for place, half in zip(places, halves, strict=True))
    return ladder.ratio(np.asarray(credit), of.cells)


def _halves(found: Replayed, folds: Sequence[Fold]) -> tuple[Float64[Array, "items"], Float64[Array, "items"]]:
    """Weights 1 and 0: the items of the first fold and of the second; of one fold, every other item."""
    first = np.zeros(len(found.items))
    first[folds[0].place if len(folds) > 1 else slice(None, None, 2)] = 1.0
    return first, 1.0 - first


def _accuracy(of: Ladder, at: int) -> Estimate:
    return ladder.ratio(of.credit[:, at], of.cells)


def _family(name: str, of: Ladder) -> Family:
    each = [_accuracy(of, at) for at in range(len(of.threshold))]
    return Family(
        name,
        TITLES[name],
        tuple(float(x) if np.isfinite(x) else None for x in of.threshold),  # type: ignore[misc]
        tuple(of.share().tolist()),
        tuple(one.value for one in each),
        tuple(one.se for one in each),
    )


# ---- tasks ----------------------------------------------------------------------------------------------------------
def _task_row(coded: Coded, t: int, found: Replayed, at: int, floor: float, folds: Sequence[Fold]) -> TaskRow:
    of = ladder.of_replayed(found, SHARES, t)
    known, bought = bool(of.cells.sum()), float(of.full.sum())
    none, stopped, every = (_accuracy(of, place) if known else None for place in (0, at, -1))
    return TaskRow(
        task=coded.schema.tasks[t].name,
        target=TARGETS[folds[0].truth.kind[t]],
        labels=int(n_labels(coded)[:, t].sum()),
        judged=int((truth_of(coded).code[:, t] >= 0).sum()),
        agreement=agreement(coded.counts(t)),
        none=none,
        stopped=stopped,
        all=every,
        share=float(of.cost[:, at].sum()) / bought if bought else 0.0,
        alone=ladder.needed(of, floor) if known and bought else None,
    )


def agreement(counts: Array) -> float | None:
    """Share of the pairs of labels on one item that are alike; None without pairs.

    >>> agreement(np.array([[2, 0], [1, 1]]))
    0.5
    """
    n = counts.sum(axis=1)
    pairs = float((n * (n - 1)).sum())
    return float((counts * (counts - 1)).sum()) / pairs if pairs else None
