"""A criticizer: a model, a way to ask it, and what it is told about one label of one item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from quorate.act.strategies import EXAMPLE, Strategy
from quorate.llm.items import Content
from quorate.llm.prompt import REASONING, Asked, Prompts, Sheet, item_message, tag_of
from quorate.llm.rubric import Question, Rubric
from quorate.llm.settings import MOST_TOP, is_local
from quorate.llm.wire import Message, Request

FOLDER = Path(__file__).with_name("prompts")
MOST_REPEATED = 2_000  # characters of an answer that could not be read, as they are said back
Form = Literal["json", "brackets", "words"]


def critic_prompts(folder: Path | None = None) -> Prompts:
    """The templates of criticism, and over them those of a folder of your own."""
    return Prompts(folder, FOLDER)


@dataclass(frozen=True)
class Critic:
    """A model asked in one way about labels of one rubric."""

    model: str
    strategy: Strategy
    rubric: Rubric
    prompts: Prompts = field(default_factory=critic_prompts)
    plain: bool = False  # brackets instead of JSON: for servers without schemas

    @property
    def name(self) -> str:
        """Model and strategy.

        >>> from quorate.act.strategies import strategy
        >>> from quorate.llm.rubric_file import parse_rubric
        >>> Critic("m", strategy("cot"), parse_rubric("tasks: [{name: safe, kind: yes-no}]")).name
        'm, cot'
        """
        return f"{self.model}, {self.strategy.name}"

    @property
    def form(self) -> Form:
        """In which form it answers."""
        return "words" if is_local(self.model) else "brackets" if self.plain else "json"

    def request(self, content: Content, question: Question, code: int, reasoning: str | None = None) -> Request:
        """The question whether that class is wrong for the item; `reasoning` is the annotator's own."""
        asked = self._asked[question.task.name]
        statement = reasoning or ""
        said = item_message(
            self.prompts,
            content,
            "critic_item.jinja",
            asked=asked,
            label=question.options[code],
            strategy=self.strategy,
            statement=statement,
            said_tag=tag_of(Content({"statement": statement})).replace("item", "said"),
        )
        messages = (self._systems[question.task.name], Message("user", said))
        top = MOST_TOP if self.strategy.reads_tokens or is_local(self.model) else None
        schema = None if self.form == "brackets" else self.strategy.schema()
        return Request(self.model, messages, self.strategy.most_tokens, 0.0, top, schema)

    def again(self, request: Request, said: str, why: str) -> Request:
        """The same question once more, after an answer that could not be read; cut off, it may be twice as long."""
        text = self.prompts.render("critic_again.jinja", why=why, **self._told())
        turns = (Message("assistant", said[:MOST_REPEATED] or "(nothing)"), Message("user", text))
        longer = 2 if why == CUT_OFF else 1
        return request._replace(messages=(*request.messages, *turns), max_tokens=longer * request.max_tokens)

    @cached_property
    def _asked(self) -> dict[str, Asked]:
        return {
            question.task.name: Sheet(self.prompts, self.rubric, (question,)).asked[0]
            for question in self.rubric.questions
        }

    @cached_property
    def _systems(self) -> dict[str, Message]:
        return {name: Message("system", self._system(asked)) for name, asked in self._asked.items()}

    def _system(self, asked: Asked) -> str:
        rubric = self.rubric
        return self.prompts.render(
            self.strategy.template,
            about=rubric.about,
            guidelines=rubric.guidelines,
            questions=(asked,),
            **self._told(),
        )

    def _told(self) -> dict[str, Any]:
        """What every template of criticism may say."""
        strategy = self.strategy
        return {
            "strategy": strategy,
            "form": self.form,
            "shown": strategy.shown(),
            "example": EXAMPLE[strategy.answers],
            "reasoning": REASONING,
        }


CUT_OFF = "it was cut off"


class Named(NamedTuple):
    """A model and a strategy as they are named together: `gpt-4o=cot`."""

    model: str
    strategy: str


def named(texts: Sequence[str], default: str) -> list[Named]:
    """Models with their strategies, `MODEL` or `MODEL=STRATEGY`, no pair twice.

    >>> named(["m", "m=logit", "local:tiny"], "cot")[1:]
    [Named(model='m', strategy='logit'), Named(model='local:tiny', strategy='cot')]
    """
    found = [Named(name, way or default) for name, _, way in (text.strip().partition("=") for text in texts) if name]
    return list(dict.fromkeys(found))
