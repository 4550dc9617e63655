"""What might become the judge: a model asked in a certain way; and what candidates said, beside people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from quorate.data.dataset import Dataset
from quorate.errors import SettingError
from quorate.judge.graded import Graded, graded
from quorate.llm.rubric import Thinking

MARK = "|"  # separates a model from its variant in the name of a recorded model


class Candidate(NamedTuple):
    """A model, a prompt variant, a set of worked examples and how it thinks, each by its name.

    >>> Candidate("small", prompt="strict", examples="errors 4").name
    'small|strict|errors 4'
    """

    model: str
    prompt: str = ""
    examples: str = ""
    thinking: Thinking = "none"
    shown: tuple[str, ...] = ()  # the items that its examples show: they count in none of its figures

    @property
    def name(self) -> str:
        """Model and whatever differs from the plain question, joined by `|`."""
        parts = (self.model, self.prompt, self.examples, "" if self.thinking == "none" else self.thinking)
        return MARK.join(part for part in parts if part)

    @property
    def parts(self) -> tuple[str, str, str, str]:
        """What candidates may have in common: figures of candidates that share a part are shrunken together."""
        family, _, variant = self.model.partition(MARK)
        return family, MARK.join(part for part in (variant, self.prompt) if part), self.examples, self.thinking

    def to_dict(self) -> dict[str, Any]:
        """As JSON spells it."""
        return {**self._asdict(), "shown": list(self.shown)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Candidate:
        """Read back."""
        parts = fields["model"], fields["prompt"], fields["examples"], fields["thinking"]
        return cls(*parts, shown=tuple(fields["shown"]))


class Answered(NamedTuple):
    """What a candidate said of the items, task by task."""

    candidate: Candidate
    tasks: Mapping[str, Graded]
    cost_usd: float = 0.0  # of all its answers


def candidate_of(name: str) -> Candidate:
    """The candidate that a recorded model's name speaks of.

    >>> candidate_of("gpt-4|prompt3|swapped")
    Candidate(model='gpt-4', prompt='prompt3|swapped', examples='', thinking='none', shown=())
    """
    model, _, prompt = name.partition(MARK)
    return Candidate(model, prompt)


def recorded(
    data: Dataset,
    *,
    tasks: Sequence[str] | None = None,
    models: Sequence[str] | None = None,
    items: Sequence[str] | None = None,
) -> list[Answered]:
    """The models of a data set as candidates, on all items or those named.

    Raises SettingError where there is no model, or one that is named twice.
    """
    coded = data.encode()
    names = coded.models if models is None else tuple(models)
    if not names:
        raise SettingError("no model has answered yet: there is no judge to choose")
    if len(set(names)) < len(names):
        raise SettingError("a model is named twice among the candidates")
    wanted = tuple(task.name for task in coded.schema.tasks) if tasks is None else tuple(tasks)
    return [Answered(candidate_of(name), {task: graded(coded, name, task, items) for task in wanted}) for name in names]
