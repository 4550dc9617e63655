"""What the optimizer stands on: validation items in two halves, one to search on and one to prove on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.special import ndtri

from quorate.errors import DataError
from quorate.evaluate.protocol import clustered_mean
from quorate.policy.optimize.choice import Frame
from quorate.policy.optimize.constraints import ALL_TASKS, Constraints
from quorate.policy.optimize.families import Family, families
from quorate.policy.optimize.prove import Draws, Judged, Sample
from quorate.policy.optimize.search import Need
from quorate.policy.outcome import Outcome
from quorate.policy.replay import replay_steps
from quorate.policy.steps import Steps, select
from quorate.policy.stopping import FixedOverlap, Policy

Array = np.ndarray
Margin = Literal["proven", "point"]
Replayer = Callable[[Sequence[Policy], Int64[Array, "kept"]], Sequence[Outcome]]
TARGETS = {"gold": "gold", "panel": "the majority of all people asked", "latent": "the latent class"}


@dataclass(frozen=True, eq=False)
class Part:
    """Some of the validation items, for a campaign of so many."""

    steps: Steps
    n_items: int  # of the campaign
    most_labels: int  # of an item-task, in all parts

    @cached_property
    def families(self) -> list[Family]:
        """All that compete, with their menus over these items; in the same order on every part."""
        return list(families(self.steps, self.most_labels))

    def ended(self, policies: Sequence[Policy]) -> list[Outcome]:
        """How policies end on these items, as the states tell."""
        return list(replay_steps(self.steps, policies).outcomes)

    def need(self, constraints: Constraints, floors: Mapping[str, float] | None = None, used: float = 1.0) -> Need:
        """Limits and floors as totals over these items; used: how much of the limits may be."""
        credit, of_task = None, dict[int, float]()
        for task, floor in (floors or {}).items():
            if task == ALL_TASKS:
                credit = floor * float(self.steps.counted.sum())
            else:
                column = self.steps.schema.code_of[task]
                of_task[column] = floor * float(self.steps.counted[:, column].sum())
        asked = self.steps.counted | (self.steps.n_labels > 0)
        of_campaign = len(self.steps.items) / self.n_items
        scale = {"cost": of_campaign, "labels": of_campaign, "reviewed": float(asked.sum())}
        return Need(credit, of_task, {name: each * scale[name] * used for name, each in constraints.limits().items()})

    def halves(self, rng: np.random.Generator) -> tuple[Int64[Array, "one"], Int64[Array, "other"]]:
        """At random; items with a truth and the others apart, so that both halves have both."""
        order = rng.permutation(len(self.steps.items))
        known: Bool[Array, "items"] = (self.steps.counted.sum(axis=1) > 0)[order]
        sorted_first = np.concatenate([order[known], order[~known]])
        return np.sort(sorted_first[::2]), np.sort(sorted_first[1::2])

    def only(self, index: Int64[Array, "kept"]) -> Part:
        """These items."""
        return Part(select(self.steps, index), self.n_items, self.most_labels)


class Ground:
    """Validation items in two halves; `replayed` says how policies end on some, by default as the states say."""

    def __init__(
        self,
        steps: Steps,
        *,
        replayed: Replayer | None,
        n_items: int | None,
        margin: Margin,
        delta: float,
        seed: int,
    ) -> None:
        n_judged = int((steps.counted.sum(axis=1) > 0).sum())
        if n_judged < 4:
            raise DataError(
                f"{n_judged} items have a truth to judge by; one half is searched and the other proves",
                mend="add gold labels, or more people's labels per item",
            )
        rng = np.random.default_rng(seed)
        self.steps, self.margin, self.delta = steps, margin, delta
        self.n_items = len(steps.items) if n_items is None else n_items
        self.most_labels = int(steps.n_labels.max(initial=0))
        whole = Part(steps, self.n_items, self.most_labels)
        self.searching, self.proving = whole.halves(rng)
        self.search, self.prove = whole.only(self.searching), whole.only(self.proving)
        first, second = self.search.halves(rng)
        self.quarters = self.search.only(first), self.search.only(second)
        self._draws = Draws(rng.random(len(steps.items)), rng.random(len(steps.items)))
        self._replayed = replayed
        self._errors = dict[tuple[str, float], float]()

    @property
    def everything(self) -> Policy:
        """The policy that asks everything there is."""
        return FixedOverlap(self.most_labels)

    @property
    def z(self) -> float:
        """How many standard errors to keep from floors and limits."""
        return float(ndtri(1 - self.delta)) if self.margin == "proven" else 0.0

    def proved(self, policies: Sequence[Policy]) -> list[Outcome]:
        """How policies end on the items to prove on."""
        if self._replayed is not None:
            return list(self._replayed(policies, self.proving))
        return self.prove.ended(policies)

    def judged(self, outcome: Outcome, items: Int64[Array, "kept"]) -> Judged:
        """For the checks of the floors."""
        draws = Draws(*(part[items] for part in self._draws))
        return Judged(Sample(outcome.credit, self.steps.counted[items]), draws)

    def frame(self, part: Part, constraints: Constraints) -> Frame:
        """For the figures of policies."""
        of = part.steps
        return Frame(of.schema, of.counted, of.n_labels, self.n_items, constraints.labels_per_day, self.z)

    def error(self, task: str, floor: float) -> float:
        """Standard error of an accuracy near the floor on the items to prove on, as the items searched tell it.

        By items, whose tasks depend on one another, after as many labels as bring the accuracy next to the floor.
        """
        if (task, floor) not in self._errors:
            self._errors[task, floor] = self._error(self.column(task), floor)
        return self._errors[task, floor]

    def _error(self, column: int | None, floor: float) -> float:
        part = slice(None) if column is None else slice(column, column + 1)
        counted = self.search.steps.counted[:, part]
        worst = (floor * (1 - floor) / len(self.proving)) ** 0.5  # were the answers of an item all alike
        item = counted.nonzero()[0]
        if len(np.unique(item)) < 2:
            return worst
        found = [clustered_mean(credit[:, part][counted], item) for credit in self.search.steps.credit]
        near = min(found, key=lambda each: abs(each.value - floor))
        spread = near.value * (1 - near.value)
        return worst if not near.se or spread <= 0 else near.se * (floor * (1 - floor) / spread) ** 0.5

    def column(self, task: str) -> int | None:
        """The task's place; None for all tasks."""
        return None if task == ALL_TASKS else self.steps.schema.code_of[task]

    def judgeable(self, task: str) -> bool:
        """Whether both halves have a truth for the task."""
        column = self.column(task)
        halves = (part.steps.counted for part in (self.search, self.prove))
        return all(int((each if column is None else each[:, column]).sum()) > 0 for each in halves)

    def target(self, task: str) -> str:
        """What counts as right."""
        column = self.column(task)
        kinds = dict.fromkeys(self.steps.kind if column is None else (self.steps.kind[column],))
        return " or ".join(TARGETS[kind] for kind in kinds)

    def accuracy_by_labels(self, task: str) -> Float64[Array, "steps"]:
        """Share right after so many labels of everything, of item-tasks that have at least as many as half of those
        with any; of tasks with gold, since what a panel concludes is right by definition once all were asked.
        """
        columns = range(len(self.steps.schema)) if task == ALL_TASKS else [self.steps.schema.code_of[task]]
        own = [column for column in columns if self.steps.kind[column] != "panel"]
        n_labels, credit = self.steps.n_labels[:, own], self.steps.credit[:, :, own]
        kept = self.steps.counted[:, own] & (n_labels > 0)
        if not kept.sum():
            return np.zeros(0)
        kept &= n_labels >= int(np.median(n_labels[kept]))
        most = int(n_labels[kept].min())
        return np.array([float(credit[j][kept].mean()) for j in range(most + 1)])
