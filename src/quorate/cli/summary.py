"""What a consensus says, in a few figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from quorate.consensus.posterior import Consensus, Target

EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
SURE = 0.9  # an answer below this still asks for a person


class TaskSummary(NamedTuple):
    """What the consensus says of one task."""

    predicts: str
    answers: int  # on items about which a person or a model spoke
    unheard: int  # the other items: their answers rest on other tasks, or on what is usual
    labels_per_item: float
    sure: int  # answers with a confidence of at least .9
    expected_accuracy: float | None  # the mean confidence


class Step(NamedTuple):
    """How many answers have a confidence from low to high."""

    low: float
    high: float
    answers: int


class Summary(NamedTuple):
    """What the consensus says of all tasks."""

    tasks: dict[str, TaskSummary]
    histogram: tuple[Step, ...]
    all_tasks_right: float | None  # mean probability that every task of an item is right


def summarised(consensus: Consensus) -> Summary:
    """The figures of a consensus, per task and over all."""
    names = [task.name for task in consensus.schema.tasks]
    heard = [_heard(consensus, t) for t in range(len(names))]
    parts = [consensus.confidence(name)[told] for name, told in zip(names, heard, strict=True)]
    confidence = np.concatenate(parts or [np.zeros(0)])
    # the last edge is open upwards: a confidence of 1 may be 1 + 1e-16
    targets = zip(names, consensus.targets, heard, strict=True)
    tasks = {name: _task(consensus, name, target, told) for name, target, told in targets}
    counts = np.histogram(confidence, (*EDGES[:-1], np.inf))[0]
    steps = zip(EDGES[:-1], EDGES[1:], counts.tolist(), strict=True)
    joint = consensus.joint_confidence() if names and consensus.items else None
    return Summary(tasks, tuple(Step(*step) for step in steps), None if joint is None else float(joint.mean()))


def _heard(consensus: Consensus, task: int) -> np.ndarray:
    """The items about which anybody spoke."""
    if consensus.agents_seen is None:
        return np.ones(len(consensus.items), bool)
    return consensus.agents_seen[:, task]


def _task(consensus: Consensus, name: str, target: Target, heard: np.ndarray) -> TaskSummary:
    confidence, n_labels = consensus.confidence(name)[heard], consensus.n_labels(name)[heard]
    n = len(confidence)
    return TaskSummary(
        target_in_words(target),
        n,
        len(heard) - n,
        float(n_labels.mean()) if n else 0.0,
        int((confidence >= SURE).sum()),
        float(confidence.mean()) if n else None,
    )


def target_in_words(target: Target) -> str:
    """What is predicted: the majority of 5 people, the expert's label, or the latent class."""
    if target.kind == "gold":
        return "the expert's label"
    if target.kind == "latent" or target.n is None:
        return "the latent class"
    sizes = np.unique(target.n)
    if len(sizes) > 1:
        return f"the majority of {sizes[0]} to {sizes[-1]} people"
    return "the label of one person" if sizes[0] == 1 else f"the majority of {sizes[0]} people"


def in_words(consensus: Consensus) -> str:
    """What is predicted, for all tasks in one phrase: the majority of 5 people (a, b), the expert's label (c)."""
    tasks_of: dict[str, list[str]] = {}
    for task, target in zip(consensus.schema.tasks, consensus.targets, strict=True):
        tasks_of.setdefault(target_in_words(target), []).append(task.name)
    if len(tasks_of) == 1:
        return next(iter(tasks_of))
    return "; ".join(f"{words} ({', '.join(names)})" for words, names in tasks_of.items())
