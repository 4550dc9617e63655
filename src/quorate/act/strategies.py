"""The ways to ask a model whether a label is wrong [lin2025act], tables 1 and 2 and appendix C.

    naive        the probability of an error, at once                               any model
    cot          the same, after thinking                                           any model
    levels       one of five levels from right to wrong, after thinking             any model
    devil        the same as cot, of the annotator's own reasoning                  any model
    logit        yes or no, read from the probabilities of these words (6)          a model that shows them
    cot-logit    the same, after thinking                                           a model that shows them
    perplexity   yes or no after thinking; how surprising its thoughts were (7)     a model that shows them

Levels and perplexity put labels in an order and no more: budgets are spent by thresholds on them, until a few labels of
people have turned them into probabilities (`combine`).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from quorate.errors import SettingError
from quorate.llm.prompt import REASONING

StrategyName = Literal["naive", "cot", "levels", "devil", "logit", "cot-logit", "perplexity"]
Answers = Literal["probability", "levels", "verdict"]
PROPERTY: dict[Answers, str] = {"probability": "error_probability", "levels": "error_level", "verdict": "wrong"}
EXAMPLE: dict[Answers, str] = {"probability": "0.125", "levels": "2", "verdict": "no"}
LEVELS = ("1", "2", "3", "4", "5")
VERDICTS = ("yes", "no")  # in the order of equation 6
THOUGHT_TOKENS, ANSWER_TOKENS = 400, 32


class Strategy(NamedTuple):
    """One way to ask."""

    name: StrategyName
    answers: Answers
    thinks: bool = False
    on_reasoning: bool = False  # the annotator's reasoning is judged, not its label
    reads_tokens: bool = False  # white box: from the probabilities of the model's own words
    is_order: bool = False  # it says which label is more likely wrong, not how likely

    @property
    def key(self) -> str:
        """The property of the answer that holds what is asked."""
        return PROPERTY[self.answers]

    @property
    def template(self) -> str:
        """The instructions."""
        return f"critic_{self.answers}.jinja"

    @property
    def most_tokens(self) -> int:
        """The most tokens that an answer may have."""
        return ANSWER_TOKENS + THOUGHT_TOKENS * self.thinks

    def schema(self) -> dict[str, Any]:
        """The JSON schema of an answer."""
        asked: dict[str, Any] = {
            "probability": {"type": "number", "minimum": 0, "maximum": 1},
            "levels": {"type": "string", "enum": list(LEVELS)},
            "verdict": {"type": "string", "enum": list(VERDICTS)},
        }[self.answers]
        properties = {REASONING: {"type": "string"}, self.key: asked} if self.thinks else {self.key: asked}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def shown(self) -> str:
        """The JSON that is asked for, with dots where it is to be filled in."""
        mark = "..." if self.answers == "probability" else '"..."'
        thoughts = f'"{REASONING}": "...", ' if self.thinks else ""
        return f'{{{thoughts}"{self.key}": {mark}}}'


STRATEGIES: dict[StrategyName, Strategy] = {
    each.name: each
    for each in (
        Strategy("naive", "probability"),
        Strategy("cot", "probability", thinks=True),
        Strategy("levels", "levels", thinks=True, is_order=True),
        Strategy("devil", "probability", thinks=True, on_reasoning=True),
        Strategy("logit", "verdict", reads_tokens=True),
        Strategy("cot-logit", "verdict", thinks=True, reads_tokens=True),
        Strategy("perplexity", "verdict", thinks=True, reads_tokens=True, is_order=True),
    )
}


def strategy(name: str) -> Strategy:
    """The strategy of that name. Raises SettingError where there is none."""
    for known, found in STRATEGIES.items():
        if known == name:
            return found
    raise SettingError(f"strategy {name!r}: use one of {', '.join(STRATEGIES)}")
