"""`quorate policy`: when to stop asking, at what cost, with what guarantee, and what every other choice would cost."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    pairs,
    prices_of,
)
from quorate.cli.source import opened, size
from quorate.cli.terminal import console, count, notes, percent, print_json, progress, table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from quorate.policy.optimize import Optimized
    from quorate.policy.optimize.choice import Choice
    from quorate.policy.prices import Prices
    from quorate.policy.stopping import Policy

NO_POLICY = 3  # exit code: the work is done, and its result is that nothing keeps to the constraints
MOST_ITEMS = 4_000  # as the protocol judges on
DEFAULT_OUT = Path("policy.json")
MOST_THRESHOLDS = 20  # tasks whose thresholds are shown
BY_TASK = ", by task"
SHORT = {"budget": "budget", "deadline": "deadline", "share of reviews": "reviews"}


class Aim(StrEnum):
    """What is made best within the constraints."""

    COST = "cost"
    ACCURACY = "accuracy"
    LOG_LOSS = "log-loss"


class Margin(StrEnum):
    """How sure floors and limits must hold."""

    PROVEN = "proven"
    POINT = "point"


def policy(
    folder: Folder,
    floor: Annotated[
        float | None, typer.Option(help="Least share of right answers, over all tasks, as 0.95.", show_default=False)
    ] = None,
    floor_task: Annotated[
        list[str] | None, typer.Option(metavar="TASK=SHARE", help="The same for one task; may be given often.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="Most that people's labels may cost, for all items.", show_default=False)
    ] = None,
    price: Price = 1.0,
    price_task: TaskPrices = None,
    price_annotator: AnnotatorPrices = None,
    most_reviewed: Annotated[
        float | None, typer.Option(help="Largest share of answers that people look at.", show_default=False)
    ] = None,
    deadline_days: Annotated[
        float | None, typer.Option(help="Days until all labels must be in.", show_default=False)
    ] = None,
    labels_per_day: Annotated[
        float | None, typer.Option(help="Labels that people give in a day.", show_default=False)
    ] = None,
    aim: Annotated[
        Aim | None, typer.Option(help="Made best: cost (if there is a floor), accuracy (if not) or log-loss.")
    ] = None,
    margin: Annotated[
        Margin, typer.Option(help="proven: the floor holds at risk delta; point: by the estimate alone.")
    ] = Margin.PROVEN,
    delta: Annotated[float, typer.Option(help="Risk that the floor is broken all the same.")] = 0.1,
    estimator: Estimator = "hybrid",
    items: Annotated[
        int | None, typer.Option(help="Items of the campaign; default those of the folder.", show_default=False)
    ] = None,
    most_items: Annotated[int, typer.Option(min=4, help="Items that are judged: a sample.")] = MOST_ITEMS,
    order: InOrder = Order.ARRIVAL,
    seed: Annotated[int, typer.Option(min=0, help="Decides samples and halves.")] = 0,
    out: Annotated[Path, typer.Option(help="Where the policy goes.")] = DEFAULT_OUT,
    on_bad: Bad = OnBad.RAISE,
    *,
    as_json: AsJson = False,
) -> None:
    """Find when to stop asking: at the least cost above a floor, or as right as a budget allows.

    Ends with 3 where no policy keeps to the constraints, and says what would do; then no policy is written.
    """
    from quorate.consensus.registry import estimator as named
    from quorate.policy.optimize import Constraints, optimize_on

    floors = pairs("--floor-task", floor_task) | ({} if floor is None else {"": floor})
    constraints = Constraints(floors or None, budget, most_reviewed, labels_per_day, deadline_days)
    prices = prices_of(price, price_task, price_annotator)
    used, data = named(estimator), opened(folder, on_bad)
    with progress("choosing a policy") as step:
        found = optimize_on(
            data,
            used,
            constraints,
            prices=prices,
            order=order.value,
            most_items=most_items,
            aim=None if aim is None else aim.value,
            margin=margin.value,
            delta=delta,
            n_items=items,
            seed=seed,
            progress=step,
        )
    if found.policy is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(found.policy.to_json() + "\n", encoding="utf-8")
    counts = size(data.encode())
    if as_json:
        written = {"out": None if found.policy is None else str(out)}
        print_json({"estimator": estimator, "data": counts._asdict(), **found.figures(), **written})
    else:
        screen = console()
        screen.print(counts.line())
        show(screen, found, prices)
        if found.policy is not None:
            screen.print(f"\npolicy written to {out}", markup=False)
    if found.policy is None:
        raise typer.Exit(NO_POLICY)


# ---- in words -------------------------------------------------------------------------------------------------------
def show(screen: Console, found: Optimized, prices: Prices) -> None:
    """What was found, as a lead reads it."""
    screen.print(
        f"judged on {count(found.n_proved)} items that neither fit nor search saw; "
        f"searched on {count(found.n_searched)}"
    )
    screen.print()
    if found.chosen is not None:
        screen.print(f"[bold]{in_words(found.chosen.policy)}[/bold]")
        _show_chosen(screen, found, found.chosen)
    else:
        _show_none(screen, found)
    if found.policy is not None:
        _show_tasks(screen, found)
    screen.print("\nWhat other choices would cost, and lead to\n")
    screen.print(_choices(found))
    priced = "" if prices.label != 1 or prices.of_task or prices.of_annotator else "; at a price of 1 per label"
    said = [
        f"Labels and costs are for {count(found.n_items)} items{priced}; seen: the answers that people look at.",
        *(["* a threshold of its own for each task"] if any(BY_TASK in each.name for each in found.choices) else []),
    ]
    screen.print()
    screen.print(notes([*said, *found.notes]))


def in_words(policy: Policy) -> str:
    """What a policy does, in one sentence.

    >>> from quorate.policy.stopping import Minimum
    >>> in_words(Minimum(0.95))
    'Ask about an item until each of its answers is at least 95% sure.'
    """
    threshold = float(getattr(policy, "threshold", 0.0))
    sure = f"at least {_share(threshold)}"
    n_labels = int(getattr(policy, "labels", 0))
    asks = (int(getattr(policy, "fewest", 0)), int(getattr(policy, "most", 0)), float(getattr(policy, "share", 0.0)))
    words = {
        "minimum": f"Ask about an item until each of its answers is {sure} sure.",
        "mean": f"Ask about an item until its answers are {sure} sure on average.",
        "maximum": f"Ask about an item until one of its answers is {sure} sure.",
        "joint": f"Ask about an item until all its answers together are right with {sure} probability.",
        "product": f"Ask about an item until the product of its confidences is {sure}.",
        "per-task-confidence": f"Ask each question until its answer is {sure} sure.",
        "per-task-entropy": f"Ask each question until the entropy of its answer is at most {threshold:.4g} nats.",
        "fixed-overlap": f"Ask {n_labels} people every question." if n_labels else "Ask nobody: take the models' word.",
        "majority-agreement": f"Ask {asks[0]} people, then on, up to {asks[1]}, until {_share(asks[2])} of them agree.",
    }[policy.name]
    if getattr(policy, "of_task", None):
        words = {
            "per-task-confidence": "Ask each question until its answer is as sure as its own threshold.",
            "per-task-entropy": "Ask each question until the entropy of its answer is down to its own threshold.",
            "fixed-overlap": "Ask each question of its own number of people.",
        }[policy.name]
    return words


def _show_chosen(screen: Console, found: Optimized, chosen: Choice) -> None:
    everything = found.choices[-1]
    days = "" if chosen.days is None else f", in {chosen.days:.1f} days"
    screen.print(
        f"It takes about {count(round(chosen.labels))} labels instead of {count(round(everything.labels))} "
        f"({percent(chosen.share_saved)} saved) and costs {_money(chosen.cost)} instead of {_money(everything.cost)}"
        f"{days}. People look at {percent(chosen.share_reviewed)} of the answers."
    )
    for proof in found.proofs:
        screen.print(proof.sentence(), markup=False)
    if found.margin == "point" or not found.proofs:
        right = "unknown" if chosen.accuracy is None else _interval(chosen.accuracy.estimate, chosen)
        screen.print(f"Right: {right} of the answers. This is an estimate; nothing is proven.")
    if found.advice:
        screen.print(notes(found.advice))


def _show_none(screen: Console, found: Optimized) -> None:
    screen.print(f"[bold]No policy keeps to the constraints.[/bold] In the way: {', '.join(found.binding)}.")
    screen.print(notes(found.advice))
    near = found.nearest
    if near is not None:
        screen.print(f"\nThe nearest: {in_words(near.policy)}", markup=False)
        right = "unknown" if near.accuracy is None else _interval(near.accuracy.estimate, near)
        screen.print(
            f"It takes about {count(round(near.labels))} labels ({percent(near.share_saved)} saved), costs "
            f"{_money(near.cost)}, and is right in {right} of the answers.",
            markup=False,
        )
    for proof in found.proofs:
        screen.print(proof.sentence(), markup=False)


def _show_tasks(screen: Console, found: Optimized) -> None:
    """Thresholds and accuracies of tasks, where they have their own."""
    chosen = found.chosen
    of_task: dict[str, Any] = dict(getattr(found.policy, "of_task", {}))
    if chosen is None or not of_task:
        return
    rows = [(name, f"{value:.4g}", _of(chosen, name)) for name, value in list(of_task.items())[:MOST_THRESHOLDS]]
    screen.print()
    screen.print(table(("task", "threshold", "right"), rows))
    if len(of_task) > MOST_THRESHOLDS:
        screen.print(f"and {len(of_task) - MOST_THRESHOLDS} more tasks; all are in the file")


def _of(chosen: Choice, task: str) -> str:
    right = chosen.accuracy_of_task.get(task)
    return "-" if right is None else f"{percent(right.estimate)} ({_ends(right.low, right.high)})"


def _choices(found: Optimized) -> Table:
    headings = ("choice", "labels", "saved", "cost", "seen", "right", "misses")
    return table(headings, [_row(choice) for choice in found.choices])


def _row(choice: Choice) -> tuple[str, ...]:
    right = "-" if choice.accuracy is None else _interval(choice.accuracy.estimate, choice)
    misses = [SHORT.get(each.partition(":")[0], "floor") for each in choice.breaks]
    return (
        choice.name.replace(BY_TASK, " *"),
        count(round(choice.labels)),
        f"{choice.share_saved:.0%}",
        _money(choice.cost),
        f"{choice.share_reviewed:.0%}",
        right,
        misses[0] if misses else "",
    )


def _interval(estimate: float, choice: Choice) -> str:
    assert choice.accuracy is not None
    return f"{percent(estimate)} ({_ends(choice.accuracy.low, choice.accuracy.high)})"


def _ends(low: float, high: float) -> str:
    return f"{100 * low:.0f}-{100 * high:.0f}"


def _money(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 100 or amount == round(amount) else f"{amount:,.2f}"


def _share(share: float) -> str:
    return f"{100 * share:.4g}%"
