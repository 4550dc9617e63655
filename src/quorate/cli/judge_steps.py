"""The steps of `quorate judge` after the seed: calibrate, gate, amplify, watch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.arguments import AsJson
from quorate.cli.connection import BaseUrl, Cap, InFlight, Inside, KeyEnv, PriceFile, Timeout, UnknownPrices, line_to
from quorate.cli.judge_shown import (
    amplified_json,
    calibrated_json,
    decided_json,
    round_json,
    show_amplified,
    show_calibrated,
    show_decided,
    show_round,
)
from quorate.cli.judge_where import DEFAULT_FOLDER, Where, there
from quorate.cli.terminal import print_json, progress
from quorate.errors import SettingError

if TYPE_CHECKING:
    from quorate.judge.answers import Line, Read
    from quorate.judge.asked import Judge
    from quorate.judge.calibrate import Calibrated
    from quorate.judge.folder import JudgeFolder
    from quorate.llm.items import Items
    from quorate.llm.rubric import Rubric, Thinking

NOT_PASSED, ALARM, STOPPED = 3, 5, 4
Data = Annotated[
    Path,
    typer.Argument(metavar="DATA", help="Dataset folder or table with the items that were seeded.", show_default=False),
]


class ObjectiveName(StrEnum):
    """What the best candidate is best at."""

    AGREEMENT = "agreement"
    LOSS = "loss"


class OptimizerName(StrEnum):
    """Who searches."""

    HALVING = "halving"
    DSPY = "dspy"


class FigureName(StrEnum):
    """What the gate measures."""

    KAPPA = "kappa"
    AGREEMENT = "agreement"
    MSE = "mse"
    MAE = "mae"


# ---- calibrate ------------------------------------------------------------------------------------------------------
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
            line = _line(
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

    items = _items(data, rubric)
    names = read_seed(folder.sealed(ROLES, "seeded")).of("calibration")
    places = np.array([_place(items, name) for name in names], np.int64)
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


# ---- gate -----------------------------------------------------------------------------------------------------------
def gate(
    data: Data,
    where: Where = DEFAULT_FOLDER,
    figure: Annotated[FigureName, typer.Option(help="What is measured; kappa is quadratic on scales.")] = (
        FigureName.KAPPA
    ),
    threshold: Annotated[
        float | None, typer.Option(help="What the figure must reach. Default: as well as people agree, less --margin.")
    ] = None,
    margin: Annotated[float, typer.Option(min=0, help="How much better people may agree with each other.")] = 0.05,
    level: Annotated[float, typer.Option(help="How often a bad judge may be let through, at most.")] = 0.05,
    alarm_level: Annotated[
        float, typer.Option(help="How often the watch may cry out for nothing, ever, at most.")
    ] = 0.05,
    by_column: Annotated[
        list[str] | None, typer.Option("--slice", help="Figures for every value of this column of the items.")
    ] = None,
    base_url: BaseUrl = "",
    key_env: KeyEnv = "",
    cap: Cap = None,
    prices: PriceFile = None,
    in_flight: InFlight = 200,
    timeout: Timeout = 120.0,
    boundary: Inside = None,
    *,
    allow_unknown_prices: UnknownPrices = False,
    as_json: AsJson = False,
) -> None:
    """Let the judge through only if held-out grades show that it agrees with people well enough; ends with 3 if not."""
    from quorate.judge.asked import judge_of
    from quorate.judge.deciding import decide
    from quorate.judge.rule import Rule

    rule = Rule(figure.value, threshold, margin, level)
    with there(where).held() as folder:
        folder.check("gated")
        judge = judge_of(folder)
        line = _line_of(
            judge, boundary, base_url=base_url, key_env=key_env, cap=cap, prices=prices, in_flight=in_flight,
            timeout_s=timeout, allow_unknown=allow_unknown_prices,
        )  # fmt: skip
        says = _says(folder, judge, data, line, "gate")
        slices = _slices(folder, data, by_column)
        with progress("gate"):
            found = decide(folder, says, rule, slices=slices, alarm_level=alarm_level)
    if as_json:
        print_json(decided_json(found))
    else:
        show_decided(found, where)
    if not found.standing.open:
        raise typer.Exit(NOT_PASSED)


# ---- amplify --------------------------------------------------------------------------------------------------------
def amplify(
    items: Annotated[Path, typer.Argument(metavar="ITEMS", help="What is to be labeled.", show_default=False)],
    where: Where = DEFAULT_FOLDER,
    seeded: Annotated[
        Path | None, typer.Option("--seeded", help="The data with the seeded items, for anchors; default: ITEMS.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0, max=1, help="Anchors graded again per item labeled.")] = 0.02,
    chunk: Annotated[int, typer.Option(min=1, help="Items between two looks at anchors.")] = 1_000,
    processes: Annotated[int, typer.Option(min=1, max=16, help="Processes that label.")] = 1,
    base_url: BaseUrl = "",
    key_env: KeyEnv = "",
    cap: Cap = None,
    prices: PriceFile = None,
    in_flight: InFlight = 200,
    timeout: Timeout = 120.0,
    boundary: Inside = None,
    *,
    allow_unknown_prices: UnknownPrices = False,
    as_json: AsJson = False,
) -> None:
    """Label a large set with the judge that passed; anchors are graded in between, and an alarm stops it (5).

    Run again it goes on where it was; it ends with 4 where the cap, the account or the key stopped it.
    """
    from quorate.judge.amplify import amplify as amplified
    from quorate.judge.asked import judge_of
    from quorate.judge.folder import AMPLIFIED
    from quorate.judge.parts import write_provenance
    from quorate.judge.rounds import Round, tidy, watch_round

    rounds = list[Round]()
    with there(where).held() as folder:
        standing = folder.check("amplifying")
        judge = judge_of(folder)
        if not judge.may_be_asked or judge.rubric is None:
            raise SettingError("this judge was chosen among recorded answers: calibrate with --models to ask it")
        line = _line(
            judge.rubric, boundary, (judge.model,), base_url=base_url, key_env=key_env, cap=cap, prices=prices,
            in_flight=in_flight, timeout_s=timeout, allow_unknown=allow_unknown_prices,
        )  # fmt: skip
        found = _items(items, judge.rubric)
        schema, restricted = judge.rubric.schema, found.restricted
        tidy(folder, schema, restricted)
        says = _says(folder, judge, seeded or items, line, "watch")
        anchors = max(1, round(rate * chunk)) if rate else 0

        def look(_: int, __: int) -> bool:
            if anchors:
                rounds.append(watch_round(folder, says, anchors, schema, restricted=restricted))
            return bool(rounds and rounds[-1].alarms)

        write_provenance(folder, judge, folder.file(AMPLIFIED), standing.open)
        folder.take("amplifying", told=f"{len(found):,} items, by {judge.name}")
        with progress("labeling") as step:
            done = amplified(
                judge, found, folder.file(AMPLIFIED), line.connect, line.purse, tasks=standing.open, chunk=chunk,
                processes=processes, limits=line.limits, local=line.local, look=look, progress=step,
            )  # fmt: skip
    if as_json:
        print_json(amplified_json(done, rounds))
    else:
        show_amplified(done, rounds, where)
    if rounds and rounds[-1].alarms:
        raise typer.Exit(ALARM)
    if done.stopped is not None:
        raise typer.Exit(STOPPED)


# ---- watch ----------------------------------------------------------------------------------------------------------
def watch(
    data: Data,
    where: Where = DEFAULT_FOLDER,
    anchors: Annotated[int, typer.Option(min=1, help="Anchors to grade again.")] = 50,
    base_url: BaseUrl = "",
    key_env: KeyEnv = "",
    cap: Cap = None,
    prices: PriceFile = None,
    in_flight: InFlight = 200,
    timeout: Timeout = 120.0,
    boundary: Inside = None,
    *,
    allow_unknown_prices: UnknownPrices = False,
    as_json: AsJson = False,
) -> None:
    """Grade anchors again; an alarm closes the gate, sets labels aside, and ends with 5."""
    from quorate.judge.asked import judge_of
    from quorate.judge.deciding import people_of_folder
    from quorate.judge.rounds import watch_round

    with there(where).held() as folder:
        folder.check("watched")
        judge = judge_of(folder)
        line = _line_of(
            judge, boundary, base_url=base_url, key_env=key_env, cap=cap, prices=prices, in_flight=in_flight,
            timeout_s=timeout, allow_unknown=allow_unknown_prices,
        )  # fmt: skip
        says = _says(folder, judge, data, line, "watch")
        schema = judge.rubric.schema if judge.rubric else people_of_folder(folder).schema
        restricted = _items(data, judge.rubric).restricted if judge.rubric else frozenset[str]()
        with progress("anchors"):
            found = watch_round(folder, says, anchors, schema, restricted=restricted)
    if as_json:
        print_json(round_json(found))
    else:
        show_round(found, where)
    if found.alarms:
        raise typer.Exit(ALARM)


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


def _line_of(judge: Judge, boundary: str | None, **options: Any) -> Line | None:
    """The way to the judge's model; None for one chosen among recorded answers."""
    return None if judge.rubric is None else _line(judge.rubric, boundary, (judge.model,), **options)


