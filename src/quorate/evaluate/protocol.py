"""How an estimator is judged: the same protocol for all, on any data set.

Half of the items teach, the other half is replayed label by label by a model that never saw it, and the reverse. Labels
come in a seeded random order (recorded order means little), at most MOST_LABELS per item and task; at most MOST_ITEMS
items. Everything random hangs on the place of items and of label rows in the tables, never on names: renaming changes
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int16, Int32, Int64

from quorate.consensus.estimator import Given, Model
from quorate.consensus.posterior import Consensus, Kind, PeopleRows, Target
from quorate.data.encode import Coded
from quorate.errors import DataError
from quorate.measure.efficiency import Estimate

Array = np.ndarray
MOST_ITEMS = 4_000
MOST_LABELS = 10
FLOOR = 1e-6  # a probability below it counts as this much: one wrong certainty must not outweigh everything
TIE = 1e-9  # probabilities closer than this are tied, and share the credit


# ---- what is judged -------------------------------------------------------------------------------------------------
class Truth(NamedTuple):
    """What counts as right, -1 where nothing does; and of what kind it is, task by task."""

    code: Int16[Array, "items tasks"]
    kind: tuple[Kind, ...]

    def select(self, index: Int64[Array, "kept"]) -> Truth:
        """The truth of these items."""
        return Truth(self.code[index], self.kind)


@dataclass(frozen=True, eq=False)
class Trial:
    """A data set made ready: sampled, in random label order, with its truth and two folds over items."""

    coded: Coded
    truth: Truth
    folds: tuple[Int64[Array, "half"], Int64[Array, "other_half"]]

    def halves(self) -> list[tuple[Coded, Coded, Truth]]:
        """Twice: what teaches; what is replayed, without its gold; and the truth to judge by."""
        first, second = self.folds
        return [
            (self.coded.select(teach), without_gold(self.coded.select(judge)), self.truth.select(judge))
            for teach, judge in ((first, second), (second, first))
        ]


def trial(coded: Coded, *, seed: int = 0) -> Trial:
    """Sample the items that carry something to judge, shuffle and cap their labels, find the truth, split in two.

    Raises DataError when fewer than two items carry gold, or two labels on one task.
    """
    rng = np.random.default_rng(seed)
    items = np.flatnonzero(judgeable(coded))
    if len(items) < 2:
        raise DataError(
            f"{len(items)} items have a gold label or two people's labels on one task; judging takes at least two",
            mend="add gold labels, or more people's labels per item",
        )
    kept = np.sort(rng.permutation(items)[:MOST_ITEMS])
    chosen = shuffled(coded.select(kept), rng).first_labels(MOST_LABELS)
    order = rng.permutation(len(kept))
    middle = len(kept) // 2
    return Trial(chosen, truth_of(chosen), (np.sort(order[:middle]), np.sort(order[middle:])))


def judgeable(coded: Coded) -> Bool[Array, "items"]:
    """Items with gold on a task, or two labels on one."""
    return np.any(coded.gold >= 0, axis=1) | np.any(n_labels(coded) >= 2, axis=1)


def n_labels(coded: Coded) -> Int64[Array, "items tasks"]:
    """People's labels per item and task."""
    return np.diff(coded.labels.start).reshape(coded.n_items, coded.n_tasks)


def shuffled(coded: Coded, rng: np.random.Generator) -> Coded:
    """The labels of every item and task in random order; the order hangs on the rows of the labels table."""
    labels = coded.labels
    key = rng.random(int(labels.row.max(initial=-1)) + 1)
    order = np.lexsort((key[labels.row], coded.cell_of_label()))
    moved = labels._replace(annotator=labels.annotator[order], code=labels.code[order], row=labels.row[order])
    return replace(coded, labels=moved)


def without_gold(coded: Coded) -> Coded:
    """The same items, their gold hidden."""
    return replace(coded, gold=np.full_like(coded.gold, -1))


def truth_of(coded: Coded) -> Truth:
    """Gold where a task has any; else the one class that most people chose, of two labels or more (ties left out)."""
    has_gold = np.any(coded.gold >= 0, axis=0)
    code = [coded.gold[:, t] if has_gold[t] else strict_majority(coded.counts(t)) for t in range(coded.n_tasks)]
    return Truth(np.column_stack(code), tuple("gold" if gold else "panel" for gold in has_gold))


def strict_majority(counts: Int32[Array, "items classes"]) -> Int16[Array, "items"]:
    """The class with the most labels; -1 for a tie or fewer than two labels.

    >>> strict_majority(np.array([[2, 1], [1, 1], [1, 0]], np.int32)).tolist()
    [0, -1, -1]
    """
    single = (counts == counts.max(axis=1, keepdims=True)).sum(axis=1) == 1
    return np.where(single & (counts.sum(axis=1) >= 2), counts.argmax(axis=1), -1).astype(np.int16)


# ---- hidden labels --------------------------------------------------------------------------------------------------
class Hidden(NamedTuple):
    """Predictions of labels that were hidden, one entry per label; grouped by task."""

    item: Int64[Array, "held"]
    loss: Float64[Array, "held"]  # -log P(the label), in nats
    hit: Float64[Array, "held"]  # 1 where it was the most probable, shared among ties


