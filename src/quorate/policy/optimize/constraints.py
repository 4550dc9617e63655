"""What a policy must keep to: floors under the quality, limits on what is bought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import isfinite
from typing import Any, Literal

from quorate.errors import SettingError
from quorate.policy.stopping import Number
from quorate.schema import Schema

Aim = Literal["cost", "accuracy", "log-loss"]
ALL_TASKS = ""  # no task has this name: the floor of all answers together

LIMITS = {"budget": "cost", "most_reviewed": "reviewed", "deadline_days": "labels"}  # by what they limit


@dataclass(frozen=True)
class Constraints:
    """Floors are shares of right answers, of all answers that come out, whether people were asked or not.

    floor: one number for all answers together, or one per task, with "" for all answers together. budget: currency.
    most_reviewed: the largest share of item-tasks that any person labels. The deadline needs the labels per day.
    Raises SettingError for what is no share, no amount, or asks for nothing.

    >>> Constraints(floor={"safety": 0.98, "tone": 0.9}, budget=500).limits()
    {'cost': 500.0}
    """

    floor: Number | Mapping[str, Number] | None = None
    budget: Number | None = None
    most_reviewed: Number | None = None
    labels_per_day: Number | None = None
    deadline_days: Number | None = None

    def __post_init__(self) -> None:
        for task, floor in self._floors().items():
            _check_floor(task, floor)
        for name in ("budget", "deadline_days"):
            _check_amount(name, getattr(self, name))
        if self.labels_per_day is not None and not 0 < self.labels_per_day < float("inf"):
            raise SettingError(f"labels_per_day is a number above 0, not {self.labels_per_day}")
        if self.most_reviewed is not None and not 0 <= self.most_reviewed <= 1:
            raise SettingError(f"most_reviewed is a share between 0 and 1, not {self.most_reviewed}")
        if self.deadline_days is not None and self.labels_per_day is None:
            raise SettingError("a deadline in days says nothing without labels_per_day: give both")
        if not self._floors() and not self.limits():
            raise SettingError(
                "nothing to optimize for: give a floor (then the cost is least), or a budget, a largest share of "
                "reviews or a deadline (then the quality is best)"
            )

    def floors(self, schema: Schema) -> dict[str, float]:
        """The floor of every task that has one, and under "" that of all answers. Raises SchemaError for no task."""
        found = self._floors()
        for name in found:
            if name != ALL_TASKS:
                schema.task(name)
        return found

    def limits(self) -> dict[str, float]:
        """The most of "cost" (currency), "reviewed" (share of item-tasks) and "labels" that may be bought."""
        labels = None
        if self.deadline_days is not None and self.labels_per_day is not None:
            labels = self.deadline_days * self.labels_per_day
        found = {"cost": self.budget, "reviewed": self.most_reviewed, "labels": labels}
        return {name: float(limit) for name, limit in found.items() if limit is not None}

    def without(self, name: str) -> Constraints | None:
        """The same without the limit of that name (see LIMITS); None where nothing would be left."""
        try:
            return replace(self, **{name: None})
        except SettingError:
            return None

    def with_limits(self, limits: Mapping[str, float]) -> Constraints:
        """The same with other limits on "cost", "reviewed" or "labels"."""
        named = {option: limits[quantity] for option, quantity in LIMITS.items() if quantity in limits}
        if "deadline_days" in named and self.labels_per_day:
            named["deadline_days"] /= self.labels_per_day
        return replace(self, **named)

    def without_limits(self) -> Constraints | None:
        """The floors alone; None where there are none."""
        return None if not self._floors() else replace(self, **dict.fromkeys(LIMITS))

    def figures(self) -> dict[str, Any]:
        """As JSON holds it."""
        found: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        return found | {"floor": dict(self.floor) if isinstance(self.floor, Mapping) else self.floor}

    def _floors(self) -> dict[str, float]:
        if self.floor is None:
            return {}
        given = self.floor if isinstance(self.floor, Mapping) else {ALL_TASKS: self.floor}
        return {task: float(floor) for task, floor in given.items()}


def _check_floor(task: str, floor: float) -> None:
    if not 0 < floor < 1:
        whose = f"the floor of task {task!r}" if task != ALL_TASKS else "the floor"
        raise SettingError(
            f"{whose} is a share of right answers between 0 and 1, both excluded, not {floor}"
            + (": no number of examples can prove that every answer is right" if floor == 1 else "")
            + (f"; {floor:g} % is {floor / 100:g}" if 1 < floor <= 100 and isfinite(floor) else "")
        )


def _check_amount(name: str, amount: Number | None) -> None:
    if amount is not None and not 0 <= amount < float("inf"):
        raise SettingError(f"{name} is a number of 0 or more, not {amount}")
