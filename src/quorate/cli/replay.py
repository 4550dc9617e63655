"""`quorate replay`: what policies would have saved, cost and reached on labels that are there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from quorate.cli.arguments import (
    AnnotatorPrices,
    AsJson,
    Bad,
    Estimator,
    Folder,
    InOrder,
    OnBad,
    Order,
    Price,
    TaskPrices,
    prices_of,
)
from quorate.cli.predict import ENDINGS
from quorate.cli.source import opened, size
from quorate.cli.terminal import (
    console,
    count,
    figure,
    legend,
    notes,
    percent,
    plural,
    print_json,
    progress,
    table,
    without_repeats,
)
from quorate.errors import SettingError

if TYPE_CHECKING:
    from rich.console import Console

    from quorate.cli.terminal import Progress
    from quorate.data.encode import Coded
    from quorate.measure.efficiency import Estimate
    from quorate.policy.outcome import Figures, Replayed
    from quorate.policy.prices import Prices
    from quorate.policy.steps import Fold
    from quorate.policy.stopping import Policy

NUMBER = {"fixed-overlap": ("labels", 2), "majority-agreement": ("share", 0.75), "per-task-entropy": ("threshold", 0.3)}
USUAL = ("threshold", 0.9)  # the setting and its value, of all other policies
SHOWN = "per-task-confidence"  # task by task, where nobody asked for a policy
MAJORITY = "the majority of the people who labeled it, two or more"
POINTS = 41  # of a curve that is written
HEADINGS = ("policy", "labels", "saved", "cost", "right", "log loss", "AUC", "")
READING = (
    ("saved, cost", "share of people's labels not bought; price of those bought"),
    ("right", "share of right answers in the end, with its standard error"),
    ("log loss", "in nats; lower is better"),
    ("AUC", "area of right answers over labels saved, over all thresholds of this kind of policy"),
    ("*", "no other line is as right for less, or more right for as much"),
)


class Found(NamedTuple):
    """What was replayed."""

    replayed: Replayed
    names: tuple[str, ...]  # of the lines
    auc: tuple[float | None, ...]  # of the kind of each policy; None for the two lines that are no policy
    front: tuple[bool, ...]
    kind: Mapping[str, str]  # what counts as right, task by task
    curves: Replayed | None


def replay(
    folder: Folder,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="POLICY",
            help="A name, as minimum; with its number, as minimum:0.95; or JSON. May be given often; default all.",
        ),
    ] = None,
    estimator: Estimator = "hybrid",
    price: Price = 1.0,
    price_task: TaskPrices = None,
    price_annotator: AnnotatorPrices = None,
    order: InOrder = Order.ARRIVAL,
    seed: Annotated[int, typer.Option(min=0, help="Decides halves, and the order if shuffled.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Where curves over all thresholds go: .parquet, .csv or .jsonl.")
    ] = None,
    on_bad: Bad = OnBad.RAISE,
    *,
    as_json: AsJson = False,
) -> None:
    """Replay policies label by label: fit on half the items, stop early on the other half, and the reverse."""
    from quorate.consensus.registry import estimator as named
    from quorate.data.write import write_table
    from quorate.policy.steps import fitted_folds, part_of

    _check_name(out)
    policies = [parsed(text) for text in policy or _names()]
    prices = prices_of(price, price_task, price_annotator)
    used, coded = named(estimator), opened(folder, on_bad).encode()
    _check_names(policies, prices, coded)
    with progress("replaying") as step:
        folds = fitted_folds(coded, used, order=order.value, seed=seed, progress=part_of(step, 0.0, 0.6, ""))
        found = compared(folds, policies, prices, out is not None, part_of(step, 0.6, 0.4, ""))
    if out is not None and found.curves is not None:
        write_table(found.curves.table(), out)
    told = remarks(found, coded)
    if as_json:
        written = {"out": None if out is None else str(out), "notes": told}
        print_json({"estimator": estimator, "data": size(coded)._asdict(), **figures(found), **written})
        return
    screen = console()
    screen.print(size(coded).line())
    screen.print(f"replayed on {plural(len(found.replayed.items), 'item')} under {estimator}, fitted on the other half")
    show(screen, found, [place for place, each in enumerate(policies, 1) if policy or each.name == SHOWN])
    screen.print(notes(told))
    if out is not None:
        screen.print(f"\ncurves written to {out}", markup=False)


# ---- what is asked for ----------------------------------------------------------------------------------------------
def parsed(text: str) -> Policy:
    """A policy from its JSON, its name, or its name and number. Raises SettingError for anything else.

    >>> parsed("minimum:0.95"), parsed("fixed-overlap")
    (Minimum(threshold=0.95), FixedOverlap(labels=2, of_task={}))
    """
    from quorate.policy.stopping import policy, policy_from_json

    if text.lstrip().startswith("{"):
        return policy_from_json(text)
    name, _, number = text.partition(":")
    setting, usual = NUMBER.get(name, USUAL)
    try:
        value = float(number) if number else usual
    except ValueError:
        raise SettingError(f"--policy takes a name and a number, as minimum:0.95, not {text!r}") from None
    return policy(name, **{setting: value})


def _names() -> tuple[str, ...]:
    from quorate.policy.stopping import POLICIES

    return tuple(POLICIES)


def _check_name(out: Path | None) -> None:
    """A wrong name is told before the work, not after it."""
    if out is not None and out.suffix.lower() not in ENDINGS:
        raise SettingError(f"cannot write {out.name!r}: the name must end in {', '.join(ENDINGS)}")


def _check_names(policies: Sequence[Policy], prices: Prices, coded: Coded) -> None:
    """The same for tasks and people that the data does not have."""
    prices.of_labels(coded)
    for policy in policies:
        policy.bar(coded.schema)


# ---- the work -------------------------------------------------------------------------------------------------------
def compared(
    folds: Sequence[Fold], policies: Sequence[Policy], prices: Prices, curves: bool, step: Progress | None
) -> Found:
    """The policies between asking nobody and asking everybody; curves: every kind over its thresholds too."""
    from quorate.policy import front
    from quorate.policy.replay import replay_folds
    from quorate.policy.steps import of_folds, part_of
    from quorate.policy.stopping import FixedOverlap

    steps = of_folds(folds, prices, part_of(step, 0.0, 0.2, ""))
    lines = (FixedOverlap(0), *policies, FixedOverlap(len(steps.confidence) - 1))
    replayed = replay_folds(folds, lines, prices, part_of(step, 0.2, 0.3, ""))
    swept = {each.name: each for each in policies}
    areas = {name: front.auc(front.curves(steps, each)) for name, each in swept.items()}
    grid = [each for kind in swept.values() for each in front.spread(steps, kind, POINTS)] if curves else []
    return Found(
        replayed,
        ("no labels", *map(in_short, policies), "all labels"),
        (None, *(areas[each.name] for each in policies), None),
        tuple(front.pareto(front.points(replayed)).tolist()),
        dict(zip((task.name for task in steps.schema.tasks), steps.kind, strict=True)),
        replay_folds(folds, grid, prices, part_of(step, 0.5, 0.5, "curves")) if curves else None,
    )


# ---- as JSON and in words -------------------------------------------------------------------------------------------
def figures(found: Found) -> dict[str, Any]:
    """As JSON holds it; null where the data cannot tell."""
    lines: list[dict[str, Any]] = []
    for place, outcome in enumerate(found.replayed.outcomes):
        whole, *tasks = found.replayed.figures(place).items()
        more = {"auc": found.auc[place], "on_front": found.front[place]}
        own = {name: _as_json(each) for name, each in tasks}
        lines.append({"policy": json.loads(outcome.policy.to_json()), **_as_json(whole[1]), **more, "tasks": own})
    names = ("no_labels", "all_labels")
    return {"truth": dict(found.kind), "policies": lines[1:-1], **dict(zip(names, (lines[0], lines[-1]), strict=True))}


def _as_json(of: Figures) -> dict[str, Any]:
    qualities = {
        name: value and value._asdict() for name, value in (("accuracy", of.accuracy), ("log_loss", of.log_loss))
    }
    return {**of._asdict(), **qualities}


def show(screen: Console, found: Found, by_task: Sequence[int]) -> None:
    """One line per policy; of the policies at these places, one per task too."""
    whole = [found.replayed.figures(place)[""] for place in range(len(found.names))]
    rows = [
        (name, *_row(each), figure(area, ".3f"), "*" if stands else "")
        for name, each, area, stands in zip(found.names, whole, found.auc, found.front, strict=True)
    ]
    screen.print()
    screen.print(table(HEADINGS, rows))
    screen.print()
    screen.print(legend(READING, style="dim"))
    if len(found.kind) > 1 and by_task:
        screen.print("\nTask by task\n")
        own = [
            (found.names[place], task, *_row(each))
            for place in by_task
            for task, each in found.replayed.figures(place).items()
            if task
        ]
        screen.print(table(("policy", "task", *HEADINGS[1:6]), without_repeats(own, 1), text_columns=2))
    screen.print()


def _row(of: Figures) -> tuple[str, ...]:
    saved = "-" if of.efficiency is None else f"{of.efficiency:.0%}"
    log_loss = figure(of.log_loss and of.log_loss.value, ".3f")
    return (count(of.labels), saved, _money(of.cost), _with_error(of.accuracy), log_loss)


def _with_error(of: Estimate | None) -> str:
    if of is None:
        return "-"
    return percent(of.value) + ("" if of.se is None else f" ±{100 * of.se:.1f}")


def _money(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 100 or amount == round(amount) else f"{amount:,.2f}"


def in_short(policy: Policy) -> str:
    """A policy's name and number.

    >>> in_short(parsed("per-task-confidence:0.9")), in_short(parsed("majority-agreement"))
    ('per-task-confidence .9', 'majority-agreement .75')
    """
    setting, _ = NUMBER.get(policy.name, USUAL)
    own = " +" if getattr(policy, "of_task", None) else ""  # and tasks with their own
    return f"{policy.name} {figure(getattr(policy, setting), 'g')}{own}"


def remarks(found: Found, coded: Coded) -> list[str]:
    """What right means, and what was left out, one sentence each."""
    from quorate.evaluate.protocol import MOST_LABELS, n_labels

    gold, right = [name for name, kind in found.kind.items() if kind == "gold"], MAJORITY
    if gold:
        right = "gold" if len(gold) == len(found.kind) else f"gold in {', '.join(gold)}, elsewhere {MAJORITY}"
    judged, answers = int(found.replayed.counted.sum()), found.replayed.counted.size
    said = [f"Right means {right}: {count(judged)} of {count(answers)} answers have one to be judged by."]
    if int(n_labels(coded).max(initial=0)) > MOST_LABELS:
        said.append(f"At most {MOST_LABELS} labels of an item and task are replayed.")
    if len(found.replayed.items) < coded.n_items:
        said.append(f"{plural(coded.n_items - len(found.replayed.items), 'item')} had no label of people to replay.")
    return said
