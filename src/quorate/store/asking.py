"""What a campaign asks models for: whose scores, how their confidence is read, in which words, for how much money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from quorate.errors import SettingError
from quorate.schema import UNFIT

Confidence = Literal["logprobs", "verbalised", "consistency"]
CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)
MOST_MODELS, MOST_NAME, MOST_WORDS = 20, 200, 5_000


@dataclass(frozen=True)
class Labeler:
    """Models that score the items of a campaign in the background, for at most `cap_usd` US dollars in all.

    `questions` says in whole sentences what a task asks, where its name does not.
    """

    models: tuple[str, ...]
    cap_usd: float
    confidence: Confidence = "logprobs"
    questions: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)

    def __post_init__(self) -> None:
        if not 0 < len(self.models) <= MOST_MODELS or len(set(self.models)) < len(self.models):
            raise SettingError(f"labeler.models names 1 to {MOST_MODELS} models, each once")
        for name in self.models:
            if not 0 < len(name) <= MOST_NAME or UNFIT.search(name):
                raise SettingError(f"a model's name has 1 to {MOST_NAME} printing characters, not {name[:40]!r}")
        if not 0 <= self.cap_usd <= 1e9:
            raise SettingError(f"labeler.cap_usd is an amount of US dollars of 0 or more, not {self.cap_usd}")
        if self.confidence not in CONFIDENCES:
            raise SettingError(f"labeler.confidence is one of {', '.join(CONFIDENCES)}, not {self.confidence!r}")
        if not all(0 < len(words) <= MOST_WORDS for words in self.questions.values()):
            raise SettingError(f"labeler.questions holds texts of 1 to {MOST_WORDS} characters, by task")

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Labeler:
        """Read back. Raises SettingError for a setting that there is not, or that is missing.

        >>> Labeler.from_json({"models": ["m"], "cap_usd": 2}).models
        ('m',)
        """
        known = [each.name for each in fields(cls)]
        for name in given:
            if name not in known:
                raise SettingError(f"labeler has no setting {name!r}; use {', '.join(known)}")
        for name in ("models", "cap_usd"):
            if name not in given:
                raise SettingError(f"labeler.{name} is missing; a labeler has models and a cap in US dollars")
        values: dict[str, Any] = {**given, "models": tuple(given["models"]), "cap_usd": float(given["cap_usd"])}
        return cls(**values)