def last_labels(coded: Coded) -> Int64[Array, "held"]:
    """The place of the last label of every item-task that has two or more."""
    start = coded.labels.start
    return start[1:][np.diff(start) >= 2] - 1


def hidden(model: Model, coded: Coded, given: Given) -> Hidden:
    """Hide the last label of every item-task with two or more, one at a time, and predict it."""
    found = model.held_out(coded, last_labels(coded), given)
    parts = [
        (places, score_of(probs, coded.labels.code[places]))
        for places, probs in zip(found.positions, found.label, strict=True)
    ]
    cell = coded.cell_of_label()[np.concatenate([places for places, _ in parts])]
    losses, hits = (np.concatenate([score[part] for _, score in parts]) for part in range(2))
    return Hidden(cell // coded.n_tasks, losses, hits)


class Score(NamedTuple):
    """How good probabilities were."""

    loss: Float64[Array, "rows"]  # nats
    credit: Float64[Array, "rows"]


def score_of(probs: Float64[Array, "rows classes"], code: Int16[Array, "rows"]) -> Score:
    """Log loss with probabilities floored at FLOOR, in nats; credit 1 for the most probable class, shared among ties.

    >>> score_of(np.array([[0.5, 0.5, 0.0]]), np.array([2], np.int16)).loss.round(2).tolist()
    [13.82]
    """
    said = np.take_along_axis(probs, code[:, None].astype(np.int64), axis=1)[:, 0]
    best = probs >= probs.max(axis=1, keepdims=True) - TIE
    is_best = np.take_along_axis(best, code[:, None].astype(np.int64), axis=1)[:, 0]
    return Score(-np.log(np.maximum(said, FLOOR)), is_best / best.sum(axis=1))


# ---- label by label -------------------------------------------------------------------------------------------------
class State(NamedTuple):
    """After so many labels; credit and loss are 0 where there is no truth."""

    confidence: Float64[Array, "items tasks"]
    credit: Float64[Array, "items tasks"]
    loss: Float64[Array, "items tasks"]  # nats


class Replay(NamedTuple):
    """The states after 0, 1, 2, ... labels of every item-task."""

    confidence: Float64[Array, "steps items tasks"]
    credit: Float64[Array, "steps items tasks"]
    loss: Float64[Array, "steps items tasks"]  # nats


def replay(model: Model, coded: Coded, truth: Truth) -> Replay:
    """Predict the truth after at most j labels of every item-task, j from 0 to the most that any has."""
    states: list[State] = []
    for j in range(int(n_labels(coded).max(initial=0)) + 1):
        consensus = aimed(model.predict(coded.first_labels(j)), coded, truth)
        states.append(judged([consensus.probs(task.name) for task in coded.schema.tasks], truth))
    return stacked(states)


def stacked(states: Sequence[State]) -> Replay:
    """One state after the other."""
    return Replay(*(np.stack(part) for part in zip(*states, strict=True)))


def aimed(consensus: Consensus, coded: Coded, truth: Truth) -> Consensus:
    """The consensus on what it is judged by: see `target_of`; a panel has all the people who labeled the item-task."""
    size = np.maximum(n_labels(coded), 1).astype(np.int32)
    targets = tuple(
        target_of(rows, size[:, t], kind)
        for t, (rows, kind) in enumerate(zip(consensus.people, truth.kind, strict=True))
    )
    return replace(consensus, targets=targets)


def target_of(rows: PeopleRows, size: Int32[Array, "items"], kind: Kind) -> Target:
    """Gold where it is the truth and the model learned it; else the panel, ties aside; else the model's own shares."""
    if kind == "gold" and rows.gold is not None:
        return Target("gold")
    if kind != "latent" and rows.population is not None:
        return Target("panel", size, "exclude")
    return Target("latent")


def judged(probs: Sequence[Float64[Array, "items _classes"]], truth: Truth) -> State:
    """How sure, how right and how surprised one is with these probabilities, one array per task."""
    confidence, credit, loss = (np.zeros(truth.code.shape) for _ in range(3))
    for t, of_task in enumerate(probs):
        known = truth.code[:, t] >= 0
        score = score_of(of_task[known], truth.code[known, t])
        confidence[:, t] = of_task.max(axis=1)
        credit[known, t], loss[known, t] = score.credit, score.loss
    return State(confidence, credit, loss)


# ---- means ----------------------------------------------------------------------------------------------------------
def clustered_mean(values: Float64[Array, "rows"], cluster: Int64[Array, "rows"]) -> Estimate:
    """Mean and its standard error, rows of one cluster taken as dependent [liang1986]; no error from one cluster.

    se^2 = C / (C - 1) * sum_c (sum_(i in c) (x_i - mean))^2 / n^2 over C clusters.

    >>> clustered_mean(np.array([1.0, 1.0, 3.0, 3.0]), np.array([0, 0, 1, 1]))
    Estimate(value=2.0, se=1.0)
    """
    mean = values.mean()
    sums = np.bincount(np.unique(cluster, return_inverse=True)[1], values - mean)
    n_clusters = len(sums)
    if n_clusters < 2:
        return Estimate(float(mean), None)
    variance = n_clusters / (n_clusters - 1) * (sums**2).sum() / len(values) ** 2
    return Estimate(float(mean), float(np.sqrt(variance)))
