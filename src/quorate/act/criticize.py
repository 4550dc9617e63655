"""Criticize the labels of a model: the probability that each is wrong, by one criticizer or several.

    critics = [Critic("gpt-4o", strategy("cot"), rubric)]
    with Journal("critiques.sqlite") as journal:
        done = criticize(labels, items, critics, ChatClient(url, api_key=key), journal=journal, ledger=ledger)
    done.table()     # item, task, model, label, criticizer, strategy, error, flag, ...

Self-criticism is a criticizer that is the annotator, cross-criticism any other. An answer that cannot be read is asked
for again, as another request; when that fails too the label counts as unsure, at .5 and flagged: none is dropped. What
a stopped run (the cap, the account, the key) did not reach is left for the next run with the same journal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from quorate.act.critic import Critic
from quorate.act.labels import MachineLabel
from quorate.act.ordering import by_perplexity
from quorate.act.verdicts import UNSURE, Criticism, Malformed, read_criticism
from quorate.errors import SettingError
from quorate.llm.failures import FATAL
from quorate.llm.items import Items
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger
from quorate.llm.limits import Limits
from quorate.llm.many import ask_many
from quorate.llm.progress import Progress
from quorate.llm.settings import is_local
from quorate.llm.wire import Answer, Failure, Request, Transport

RETRIES = 2  # of an answer that cannot be read
MOST_KEPT = 4_000  # characters of an answer that are kept in the table


class Place(NamedTuple):
    """Which label is criticized, by which critic."""

    label: int
    critic: int


@dataclass
class Verdict:
    """What came of one criticism, over all of its tries."""

    error: float = UNSURE
    flag: str = ""  # why it is unsure; empty where it is not
    reasoning: str = ""
    verdict: str | None = None
    perplexity: float | None = None
    tries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    answer: str = ""


@dataclass(frozen=True)
class Criticized:
    """What came of a criticism of labels."""

    labels: tuple[MachineLabel, ...]
    critics: tuple[Critic, ...]
    verdicts: Mapping[Place, Verdict]
    stopped: bool  # before its end: the cap, the account or the key
    spent_usd: float  # by all runs with this journal
    lost_usd: float  # at most, for calls that broke off
    flags: Mapping[str, int] = field(default_factory=dict[str, int])  # why criticisms are unsure, and how many

    @property
    def missing(self) -> int:
        """Criticisms that a stopped run did not reach."""
        return len(self.labels) * len(self.critics) - len(self.verdicts)

    def table(self) -> pa.Table:
        """One row per label and critic, in this order: whose label, by whom, the error in [0, 1], what it took."""
        found = [(place, self.verdicts[place]) for place in sorted(self.verdicts)]
        columns: dict[str, pa.Array] = {}
        for name in ("item", "task", "model", "label"):
            columns[name] = pa.array([getattr(self.labels[place.label], name) for place, _ in found], pa.string())
        columns["criticizer"] = pa.array([self.critics[place.critic].model for place, _ in found], pa.string())
        columns["strategy"] = pa.array([self.critics[place.critic].strategy.name for place, _ in found], pa.string())
        for name, kind in COLUMNS.items():
            columns[name] = pa.array([getattr(verdict, name) for _, verdict in found], kind)
        return pa.table(columns)


COLUMNS = {
    "error": pa.float64(),
    "flag": pa.string(),
    "reasoning": pa.string(),
    "verdict": pa.string(),
    "perplexity": pa.float64(),
    "tries": pa.int64(),
    "prompt_tokens": pa.int64(),
    "completion_tokens": pa.int64(),
    "cost_usd": pa.float64(),
    "answer": pa.string(),
}


def criticize(
    labels: Sequence[MachineLabel],
    items: Items,
    critics: Sequence[Critic],
    transport: Transport,
    *,
    journal: Journal,
    ledger: Ledger,
    limits: Limits | None = None,
    local: Transport | None = None,
    progress: Progress | None = None,
    retries: int = RETRIES,
) -> Criticized:
    """Every label doubted by every critic; critics on this machine are asked through `local`.

    Raises SettingError before anything is sent: a price nobody knows, an item without contents, no reasoning to judge.
    """
    asking = _Asking(tuple(labels), items, tuple(critics), retries)
    limits = limits or Limits()
    for over, near in ((transport, False), (local or transport, True)):
        places = asking.places(near=near)
        while places:
            ask_many(
                asking.requests(places), len(places), over, asking.take, journal=journal, ledger=ledger, limits=limits,
                progress=progress,
            )  # fmt: skip
            places = asking.again()
    verdicts = in_order(asking.verdicts, asking.critics)
    flags: dict[str, int] = {}
    for verdict in verdicts.values():
        if verdict.flag:
            flags[verdict.flag] = flags.get(verdict.flag, 0) + 1
    return Criticized(asking.labels, asking.critics, verdicts, asking.stopped, ledger.spent_usd, ledger.lost_usd, flags)


def requests(
    labels: Sequence[MachineLabel],
    items: Items,
    critics: Sequence[Critic],
    journal: Journal | None = None,
    *,
    retries: int = RETRIES,
    near: bool = False,
) -> Iterator[Request]:
    """All requests to models that are not on this machine (with `near` those too): for a batch, or for their price.

    With a journal also those that follow on answers which it knows and which cannot be read.
    """
    asking = _Asking(tuple(labels), items, tuple(critics), retries)
    places = asking.places(near=False) + (asking.places(near=True) if near else [])
    for place, first in asking.requests(places):
        critic, request = critics[place.critic], first
        yield request
        for _ in range(retries if journal is not None else 0):
            known = journal.find(request.key()) if journal is not None else None
            read = None if known is None else read_criticism(known, critic)
            if known is None or not isinstance(read, Malformed) or not read.again:
                break
            request = critic.again(request, known.text, read.why)
            yield request


def in_order(verdicts: Mapping[Place, Verdict], critics: Sequence[Critic]) -> dict[Place, Verdict]:
    """The verdicts; those of a critic that is read by its surprise with their places in the order of equation 7."""
    found = dict(verdicts)
    for number, critic in enumerate(critics):
        if critic.strategy.name != "perplexity":
            continue
        read = [place for place in sorted(found) if place.critic == number and found[place].perplexity is not None]
        surprise = np.array([found[place].perplexity for place in read], np.float64)
        errors = by_perplexity([found[place].verdict or "" for place in read], surprise)
        for place, error in zip(read, errors.tolist(), strict=True):
            found[place] = replace(found[place], error=error)
    return found


class _Asking:
    """Takes answers as they come; knows what is to be asked again."""

    def __init__(
        self, labels: tuple[MachineLabel, ...], items: Items, critics: tuple[Critic, ...], retries: int
    ) -> None:
        self.labels, self.critics = labels, critics
        self.verdicts: dict[Place, Verdict] = {}
        self.stopped = False
        self._items, self._retries = items, retries
        self._again: list[tuple[Place, str, str]] = []  # with what was said, and why it could not be read
        self._asked_again: dict[Place, list[tuple[str, str]]] = {}
        if not critics:
            raise SettingError("no criticizer: name at least one model")
        self._check()

    def _check(self) -> None:
        missing = next((each.item for each in self.labels if each.item not in self._items.place_of), None)
        if missing is not None:
            raise SettingError(f"the contents of item {missing!r} are not there: give the items that were labeled")
        for critic in self.critics:
            silent = next((each for each in self.labels if critic.strategy.on_reasoning and not each.reasoning), None)
            if silent is not None:
                raise SettingError(
                    f"{critic.strategy.name} judges the annotator's reasoning, and {silent.model} gave none for item "
                    f"{silent.item!r}: label with `thinking: steps` in the rubric, or take another strategy"
                )

    def places(self, *, near: bool) -> list[Place]:
        """Every label and critic, label by label, so that whole labels are done first."""
        chosen = [number for number, critic in enumerate(self.critics) if is_local(critic.model) == near]
        return [Place(label, critic) for label in range(len(self.labels)) for critic in chosen]

    def requests(self, places: Sequence[Place]) -> Iterator[tuple[Place, Request]]:
        """What is asked now, with all that was said before."""
        for place in places:
            label, critic = self.labels[place.label], self.critics[place.critic]
            at = self._items.place_of[label.item]
            question = next(q for q in critic.rubric.questions if q.task.name == label.task)
            request = critic.request(
                self._items.content(at), question, question.task.code_of[label.label], label.reasoning
            )._replace(restricted=label.item in self._items.restricted)
            for said, why in self._asked_again.get(place, ()):
                request = critic.again(request, said, why)
            yield place, request

    def take(self, place: Place, said: Answer | Failure, cost_usd: float) -> None:
        """Note what a critic said of a label."""
        if isinstance(said, Failure) and said.kind in FATAL:
            self.stopped = True
            self.verdicts.pop(place, None)  # a first answer that could not be read is no verdict yet
            return
        verdict = self.verdicts.setdefault(place, Verdict())
        verdict.tries += 1
        if isinstance(said, Failure):
            verdict.flag = f"no answer: {said.kind}"
            return
        verdict.prompt_tokens += said.usage.prompt_tokens
        verdict.completion_tokens += said.usage.completion_tokens
        verdict.cost_usd += cost_usd
        verdict.answer = said.text[:MOST_KEPT]
        read = read_criticism(said, self.critics[place.critic])
        if isinstance(read, Criticism):
            verdict.error, verdict.flag, verdict.reasoning = read.error, "", read.reasoning
            verdict.verdict, verdict.perplexity = read.verdict, read.perplexity
            return
        self._note(place, verdict, read, said.text)

    def _note(self, place: Place, verdict: Verdict, read: Malformed, text: str) -> None:
        verdict.flag = read.why
        if read.again and verdict.tries <= self._retries:
            self._again.append((place, text, read.why))

    def again(self) -> list[Place]:
        """What could not be read and is asked once more; nothing after a run was stopped."""
        waiting, self._again = self._again, []
        if self.stopped:
            for place, _, _ in waiting:
                self.verdicts.pop(place, None)
            return []
        for place, text, why in waiting:
            self._asked_again.setdefault(place, []).append((text, why))
        return sorted(place for place, _, _ in waiting)
