"""The optimizer by DSPy (extra `dspy`): its few-shot random search [khattab2024] finds the examples to show.

DSPy's programs ask through our client, so that journal and cap hold for them as for every call. What DSPy finds are
worked examples; the candidates that show them are then asked by our own prompts and calibrated like any other, beside
the same models without examples, so that a judge by DSPy is nothing special afterwards.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from quorate.errors import SettingError
from quorate.judge.asking import Asker, Space
from quorate.judge.calibrate import By, Calibrated, calibrate
from quorate.judge.candidates import Answered
from quorate.judge.dspy_engine import Engine, dspy_module
from quorate.judge.examples import restricted
from quorate.judge.map_grades import shares
from quorate.llm.prompt import Asked, Prompts, Sheet

TRAIN = 0.5  # of the items that may be shown; the others tell DSPy which programs are good


@dataclass(frozen=True)
class DspySearch:
    """BootstrapFewShotWithRandomSearch for every model of the space, with the prompt variants of the space after it."""

    examples: int = 4  # that a candidate shows at most
    programs: int = 6  # that DSPy tries per model
    most_items: int = 60  # that DSPy works with: a share to show, the rest to compare programs by
    by: By = "agreement"
    folds: int = 5
    seed: int = 0

    def search(self, asker: Asker, space: Space) -> Calibrated:
        """The best candidate under the cap.

        Raises MissingExtraError without DSPy, SettingError for items with images, and where the cap ends the search
        before any candidate has answered all items.
        """
        if asker.items.images:
            raise SettingError("the DSPy optimizer reads texts only: use the built-in one for images")
        everything = np.arange(len(asker.items))
        plain = asker.ask(space.candidates(), everything)
        found, stopped = [each for each in plain.answered if _whole(each)], plain.stopped
        calls = 0
        for model in () if stopped else space.models:
            shown, engine = self._shown(asker, model)
            calls, stopped = calls + engine.calls, engine.stopped
            if stopped:
                break
            more = [
                each._replace(examples=f"dspy {len(shown)}", shown=shown)
                for each in space.candidates()
                if each.model == model and shown
            ]
            done = asker.ask(more, everything)
            found += [each for each in done.answered if _whole(each)]
            stopped = stopped or done.stopped
        if not found:
            raise SettingError("the cap ended the search before any candidate had answered all items: raise the cap")
        best = calibrate(found, by=self.by, folds=self.folds, seed=self.seed)
        return replace(best, spent_usd=asker.spent_usd, calls=asker.calls + calls, stopped=stopped)

    def _shown(self, asker: Asker, model: str) -> tuple[tuple[str, ...], Engine]:
        """The items that DSPy's best program shows to a model; none where the cap ended its search."""
        dspy = dspy_module()
        program = Program(asker)
        engine = Engine(asker.means, program.schema, program.most_tokens)
        train, valid = self._split(asker, program)
        lm = dspy.LM(f"openai/{model}" if "/" not in model else model, engine=engine, cache=False, num_retries=0)
        lm.model = model
        with _quiet(), dspy.context(lm=lm, adapter=dspy.JSONAdapter()):
            try:
                best = self._tuner(dspy, program).compile(
                    dspy.Predict(program.signature(dspy)), trainset=train, valset=valid
                )
            except Exception:
                if not engine.stopped:
                    raise
                return (), engine
        # the plain program is a candidate already: what is wanted is the best that shows something
        ranked = [each["program"].demos for each in best.candidate_programs]
        demos = next((each for each in ranked if each), [])
        return program.items_of(demos)[: self.examples], engine

    def _tuner(self, dspy: Any, program: Program) -> Any:
        return dspy.BootstrapFewShotWithRandomSearch(
            metric=program.score,
            metric_threshold=0.5,
            max_bootstrapped_demos=max(1, self.examples // 2),
            max_labeled_demos=self.examples,
            num_candidate_programs=self.programs,
            num_threads=1,  # one after the other: the same calls in the same order in every run
        )

    def _split(self, asker: Asker, program: Program) -> tuple[list[Any], list[Any]]:
        places = np.flatnonzero(~restricted(asker.items) & program.clear)
        chosen = np.random.default_rng(self.seed).permutation(places)[: self.most_items].tolist()
        if len(chosen) < 4:
            raise SettingError("people agree on too few items to search for examples: have more graded")
        cut = max(2, round(TRAIN * len(chosen)))
        return [program.example(each) for each in chosen[:cut]], [program.example(each) for each in chosen[cut:]]


class Program:
    """The rubric as DSPy sees it: a signature, worked examples, and a score for a prediction."""

    def __init__(self, asker: Asker) -> None:
        self._items, self._people = asker.items, asker.people
        sheet = Sheet(Prompts(), asker.rubric, asker.rubric.questions)
        self._asked: tuple[Asked, ...] = sheet.asked
        self._inputs = {name: _field(name, "text", place) for place, name in enumerate(asker.items.texts, start=1)}
        self._outputs = {each.key: _field(each.key, "answer", place) for place, each in enumerate(sheet.asked, start=1)}
        properties = {
            self._outputs[key]: form for key, form in sheet.schema["properties"].items() if key in self._outputs
        }
        self.schema = {**sheet.schema, "properties": properties, "required": list(properties)}
        self.most_tokens = sheet.most_tokens() + 16 * len(properties)
        told = (asker.rubric.about, asker.rubric.guidelines, Prompts().render("questions.jinja", **sheet.told()))
        self._words = "\n\n".join(part for part in told if part)

    @property
    def clear(self) -> Any:
        """Items on which more people gave one class than any other, in every task."""
        ordered = [np.sort(graded.people, axis=1) for graded in self._people.values()]
        return np.logical_and.reduce([top[:, -1] > top[:, -2] for top in ordered])

    def signature(self, dspy: Any) -> Any:
        """Texts in, one class per task out."""
        fields: dict[str, Any] = {name: (str, dspy.InputField()) for name in self._inputs.values()}
        for each in self._asked:
            classes = Literal[each.question.ids]  # type: ignore[valid-type]
            fields[self._outputs[each.key]] = (classes, dspy.OutputField(desc=each.wording))
        return dspy.Signature(fields, self._words)

    def example(self, place: int) -> Any:
        """An item with the class that most people gave it."""
        labels = {
            self._outputs[each.key]: each.question.ids[
                int(self._people[each.question.task.name].people[place].argmax())
            ]
            for each in self._asked
        }
        made = dspy_module().Example(**self._fields(place), **labels, place=place)
        return made.with_inputs(*self._inputs.values())

    def score(self, example: Any, said: Any, _trace: Any = None) -> float:
        """How near a prediction is to people, 1 at best: agreement, of grades 1 less the squared distance."""
        each = [
            self._near(asked, example.place, getattr(said, self._outputs[asked.key], None)) for asked in self._asked
        ]
        return float(np.mean(each))

    def items_of(self, demos: Any) -> tuple[str, ...]:
        """The items that a program shows, once each."""
        place_of = {tuple(self._fields(place).values()): place for place in range(len(self._items))}
        places = [place_of.get(tuple(demo.get(name) for name in self._inputs.values())) for demo in demos]
        return tuple(dict.fromkeys(self._items.ids[place] for place in places if place is not None))

    def _fields(self, place: int) -> dict[str, str]:
        return {self._inputs[name]: column[place] for name, column in self._items.texts.items()}

    def _near(self, asked: Asked, place: int, said: Any) -> float:
        graded = self._people[asked.question.task.name]
        if said not in asked.question.ids:
            return 0.0
        code, people = asked.question.ids.index(said), shares(graded)[place]
        if not graded.task.ordered:
            return float(people[code])
        values = graded.values
        return 1 - float(people @ (values - values[code]) ** 2) / float(values[-1] - values[0]) ** 2


def _field(name: str, kind: str, place: int) -> str:
    """A name that a signature takes."""
    return name if name.isidentifier() and not name.startswith("_") and name != "place" else f"{kind}_{place}"


def _whole(answered: Answered) -> bool:
    return all(bool((graded.said >= 0).all()) for graded in answered.tasks.values())


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """DSPy prints as it goes; a library does not."""
    logger = logging.getLogger("dspy")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
