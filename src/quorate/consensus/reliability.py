"""How often each agent is right, what it says when wrong, and what is odd about it, on one task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from quorate.consensus.witness import Witness
from quorate.data.encode import Coded
from quorate.measure.accuracy import Accuracy, accuracy, expected_accuracy
from quorate.measure.mixture import Rows
from quorate.schema import Task

Array = np.ndarray
Kind = Literal["annotator", "model"]
Flag = Literal["constant", "worse than chance", "too few labels to tell"]

FEW = 10.0  # answers with a certain truth; with fewer, an accuracy says next to nothing
LEAST = 3.0  # with less, there is no accuracy to speak of
SURPRISE = 1e-3  # P(the same answer every time by an honest agent), below which an agent is called constant

UNJUDGED = "no person and no gold has spoken on its items"
VAGUE = "the others say too little about its items"


class AgentFigure(NamedTuple):
    """One agent on one task; without accuracy, low, high and se where `reason` says why."""

    agent: str
    kind: Kind
    task: str
    n: int  # answers
    n_gold: int  # of them on items with gold
    n_effective: float  # answers with a certain truth that would tell as much
    accuracy: float | None
    low: float | None
    high: float | None
    se: float | None
    chance: float | None  # accuracy of one who gives each class as often, but blindly
    flags: tuple[Flag, ...]
    reason: str | None


class Confusion(NamedTuple):
    """What one agent says of each true class: rows are true classes, columns answers, both as `classes`."""

    classes: tuple[str, ...]
    estimate: Float64[Array, "classes classes"]  # rows sum to 1
    low: Float64[Array, "classes classes"]
    high: Float64[Array, "classes classes"]
    truth_n: Float64[Array, "classes"]  # expected answers on items of each true class; a row without any says nothing


class Judged(NamedTuple):
    """The figures of one agent on one task."""

    figure: AgentFigure
    confusion: Confusion


def judged_people(coded: Coded, task_code: int, of: Witness, level: float) -> list[Judged]:
    """Every annotator who answered this task."""
    person = coded.labels.annotator[of.position].astype(np.int64)
    order = np.argsort(person, kind="stable")
    order = order[np.searchsorted(person[order], 0) :]  # -1: somebody without a name here
    start = np.searchsorted(person[order], np.arange(len(coded.annotators) + 1))
    answer = coded.labels.code[of.position][order].astype(np.int64)
    rows = Rows(of.of_label, order, answer, np.full(len(order), -1), start.astype(np.int64))
    on_gold = of.gold[of.item[order]] >= 0
    found = accuracy(rows, of.credit, level)
    return _judged(coded.schema.tasks[task_code], "annotator", coded.annotators, rows, rows.size, on_gold, found)


def judged_models(coded: Coded, task_code: int, of: Witness, level: float) -> list[Judged]:
    """Every model that answered this task, on the items where people or gold have spoken."""
    answer = coded.outputs[task_code].answer.astype(np.int64)
    model, item = np.nonzero((answer >= 0).T & of.known)
    start = np.searchsorted(model, np.arange(len(coded.models) + 1))
    rows = Rows(of.of_item, item, answer[item, model], np.full(len(item), -1), start.astype(np.int64))
    n = (answer >= 0).sum(axis=0)
    found = expected_accuracy(rows, level)
    return _judged(coded.schema.tasks[task_code], "model", coded.models, rows, n, of.gold[item] >= 0, found)


def _judged(
    task: Task,
    kind: Kind,
    names: Sequence[str],
    rows: Rows,
    answers: Int64[Array, "agents"],
    on_gold: Bool[Array, "rows"],
    found: Accuracy,
) -> list[Judged]:
    agent = np.repeat(np.arange(len(names)), rows.size)
    n_gold = np.bincount(agent, on_gold, minlength=len(names)).astype(np.int64)
    constant = _constant(rows, agent, found)
    judged: list[Judged] = []
    for a in np.flatnonzero(answers > 0).tolist():
        known = found.n_effective[a] >= LEAST
        flags, reason = _remarks(found, a, constant=bool(constant[a]))
        figure = AgentFigure(
            agent=names[a],
            kind=kind,
            task=task.name,
            n=int(answers[a]),
            n_gold=int(n_gold[a]),
            n_effective=float(found.n_effective[a]),
            accuracy=float(found.right.estimate[a]) if known else None,
            low=float(found.right.low[a]) if known else None,
            high=float(found.right.high[a]) if known else None,
            se=float(found.right.se[a]) if known else None,
            chance=float(found.chance[a]) if known else None,
            flags=flags,
            reason=reason,
        )
        of = found.confusion
        confusion = Confusion(task.classes, of.estimate[a], of.low[a], of.high[a], found.truth_n[a])
        judged.append(Judged(figure, confusion))
    return judged


def _remarks(found: Accuracy, agent: int, *, constant: bool) -> tuple[tuple[Flag, ...], str | None]:
    """What is odd about it, and why it has no accuracy if it has none."""
    few = bool(found.n_effective[agent] < FEW)
    below = not few and bool(found.right.high[agent] < found.chance[agent])
    flags: dict[Flag, bool] = {"constant": constant, "worse than chance": below, "too few labels to tell": few}
    unknown = UNJUDGED if found.n[agent] == 0 else VAGUE if found.n_effective[agent] < LEAST else None
    return tuple(flag for flag, raised in flags.items() if raised), unknown


def _constant(rows: Rows, agent: Int64[Array, "rows"], found: Accuracy) -> Bool[Array, "agents"]:
    """Always the same class, where an honest agent would hardly have done so by chance.

    The chance that one answer is that class is its share among the truths of the agent's items or among everybody's
    answers, whichever is larger.
    """
    n_classes, size = found.truth_n.shape[1], rows.size
    counts = np.bincount(agent * n_classes + rows.first, minlength=len(size) * n_classes).reshape(-1, n_classes)
    usual = counts.argmax(axis=1)
    truth = found.truth_n[np.arange(len(size)), usual] / np.maximum(size, 1)
    common = (counts.sum(axis=0) / max(counts.sum(), 1))[usual]
    by_chance = size * np.log(np.clip(np.maximum(truth, common), 1e-12, 1.0))
    return (size > 0) & (counts.max(axis=1, initial=0) == size) & (by_chance < np.log(SURPRISE))
