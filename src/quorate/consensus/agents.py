"""The report on agents: who is reliable, who errs together, and what the models are worth together.

Every agent is held against what everybody else says (see `witness`), never against itself, and the uncertainty of that
truth is paid for (see `quorate.measure.mixture`): whose items are known only vaguely has a wide interval, not a low
accuracy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from quorate.consensus.dawid_skene import DawidSkene
from quorate.consensus.door import coded_of
from quorate.consensus.estimator import Archetypal, Model
from quorate.consensus.findings import of_one_kind, sentences
from quorate.consensus.reliability import AgentFigure, Confusion, Flag, Judged, judged_models, judged_people
from quorate.consensus.shared_errors import SharedErrors, shared_errors
from quorate.consensus.witness import Witness, without_models, witnesses
from quorate.data.dataset import Dataset
from quorate.data.encode import Coded
from quorate.errors import SettingError
from quorate.measure.intervals import Interval, normal_quantile


@dataclass(frozen=True, eq=False)
class Agents:
    """Everything about the people and models of a data set; agents in the order of tasks, people before models."""

    judged: tuple[Judged, ...] = field(repr=False)
    shared: SharedErrors
    level: float
    notes: tuple[str, ...] = ()  # what the reader should know of how they were judged
    archetypes: dict[str, tuple[float, ...]] = field(default_factory=dict)  # P(archetype) per model, where fitted

    @property
    def agents(self) -> tuple[AgentFigure, ...]:
        """The figures of every agent on every task it answered."""
        return tuple(one.figure for one in self.judged)

    @property
    def effective(self) -> Interval | None:
        """Independent models that are worth as much as all of them; None with fewer than two."""
        return self.shared.effective

    def of(self, agent: str, task: str) -> AgentFigure:
        """The figures of one agent on one task. Raises SettingError when it did not answer it."""
        return self._judged(agent, task).figure

    def confusion(self, agent: str, task: str) -> Confusion:
        """What this agent says of each true class. Raises SettingError when it did not answer the task."""
        return self._judged(agent, task).confusion

    def flagged(self, flag: Flag | None = None) -> tuple[AgentFigure, ...]:
        """Agents of which something is odd: of this flag, or of any."""
        return tuple(figure for figure in self.agents if figure.flags and flag in {None, *figure.flags})

    def sentences(self) -> tuple[str, ...]:
        """What stands out, in plain words."""
        return (*sentences(self.agents, self.shared), *of_one_kind(self.archetypes), *self.notes)

    def table(self) -> pa.Table:
        """One row per agent and task; unknown figures are null."""
        table: pa.Table = pa.Table.from_pylist([figure._asdict() for figure in self.agents], schema=_AGENTS)
        return table

    def pairs_table(self) -> pa.Table:
        """One row per pair of agents and task (null: all tasks together); unknown figures are null."""
        table: pa.Table = pa.Table.from_pylist([pair._asdict() for pair in self.shared.pairs], schema=_PAIRS)
        return table

    def figures_json(self) -> dict[str, Any]:
        """Everything as JSON holds it."""
        return {
            "level": self.level,
            "agents": [{**one.figure._asdict(), "confusion": _confusion_json(one.confusion)} for one in self.judged],
            "pairs": [pair._asdict() for pair in self.shared.pairs],
            "families": [family._asdict() for family in self.shared.families],
            "models": self.shared.models,
            "effective_models": None if self.effective is None else self.effective._asdict(),
            "archetypes": {name: list(shares) for name, shares in self.archetypes.items()},
            "findings": list(self.sentences()),
        }

    def to_json(self) -> str:
        """As `quorate agents --json` writes it."""
        return json.dumps(self.figures_json(), indent=2, allow_nan=False) + "\n"

    def _judged(self, agent: str, task: str) -> Judged:
        for one in self.judged:
            if (one.figure.agent, one.figure.task) == (agent, task):
                return one
        raise SettingError(f"{agent!r} is no agent that answered task {task!r} of this data")


_FIGURES = [(name, pa.float64()) for name in ("low", "high", "se")]
_AGENTS = pa.schema(
    [
        *[(name, pa.string()) for name in ("agent", "kind", "task")],
        ("n", pa.int64()),
        ("n_gold", pa.int64()),
        ("n_effective", pa.float64()),
        ("accuracy", pa.float64()),
        *_FIGURES,
        ("chance", pa.float64()),
        ("flags", pa.list_(pa.string())),
        ("reason", pa.string()),
    ]
)
_PAIRS = pa.schema(
    [
        *[(name, pa.string()) for name in ("first", "second", "kind", "task")],
        ("n", pa.int64()),
        ("correlation", pa.float64()),
        *_FIGURES,
        ("both_wrong", pa.float64()),
        ("same_wrong", pa.float64()),
        ("reason", pa.string()),
    ]
)


def agents_report(model: Model, data: Dataset | Coded, *, level: float = 0.95) -> Agents:
    """Reliability and shared errors of everybody who answered in this data, judged with a fitted model.

    The data may be what the model was fitted on: each label is judged by the posterior without it. (The model's
    parameters have seen it; among many labels one moves them little.) Raises SettingError for a level outside (0, 1).

    >>> from quorate.consensus.registry import estimator
    >>> people = {"ann": "yynnyynnyynn", "bo": "yynnyynnyyny", "cy": "yynnyynynynn"}
    >>> rows = [(f"i{i}", name, label) for name, said in people.items() for i, label in enumerate(said)]
    >>> labels = [{"item": i, "task": "fair", "annotator": a, "label": label} for i, a, label in rows]
    >>> data = Dataset(labels=pa.Table.from_pylist(labels))
    >>> report = agents_report(estimator("dawid-skene").fit(data), data)
    >>> sorted(report.agents, key=lambda figure: -figure.accuracy)[0].agent
    'ann'
    """
    normal_quantile(level)  # checks the level
    coded = coded_of(data)
    coded = coded.aligned(model.schema, coded.annotators, coded.models)
    of, notes = _witnesses(model, coded)
    judged = [
        one
        for task, witness in enumerate(of)
        for one in (*judged_people(coded, task, witness, level), *judged_models(coded, task, witness, level))
    ]
    kinds = model.archetypes() if isinstance(model, Archetypal) else {}
    archetypes = {name: tuple(map(float, shares)) for name, shares in kinds.items()}
    return Agents(tuple(judged), shared_errors(coded, of, level), level, notes, archetypes)


def _witnesses(model: Model, coded: Coded) -> tuple[list[Witness], tuple[str, ...]]:
    """Vote shares are no posterior: five votes of six are far surer than 5/6, and their doubt would pass as blur."""
    if all(rows.population is not None for rows in model.predict(coded).people):
        return witnesses(model, coded), ()
    people = without_models(coded)
    note = f"{model.name!r} has vote shares, no posterior of the truth: Dawid-Skene on people's labels judged."
    return witnesses(DawidSkene().fit(people), people), (note,)


def _confusion_json(of: Confusion) -> dict[str, Any]:
    return {name: part if name == "classes" else part.tolist() for name, part in of._asdict().items()}
