"""What the store hands out and takes in: campaigns, items as they stand, evidence, verdicts; and their arithmetic.

Nothing here knows SQL. Of every item and task the store counts `given` (live labels, late ones too) and `leased`
(people who hold a lease with that task). A task admits one more person while it is open and given + leased is below
the overlap cap; an item's `room` is how many people may be let in now.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from quorate.errors import SettingError
from quorate.schema import Schema
from quorate.store.asking import Labeler

Phase = Literal["draft", "running", "paused", "done"]
ModelOutputs = Mapping[str, Mapping[str, Mapping[str, float]]]  # task -> model -> {class: score}
Gold = Mapping[str, str] | None  # task -> class


@dataclass(frozen=True)
class Settings:
    """How a campaign asks.

    `overlap` people at most are asked the same question, `together` of them at the same time; a lease lasts `lease_s`
    seconds; an answer that comes after its lease is kept as evidence, or refused. A question of known truth is asked at
    the rate `gold_rate`; a task that `skills` names is asked only of those who have that skill. With `adopt`, items of
    a connected labeling tool that are unknown here are taken in when they are first seen. A `labeler` has models score
    the items in the background.
    """

    overlap: int = 3
    together: int = 3
    lease_s: float = 600.0
    late: Literal["keep", "refuse"] = "keep"
    blind: bool = True
    gold_rate: float = 0.0
    skills: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    adopt: bool = False
    labeler: Labeler | None = None

    def __post_init__(self) -> None:
        whole = float(self.overlap).is_integer() and float(self.together).is_integer()  # settings come from JSON too
        if not whole or not 1 <= self.overlap <= 1000 or not 1 <= self.together <= 1000:
            raise SettingError("overlap and together are whole numbers from 1 to 1000")
        if not 1 <= self.lease_s <= 7 * 86_400:
            raise SettingError(f"lease_s is between 1 second and 7 days, not {self.lease_s}")
        if self.late not in {"keep", "refuse"}:
            raise SettingError(f"late is 'keep' or 'refuse', not {self.late!r}")
        if not all(self.skills.values()):
            raise SettingError("a task in skills names the skill that it asks for; leave out one that asks for none")
        if not 0 <= self.gold_rate <= 1:
            raise SettingError(f"gold_rate is between 0 and 1, not {self.gold_rate}")

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Settings:
        """Read back. Raises SettingError for a setting that there is not."""
        known = {each.name for each in fields(cls)}
        for name in given:
            if name not in known:
                raise SettingError(f"there is no setting {name!r}; use one of {', '.join(sorted(known))}")
        values, labeler = dict(given), given.get("labeler")
        values["labeler"] = Labeler.from_json(labeler) if labeler else None
        return cls(**values)


class Campaign(NamedTuple):
    """A campaign as a decision needs it."""

    id: int
    name: str
    state: Phase
    schema: Schema
    policy: Mapping[str, Any]
    prices: Mapping[str, Any]
    settings: Settings
    version: int
    policy_version: int
    model_version: int | None
    budget: float | None = None


class TaskState(NamedTuple):
    """One task of one item as it stands."""

    given: int = 0
    leased: int = 0
    open: bool = True
    label: str | None = None
    confidence: float | None = None

    def admits(self, overlap: int) -> bool:
        """Whether one more person may be asked."""
        return self.open and self.given + self.leased < overlap


ItemState = Mapping[str, TaskState]


class LabelRow(NamedTuple):
    """One live label."""

    id: int
    task: str
    annotator: str
    label: str
    late: bool
    turn: int
    user_id: int
    cost: float = 0.0


class Evidence(NamedTuple):
    """What is known of an item: its live labels, oldest first; its scores and the fitted model, read when called."""

    item_id: int
    external_id: str
    scored: int  # rises when the scores change
    labels: tuple[LabelRow, ...]
    scores: Callable[[], ModelOutputs]
    archive: Callable[[int], bytes]  # of the campaign's model of that version


class TaskVerdict(NamedTuple):
    """What is to be thought of one task."""

    open: bool
    label: str | None
    confidence: float | None
    probs: tuple[float, ...]  # in the schema's order; empty where nothing is known


class Verdict(NamedTuple):
    """What is to be thought of an item, and how urgent it is (larger first)."""

    tasks: Mapping[str, TaskVerdict]
    priority: float
    calibrator: str | None = None  # what made the confidence trustworthy, where the model names it


@runtime_checkable
class Decider(Protocol):
    """The engine as the store sees it: a pure function of the evidence."""

    def decide(self, campaign: Campaign, evidence: Evidence) -> Verdict:
        """The verdict on the item."""
        ...


# ---- arithmetic -----------------------------------------------------------------------------------------------------
def room(state: ItemState, settings: Settings, leases: int) -> int:
    """How many more people may be let in now, of whom `leases` are in already.

    >>> room({"a": TaskState(given=1, leased=1), "b": TaskState(open=False)}, Settings(overlap=3), leases=1)
    1
    """
    seats = [settings.overlap - task.given - task.leased for task in state.values() if task.open]
    return max(0, min(max(seats, default=0), settings.together - leases))


def admitted(state: ItemState, settings: Settings, skills: Collection[str] = ()) -> tuple[str, ...]:
    """The tasks that a person with these skills, let in now, is asked."""
    free = (name for name, task in state.items() if task.admits(settings.overlap))
    return tuple(name for name in free if name not in settings.skills or settings.skills[name] in skills)


def seated(state: ItemState, tasks: Iterable[str], by: Literal[1, -1]) -> ItemState:
    """The state with one person more, or one less, at these tasks."""
    of = set(tasks)
    return {name: task._replace(leased=task.leased + by) if name in of else task for name, task in state.items()}


def judged(state: ItemState, verdict: Verdict, labels: Sequence[LabelRow], gold: Gold = None) -> ItemState:
    """The state under a verdict that rests on these live labels; what is known is not for the verdict to decide."""
    given = {name: sum(row.task == name for row in labels) for name in state}
    known = gold or {}
    return {
        name: known_state(known[name], given[name], state[name].leased)
        if name in known
        else TaskState(given[name], state[name].leased, now.open, now.label, now.confidence)
        for name, now in ((name, verdict.tasks[name]) for name in state)
    }


def known_state(label: str, given: int = 0, leased: int = 0) -> TaskState:
    """A task whose answer is known: closed to the queue, asked only to see how people do."""
    return TaskState(given, leased, open=False, label=label, confidence=1.0)


def fresh(schema: Schema, gold: Gold = None) -> ItemState:
    """The state of an item of which nothing is known but its gold."""
    known = gold or {}
    return {task.name: known_state(known[task.name]) if task.name in known else TaskState() for task in schema.tasks}


def state_from_json(value: Mapping[str, Mapping[str, Any]]) -> ItemState:
    """Read back."""
    return {name: TaskState(**task) for name, task in value.items()}


def state_to_json(state: ItemState) -> dict[str, dict[str, Any]]:
    """As the item's row holds it."""
    return {name: task._asdict() for name, task in state.items()}


def campaign_of(row: Any) -> Campaign:
    """A campaign from its row."""
    schema, settings = _parsed(json.dumps(row.schema, sort_keys=False), json.dumps(row.settings))
    return Campaign(
        row.id,
        row.name,
        row.state,
        schema,
        row.policy,
        row.prices,
        settings,
        row.version,
        row.policy_version,
        row.model_version,
        row.budget,
    )


@lru_cache(maxsize=256)
def _parsed(schema: str, settings: str) -> tuple[Schema, Settings]:
    return Schema.from_json(schema, source="the campaign's schema"), Settings.from_json(json.loads(settings))
