"""`quorate cascade fit | apply | explain`: which model to ask first, when its answer stands, whom to ask when not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quorate.cli.arguments import AsJson, Bad, Folder, OnBad
from quorate.cli.cascade_words import show
from quorate.cli.policy import pairs
from quorate.cli.source import opened, recorded_prices, size
from quorate.cli.terminal import console, count, percent, plural, print_json, progress, table, verb
from quorate.errors import DataError, NotFittedError, SettingError

if TYPE_CHECKING:
    from quorate.cascade.answers import Agent
    from quorate.cascade.fit import Options
    from quorate.cascade.kept import Kept
    from quorate.cascade.policy import Labeled
    from quorate.data.encode import Coded

DEFAULT_FILE, DEFAULT_LABELS = Path("cascade.json"), Path("cascade-labels.parquet")


class RouteName(StrEnum):
    """Whom a call may go to."""

    LADDER = "ladder"
    SKIP = "skip"
    ANY = "any"


class SignalName(StrEnum):
    """Which score is binned."""

    OWN = "own"
    POOLED = "pooled"


class EdgesName(StrEnum):
    """How the edges of the bins are found."""

    EXACT = "exact"
    QUANTILE = "quantile"
    OPTUNA = "optuna"


class CalibrationName(StrEnum):
    """How scores are calibrated first."""

    TEMPERATURE = "temperature"
    VECTOR = "vector"
    MATRIX = "matrix"
    PLATT = "platt"
    ISOTONIC = "isotonic"
    BETA = "beta"
    IDENTITY = "identity"


cascade = typer.Typer(no_args_is_help=True, help="Ask cheap models first, and dear ones and people where it pays.")


# ---- fit ------------------------------------------------------------------------------------------------------------
def fit(
    folder: Folder,
    price: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL=NUMBER", help="Price of one call of a model; may be given often. Default: its mean cost_usd."
        ),
    ] = None,
    prices: Annotated[Path | None, typer.Option(help="The same as a JSON file, {model: price}.")] = None,
    person_price: Annotated[
        float | None, typer.Option(min=0, help="Price of one label by a person, who then may be asked too.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="Fit these tasks only; may be given often.")] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="NUMBER|SHARE%", help="Most that an item may cost on average; 50%: half of calling all."),
    ] = None,
    cost_weight: Annotated[
        float | None, typer.Option(help="Right answers that one unit of currency is worth; instead of a budget.")
    ] = None,
    strategies: Annotated[
        str, typer.Option(help="How answers may be made: single, majority, weighted, learned, consensus.")
    ] = "single,majority,weighted,learned",
    calibration: Annotated[CalibrationName, typer.Option(help="How scores are calibrated first.")] = (
        CalibrationName.TEMPERATURE
    ),
    signal: Annotated[
        SignalName, typer.Option(help="The score that is binned: the called model's, or that of all called so far.")
    ] = SignalName.POOLED,
    route: Annotated[
        RouteName, typer.Option(help="Whom to call next: the next dearer, any dearer one, or anyone.")
    ] = RouteName.SKIP,
    edges: Annotated[
        EdgesName, typer.Option(help="Edges of bins: exact search, quantiles, or Optuna (extra `tune`).")
    ] = EdgesName.EXACT,
    bins: Annotated[int, typer.Option(min=1, help="Bins of one call's score, at most.")] = 4,
    most_calls: Annotated[int | None, typer.Option(min=1, help="Calls about one item, at most.")] = None,
    nodes: Annotated[
        int, typer.Option(min=1, help="Nodes that the exact search may look at: more make finer bins.")
    ] = 2_000,
    estimator: Annotated[str, typer.Option(help="Of the strategy consensus.")] = "hybrid",
    positive: Annotated[
        str | None, typer.Option(help="F1, precision and recall of this class; without it, averaged over classes.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the cascade goes.")] = DEFAULT_FILE,
    seed: Annotated[int, typer.Option(min=0, help="Decides folds and resamples.")] = 0,
    resamples: Annotated[int, typer.Option(min=2, help="Bootstrap resamples behind the 95 % intervals.")] = 1_000,
    on_bad: Bad = OnBad.RAISE,
    *,
    as_json: AsJson = False,
) -> None:
    """Fit a cascade per task, and say what it is worth on items that it was not fitted on.

    Without budget and cost weight: the cheapest that is as right as the best, within the error.
    """
    from quorate.cascade.answers import answers_of
    from quorate.cascade.fit import fit as fitted
    from quorate.cascade.kept import Kept, to_file, to_json
    from quorate.cascade.table import cross_judged

    given = _prices(price, prices)
    options = _options(strategies, calibration.value, signal.value, route.value, edges.value, bins, most_calls,
                       nodes, estimator, cost_weight, seed)  # fmt: skip
    data = opened(folder, on_bad)
    coded = data.encode()
    kept: list[Kept] = []
    failed: dict[str, NotFittedError] = {}
    for name, agents in _agents(coded, recorded_prices(data) | given, person_price, task).items():
        answers, of = answers_of(coded, name, agents), _budgeted(options, budget, agents)
        place = None if positive is None else _class(coded, name, positive)
        try:
            with progress(f"cascade, task {name}") as step:
                done = fitted(answers, of, progress=step)
                judged = cross_judged(answers, of, positive=place, resamples=resamples, progress=step)
        except NotFittedError as error:
            failed[name] = error
            continue
        worth = {"right": done.found.worth.right, "cost": done.found.worth.cost}
        kept.append(Kept(done.cascade, {**judged.figures(), "positive": positive, "promised": worth}))
    if not kept:
        raise next(iter(failed.values()))
    to_file(kept, out)
    if as_json:
        left = [{"task": name, "why": str(error)} for name, error in failed.items()]
        print_json({"data": size(coded)._asdict(), "out": str(out), "left_out": left, **to_json(kept)})
        return
    console().print(f"{size(coded).line()}\n")
    show(kept)
    for name, error in failed.items():
        console().print(f"\n{name} was left out: {error}.", markup=False, soft_wrap=True)
    console().print(f"\nwritten to {out}", markup=False, soft_wrap=True)


def _prices(given: Sequence[str] | None, path: Path | None) -> dict[str, float]:
    """Prices of the options over those of the file. Raises DataError for a file that is none."""
    import json

    found: dict[str, float] = {}
    if path is not None:
        try:
            value = json.loads(path.read_text("utf-8"))
            found = {str(name): float(price) for name, price in value.items()}
        except (ValueError, TypeError, AttributeError):
            raise DataError("not prices of models", mend='write {"model": price}', source=str(path)) from None
    return found | pairs("--price", given)


def _options(
    strategies: str,
    calibration: str,
    signal: Any,
    route: Any,
    edges: Any,
    bins: int,
    most_calls: int | None,
    nodes: int,
    estimator: str,
    cost_weight: float | None,
    seed: int,
) -> Options:
    from quorate.cascade.fit import Options
    from quorate.cascade.votes import check
    from quorate.consensus.registry import estimator as named

    named(estimator)  # an unknown one is told before the work
    names: Any = tuple(part.strip() for part in strategies.split(",") if part.strip())
    check(names)
    return Options(
        cost_weight=cost_weight,
        strategies=names,
        calibration=calibration,
        signal=signal,
        route=route,
        edges=edges,
        most_bins=bins,
        most_calls=most_calls,
        most_nodes=nodes,
        estimator=estimator,
        seed=seed,
    )


def _budgeted(options: Options, budget: str | None, agents: Sequence[Agent]) -> Options:
    """With a budget in currency. Raises SettingError for a text that is no number."""
    from dataclasses import replace

    if budget is None:
        return options
    try:
        amount = float(budget.removesuffix("%"))
    except ValueError:
        raise SettingError(f"--budget takes a number, or a share of calling all as 50%, not {budget!r}") from None
    everyone = sum(agent.price for agent in agents)
    return replace(options, budget=amount / 100 * everyone if budget.endswith("%") else amount)


def _agents(
    coded: Coded, prices: Mapping[str, float], person_price: float | None, tasks: Sequence[str] | None
) -> dict[str, tuple[Agent, ...]]:
    """Whom each task may ask: those named, or all that have agents to choose from."""
    from quorate.cascade.answers import agents_of

    if not prices and person_price is None:
        names = ", ".join(coded.models[:3]) or "a model"
        raise SettingError(f"a cascade needs prices: give --price MODEL=NUMBER for each to be asked, as for {names}")
    if tasks:
        return {name: agents_of(coded, name, prices, person_price=person_price) for name in tasks}
    found: dict[str, tuple[Agent, ...]] = {}
    failed: list[SettingError] = []
    for each in coded.schema.tasks:
        try:
            found[each.name] = agents_of(coded, each.name, prices, person_price=person_price)
        except SettingError as error:
            failed.append(error)
    if not found:
        raise failed[0] if failed else NotFittedError("there is no task to fit a cascade for")
    return found


def _class(coded: Coded, task: str, label: str) -> int:
    from quorate.consensus.door import class_code

    return class_code(coded.schema.task(task), label)


# ---- apply ----------------------------------------------------------------------------------------------------------
def apply(
    folder: Folder,
    cascade_file: Annotated[Path, typer.Option("--cascade", help="A file that `quorate cascade fit` wrote.")] = (
        DEFAULT_FILE
    ),
    out: Annotated[Path, typer.Option(help="Labels: a .parquet, .csv or .jsonl file.")] = DEFAULT_LABELS,
    on_bad: Bad = OnBad.RAISE,
    *,
    as_json: AsJson = False,
) -> None:
    """Label items by a cascade; say per item who was called, what was paid, and who is still to be called."""
    import pyarrow as pa

    from quorate.cascade.kept import from_file
    from quorate.data.write import write_table

    kept, coded = from_file(cascade_file), opened(folder, on_bad).encode()
    here = [each for each in kept if each.cascade.task.name in coded.schema.code_of]
    if not here:
        names = ", ".join(repr(each.cascade.task.name) for each in kept)
        raise DataError(f"no task of the cascade is in the data; it knows {names}", mend="name the tasks alike")
    parts, told = [], []
    for each in here:
        answers = each.cascade.answers(coded)
        labeled = each.cascade.label(answers)
        parts.append(each.cascade.table(answers.items, labeled))
        told.append(_paid(each, labeled))
    write_table(pa.concat_tables(parts), out)
    if as_json:
        print_json({"tasks": told, "out": str(out)})
        return
    for each in told:
        _show_paid(each)
    console().print(f"\nlabels written to {out}", markup=False, soft_wrap=True)


def _paid(kept: Kept, labeled: Labeled) -> dict[str, Any]:
    """What was called and paid for one task."""
    agents, n_items = kept.cascade.agents, len(labeled.label)
    waits = {agent.name: int((labeled.waits_for == at).sum()) for at, agent in enumerate(agents)}
    return {
        "task": kept.cascade.task.name,
        "items": n_items,
        "labeled": int((labeled.label >= 0).sum()),
        "calls": {agent.name: int(labeled.called[:, at].sum()) for at, agent in enumerate(agents)},
        "cost": float(labeled.cost.sum()),
        "cost_of_all": n_items * sum(agent.price for agent in agents),
        "waits_for": {name: n for name, n in waits.items() if n},
    }


def _show_paid(told: Mapping[str, Any]) -> None:
    screen = console()
    screen.print(
        f"{told['task']}: {plural(told['labeled'], 'item')} labeled for {told['cost']:,.4g}; calling everyone about "
        f"all {count(told['items'])} costs {told['cost_of_all']:,.4g}.",
        markup=False,
    )
    n_items = max(told["items"], 1)
    rows = [(name, count(n), percent(n / n_items)) for name, n in told["calls"].items()]
    screen.print(table(("called", "items", "share"), rows))
    for name, n in told["waits_for"].items():
        screen.print(f"{plural(n, 'item')} wait for {name}: its answers are not in the data.", markup=False)


# ---- explain --------------------------------------------------------------------------------------------------------
def explain(
    cascade_file: Annotated[
        Path, typer.Argument(metavar="CASCADE", help="A file that `quorate cascade fit` wrote.", show_default=False)
    ] = DEFAULT_FILE,
    on: Annotated[Path | None, typer.Option(help="Judge it on this folder instead: new items with gold.")] = None,
    resamples: Annotated[int, typer.Option(min=2, help="Bootstrap resamples behind the 95 % intervals.")] = 1_000,
    on_bad: Bad = OnBad.RAISE,
    *,
    as_json: AsJson = False,
) -> None:
    """Print the decision tree of a cascade, and what it is worth beside single models and their votes."""
    from quorate.cascade.kept import Kept, from_file, to_json
    from quorate.cascade.table import judged

    kept = from_file(cascade_file)
    if on is not None:
        coded = opened(on, on_bad).encode()
        again: list[Kept] = []
        for each in kept:
            positive = each.figures.get("positive")
            place = None if positive is None else each.cascade.task.code_of[positive]
            found = judged(each.cascade, each.cascade.answers(coded), positive=place, resamples=resamples)
            again.append(Kept(each.cascade, {**found.figures(), "positive": positive}))
        kept = tuple(again)
    if as_json:
        print_json(to_json(kept))
        return
    show(kept)


cascade.command("fit")(verb(fit))
cascade.command("apply")(verb(apply))
cascade.command("explain")(verb(explain))
