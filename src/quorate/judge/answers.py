"""What the judge of a folder says of graded items, read through its maps: recorded answers, or calls made now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from quorate.data.dataset import Dataset
from quorate.errors import SettingError
from quorate.judge.amplify import Connect, Purse
from quorate.judge.asked import Judge
from quorate.judge.asking import Means, chosen_items, probs_of
from quorate.judge.graded import Graded, graded, people_of
from quorate.judge.losses import grades_of
from quorate.llm.annotate import annotate
from quorate.llm.items import Items
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger
from quorate.llm.limits import Limits
from quorate.llm.progress import Progress

Array = np.ndarray


class Read(NamedTuple):
    """One task as the judge means it: what it says once its map has read it."""

    of: Graded  # with classes and probabilities of the map
    grades: Float64[Array, "items"] | None  # of ordered tasks, real-valued
    stopped: bool = False  # the cap, the account or the key ended the calls: some answers are missing

    def losses(self) -> Float64[Array, "items"]:
        """Squared error of the grade beside people's mean; of classes the share of people who gave another."""
        if self.grades is not None:
            return (grades_of(self.of, self.grades) - self.of.human) ** 2
        shares = self.of.people / np.maximum(self.of.people.sum(axis=1), 1)[:, None]
        return 1.0 - shares[np.arange(len(shares)), np.maximum(self.of.said, 0)]

    @property
    def most(self) -> float:
        """The largest loss there can be."""
        return float((self.of.values[-1] - self.of.values[0]) ** 2) if self.grades is not None else 1.0


class Line(NamedTuple):
    """The way to the judge's model: what makes a connection, prices with the cap of a step, limits."""

    connect: Connect
    purse: Purse
    limits: Mapping[str, Any] = MappingProxyType({})
    local: Connect | None = None
    progress: Progress | None = None

    def means(self, journal: Journal) -> Means:
        """With a journal: what calls go through."""
        purse = self.purse
        ledger = Ledger(purse.prices, cap_usd=purse.cap_usd, allow_unknown=purse.allow_unknown)
        local = self.local() if self.local else None
        return Means(self.connect(), journal, ledger, Limits(**self.limits), local, self.progress)


def recorded(judge: Judge, data: Dataset, people: Dataset, items: Sequence[str]) -> dict[str, Read]:
    """From tables that hold the judge's answers. Raises SettingError where they do not."""
    found = {task: graded(data, judge.model, task, items) for task in judge.maps}
    with_people = {task: replace(of, people=people_of(people, task, of.items).people) for task, of in found.items()}
    return {task: read(judge, task, of) for task, of in with_people.items()}


def asked(
    judge: Judge, items: Items, people: Dataset, line: Line, names: Sequence[str], journal: Path
) -> dict[str, Read]:
    """From calls about the items of these names; what the journal knows is not asked again.

    Raises SettingError where the contents of an item are not there.
    """
    missing = next((name for name in names if name not in items.place_of), None)
    if missing is not None:
        raise SettingError(f"the contents of item {missing!r} are not there: give the items that were seeded")
    places = np.array([items.place_of[name] for name in names], np.int64)
    job = judge.job(chosen_items(items, places))
    journal.parent.mkdir(parents=True, exist_ok=True)
    with Journal(journal) as known:
        means = line.means(known)
        done = annotate(
            job,
            means.transport,
            journal=known,
            ledger=means.ledger,
            limits=means.limits,
            local=means.local,
            progress=means.progress,
        )
    found = dict[str, Read]()
    for task in judge.maps:
        cells = done.tally.cells[0, job.place_of[task]]
        of = replace(people_of(people, task, tuple(names)), said=cells.code.astype(np.int64), probs=probs_of(cells))
        found[task] = read(judge, task, of)._replace(stopped=done.stopped)
    return found


def read(judge: Judge, task: str, of: Graded) -> Read:
    """Through the map of the task."""
    mapped = judge.maps[task].apply(of.said, of.probs)
    through = replace(of, said=mapped.said, probs=mapped.probs)
    return Read(through, mapped.grades if of.task.ordered else None)