def _line(rubric: Rubric, boundary: str | None, models: Sequence[str], **options: Any) -> Line:
    from quorate.llm.boundary import Boundary

    return line_to(models, Boundary.of(rubric.boundary, boundary), **options)


def _items(path: Path, rubric: Rubric) -> Items:
    from quorate.llm.items import read_items

    return read_items(path, rubric.show)


def _place(items: Items, name: str) -> int:
    if name not in items.place_of:
        raise SettingError(f"the contents of item {name!r} are not there: give the items that were seeded")
    return items.place_of[name]


def _says(
    folder: JudgeFolder, judge: Judge, data: Path, line: Line | None, step: str
) -> Callable[[Sequence[str], int], Mapping[str, Read]]:
    """What the judge says of seeded items: from the tables, or by calls that are kept under the step and a number."""
    from quorate.data.dataset import Dataset
    from quorate.judge.answers import asked, recorded
    from quorate.judge.deciding import people_of_folder

    people = people_of_folder(folder)
    if line is None or judge.rubric is None:
        tables = Dataset.read(data)
        return lambda names, _: recorded(judge, tables, people, names)
    items, version = _items(data, judge.rubric), folder.standing().version

    def says(names: Sequence[str], number: int) -> Mapping[str, Read]:
        journal = folder.file("journals") / f"v{version}-{step}-{number:06d}.sqlite"
        return asked(judge, items, people, line, names, journal)

    return says


def _slices(folder: JudgeFolder, data: Path, columns: Sequence[str] | None) -> dict[str, list[str | None]] | None:
    """Columns of the items, for the gate items in their order."""
    if not columns:
        return None
    from quorate.judge.deciding import people_of_folder
    from quorate.judge.folder import ROLES
    from quorate.judge.seed import read_seed

    table = people_of_folder(folder).items
    names = read_seed(folder.sealed(ROLES, "seeded")).of("gate")
    found = dict[str, list[str | None]]()
    for column in columns:
        if table is None or column not in table.column_names:
            raise SettingError(f"the items of {data} have no column {column!r}")
        of = dict(zip(table["item"].to_pylist(), table[column].to_pylist(), strict=True))
        found[column] = [None if of.get(name) is None else str(of[name]) for name in names]
    return found
