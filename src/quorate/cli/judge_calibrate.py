"""`quorate judge calibrate`: which model, asked how, read through which map."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.arguments import AsJson
from quorate.cli.connection import BaseUrl, Cap, InFlight, Inside, KeyEnv, PriceFile, Timeout, UnknownPrices
from quorate.cli.judge_asked import Data, items_of, line_for, place_of
from quorate.cli.judge_shown import (
    calibrated_json,
    show_calibrated,
)
from quorate.cli.judge_where import DEFAULT_FOLDER, Where, there
from quorate.cli.terminal import print_json, progress
from quorate.errors import SettingError

if TYPE_CHECKING:
    from quorate.judge.answers import Line
    from quorate.judge.calibrate import Calibrated
    from quorate.judge.folder import JudgeFolder
    from quorate.llm.rubric import Rubric, Thinking


class ObjectiveName(StrEnum):
    """What the best candidate is best at."""

    AGREEMENT = "agreement"
    LOSS = "loss"


class OptimizerName(StrEnum):
    """Who searches."""

    HALVING = "halving"
    DSPY = "dspy"


def calibrate(
    data: Data,
    where: Where = DEFAULT_FOLDER,
    models: Annotated[
        str, typer.Option(help="Candidates to ask, commas between. Default: those whose answers DATA holds already.")
    ] = "",
    prompts: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FOLDER", help="A variant of the prompts to try; may be given often."),
    ] = None,
    thinking: Annotated[str, typer.Option(help="Ways to think to try: none, steps.")] = "none",
    examples: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'WAY N'", help="Worked examples to try: cover 4, errors 4 or random 4; may be given often."
        ),
    ] = None,
    by: Annotated[
        ObjectiveName, typer.Option(help="Kappa or agreement with people, or squared error or log loss.")
    ] = ObjectiveName.AGREEMENT,
    optimizer: Annotated[
        OptimizerName, typer.Option(help="quorate's own search, or DSPy's for examples (extra `dspy`).")
    ] = OptimizerName.HALVING,
    base_url: BaseUrl = "",
    key_env: KeyEnv = "",
    cap: Cap = None,
    prices: PriceFile = None,
    in_flight: InFlight = 200,
    timeout: Timeout = 120.0,
    boundary: Inside = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides folds and draws.")] = 0,
    *,
    allow_unknown_prices: UnknownPrices = False,
    as_json: AsJson = False,
) -> None:
    """Choose the judge among models, prompts and examples by people's grades, and fit the map it is read through."""
    from quorate.judge.asked import keep
    from quorate.judge.asking import Space

    names = _names(models)
    variants = _variants(prompts)
    with there(where).held() as folder:
        folder.check("calibrated")
        if not names:
            found, files = _from_tables(folder, data, by.value, seed), None
        else:
            rubric = _rubric(folder)
            space = Space(names, variants, _ways(thinking), tuple(examples or ()))
            line = line_for(
                rubric, boundary, names, base_url=base_url, key_env=key_env, cap=cap, prices=prices,
                in_flight=in_flight, timeout_s=timeout, allow_unknown=allow_unknown_prices,
            )  # fmt: skip
            found, shown = _searched(folder, data, rubric, space, line, optimizer.value, by.value, seed)
            files = keep(folder, found, rubric=rubric, examples=shown, prompts=variants[found.chosen.prompt])
        files = files or keep(folder, found)
        told = f"{found.chosen.name}, of {len(found.standings)} candidates"
        standing = folder.take("calibrated", files={name: folder.digest(name) for name in files}, told=told)
    if as_json:
        print_json(calibrated_json(found, standing))
    else:
        show_calibrated(found)


def _from_tables(folder: JudgeFolder, data: Path, by: Any, seed: int) -> Calibrated:
    """Among models whose answers are there already; nobody is asked."""
    from dataclasses import replace

    from quorate.data.dataset import Dataset
    from quorate.judge.calibrate import calibrate as calibrated
    from quorate.judge.candidates import recorded
    from quorate.judge.deciding import people_of_folder
    from quorate.judge.folder import ROLES
    from quorate.judge.graded import people_of
    from quorate.judge.seed import read_seed

    items = read_seed(folder.sealed(ROLES, "seeded")).of("calibration")
    people = people_of_folder(folder)
    answered = recorded(Dataset.read(data), items=items)
    with_people = [
        each._replace(
            tasks={t: replace(of, people=people_of(people, t, of.items).people) for t, of in each.tasks.items()}
        )
        for each in answered
    ]
    with progress("calibrating"):
        return calibrated(with_people, by=by, seed=seed)


def _searched(
    folder: JudgeFolder, data: Path, rubric: Rubric, space: Any, line: Line, optimizer: str, by: Any, seed: int
) -> tuple[Calibrated, Sequence[Any]]:
    """The search among candidates that are asked, and the worked examples of the best."""
    import numpy as np

    from quorate.judge.asking import Asker, chosen_items
    from quorate.judge.deciding import people_of_folder
    from quorate.judge.examples import example_of
    from quorate.judge.folder import ROLES
    from quorate.judge.graded import people_of
    from quorate.judge.seed import read_seed
    from quorate.llm.journal import Journal

    items = items_of(data, rubric)
    names = read_seed(folder.sealed(ROLES, "seeded")).of("calibration")
    places = np.array([place_of(items, name) for name in names], np.int64)
    chosen, people = chosen_items(items, places), people_of_folder(folder)
    journal = folder.file("journals") / "calibrate.sqlite"
    journal.parent.mkdir(exist_ok=True)
    with Journal(journal) as known, progress("asking candidates") as step:
        means = line._replace(progress=step).means(known)
        asker = Asker(chosen, people, rubric, means, prompts=space.prompts, examples_folder=folder.path)
        found = _optimizer(optimizer, by, seed).search(asker, space)
    graded = {question.task.name: people_of(people, question.task.name, chosen.ids) for question in rubric.questions}
    return found, [example_of(chosen.place_of[name], chosen, graded) for name in found.chosen.shown]


def _optimizer(name: str, by: Any, seed: int) -> Any:
    if name == "dspy":
        from quorate.judge.dspy_search import DspySearch

        return DspySearch(by=by, seed=seed)
    from quorate.judge.tune import Halving

    return Halving(by=by, seed=seed)


# ---- parts ----------------------------------------------------------------------------------------------------------
def _names(models: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in models.split(","))))


def _ways(text: str) -> tuple[Thinking, ...]:
    from quorate.llm.rubric_file import THINKING

    found = _names(text)
    strange = next((each for each in found if each not in THINKING), None)
    if strange is not None or not found:
        raise SettingError(f"--thinking names {', '.join(THINKING)}, not {strange!r}")
    return tuple("steps" if each == "steps" else "none" for each in found)


def _variants(given: Sequence[str] | None) -> dict[str, Path | None]:
    """The prompts of quorate, and those of the folders that were named."""
    found: dict[str, Path | None] = {"": None}
    for text in given or ():
        name, is_, folder = text.partition("=")
        if not name or not is_ or not Path(folder).is_dir():
            raise SettingError(f"--prompts takes a name, = and a folder that is there, not {text!r}")
        if name in found:
            raise SettingError(f"--prompts names {name!r} twice")
        found[name] = Path(folder)
    return found


def _rubric(folder: JudgeFolder) -> Rubric:
    from quorate.judge.asked import rubric_of
    from quorate.judge.folder import RUBRIC

    if not folder.file(RUBRIC).is_file():
        raise SettingError("to ask models this judge needs a rubric: `quorate judge seed DATA --rubric rubric.yaml`")
    return rubric_of(folder)
