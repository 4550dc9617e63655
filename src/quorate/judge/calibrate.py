"""Calibration: of candidates' answers to items that people graded, the judge and the maps it is read through.

Every candidate is read through the map of each task that holds out best, and judged on held-out items by one figure,
up is better: quadratic kappa of ordered tasks and agreement of classes ("agreement"), or minus the squared error and
minus the log loss ("loss"), on average over the tasks. The choice is among shrunken figures (see `choose`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float64

from quorate.errors import ArchiveError, SettingError
from quorate.judge.candidates import Answered, Candidate
from quorate.judge.choose import Shrunken, shrunken
from quorate.judge.graded import Graded
from quorate.judge.map_choice import Chosen, chosen_map, constant, kappa_parts, loss_of, raw, without
from quorate.judge.map_grades import shares
from quorate.judge.maps import Mapped, ScoreMap

Array = np.ndarray
By = Literal["agreement", "loss"]
VERSION = 1


class Figure(NamedTuple):
    """A figure on held-out items, and its standard error."""

    value: float
    se: float


class Standing(NamedTuple):
    """How a candidate did; `figure` and `shrunken` are what it was chosen by, up is better."""

    candidate: Candidate
    figure: Figure
    shrunken: Figure
    best: float  # probability of being the best of all
    items: int  # that people graded and it answered, on average over the tasks
    tasks: Mapping[
        str, Mapping[str, Figure]
    ]  # by task: loss, raw_loss, agreement (kappa of ordered tasks), raw_agreement
    kinds: Mapping[str, str]  # of its maps, by task
    cost_usd: float


@dataclass(frozen=True)
class Calibrated:
    """The judge: which candidate, read through which maps, and how all candidates stood."""

    chosen: Candidate
    maps: Mapping[str, ScoreMap]
    standings: tuple[Standing, ...]  # the likeliest best first
    constant: Mapping[str, Mapping[str, Figure]]  # the judge that says the same of every item, by task
    by: By
    spent_usd: float = 0.0
    calls: int = 0
    stopped: bool = False  # the cap, the account or the key ended the search: the best so far

    def to_json(self) -> str:
        """One JSON object, for `calibration.json`."""
        fields: dict[str, Any] = {
            "version": VERSION,
            "chosen": self.chosen.to_dict(),
            "maps": {task: score_map.to_dict() for task, score_map in self.maps.items()},
            "standings": [_standing_dict(standing) for standing in self.standings],
            "constant": self.constant,
            "by": self.by,
            "spent_usd": self.spent_usd,
            "calls": self.calls,
            "stopped": self.stopped,
        }
        return json.dumps(fields, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Calibrated:
        """Read back. Raises ArchiveError where it is no calibration of this version."""
        try:
            fields: dict[str, Any] = json.loads(text)
            if fields["version"] != VERSION:
                raise ArchiveError(f"a calibration of version {fields['version']}: calibrate again")
            return cls(
                Candidate.from_dict(fields["chosen"]),
                {task: ScoreMap.from_dict(each) for task, each in fields["maps"].items()},
                tuple(map(_standing, fields["standings"])),
                {task: _figures(each) for task, each in fields["constant"].items()},
                fields["by"],
                fields["spent_usd"],
                fields["calls"],
                fields["stopped"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArchiveError(f"this is no calibration ({type(error).__name__}: {error}): calibrate again") from None


class _Read(NamedTuple):
    """A candidate read through its maps."""

    answered: Answered
    chosen: Mapping[str, Chosen]
    figures: Mapping[str, Mapping[str, Figure]]
    value: float
    influence: Float64[Array, "items"]
    items: int


def calibrate(
    answered: Sequence[Answered],
    *,
    by: By = "agreement",
    folds: int = 5,
    seed: int = 0,
    spent_usd: float = 0.0,
    calls: int = 0,
    stopped: bool = False,
) -> Calibrated:
    """The judge among candidates that answered the same items, with its maps fitted on all of them.

    Raises SettingError where candidates answered different items or tasks, DataError where people graded too few.
    """
    _check(answered, by)
    reads = [_read(each, by, folds, seed) for each in answered]
    found = stand(reads, seed)
    order = np.lexsort((-found.best, -found.mean))
    first = reads[int(order[0])]
    silent = {task: _task_figures(graded, constant(graded), "") for task, graded in answered[0].tasks.items()}
    return Calibrated(
        first.answered.candidate,
        {task: chosen.score_map for task, chosen in first.chosen.items()},
        tuple(_stood(reads[place], found, place) for place in order.tolist()),
        silent,
        by,
        spent_usd,
        calls,
        stopped,
    )


def shrunken_figures(answered: Sequence[Answered], *, by: By = "agreement", folds: int = 5, seed: int = 0) -> Shrunken:
    """How candidates stand so far, in their order: what a search drops candidates by."""
    _check(answered, by)
    return stand([_read(each, by, folds, seed) for each in answered], seed)


def stand(reads: Sequence[_Read], seed: int) -> Shrunken:
    """The figures of candidates, shrunken together."""
    return shrunken(
        np.array([read.value for read in reads]),
        np.stack([read.influence for read in reads]),
        [read.answered.candidate.parts for read in reads],
        seed=seed,
    )


# ---- one candidate --------------------------------------------------------------------------------------------------
def _read(answered: Answered, by: By, folds: int, seed: int) -> _Read:
    shown = frozenset(answered.candidate.shown)
    tasks = {task: without(graded, shown) for task, graded in answered.tasks.items()}
    chosen = {task: chosen_map(graded, folds=folds, seed=seed) for task, graded in tasks.items()}
    figures = {
        task: _task_figures(graded, chosen[task].held_out, "") | _task_figures(graded, raw(graded), "raw_")
        for task, graded in tasks.items()
    }
    each = [_by(graded, chosen[task].held_out, by) for task, graded in tasks.items()]
    value = float(np.mean([value for value, _ in each]))
    influence = np.mean([influence for _, influence in each], axis=0)
    items = round(np.mean([graded.known.sum() for graded in tasks.values()]))
    return _Read(answered, chosen, figures, value, influence, items)


def _task_figures(graded: Graded, mapped: Mapped, prefix: str) -> dict[str, Figure]:
    loss, agreed = _by(graded, mapped, "loss"), _by(graded, mapped, "agreement")
    return {
        f"{prefix}loss": Figure(-loss[0], _se(loss[1])),
        f"{prefix}agreement": Figure(agreed[0], _se(agreed[1])),
    }


def _by(graded: Graded, mapped: Mapped, by: By) -> tuple[float, Float64[Array, "items"]]:
    """A figure, up is better, and how far each item moved it (times their number); 0 where nobody graded."""
    people = shares(graded)
    persons = people.sum(axis=1) > 0
    worth = len(persons) / max(persons.sum(), 1)  # of an item, where some have nobody
    if by == "agreement" and graded.task.ordered:
        return _kappa(graded, mapped, worth)
    agreed = people[np.arange(len(people)), mapped.said]
    each = agreed if by == "agreement" else -loss_of(graded, mapped)
    value = float(each[persons].mean())
    return value, np.where(persons, each - value, 0.0) * worth


def _kappa(graded: Graded, mapped: Mapped, worth: float) -> tuple[float, Float64[Array, "items"]]:
    """Quadratic kappa and its influence function: D / E is a mean over a mean of pairs of items."""
    apart, chance, persons = kappa_parts(graded, mapped.said)
    expected = float(chance.mean())
    influence = np.zeros(len(persons))
    if expected <= 0:
        return 0.0, influence
    ratio = float(apart.mean()) / expected
    people, grade = shares(graded)[persons], graded.values[mapped.said[persons]]
    other = (grade**2).mean() - 2 * grade.mean() * (people @ graded.values) + people @ graded.values**2
    moved = (apart - apart.mean()) - ratio * (chance + other - 2 * expected)
    influence[persons] = -moved / expected * worth
    return 1 - ratio, influence


def _se(influence: Float64[Array, "items"]) -> float:
    """The standard error of a figure from how far each item moved it."""
    n = len(influence)
    return float(np.sqrt((influence**2).sum()) / n) if n else 0.0


def _stood(read: _Read, found: Shrunken, place: int) -> Standing:
    answered = read.answered
    return Standing(
        answered.candidate,
        Figure(read.value, _se(read.influence)),
        Figure(float(found.mean[place]), float(found.error[place])),
        float(found.best[place]),
        read.items,
        read.figures,
        {task: chosen.score_map.kind for task, chosen in read.chosen.items()},
        answered.cost_usd,
    )


def _check(answered: Sequence[Answered], by: str) -> None:
    if by not in get_args(By):
        raise SettingError(f"by {by!r}: use one of {', '.join(get_args(By))}")
    if not answered or not answered[0].tasks:
        raise SettingError("no candidate has answered any task: there is no judge to choose")
    names = [each.candidate.name for each in answered]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise SettingError(f"candidate {repeated!r} is named twice")
    first = answered[0].tasks
    items = next(iter(first.values())).items
    for each in answered:
        if set(each.tasks) != set(first) or any(graded.items != items for graded in each.tasks.values()):
            raise SettingError(f"candidate {each.candidate.name!r} answered other items or tasks than the first")


# ---- JSON -----------------------------------------------------------------------------------------------------------
def _standing_dict(standing: Standing) -> dict[str, Any]:
    return {**standing._asdict(), "candidate": standing.candidate.to_dict()}


def _standing(fields: Mapping[str, Any]) -> Standing:
    return Standing(
        Candidate.from_dict(fields["candidate"]),
        Figure(*fields["figure"]),
        Figure(*fields["shrunken"]),
        fields["best"],
        fields["items"],
        {task: _figures(each) for task, each in fields["tasks"].items()},
        fields["kinds"],
        fields["cost_usd"],
    )


def _figures(fields: Mapping[str, Any]) -> dict[str, Figure]:
    return {name: Figure(*each) for name, each in fields.items()}
