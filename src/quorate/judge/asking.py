"""Asking candidates: every call through the journal and under the ledger's cap, whichever optimizer wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float64, Int64

from quorate.data.dataset import Dataset
from quorate.errors import SettingError
from quorate.judge.calibrate import Calibrated
from quorate.judge.candidates import Answered, Candidate
from quorate.judge.examples import example_of
from quorate.judge.graded import Graded, people_of
from quorate.llm.annotate import Annotated, annotate
from quorate.llm.calls import DEFAULT, Job
from quorate.llm.items import Items
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger
from quorate.llm.limits import Limits
from quorate.llm.progress import Progress
from quorate.llm.prompt import Prompts
from quorate.llm.rubric import Example, Rubric, Thinking
from quorate.llm.settings import Settings
from quorate.llm.tally import Cells
from quorate.llm.wire import Transport

Array = np.ndarray
NO_FOLDERS: Mapping[str, Path | None] = MappingProxyType({"": None})


@dataclass(frozen=True)
class Space:
    """Which candidates there are: everything with everything.

    >>> Space(("small", "large"), thinking=("none", "steps")).candidates()[1].name
    'small|steps'
    """

    models: tuple[str, ...]
    prompts: Mapping[str, Path | None] = field(
        default_factory=lambda: NO_FOLDERS
    )  # variants by name: folders of templates; None: those of quorate
    thinking: tuple[Thinking, ...] = ("none",)
    examples: tuple[str, ...] = ()  # as `cover 4`; tried with the candidates that did best without

    def candidates(self) -> list[Candidate]:
        """All candidates without examples of their own."""
        return [
            Candidate(model, prompt, thinking=thinking)
            for model in self.models
            for prompt in self.prompts
            for thinking in self.thinking
        ]


class Means(NamedTuple):
    """What calls go through."""

    transport: Transport
    journal: Journal
    ledger: Ledger
    limits: Limits | None = None
    local: Transport | None = None
    progress: Progress | None = None


class Round(NamedTuple):
    """What candidates said of some items."""

    answered: list[Answered]
    stopped: bool  # by the cap, the account or the key: some answers are missing


class Optimizer(Protocol):
    """A way to search a space for the judge."""

    def search(self, asker: Asker, space: Space) -> Calibrated:
        """The best candidate found under the cap, with its maps."""
        ...


class Asker:
    """Asks candidates about the calibration items, and sets their answers beside people's."""

    def __init__(
        self,
        items: Items,
        people: Dataset,
        rubric: Rubric,
        means: Means,
        *,
        prompts: Mapping[str, Path | None] = NO_FOLDERS,
        settings: Settings = DEFAULT,
        examples_folder: Path | None = None,
    ) -> None:
        """Raises SettingError where people graded none of the tasks of the rubric."""
        self.items, self.rubric, self.means = items, rubric, means
        self.people = {
            question.task.name: people_of(people, question.task.name, items.ids) for question in rubric.questions
        }
        if not any(graded.people.any() for graded in self.people.values()):
            raise SettingError("people have graded none of these items: there is nothing to calibrate by")
        self._prompts, self._settings, self._folder = prompts, settings, examples_folder
        self.calls = 0

    @property
    def spent_usd(self) -> float:
        """By all calls with this ledger, US dollars."""
        return self.means.ledger.spent_usd

    def ask(self, candidates: Sequence[Candidate], places: Int64[Array, "asked"]) -> Round:
        """What the candidates say of the items at these places, in this order; known answers cost nothing."""
        said: dict[Candidate, Answered] = {}
        groups: dict[Candidate, list[Candidate]] = {}
        for each in candidates:
            groups.setdefault(each._replace(model=""), []).append(each)
        stopped = False
        for group, members in groups.items():
            done = self._annotated(group, tuple(each.model for each in members), places)
            stopped = stopped or done.stopped
            for number, each in enumerate(members):
                said[each] = self._answered(each, number, done, places)
        return Round([said[each] for each in candidates], stopped)

    def _annotated(self, group: Candidate, models: tuple[str, ...], places: Int64[Array, "asked"]) -> Annotated:
        rubric = replace(self.rubric, thinking=group.thinking, examples=self._examples(group))
        job = Job(
            chosen_items(self.items, places),
            rubric,
            models,
            self._settings,
            Prompts(self._prompts[group.prompt]),
            self._folder,
        )
        means = self.means
        done = annotate(
            job,
            means.transport,
            journal=means.journal,
            ledger=means.ledger,
            limits=means.limits,
            local=means.local,
            progress=means.progress,
        )
        self.calls += done.n_calls
        return done

    def _examples(self, group: Candidate) -> tuple[Example, ...]:
        if not group.shown:
            return self.rubric.examples
        place_of = self.items.place_of
        return tuple(example_of(place_of[item], self.items, self.people) for item in group.shown)

    def _answered(self, candidate: Candidate, number: int, done: Annotated, places: Int64[Array, "asked"]) -> Answered:
        tasks: dict[str, Graded] = {}
        cost_usd = 0.0
        for task, (name, people) in enumerate(self.people.items()):
            cells = done.tally.cells[number, task]
            cost_usd += float(cells.cost_usd.sum())
            said = cells.code.astype(np.int64)
            tasks[name] = replace(people.select(places), said=said, probs=probs_of(cells))
        return Answered(candidate, tasks, cost_usd)


def probs_of(cells: Cells) -> Float64[Array, "items classes"]:
    """Probabilities as `Graded` has them: one-hot where only a class was said, 0 where nothing was."""
    hard = np.zeros(cells.probs.shape)
    at = np.flatnonzero(cells.labeled)
    hard[at, cells.code[at]] = 1.0
    return np.where((cells.scored & cells.labeled)[:, None], cells.probs, hard)


def chosen_items(items: Items, places: Int64[Array, "kept"]) -> Items:
    """The items at these places, in this order."""
    at = places.tolist()
    return replace(
        items,
        ids=tuple(items.ids[place] for place in at),
        texts={name: [column[place] for place in at] for name, column in items.texts.items()},
        images={name: [column[place] for place in at] for name, column in items.images.items()},
    )
