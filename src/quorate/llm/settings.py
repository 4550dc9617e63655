"""How models are asked: where the confidence comes from, how often, and in what form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from quorate.errors import SettingError
from quorate.llm.verify import Checks

Confidence = Literal["logprobs", "verbalised", "consistency", "verifier"]
Aggregate = Literal["first", "largest"]
LOCAL = "local:"  # models whose name begins so are run on this machine
MOST_TOP = 20  # likeliest tokens that servers list at most


@dataclass(frozen=True)
class Settings:
    """How models are asked.

    >>> Settings(confidence="consistency", samples=7).n_samples
    7
    """

    confidence: Confidence = "logprobs"
    aggregate: Aggregate = "first"  # over tokens and positions: the place of the label, or the largest anywhere
    samples: int = 5  # of every prompt, for consistency
    temperature: float = 1.0  # of those samples; everything else is asked at 0
    top: int = MOST_TOP  # likeliest tokens to ask for
    verifier: str | None = None  # the model that checks labels
    verify: Checks = "answer"
    plain: bool = False  # one bare label instead of JSON, one question a call: for servers without JSON schemas
    examples: int | None = None  # worked examples to show at most
    reasoning_tokens: int | None = None  # to think in, written or hidden; None: as the rubric needs
    seed: int = 0

    def __post_init__(self) -> None:
        if self.confidence not in get_args(Confidence):
            raise SettingError(f"confidence {self.confidence!r}: use one of {', '.join(get_args(Confidence))}")
        if self.confidence == "verifier" and not self.verifier:
            raise SettingError("confidence by a verifier needs one: name the model that checks labels")
        if self.confidence == "verbalised" and self.plain:
            raise SettingError("chances in words need JSON: leave `plain` out, or take another confidence")
        for name, value, least in (("samples", self.samples, 2), ("top", self.top, 1), ("seed", self.seed, 0),
                                   ("reasoning_tokens", self.reasoning_tokens or 0, 0)):  # fmt: skip
            if value < least:
                raise SettingError(f"{name} = {value}: it must be at least {least}")
        if self.top > MOST_TOP:
            raise SettingError(f"top = {self.top}: servers list at most {MOST_TOP} tokens")
        if not 0 < self.temperature <= 2:
            raise SettingError(f"temperature = {self.temperature}: it must be above 0 and at most 2")

    @property
    def n_samples(self) -> int:
        """How often one prompt is answered."""
        return self.samples if self.confidence == "consistency" else 1


def is_local(model: str) -> bool:
    """Whether a model runs on this machine."""
    return model.startswith(LOCAL)
