"""The confidence of a model that gives none, by another model that checks its labels [hovsepian2024], section 4.2.

The verifier sees the item, the rubric's question and a label, and says whether it is right; its log probabilities for
yes and no are the confidence. With `answer` it checks the label that was given; with `each` every class in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float64

from quorate.llm.confidence import FLOOR, first_token
from quorate.llm.items import Content
from quorate.llm.prompt import RIGHT, VERDICTS, Asked, Prompts, Sheet, item_message, verdict_schema
from quorate.llm.reading import Chosen, bare, find_object
from quorate.llm.rubric import Question, Rubric
from quorate.llm.wire import Answer, Message, Request

Array = np.ndarray
Checks = Literal["answer", "each"]
MOST_TOKENS = 32
TOP = 20


@dataclass(frozen=True)
class Verifier:
    """A model that checks labels of one question."""

    model: str
    prompts: Prompts
    rubric: Rubric
    question: Question
    top: int = TOP
    plain: bool = False  # one word instead of JSON, as a local model is asked

    @cached_property
    def _asked(self) -> Asked:
        return Sheet(self.prompts, self.rubric, (self.question,)).asked[0]

    @cached_property
    def _system(self) -> Message:
        rubric = self.rubric
        text = self.prompts.render(
            "verify.jinja",
            about=rubric.about,
            guidelines=rubric.guidelines,
            questions=(self._asked,),
            form="" if self.plain else f'{{"{RIGHT}": "..."}}',
            verdicts=VERDICTS,
        )
        return Message("system", text)

    def request(self, content: Content, code: int) -> Request:
        """The question whether that class is right for the item."""
        option = self.question.options[code]
        said = item_message(self.prompts, content, "verify_item.jinja", label=option, asked=self._asked)
        messages = (self._system, Message("user", said))
        return Request(self.model, messages, MOST_TOKENS, 0.0, self.top, verdict_schema(plain=self.plain))


def chance_right(answer: Answer) -> float | None:
    """The probability that the verifier gives to yes, of yes and no; None where it says neither or gives none."""
    if answer.tokens is None:
        return None
    text = "".join(token.token for token in answer.tokens)
    said = find_object(text, {RIGHT}).get(RIGHT) or bare(text)
    verdict = str(said.value).casefold()
    if verdict not in VERDICTS:
        return None
    found = first_token(answer.tokens, Chosen(VERDICTS.index(verdict), said.place), VERDICTS)
    return None if found is None else float(found.probs[0])


def of_answer(code: int, right: float, n_classes: int) -> Float64[Array, "classes"]:
    """The chance that the answered class is right, and the rest shared evenly by the others.

    >>> of_answer(1, 0.8, 3).round(2)
    array([0.1, 0.8, 0.1])
    """
    if n_classes == 1:
        return np.ones(1)
    kept = min(max(right, FLOOR), 1.0 - FLOOR)
    probs = np.full(n_classes, (1.0 - kept) / (n_classes - 1))
    probs[code] = kept
    return probs


def of_each(right: Sequence[float]) -> Float64[Array, "classes"]:
    """The chances of all classes, each checked by itself, as one vector: odds made to sum to 1.

    If exactly one class is right and the checks are independent, P(c) ∝ r_c / (1 - r_c).

    >>> of_each([0.9, 0.1, 0.1]).round(2)
    array([0.98, 0.01, 0.01])
    """
    chances = np.clip(np.asarray(right, dtype=np.float64), FLOOR, 1.0 - FLOOR)
    odds = chances / (1.0 - chances)
    return odds / odds.sum()
