"""Which kind of policy does best on items that its thresholds have not seen.

The more thresholds a kind has, the better it looks where they were searched. So the items of the search are halved
again: thresholds found on one half are judged on the other, and the reverse. The points that a family passes through,
from strict to lax, say what it costs where the floor is held with its margin, or how good it is where a limit is met.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from quorate.measure.intervals import Interval
from quorate.policy.optimize.choice import Choice, at_most
from quorate.policy.optimize.constraints import ALL_TASKS, Aim, Constraints
from quorate.policy.optimize.families import Family
from quorate.policy.optimize.ground import Ground, Part
from quorate.policy.optimize.search import cheapest, finest
from quorate.policy.outcome import Outcome

ALONG = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)  # above the floor, in its standard error
ALONG_COARSELY = (0.0, 1.0, 2.0, 3.0)
USED = (1.0, 0.98, 0.95, 0.9, 0.8, 0.6, 0.0)  # of the limits, so that they hold with room for chance
USED_COARSELY = (1.0, 0.9, 0.0)
Standing = tuple[float, ...]  # lower is better
Levels = tuple[int, ...]  # one per menu


class Point(NamedTuple):
    """A policy of a family, on items not searched."""

    slack: float  # above the floors, the least of them, in standard errors
    use: float  # of the limits, the most used
    cost: float
    quality: float  # in the unit of the aim; up is better


def standings(ground: Ground, constraints: Constraints, aim: Aim) -> list[Standing]:
    """The standing of every family, in the order of `Part.families`: first whether it holds, then how well."""
    n_families = len(ground.search.families)
    return [_standing(_points(ground, place, constraints, aim), ground, aim) for place in range(n_families)]


def levels_along(
    ground: Ground,
    part: Part,
    family: Family,
    constraints: Constraints,
    aim: Aim,
    margins: Sequence[float],
    used: Sequence[float],
) -> Iterator[Levels | None]:
    """The best quality there is, then down to the floors and along the limits; None where nothing keeps to them."""
    floors = constraints.floors(part.steps.schema)
    quality = "gain" if aim == "log-loss" else "credit"
    yield finest(family.menus, part.need(constraints), "credit")
    for margin in margins if floors else ():
        raised = {task: min(floor + margin * ground.error(task, floor), 1.0) for task, floor in floors.items()}
        if aim == "cost":
            yield cheapest(family.menus, part.need(constraints, raised))
        else:
            yield finest(family.menus, part.need(constraints, raised), quality)
    for share in used if aim != "cost" else ():
        yield finest(family.menus, part.need(constraints, None, share), quality)


def accuracy_of(choice: Choice, task: str) -> float:
    """The accuracy on the task, or on all under ""; 0 where nothing can be judged."""
    found: Interval | None = choice.accuracy if task == ALL_TASKS else choice.accuracy_of_task.get(task)
    return 0.0 if found is None else found.estimate


def slack_of(accuracies: Mapping[str, float], constraints: Constraints, ground: Ground) -> float:
    """How far these lie above the floors, the least of them, in standard errors of the floor."""
    floors = constraints.floors(ground.steps.schema)
    return min(
        ((accuracies[task] - floor) / ground.error(task, floor) for task, floor in floors.items()), default=np.inf
    )


def quality_of(choice: Choice, aim: Aim) -> float:
    """Up is better; 0 where it does not count."""
    if aim == "log-loss":
        return 0.0 if choice.log_loss is None else -choice.log_loss.estimate
    return accuracy_of(choice, ALL_TASKS) if aim == "accuracy" else 0.0


# ---- parts ----------------------------------------------------------------------------------------------------------
class _End(NamedTuple):
    """How the two policies that belong together ended, each on the half that it was not searched on."""

    outcome: Outcome
    part: Part


def _points(ground: Ground, place: int, constraints: Constraints, aim: Aim) -> list[Point]:
    first, second = ground.quarters
    one, other = (
        list(levels_along(ground, part, part.families[place], constraints, aim, ALONG_COARSELY, USED_COARSELY))
        for part in (first, second)
    )
    both = dict.fromkeys((a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None)
    on_second = second.ended([first.families[place].policy(a) for a, _ in both])
    on_first = first.ended([second.families[place].policy(b) for _, b in both])
    return [
        _point((_End(a, second), _End(b, first)), ground, constraints, aim)
        for a, b in zip(on_second, on_first, strict=True)
    ]


def _point(ends: Sequence[_End], ground: Ground, constraints: Constraints, aim: Aim) -> Point:
    floors, limits = constraints.floors(ground.steps.schema), constraints.limits()
    taken = [at_most(end.outcome, ground.frame(end.part, constraints)) for end in ends]
    uses = [sum(each[name] for each in taken) / len(taken) / limit for name, limit in limits.items() if limit > 0]
    quality = {
        "cost": lambda: 0.0,
        "accuracy": lambda: _mean(ends, "credit", None),
        "log-loss": lambda: -_mean(ends, "loss", None),
    }
    return Point(
        slack_of({task: _mean(ends, "credit", ground.column(task)) for task in floors}, constraints, ground),
        max(uses, default=0.0),
        float(np.mean([end.outcome.cost.sum() / len(end.part.steps.items) for end in ends])),
        quality[aim](),
    )


def _mean(ends: Sequence[_End], what: Literal["credit", "loss"], column: int | None) -> float:
    """Over the counted item-tasks of all ends; 0 without any."""
    of = slice(None) if column is None else slice(column, column + 1)
    parts = [getattr(end.outcome, what)[:, of][end.part.steps.counted[:, of]] for end in ends]
    values = np.concatenate(parts)
    return float(values.mean()) if len(values) else 0.0


def _standing(points: list[Point], ground: Ground, aim: Aim) -> Standing:
    """Without floors every slack is infinite, and all hold."""
    if not points:
        return (2.0, 0.0)
    holding = [each for each in points if each.slack >= ground.z]
    if not holding:
        return (1.0, -max(each.slack for each in points))
    if aim == "cost":
        return (0.0, _at(ground.z, [(each.slack, each.cost) for each in points]))
    return (0.0, -_at(1.0, [(each.use, each.quality) for each in holding]))


def _at(place: float, pairs: list[tuple[float, float]]) -> float:
    """The second number where the first is so much, on straight lines between the points."""
    along, value = np.array(sorted(pairs)).T
    return float(np.interp(place, along, value))
