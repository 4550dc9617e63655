"""Which calls a labeling takes: for every item, model, group of questions and sample, one request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from quorate.errors import SettingError
from quorate.llm.items import Items
from quorate.llm.prompt import Prompts, Sheet, Wanted
from quorate.llm.rubric import Question, Rubric
from quorate.llm.settings import Settings, is_local
from quorate.llm.toolbox import Toolbox
from quorate.llm.verify import Verifier
from quorate.llm.wire import Request

DEFAULT = Settings()
CALL_TOKENS = 128  # in which a model may say what it looks up


class Call(NamedTuple):
    """Which item is asked about, of which model, by which sheet; of samples, the number; of checks, the class."""

    item: int
    model: int
    sheet: int
    sample: int = 0
    code: int = -1  # the class that a verifier checks; -1: a model is asked for its label


@dataclass(frozen=True)
class Job:
    """What is to be labeled, by whom and how."""

    items: Items
    rubric: Rubric
    models: tuple[str, ...]
    settings: Settings = DEFAULT
    prompts: Prompts | None = None
    examples_folder: Path | None = None  # where the rubric lies, and with it images of examples and files of tools
    tools: Toolbox | None = None  # over those of the rubric

    def __post_init__(self) -> None:
        if not self.models:
            raise SettingError("no model to ask: name at least one")
        repeated = next((name for name in self.models if self.models.count(name) > 1), None)
        if repeated is not None:
            raise SettingError(f"model {repeated!r} is named twice")
        if self.settings.plain and self.rubric.thinking == "steps":
            raise SettingError("reasoning needs JSON: leave `plain` out, or write `thinking: none` in the rubric")
        local = next(filter(is_local, self.models), None)
        if local is not None and (self.rubric.tools or self.tools):
            raise SettingError(
                f"{local} runs on this machine and cannot call tools: ask it with a rubric without `tools`"
            )
        _ = self.toolbox  # files of tools are read before anything is asked

    @cached_property
    def toolbox(self) -> Toolbox | None:
        """What models may look up; None where nothing is declared."""
        if self.tools is not None or not self.rubric.tools:
            return self.tools
        return Toolbox.read(self.rubric.tools, self.examples_folder or Path(), self.rubric.rounds)

    @cached_property
    def far(self) -> tuple[str, ...]:
        """All models that are asked over a server, the verifier too."""
        return tuple(name for name in self._asked if not is_local(name))

    @cached_property
    def near(self) -> tuple[str, ...]:
        """All models that run on this machine, the verifier too."""
        return tuple(name for name in self._asked if is_local(name))

    @property
    def _asked(self) -> tuple[str, ...]:
        verifier = self.settings.verifier if self.settings.confidence == "verifier" else None
        return tuple(dict.fromkeys([*self.models, *([verifier] if verifier else [])]))

    @cached_property
    def place_of(self) -> dict[str, int]:
        """Task to the place of its question in the rubric."""
        return {question.task.name: place for place, question in enumerate(self.rubric.questions)}

    def sheets(self, model: str) -> tuple[Sheet, ...]:
        """What a model is asked about every item, call by call."""
        return self._local_sheets if is_local(model) else self._sheets

    @cached_property
    def _sheets(self) -> tuple[Sheet, ...]:
        wanted: Wanted = "plain" if self.settings.plain else "labels"
        return self._made("chances" if self.settings.confidence == "verbalised" else wanted, self.toolbox is not None)

    @cached_property
    def _local_sheets(self) -> tuple[Sheet, ...]:
        return self._made("plain")

    def _made(self, wanted: Wanted, looks_up: bool = False) -> tuple[Sheet, ...]:
        return tuple(
            Sheet(self._prompts, self.rubric, group, wanted, self.examples_folder, self.settings.examples, looks_up)
            for group in self.rubric.groups(apart=wanted == "plain")
        )

    @cached_property
    def _prompts(self) -> Prompts:
        return self.prompts or Prompts()

    # ---- labels -------------------------------------------------------------------------------------------------

    def n_samples(self, model: str) -> int:
        """How often a model is asked the same: a local one once, since it shows its probabilities."""
        return 1 if is_local(model) else self.settings.n_samples

    def n_calls(self, models: Sequence[str]) -> int:
        """How many calls these models are asked for labels."""
        return len(self.items) * sum(len(self.sheets(model)) * self.n_samples(model) for model in models)

    def calls(self, models: Sequence[str]) -> Iterator[tuple[Call, Request]]:
        """Every call for a label, item by item, so that whole items are done first."""
        tells = {model: [self._tells(sheet) for sheet in self.sheets(model)] for model in models}
        for item in range(len(self.items)):
            content, restricted = self.items.content(item), self.items.ids[item] in self.items.restricted
            for model in models:
                place = self.models.index(model)
                for number, sheet in enumerate(self.sheets(model)):
                    request = self._request(sheet, model)._replace(
                        messages=sheet.messages(content), restricted=restricted or tells[model][number]
                    )
                    for sample in range(self.n_samples(model)):
                        yield Call(item, place, number, sample), request._replace(sample=sample)

    def _tells(self, sheet: Sheet) -> bool:
        """Whether a worked example shows a restricted item: then nothing it stands in may leave the boundary."""
        hidden = self.items.restricted_texts
        return any(
            example.restricted or any(text.strip() in hidden for text in example.fields.values())
            for example in sheet.examples
        )

    def _request(self, sheet: Sheet, model: str) -> Request:
        settings = self.settings
        several = self.n_samples(model) > 1
        shows = is_local(model) or settings.confidence == "logprobs"
        return Request(
            model,
            (),
            sheet.most_tokens(settings.reasoning_tokens) + CALL_TOKENS * sheet.looks_up,
            settings.temperature if several else 0.0,
            settings.top if shows else None,
            None if sheet.wanted == "plain" and not is_local(model) else sheet.schema,
            settings.seed if several else None,
            tools=self.toolbox.tools if sheet.looks_up and self.toolbox else (),
        )

    # ---- checks of labels ---------------------------------------------------------------------------------------

    def check(self, call: Call) -> Request:
        """The request to the verifier whether a class is right for an item."""
        request = self.verifiers[call.sheet].request(self.items.content(call.item), call.code)
        return request._replace(restricted=self.items.ids[call.item] in self.items.restricted)

    def verifier(self, question: Question) -> Verifier:
        """The model that checks labels of a question."""
        name = self.settings.verifier
        assert name is not None
        return Verifier(name, self._prompts, self.rubric, question, self.settings.top, is_local(name))

    @cached_property
    def verifiers(self) -> tuple[Verifier, ...]:
        """Those of all questions, in order."""
        return tuple(map(self.verifier, self.rubric.questions))

    def checked(self, model: str) -> bool:
        """Whether a model's labels are checked by the verifier: it shows no probabilities itself."""
        return self.settings.confidence == "verifier" and not is_local(model)
