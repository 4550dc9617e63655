"""Everybody who labeled, over all tasks: how often right, and who is worth a look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from quorate.consensus.agents import Agents
from quorate.consensus.reliability import FEW, AgentFigure
from quorate.consensus.shared_errors import TOGETHER, PairFigure
from quorate.measure.intervals import normal_quantile

CLEARLY_BELOW = 0.10  # the whole interval lies this far under what the others reach on the same tasks
LEAST_COMMON_ERRORS = 5  # of two people, before anybody is asked about them


class Person(NamedTuple):
    """One annotator or model over all its tasks; None where too little is known."""

    name: str
    answers: int
    tasks: int
    accuracy: float | None
    low: float | None
    high: float | None
    others: float | None  # accuracy of all of its kind on the same tasks, in the same proportions
    flags: tuple[str, ...]  # why to look, in words


class People(NamedTuple):
    """Those to look at first, then the others by name; tasks apart in their errors."""

    shown: tuple[Person, ...]
    flagged: int
    judged: int  # with an accuracy


def people(found: Agents, kind: str = "annotator") -> People:
    """All agents of a kind that answered anything."""
    figures = [figure for figure in found.agents if figure.kind == kind]
    usual = _usual(figures)
    by_name: defaultdict[str, list[AgentFigure]] = defaultdict(list)
    for figure in figures:
        by_name[figure.agent].append(figure)
    together = _together(found.shared.pairs, kind)
    rows = [_person(name, of, usual, together.get(name, ()), found.level) for name, of in by_name.items()]
    rows.sort(key=lambda row: (not row.flags, row.accuracy is None, row.accuracy or 0.0, row.name))
    return People(tuple(rows), sum(bool(row.flags) for row in rows), sum(row.accuracy is not None for row in rows))


def _usual(figures: Sequence[AgentFigure]) -> dict[str, float]:
    """Accuracy of all of them on every task, weighted by what is known of each."""
    total: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for figure in figures:
        if figure.accuracy is not None:
            total[figure.task][0] += figure.n_effective * figure.accuracy
            total[figure.task][1] += figure.n_effective
    return {task: right / n for task, (right, n) in total.items()}


def _person(
    name: str, of: Sequence[AgentFigure], usual: dict[str, float], partners: Sequence[str], level: float
) -> Person:
    known = [figure for figure in of if figure.accuracy is not None and figure.se is not None]
    weight = np.array([figure.n_effective for figure in known])
    enough = bool(weight.sum() >= FEW)
    answers, n_tasks = sum(figure.n for figure in of), len(of)
    flags = [*_odd(of), *(f"errs together with {partner}" for partner in partners)]
    if not enough:
        return Person(name, answers, n_tasks, None, None, None, None, tuple(flags))
    share = weight / weight.sum()
    accuracy = float(share @ [figure.accuracy for figure in known])
    se = float(np.sqrt((share**2) @ [figure.se**2 for figure in known if figure.se is not None]))
    others = float(share @ [usual[figure.task] for figure in known])
    low, high = _interval(known, accuracy, se, level)
    if high < others - CLEARLY_BELOW:
        flags.insert(0, "clearly below the others")
    return Person(name, answers, n_tasks, accuracy, low, high, others, tuple(flags))


def _interval(known: Sequence[AgentFigure], accuracy: float, se: float, level: float) -> tuple[float, float]:
    """Of one task its own; over several, two-sided normal, from 0 to 1."""
    if len(known) == 1 and known[0].low is not None and known[0].high is not None:
        return known[0].low, known[0].high
    reach = normal_quantile(level) * se
    return max(accuracy - reach, 0.0), min(accuracy + reach, 1.0)


def _odd(of: Sequence[AgentFigure]) -> list[str]:
    """Flags of single tasks, with the tasks they are from where there are several."""
    found: list[str] = []
    for flag, words in (("constant", "always the same answer"), ("worse than chance", "worse than chance")):
        tasks = [figure.task for figure in of if flag in figure.flags]
        if tasks:
            found.append(words if len(of) == 1 else f"{words} on {_tasks(tasks)}")
    return found


def _tasks(tasks: Sequence[str]) -> str:
    return tasks[0] if len(tasks) == 1 else f"{len(tasks)} tasks"


def _together(pairs: Sequence[PairFigure], kind: str) -> dict[str, list[str]]:
    """With whom somebody clearly errs together, most clearly first."""
    close = [
        pair
        for pair in pairs
        if pair.kind == kind == "annotator"
        and (pair.low or 0.0) > TOGETHER
        and pair.n * (pair.both_wrong or 0.0) >= LEAST_COMMON_ERRORS
    ]
    found: defaultdict[str, list[str]] = defaultdict(list)
    for pair in sorted(close, key=lambda pair: -(pair.low or 0.0)):
        for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
            if other not in found[one]:
                found[one].append(other)
    return {name: partners[:2] for name, partners in found.items()}
