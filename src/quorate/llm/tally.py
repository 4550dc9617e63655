"""What came of the calls so far: labels, probabilities, costs and reasoning by item, and what failed.

The tally depends on what was answered, not on when: answers may come in any order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int16, Int32

from quorate.llm.calls import Call, Job
from quorate.llm.confidence import Scored, agreement, first_token, largest, verbalised
from quorate.llm.prompt import Asked, Sheet
from quorate.llm.reading import Chosen, Reading, Unusable, read_answer
from quorate.llm.rubric import Question
from quorate.llm.settings import is_local
from quorate.llm.verify import chance_right, of_answer, of_each
from quorate.llm.wire import Answer, Failure, Step

Array = np.ndarray
NO_LOGPROBS = "no log probabilities"


class Failed(NamedTuple):
    """A label, or the confidence in one, that is missing."""

    item: str
    tasks: tuple[str, ...]
    model: str
    sample: int
    kind: str
    detail: str
    retried: int


class LookedUp(NamedTuple):
    """One look-up of a model on its way to an answer about an item."""

    item: str
    tasks: tuple[str, ...]
    model: str
    sample: int
    round: int
    tool: str
    arguments: str
    result: str


class Cells:
    """What one model says about one question, item by item."""

    def __init__(self, n_items: int, n_classes: int, n_samples: int) -> None:
        self.code: Int16[Array, "items"] = np.full(n_items, -1, np.int16)
        self.probs: Float64[Array, "items classes"] = np.full((n_items, n_classes), np.nan)
        self.said: Int16[Array, "items samples"] = np.full((n_items, n_samples), -1, np.int16)
        self.right: Float64[Array, "items classes"] = np.full((n_items, n_classes), np.nan)  # by the verifier
        self.cost_usd: Float64[Array, "items"] = np.zeros(n_items)
        self.reasoning: dict[int, str] = {}

    @property
    def labeled(self) -> Bool[Array, "items"]:
        """Which items have a label."""
        return self.code >= 0

    @property
    def scored(self) -> Bool[Array, "items"]:
        """Which items have a probability for every class."""
        return ~np.isnan(self.probs[:, 0])


class Tally:
    """Takes answers to the calls of a job, and knows what they say."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.failed: dict[Call, list[Failed]] = {}
        self.steps: dict[Call, tuple[Step, ...]] = {}
        self.cells = {
            (model, task): Cells(len(job.items), len(question.task.classes), job.n_samples(name))
            for model, name in enumerate(job.models)
            for task, question in enumerate(job.rubric.questions)
        }
        self._covered = [0.0] * len(job.models)
        self._n_covered = [0] * len(job.models)

    # ---- labels -------------------------------------------------------------------------------------------------

    def take(self, call: Call, said: Answer | Failure, cost_usd: float) -> None:
        """Note what a model said about an item."""
        sheet = self._sheet(call)
        if said.steps:
            self.steps[call] = said.steps
        if isinstance(said, Failure):
            self._fail(call, [asked.question for asked in sheet.asked], said.kind, said.detail, said.retried)
            return
        reading = read_answer(said, sheet)
        for asked in sheet.asked:
            cells = self._cells(call, asked.question)
            cells.cost_usd[call.item] += cost_usd / len(sheet.asked)
            if reading.reasoning and call.sample == 0:
                cells.reasoning[call.item] = reading.reasoning
            if sheet.wanted == "chances":
                self._take_chances(call, asked, reading)
            else:
                self._take_label(call, asked, reading, said)

    def _take_label(self, call: Call, asked: Asked, reading: Reading, answer: Answer) -> None:
        found = reading.of[asked.key]
        if isinstance(found, Unusable):
            self._fail(call, [asked.question], found.kind, found.detail)
            return
        cells = self._cells(call, asked.question)
        cells.said[call.item, call.sample] = found.code
        if call.sample == 0:
            cells.code[call.item] = found.code
        if not self._shows(call):
            return
        scored = self._scored(answer, reading, found, asked)
        if scored is None:
            self._fail(call, [asked.question], NO_LOGPROBS, f"the label is {asked.question.task.classes[found.code]!r}")
            return
        self._cover(call, scored)
        cells.probs[call.item] = scored.probs

    def _scored(self, answer: Answer, reading: Reading, found: Chosen, asked: Asked) -> Scored | None:
        if answer.tokens is None or "".join(token.token for token in answer.tokens) != reading.text:
            return None
        question = asked.question
        said = reading.text[found.place.start : found.place.stop].casefold()
        # a model that answers with a class's own name is read by those names
        names = question.ids if said == question.ids[found.code].casefold() else question.task.classes
        if self._job.settings.aggregate == "first":
            return first_token(answer.tokens, found, names)
        return largest(answer.tokens, names, found.place if reading.values else None)

    def _take_chances(self, call: Call, asked: Asked, reading: Reading) -> None:
        chances = reading.values.get(asked.key)
        scored = verbalised(chances, asked.question.ids) if isinstance(chances, dict) else None
        if scored is None:
            found = reading.of[asked.key]
            kind, detail = found if isinstance(found, Unusable) else ("no chances", "a label alone")
            self._fail(call, [asked.question], "no chances" if kind == "no such label" else kind, detail)
            return
        cells = self._cells(call, asked.question)
        cells.probs[call.item] = scored.probs
        cells.code[call.item] = scored.probs.argmax()

    def settle(self) -> None:
        """Turn samples into shares, once all answers are there."""
        if self._job.settings.confidence != "consistency":
            return
        for (model, _), cells in self.cells.items():
            if is_local(self._job.models[model]):
                continue
            for item in np.flatnonzero((cells.said >= 0).any(axis=1)):
                said = cells.said[item]
                shares = agreement(said[said >= 0].tolist(), cells.probs.shape[1])
                cells.probs[item], cells.code[item] = shares, shares.argmax()

    # ---- checks of labels ---------------------------------------------------------------------------------------

    def take_check(self, call: Call, said: Answer | Failure, cost_usd: float) -> None:
        """Note what the verifier said of a label; `call.sheet` is the place of the question."""
        question = self._job.rubric.questions[call.sheet]
        cells = self.cells[call.model, call.sheet]
        if isinstance(said, Failure):
            self._fail(call, [question], f"verifier: {said.kind}", said.detail, said.retried)
            return
        cells.cost_usd[call.item] += cost_usd
        right = chance_right(said)
        if right is None:
            kind = NO_LOGPROBS if said.tokens is None else "not of the form"
            self._fail(call, [question], f"verifier: {kind}", said.text[:120])
            return
        cells.right[call.item, call.code] = right

    def settle_checks(self) -> None:
        """Turn checks into probabilities, once all are there."""
        for cells in self.cells.values():
            n_classes = cells.probs.shape[1]
            for item in np.flatnonzero(cells.labeled & ~np.isnan(cells.right).all(axis=1)):
                right, code = cells.right[item], int(cells.code[item])
                if self._job.settings.verify == "answer":
                    cells.probs[item] = of_answer(code, float(right[code]), n_classes)
                elif not np.isnan(right).any():
                    cells.probs[item] = of_each(right.tolist())

    # ---- what there is ------------------------------------------------------------------------------------------

    def failures(self) -> list[Failed]:
        """What is missing and why, in the order of the items."""
        return [failed for call in sorted(self.failed) for failed in self.failed[call]]

    def lookups(self) -> list[LookedUp]:
        """What models looked up, in the order of the items, and of the rounds within."""
        return [
            LookedUp(
                self._job.items.ids[call.item],
                tuple(asked.question.task.name for asked in self._sheet(call).asked),
                self._job.models[call.model],
                call.sample,
                *step,
            )
            for call in sorted(self.steps)
            for step in self.steps[call]
        ]

    def covered(self) -> dict[str, float]:
        """By model, the mean probability that stood on names of classes: far below 1, it answers in another form."""
        return {
            name: self._covered[model] / n
            for model, name in enumerate(self._job.models)
            if (n := self._n_covered[model])
        }

    def labeled_by(self, model: int) -> Int32[Array, "tasks"]:
        """How many items have a label of a model, task by task."""
        tasks = range(len(self._job.rubric.questions))
        return np.array([self.cells[model, task].labeled.sum() for task in tasks], np.int32)

    # ---- inside -------------------------------------------------------------------------------------------------

    def _sheet(self, call: Call) -> Sheet:
        return self._job.sheets(self._job.models[call.model])[call.sheet]

    def _cells(self, call: Call, question: Question) -> Cells:
        return self.cells[call.model, self._job.place_of[question.task.name]]

    def _shows(self, call: Call) -> bool:
        """Whether the confidence is read from the tokens of this answer."""
        return self._job.settings.confidence == "logprobs" or is_local(self._job.models[call.model])

    def _cover(self, call: Call, scored: Scored) -> None:
        self._covered[call.model] += scored.covered
        self._n_covered[call.model] += 1

    def _fail(self, call: Call, questions: list[Question], kind: str, detail: str, retried: int = 0) -> None:
        tasks = tuple(question.task.name for question in questions)
        item, model = self._job.items.ids[call.item], self._job.models[call.model]
        self.failed.setdefault(call, []).append(Failed(item, tasks, model, call.sample, kind, detail, retried))
